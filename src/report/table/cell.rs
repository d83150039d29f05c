//! Shows one number in a table: rounded, ranked among the methods, with its footnotes.

use super::TableCell;
use crate::report::results::{Number, Quantity, Results, Status};
use crate::report::value_of;

/// The cell of a method on a dataset, ranked among all methods of the results. A footnote says why a number is missing.
pub fn of(results: &Results, dataset: &str, method: &str, quantity: Quantity, notes: &mut Vec<String>) -> TableCell {
    let methods = &results.suite.methods;
    let means = methods.iter().map(|method| results.number(dataset, &method.name, quantity, None)?.mean);
    let at = methods.iter().position(|known| known.name == method);
    let rank = at.map_or(usize::MAX, |at| ranks(quantity, means)[at]);
    match results.number(dataset, method, quantity, None) {
        Some(number) => cell(number, rank, notes),
        None => absent(results, dataset, method, quantity, notes),
    }
}

/// Ranks, 0 being the best; `usize::MAX` where there is no rank. Numbers are compared as they are shown, so that equal
/// text has equal ranks. If all are equal, none is the best.
pub(super) fn ranks(quantity: Quantity, numbers: impl Iterator<Item = Option<f64>>) -> Vec<usize> {
    let values: Vec<Option<f64>> = numbers.map(|number| shown(number?).parse().ok()).collect();
    let mut distinct: Vec<f64> = values.iter().copied().flatten().collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    // Without a worse number there is no best one.
    let comparable = distinct.len() > 1;
    if quantity.higher_is_better() {
        distinct.reverse();
    }
    let rank = |value: &Option<f64>| value.and_then(|value| distinct.iter().position(|&other| other == value));
    values.iter().map(|value| rank(value).filter(|_| comparable).unwrap_or(usize::MAX)).collect()
}

/// A number as tables show it.
pub(in crate::report) fn shown(number: f64) -> String {
    let text = format!("{number:.2}");
    // A gap that is a rounding error is not negative.
    if text == "-0.00" { "0.00".into() } else { text }
}

fn cell(number: &Number, rank: usize, footnotes: &mut Vec<String>) -> TableCell {
    let causes = causes(number);
    let note = causes.join(" | ");
    let mut notes: Vec<usize> = causes.into_iter().map(|cause| number_of(cause, footnotes)).collect();
    notes.sort_unstable();
    let (status, word) = status(number);
    let text = number.mean.map_or_else(|| word.to_owned(), shown);
    TableCell {
        text,
        std: number.std.map_or_else(String::new, shown),
        best: rank == 0,
        second: rank == 1,
        negative_transfer: number.negative_transfer,
        notes,
        note,
        status,
        mean: number.mean,
        full_std: number.std,
        n: number.n,
        seeds: number.seeds.len(),
        low: number.interval.map(|interval| interval.low),
        high: number.interval.map(|interval| interval.high),
        ..TableCell::empty(&number.dataset, &number.method, number.quantity)
    }
}

/// The cell of a number that the results do not hold. Either no training was finished, or the quantity does not exist
/// for the method, or it was left out of the results.
fn absent(results: &Results, dataset: &str, method: &str, quantity: Quantity, notes: &mut Vec<String>) -> TableCell {
    let full = results.number(dataset, method, Quantity::Full, None);
    let scored = |seed: u64| results.cell(dataset, method, seed).is_some();
    if let Some(full) = full.filter(|full| !full.seeds.is_empty() && full.seeds.iter().all(|seed| !scored(seed.seed))) {
        return TableCell { quantity, ..cell(full, usize::MAX, notes) };
    }
    let traced = |seed: &u64| results.cell(dataset, method, *seed).is_some_and(|cell| cell.trace.is_some());
    let (status, cause) = match quantity {
        Quantity::Conflict if results.suite.seeds.iter().any(traced) => {
            ("none", "this method has no KL gradient to conflict with".to_owned())
        }
        Quantity::Conflict if full.is_some() => ("not-run", "not run: its trainings have no trace".to_owned()),
        _ => ("not-run", format!("not run: the results hold no {}", quantity.name())),
    };
    TableCell {
        text: NOT_RUN.into(),
        notes: vec![number_of(cause.clone(), notes)],
        note: cause,
        status,
        seeds: results.suite.seeds.len(),
        ..TableCell::empty(dataset, method, quantity)
    }
}

/// Adds to what is said of a cell where there are no footnotes.
pub(super) fn note(cell: &mut TableCell, more: &str) {
    let known = [cell.note.as_str(), more].into_iter().filter(|text| !text.is_empty());
    cell.note = known.collect::<Vec<_>>().join(" | ");
}

/// Adds a cause to a cell's footnotes.
pub(super) fn note_on(cell: &mut TableCell, cause: String, footnotes: &mut Vec<String>) {
    note(cell, &cause);
    cell.notes.push(number_of(cause, footnotes));
    cell.notes.sort_unstable();
}

const NOT_RUN: &str = "—";

/// The status of a number, and the word shown in its place. If seeds failed for several reasons, the most serious one
/// counts.
pub(in crate::report) fn status(number: &Number) -> (&'static str, &'static str) {
    let any = |test: fn(&Status) -> bool| number.seeds.iter().any(|seed| test(&seed.value));
    if number.mean.is_some() {
        (if number.n == number.seeds.len() { "value" } else { "partial" }, "")
    } else if any(|status| matches!(status, Status::Failed { .. })) {
        ("failed", "failed")
    } else if any(|status| matches!(status, Status::NotANumber)) {
        ("nan", "NaN")
    } else {
        ("not-run", NOT_RUN)
    }
}

/// Why seeds did not contribute to a number, each cause once.
fn causes(number: &Number) -> Vec<String> {
    let total = number.seeds.len();
    let mut causes: Vec<(String, Vec<u64>)> = Vec::new();
    for seed in &number.seeds {
        let Some(cause) = seed.value.cause() else { continue };
        value_of(&mut causes, cause).push(seed.seed);
    }
    let line = |(cause, seeds): (String, Vec<u64>)| match seeds.len() == total {
        true => cause,
        false => {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            format!("{} of {total} seeds; seed {}: {cause}", number.n, seeds.join(", "))
        }
    };
    causes.into_iter().map(line).collect()
}

/// The number of a footnote. The same cause has the same number.
fn number_of(cause: String, footnotes: &mut Vec<String>) -> usize {
    match footnotes.iter().position(|known| *known == cause) {
        Some(at) => at + 1,
        None => {
            footnotes.push(cause);
            footnotes.len()
        }
    }
}
