//! A report in the words and numbers that the templates place: `templates/README.md` lists the names.

use std::collections::BTreeSet;
use std::iter::repeat;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::{
    DatasetEntry, Fact, Failure, FigureEntry, Report, StepTime, TableEntry, choices, forest, grid, selections,
};
use crate::digest::Digest;
use crate::report::agreement::{Agreements, LEGEND, Tally};
use crate::report::claims::{Judgement, Judgements, NotJudged, Verdict, text};
use crate::report::quantity::Quantity;
use crate::report::results::{CellRecord, DatasetDescription, Number, Results, Status};
use crate::report::table::cell;
use crate::report::{SuiteKind, value_of, words};

/// The page's sections, and whether they show numbers of the suite.
pub const SECTIONS: [(&str, &str, bool); 12] = [
    ("claims", "Claims", true),
    ("about", "About", true),
    ("tables", "Tables", true),
    ("figures", "Figures", true),
    ("data", "Data", true),
    ("training", "Training", true),
    ("selection", "Selection of the epoch", true),
    ("choices", "Choices tried", true),
    ("open", "Open questions", false),
    ("failures", "Not done", false),
    ("time", "Time and machine", false),
    ("numbers", "Every number", true),
];

fn serde(value: impl Serialize + Send + Sync + 'static) -> Value {
    Value::from(Serde(value))
}

/// Columns of a table: the title of each, and how it sorts: as text, or as numbers of which the high or the low are best.
fn columns<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    columns.map(|(title, kind)| Value::from(vec![title.to_owned(), kind.to_owned()])).collect()
}

/// What the page and the LaTeX document share.
pub fn shared(report: &Report) -> Value {
    let suite = &report.results.suite;
    context! {
        title => suite.title.clone(),
        suite => suite.suite.clone(),
        mark => suite.kind.mark(),
        about => about(&report.results, report.incomplete.is_some()),
        training => serde(training(&report.results)),
        claims => report.claims.as_ref().map(|judged| claims(report, judged)),
        incomplete => report.incomplete.clone(),
        failures => report.failures.iter().map(failure).collect::<Vec<_>>(),
    }
}

/// More steps than this are counted by kind, not listed: `seesaw status` lists them.
const LISTED: usize = 40;

fn failure(failure: &Failure) -> Value {
    let Failure { what, cause, hint, each, steps } = failure;
    let mut kinds: Vec<(&str, u64)> = Vec::new();
    for kind in steps.iter().filter_map(|step| step.split(' ').next()) {
        *value_of(&mut kinds, kind) += 1;
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, n)| format!("{} {kind}", words::count(n))).collect();
    context! {
        what => words::capitalized(what),
        cause,
        hint,
        each => serde(each.clone()),
        count => words::count(steps.len() as u64),
        kinds => kinds.join(", "),
        steps => if steps.len() > LISTED { Vec::new() } else { steps.clone() },
    }
}

/// Everything that the page's template may place, beside what [`super::page`] adds.
///
/// # Errors
/// If the record of a sweep cannot be read.
pub fn of(report: &Report) -> anyhow::Result<Value> {
    let results = &report.results;
    let cells = |entry: &TableEntry| entry.table.cells().any(|cell| !cell.paper.is_empty());
    Ok(context! {
        paper => report.paper.as_ref().map(|paper| serde(paper.clone())),
        status => results.suite.command("status"),
        explain => results.suite.command("explain --suite"),
        sections => serde(SECTIONS),
        forest => report.claims.as_ref().and_then(|judged| forest::of(results, judged)),
        glance => serde(glance(report)),
        agreements => report.agreements.as_ref().map(agreements),
        tables => report.tables.iter().map(|entry| table(report, entry)).collect::<Vec<_>>(),
        beside_paper => report.tables.iter().any(cells),
        figures => report.figures.iter().map(|entry| figure(report, entry)).collect::<Vec<_>>(),
        datasets => report.datasets.iter().map(dataset).collect::<Vec<_>>(),
        methods => serde(report.methods.clone()),
        compared => selections::of(results, report.reference.as_deref()),
        choices => choices::of(results)?,
        selection => results.suite.selection.clone(),
        questions => serde(report.questions.clone()),
        environment => serde(report.environment.clone()),
        kinds => kinds(&report.steps),
        longest => longest(&report.steps),
        estimator => results.estimator.clone(),
        every => results.suite.datasets.iter().map(|dataset| every(results, dataset)).collect::<Vec<_>>(),
        trainings => trainings(results),
        ..shared(report)
    })
}

/// How many of the paper's numbers agree with ours, in a sentence for each table and one for all, and what that means.
fn agreements(found: &Agreements) -> Value {
    let sentences: Vec<String> = found.tally().iter().map(Tally::sentence).collect();
    let (last, tables) = sentences.split_last().map_or(("", &[][..]), |(last, tables)| (last.as_str(), tables));
    context! { answer => last, tables => tables.to_vec(), legend => LEGEND, how => found.how() }
}

/// What the suite is, and what the paper is about.
fn about(results: &Results, incomplete: bool) -> Vec<String> {
    let suite = &results.suite;
    let read: BTreeSet<&str> = suite.datasets.iter().map(|dataset| dataset.dataset.as_str()).collect();
    let [methods, datasets, seeds] =
        [(suite.methods.len(), "method"), (read.len(), "dataset"), (suite.seeds.len(), "seed")]
            .map(|(n, one)| words::several(n as u64, one));
    let settings = match suite.datasets.len() {
        n if n > read.len() => format!(" in {n} settings of encoders and fusion"),
        _ => String::new(),
    };
    let kind = match suite.kind {
        SuiteKind::Smoke => {
            "This suite checks that everything works, on a small real benchmark. Its numbers are not results of the paper: \
             they neither support nor contradict it."
        }
        SuiteKind::Paper if incomplete => "These are the paper's experiments, as far as they were run.",
        SuiteKind::Paper => "These are the paper's experiments, from its downloads to its tables and figures.",
        SuiteKind::Trial => {
            "This is a trial on part of the data, or on imitations of data and weights. Its numbers have no meaning."
        }
    };
    vec![
        format!("{methods} on {datasets}{settings}, {seeds} each. {kind}"),
        "The paper is “See-Saw Modality Balance: See Gradient, and Sew Impaired Vision-Language Balance to Mitigate Dominant \
         Modality Bias” (Kwon et al., NAACL 2025). It proposes BalGrad, a method to train vision-language classifiers that \
         do not rely on one modality alone."
            .to_owned(),
    ]
}

/// The run in a few numbers.
fn glance(report: &Report) -> Vec<Fact> {
    let results = &report.results;
    // A dataset may have methods of its own: the numbers know which trainings were planned.
    let full = results.numbers.iter().filter(|number| number.quantity == Quantity::Full);
    let planned: usize = full.map(|number| number.seeds.len()).sum();
    let [done, planned] = [results.cells.len(), planned].map(|n| words::count(n as u64));
    let seconds: f64 = computed(&report.steps).iter().map(|step| step.seconds).sum();
    let mut facts = vec![
        Fact::new("Trainings", format!("{done} of {planned}")),
        Fact::new("Seeds", results.suite.seeds.len().to_string()),
        Fact::new("Steps done", words::count(report.steps.len() as u64)),
        Fact::new("Total compute time", words::duration(seconds)),
    ];
    if let Some(judged) = report.claims.as_ref().filter(|judged| judged.family.is_some()) {
        let reproduced = judged.claims.iter().filter(|claim| claim.verdict == Some(Verdict::Reproduced)).count();
        facts.insert(0, Fact::new("Claims reproduced", format!("{reproduced} of {}", judged.claims.len())));
    }
    if let Some(last) = report.steps.iter().map(|step| &step.finished).max() {
        facts.push(Fact::new("Last step ended", last.replace('T', " ").replace('Z', " UTC")));
    }
    facts
}

/// What all trainings share, and what is specific to each dataset.
fn training(results: &Results) -> Vec<Fact> {
    let suite = &results.suite;
    let list = |items: Vec<String>| items.join(", ");
    let mut facts = vec![
        Fact::new("Seeds", list(suite.seeds.iter().map(u64::to_string).collect())),
        Fact::new("Weights", format!("of the {}", suite.selection)),
        Fact::new("Optimiser", suite.optimizer.clone()),
        Fact::new("Missing modalities", suite.missing.clone()),
        Fact::new("Missing ratios r", list(suite.ratios.iter().map(f64::to_string).collect())),
        Fact::new("Noisy modalities", suite.noisy.clone()),
    ];
    facts.extend(suite.datasets.iter().map(|dataset| {
        let epochs = words::several(u64::from(dataset.epochs), "epoch");
        Fact::new(
            suite.title_of(dataset),
            format!("{}; fusion by {}; {epochs}; scored by {}", dataset.encoders, dataset.fusion, dataset.metric),
        )
    }));
    facts
}

/// A link to a table, figure or claim of the page.
#[derive(Serialize)]
struct Link {
    to: String,
    text: String,
}

/// Links to the tables and figures of the page that show a claim.
fn places(report: &Report, claim: &Judgement) -> Value {
    let tables = report.tables.iter().map(|entry| &entry.name);
    let names = tables.chain(report.figures.iter().map(|entry| &entry.name)).filter(|name| claim.shown.contains(name));
    serde(names.map(|name| Link { to: name.clone(), text: words::titled(name) }).collect::<Vec<_>>())
}

/// Links to the claims that a table or figure shows.
fn shows(report: &Report, name: &str) -> Value {
    let claims = report.claims.iter().flat_map(|judged| &judged.claims);
    let shown = claims.filter(|claim| claim.shown.iter().any(|known| known == name));
    let link = |claim: &Judgement| Link {
        to: format!("claim-{}", claim.id),
        text: format!("{} ({})", words::capitalized(&claim.id.replace('-', " ")), claim.verdict_name()),
    };
    serde(shown.map(link).collect::<Vec<_>>())
}

fn claims(report: &Report, judged: &Judgements) -> Value {
    let count = |(verdict, n): (Verdict, usize)| context! { verdict => verdict.name(), n };
    let claim = |claim: &Judgement| {
        context! {
            id => claim.id.clone(),
            text => claim.says.clone(),
            verdict => claim.verdict_name(),
            lines => text::reasons(claim),
            places => places(report, claim),
            defined => claim.defined.clone(),
            statistics => text::statistics(claim),
            numbers => serde(claim.comparisons.iter().map(text::row).collect::<Vec<_>>()),
        }
    };
    context! {
        answer => judged.answer(),
        note => text::note(judged),
        counts => judged.tally().into_iter().map(count).collect::<Vec<_>>(),
        not_judged => judged.not_judged.map(NotJudged::name),
        columns => columns(text::COLUMNS.into_iter().zip(["text"; 2].into_iter().chain(repeat("high")))),
        claims => judged.claims.iter().map(claim).collect::<Vec<_>>(),
    }
}

fn table(report: &Report, entry: &TableEntry) -> Value {
    let TableEntry { name, meaning, table, files } = entry;
    context! {
        name,
        title => words::titled(name),
        meaning,
        caption => table.explained(),
        command => table.command.clone(),
        footnotes => table.footnotes.clone(),
        files => files.clone(),
        claims => shows(report, name),
        grid => grid::of(&report.results, table),
    }
}

/// A browser shows an image without running scripts in it or loading anything for it.
fn figure(report: &Report, entry: &FigureEntry) -> Value {
    let FigureEntry { name, meaning, caption, svg, spots, files } = entry;
    context! {
        name,
        title => words::titled(name),
        meaning,
        // Nothing in it needs escaping.
        image => Value::from_safe_string(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg))),
        caption => caption.text.clone(),
        notes => caption.notes.clone(),
        spots => serde(spots.clone()),
        command => report.results.suite.command("run"),
        claims => shows(report, name),
        files => files.clone(),
    }
}

fn dataset(entry: &DatasetEntry) -> Value {
    let title = &entry.title;
    let counts = match &entry.content {
        Err(cause) => return context! { title, unavailable => cause },
        Ok(counts) => counts,
    };
    let row = |(name, n): &(String, u64)| context! { name, n, shown => words::count(*n) };
    let blocks =
        [("Samples", &counts.samples), ("Found in the archives", &counts.found), ("Left out", &counts.dropped)];
    let block = |(title, rows): (&str, &Vec<(String, u64)>)| {
        (!rows.is_empty()).then(|| context! { title, rows => rows.iter().map(row).collect::<Vec<_>>() })
    };
    let sum = |rows: &[(String, u64)]| rows.iter().map(|(_, n)| n).sum::<u64>();
    let [samples, dropped] = [&counts.samples, &counts.dropped].map(|rows| sum(rows));
    let left_out = if dropped == 0 { "none".to_owned() } else { words::count(dropped) };
    context! {
        title,
        summary => format!("{}; {}; {left_out} left out", counts.task, words::several(samples, "sample")),
        blocks => blocks.into_iter().filter_map(block).collect::<Vec<_>>(),
    }
}

/// Steps that were computed: steps with the same key were computed once, whatever they are called.
fn computed(steps: &[StepTime]) -> Vec<&StepTime> {
    let mut seen = BTreeSet::new();
    steps.iter().filter(|step| seen.insert(step.key)).collect()
}

/// The kinds of steps, in the order of their first step: all of them, and the time of those that were computed.
fn kinds(steps: &[StepTime]) -> Vec<Value> {
    let mut kinds: Vec<(&str, (usize, f64))> = Vec::new();
    for step in steps {
        value_of(&mut kinds, step.kind).0 += 1;
    }
    for step in computed(steps) {
        value_of(&mut kinds, step.kind).1 += step.seconds;
    }
    let row = |(name, (steps, seconds))| context! { name, steps, seconds, shown => words::duration(seconds) };
    kinds.into_iter().map(row).collect()
}

fn longest(steps: &[StepTime]) -> Vec<Value> {
    let mut steps = computed(steps);
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.label.cmp(&b.label)));
    let row = |step: &StepTime| {
        let StepTime { label, key, seconds, .. } = step;
        context! { name => label, key => key.short(), seconds, shown => words::duration(*seconds) }
    };
    steps.into_iter().take(10).map(row).collect()
}

/// Every number of a dataset.
fn every(results: &Results, dataset: &DatasetDescription) -> Value {
    let suite = &results.suite;
    let value = |status: &Status| match status {
        Status::Value { value } => cell::shown(*value),
        Status::NotANumber => "NaN".to_owned(),
        Status::Failed { .. } => "failed".to_owned(),
        Status::NotRun { .. } => "—".to_owned(),
    };
    let row = |number: &Number| {
        context! {
            method => suite.method_title(&number.method),
            quantity => number.quantity.name(),
            ratio => number.ratio.map(|ratio| ratio.to_string()).unwrap_or_default(),
            mean => number.mean.map_or_else(|| cell::status(number).1.to_owned(), cell::shown),
            std => number.std.map(cell::shown).unwrap_or_default(),
            seeds => number.seeds.iter().map(|seed| value(&seed.value)).collect::<Vec<_>>(),
        }
    };
    let rows: Vec<Value> = results.numbers.iter().filter(|number| number.dataset == dataset.name).map(row).collect();
    let fixed = [("Method", "text"), ("Quantity", "text"), ("r", "low"), ("Mean", "high"), ("Std", "low")];
    let seeds: Vec<String> = suite.seeds.iter().map(|seed| format!("Seed {seed}")).collect();
    context! {
        title => suite.title_of(dataset),
        count => words::several(rows.len() as u64, "number"),
        columns => columns(fixed.into_iter().chain(seeds.iter().map(|seed| (seed.as_str(), "high")))),
        rows,
    }
}

/// Every training with the keys of its steps and the content of its inputs.
fn trainings(results: &Results) -> Value {
    let mut steps: Vec<&String> = results.cells.iter().flat_map(|cell| cell.provenance.keys.keys()).collect();
    // Trainings come before their evaluations.
    steps.sort_by_key(|step| (*step != "train", *step));
    steps.dedup();
    let row = |cell: &CellRecord| {
        let key = |step: &&String| cell.provenance.keys.get(*step).map(Digest::to_string).unwrap_or_default();
        context! {
            label => format!("{} {} seed {}", cell.dataset, cell.method, cell.seed),
            keys => steps.iter().map(key).collect::<Vec<_>>(),
            inputs => serde(cell.provenance.inputs.clone()),
        }
    };
    let heads: Vec<String> = steps.iter().map(|step| format!("Key of {step}")).collect();
    let heads = ["Training"].into_iter().chain(heads.iter().map(String::as_str)).chain(["Inputs"]);
    context! { columns => columns(heads.zip(repeat("text"))), rows => results.cells.iter().map(row).collect::<Vec<_>>() }
}
