//! Rows of the report's long tables: what took how long, every number, every training.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::{StepTime, words};
use crate::report::results::{CellRecord, DatasetDescription, Number, Results, Status};
use crate::report::table::cell;

#[derive(Serialize)]
pub(super) struct TimeRow {
    name: String,
    key: String,
    steps: usize,
    seconds: f64,
    shown: String,
}

#[derive(Serialize)]
pub(super) struct EveryNumber {
    title: String,
    count: String,
    seeds: Vec<u64>,
    rows: Vec<NumberRow>,
}

#[derive(Serialize)]
pub(super) struct NumberRow {
    method: String,
    quantity: &'static str,
    ratio: String,
    mean: String,
    std: String,
    seeds: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Trainings {
    steps: Vec<String>,
    rows: Vec<TrainingRow>,
}

#[derive(Serialize)]
pub(super) struct TrainingRow {
    label: String,
    keys: Vec<String>,
}

/// Steps that were computed: what has the same key was computed once, whatever it is called.
pub fn computed(steps: &[StepTime]) -> Vec<&StepTime> {
    let mut seen = BTreeSet::new();
    steps.iter().filter(|step| seen.insert(step.key.as_str())).collect()
}

/// The kinds of steps in the order in which they come first.
pub(super) fn kinds(steps: &[StepTime]) -> Vec<TimeRow> {
    let mut rows: Vec<TimeRow> = Vec::new();
    for step in computed(steps) {
        match rows.iter_mut().find(|row| row.name == step.kind) {
            Some(row) => (row.steps, row.seconds) = (row.steps + 1, row.seconds + step.seconds),
            None => rows.push(time_row(step.kind, "", step.seconds)),
        }
    }
    rows.iter_mut().for_each(|row| row.shown = words::duration(row.seconds));
    rows
}

fn time_row(name: &str, key: &str, seconds: f64) -> TimeRow {
    let key = key.chars().take(12).collect();
    TimeRow { name: name.to_owned(), key, steps: 1, seconds, shown: words::duration(seconds) }
}

pub(super) fn longest(steps: &[StepTime]) -> Vec<TimeRow> {
    let mut steps = computed(steps);
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.label.cmp(&b.label)));
    steps.iter().take(10).map(|step| time_row(&step.label, &step.key, step.seconds)).collect()
}

pub(super) fn every(results: &Results) -> Vec<EveryNumber> {
    let suite = &results.suite;
    let value = |status: &Status| match status {
        Status::Value { value } => cell::shown(*value),
        Status::NotANumber => "NaN".to_owned(),
        Status::Failed { .. } => "failed".to_owned(),
        Status::NotRun { .. } => "—".to_owned(),
    };
    let row = |number: &Number| NumberRow {
        method: suite.methods.iter().find(|m| m.name == number.method).map_or(&number.method, |m| &m.title).clone(),
        quantity: number.quantity.name(),
        ratio: number.ratio.map_or_else(String::new, |ratio| ratio.to_string()),
        mean: number.mean.map_or_else(|| cell::status(number).1.to_owned(), cell::shown),
        std: number.std.map_or_else(String::new, cell::shown),
        seeds: number.seeds.iter().map(|seed| value(&seed.value)).collect(),
    };
    let of = |dataset: &DatasetDescription| {
        let rows: Vec<NumberRow> =
            results.numbers.iter().filter(|number| number.dataset == dataset.name).map(row).collect();
        EveryNumber {
            title: suite.title_of(dataset),
            count: words::several(rows.len() as u64, "number"),
            seeds: suite.seeds.clone(),
            rows,
        }
    };
    suite.datasets.iter().map(of).collect()
}

pub(super) fn trainings(results: &Results) -> Trainings {
    let mut steps: Vec<String> = results.cells.iter().flat_map(|cell| cell.provenance.keys.keys().cloned()).collect();
    // Trainings come before what is evaluated of them.
    steps.sort_by_key(|step| (step != "train", step.clone()));
    steps.dedup();
    let short = |key: &String| key.chars().take(12).collect();
    let row = |cell: &CellRecord| TrainingRow {
        label: format!("{} {} seed {}", cell.dataset, cell.method, cell.seed),
        keys: steps.iter().map(|step| cell.provenance.keys.get(step).map_or_else(String::new, short)).collect(),
    };
    let rows = results.cells.iter().map(row).collect();
    Trainings { rows, steps }
}
