//! A report in the words and numbers that the template places.

mod rows;

use minijinja::Value;
use serde::Serialize;

use self::rows::{EveryNumber, TimeRow, Trainings};
use super::choices::{self, Sweep};
use super::grid::{self, Grid};
use super::numbers::{Data, Numbers};
use super::{Claim, Claims, DatasetEntry, Fact, FigureEntry, Report, TableEntry, drawing, summary, words};
use crate::report::open_questions::OpenQuestion;

pub(super) use rows::computed;

/// Everything that a template may place.
#[derive(Serialize)]
pub struct View {
    title: String,
    suite: String,
    /// The command that explains a key.
    explain: String,
    mark: &'static str,
    sections: Vec<Section>,
    about: Vec<String>,
    glance: Vec<Fact>,
    claims: Option<ClaimsView>,
    tables: Vec<TableView>,
    /// Whether the paper's numbers stand beside ours.
    beside_paper: bool,
    figures: Vec<FigureView>,
    datasets: Vec<DatasetView>,
    training: Vec<Fact>,
    methods: Vec<MethodView>,
    sweeps: Vec<Sweep>,
    questions: Vec<OpenQuestion>,
    failures: Vec<FailureView>,
    environment: Vec<Fact>,
    kinds: Vec<TimeRow>,
    longest: Vec<TimeRow>,
    estimator: String,
    every: Vec<EveryNumber>,
    trainings: Trainings,
    /// How many sections show numbers of the suite.
    #[serde(skip)]
    pub sections_with_numbers: usize,
    #[serde(skip)]
    pub data: Data,
}

#[derive(Serialize)]
struct Section {
    id: &'static str,
    title: &'static str,
}

/// The page's sections, and whether they show numbers of the suite.
const SECTIONS: [(&str, &str, bool); 10] = [
    ("about", "What this is", true),
    ("claims", "Claims", true),
    ("tables", "Tables", true),
    ("figures", "Figures", true),
    ("data", "Data", true),
    ("training", "Training", true),
    ("open", "Left open by the paper", false),
    ("failures", "What is missing", false),
    ("time", "Time and machine", false),
    ("numbers", "Every number", true),
];

#[derive(Serialize)]
struct ClaimsView {
    note: String,
    counts: Vec<VerdictCount>,
    claims: Vec<ClaimView>,
}

#[derive(Serialize)]
struct VerdictCount {
    verdict: String,
    class: String,
    n: usize,
}

#[derive(Serialize)]
struct ClaimView {
    class: String,
    #[serde(flatten)]
    claim: Claim,
}

#[derive(Serialize)]
struct TableView {
    name: String,
    title: String,
    meaning: String,
    caption: String,
    command: String,
    footnotes: Vec<String>,
    files: Vec<String>,
    grid: Grid,
}

#[derive(Serialize)]
struct FigureView {
    name: String,
    title: String,
    meaning: String,
    /// Made of known elements alone, so that it needs no escaping.
    svg: Value,
    command: String,
    files: Vec<String>,
}

#[derive(Serialize)]
struct DatasetView {
    title: String,
    missing: Option<String>,
    summary: String,
    blocks: Vec<CountBlock>,
}

#[derive(Serialize)]
struct CountBlock {
    title: &'static str,
    rows: Vec<CountRow>,
}

#[derive(Serialize)]
struct CountRow {
    name: String,
    n: u64,
    shown: String,
}

#[derive(Serialize)]
struct MethodView {
    title: String,
    source: String,
    options: Vec<Fact>,
}

#[derive(Serialize)]
struct FailureView {
    what: String,
    cause: String,
    count: String,
    steps: Vec<String>,
}

/// # Errors
/// If a figure cannot be taken into a page, or what a sweep chose cannot be read.
pub fn of(report: &Report) -> anyhow::Result<View> {
    let results = &report.results;
    let suite = &results.suite;
    let mut numbers = Numbers::new(results);
    let tables = report.tables.iter().map(|entry| table(entry, &mut numbers)).collect();
    let command = suite.command("run");
    let figures = report.figures.iter().map(|entry| figure(entry, &command)).collect::<anyhow::Result<_>>()?;
    let method = |method: &super::MethodEntry| MethodView {
        title: method.title.clone(),
        source: method.source.clone(),
        options: method.options.clone(),
    };
    let failure = |failure: &super::Failure| FailureView {
        what: failure.what.clone(),
        cause: failure.cause.clone(),
        count: format!("{} not done because of it", words::several(failure.steps.len() as u64, "step")),
        steps: failure.steps.clone(),
    };
    Ok(View {
        title: suite.title.clone(),
        suite: suite.suite.clone(),
        explain: suite.command("explain --suite"),
        mark: suite.kind.mark(),
        sections: SECTIONS.map(|(id, title, _)| Section { id, title }).into(),
        about: summary::about(results),
        glance: summary::glance(report),
        claims: report.claims.as_ref().map(claims),
        tables,
        beside_paper: report
            .tables
            .iter()
            .any(|entry| entry.table.rows.iter().any(|row| row.cells.iter().any(|cell| !cell.paper.is_empty()))),
        figures,
        datasets: report.datasets.iter().map(dataset).collect(),
        training: summary::training(results),
        methods: report.methods.iter().map(method).collect(),
        sweeps: choices::of(results)?,
        questions: report.questions.clone(),
        failures: report.failures.iter().map(failure).collect(),
        environment: report.environment.clone(),
        kinds: rows::kinds(&report.steps),
        longest: rows::longest(&report.steps),
        estimator: results.estimator.clone(),
        every: rows::every(results),
        trainings: rows::trainings(results),
        sections_with_numbers: SECTIONS.iter().filter(|(.., numbers)| *numbers).count(),
        data: numbers.data(),
    })
}

/// `table1` as `Table 1`.
fn titled(name: &str) -> String {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (word, number) = name.split_at(digits);
    let mut letters = word.chars();
    let word: String = letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
    format!("{word} {number}").trim().to_owned()
}

fn table(entry: &TableEntry, numbers: &mut Numbers<'_>) -> TableView {
    TableView {
        name: entry.name.clone(),
        title: titled(&entry.name),
        meaning: entry.meaning.clone(),
        caption: entry.table.caption.clone(),
        command: entry.table.command.clone(),
        footnotes: entry.table.footnotes.clone(),
        files: entry.files.clone(),
        grid: grid::of(&entry.table, &titled(&entry.name), numbers),
    }
}

fn figure(entry: &FigureEntry, command: &str) -> anyhow::Result<FigureView> {
    Ok(FigureView {
        name: entry.name.clone(),
        title: titled(&entry.name),
        meaning: entry.meaning.clone(),
        svg: Value::from_safe_string(drawing::inline(&entry.svg, &entry.name)?),
        command: command.to_owned(),
        files: entry.files.clone(),
    })
}

fn claims(claims: &Claims) -> ClaimsView {
    let class = |verdict: &str| verdict.to_lowercase().replace(' ', "-");
    let mut counts: Vec<VerdictCount> = Vec::new();
    for claim in &claims.claims {
        match counts.iter_mut().find(|count| count.verdict == claim.verdict) {
            Some(count) => count.n += 1,
            None => counts.push(VerdictCount { verdict: claim.verdict.clone(), class: class(&claim.verdict), n: 1 }),
        }
    }
    let view = |claim: &Claim| ClaimView { class: class(&claim.verdict), claim: claim.clone() };
    ClaimsView { note: claims.note.clone(), counts, claims: claims.claims.iter().map(view).collect() }
}

fn dataset(entry: &DatasetEntry) -> DatasetView {
    let title = entry.title.clone();
    let counts = match &entry.content {
        Err(cause) => {
            return DatasetView { title, missing: Some(cause.clone()), summary: String::new(), blocks: vec![] };
        }
        Ok(counts) => counts,
    };
    let row = |(name, n): &(String, u64)| CountRow { name: name.clone(), n: *n, shown: words::count(*n) };
    let blocks =
        [("Samples", &counts.samples), ("Found in the archives", &counts.found), ("Left out", &counts.dropped)];
    let blocks = blocks.into_iter().filter(|(_, rows)| !rows.is_empty());
    let all = counts.samples.iter().map(|(_, n)| n).sum();
    let dropped: u64 = counts.dropped.iter().map(|(_, n)| n).sum();
    let left_out = if dropped == 0 { "nothing".to_owned() } else { words::count(dropped) };
    DatasetView {
        title,
        missing: None,
        summary: format!("{}; {}; {left_out} left out", counts.task, words::several(all, "sample")),
        blocks: blocks.map(|(title, rows)| CountBlock { title, rows: rows.iter().map(row).collect() }).collect(),
    }
}
