//! The report: one HTML page about a suite that holds everything it shows and asks for nothing.
//!
//! [`Report`] is what is known; [`view`] says it in the words and numbers that `templates/report.html.j2` places; [`grid`]
//! turns tables so that they can be sorted, [`numbers`] gathers what a number tells when someone asks, [`drawing`] takes
//! figures in, [`choices`] tells what sweeps chose, [`policy`] forbids the page to ask for anything.

mod choices;
mod claims;
mod drawing;
mod grid;
mod numbers;
mod policy;
mod summary;
mod view;
pub mod words;

use anyhow::ensure;
use minijinja::Value;
use serde::{Deserialize, Serialize};

pub use summary::{about, training};

use super::open_questions::OpenQuestion;
use super::results::Results;
use super::table::Table;
use super::templates::{Language, Templates};
use crate::errors;

/// Everything that a report tells. The same report gives the same page.
#[derive(Clone, Debug)]
pub struct Report {
    pub results: Results,
    pub tables: Vec<TableEntry>,
    pub figures: Vec<FigureEntry>,
    /// None: nothing was judged.
    pub claims: Option<Claims>,
    pub datasets: Vec<DatasetEntry>,
    /// The options of each method, in the order of the suite.
    pub methods: Vec<MethodEntry>,
    pub questions: Vec<OpenQuestion>,
    /// Name and value: program, compiler, libtorch, device.
    pub environment: Vec<Fact>,
    pub steps: Vec<StepTime>,
    /// What is not there, by cause.
    pub failures: Vec<Failure>,
}

/// A table of the suite.
#[derive(Clone, Debug)]
pub struct TableEntry {
    /// `table1`
    pub name: String,
    pub meaning: String,
    pub table: Table,
    /// Files beside the page that hold it.
    pub files: Vec<String>,
}

/// A figure of the suite.
#[derive(Clone, Debug)]
pub struct FigureEntry {
    /// `figure4`
    pub name: String,
    pub meaning: String,
    pub svg: String,
    pub files: Vec<String>,
}

/// What became of the paper's claims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// What has to be said of all of them; may be empty.
    pub note: String,
    pub claims: Vec<Claim>,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub id: String,
    pub text: String,
    /// In words: `reproduced`, `not reproduced`, `contradicted`, `undecided`, `not run`.
    pub verdict: String,
    /// Why, where the paper says it, whether its own numbers hold it: a paragraph each.
    pub lines: Vec<String>,
    /// The heads of the columns of `numbers`.
    pub columns: Vec<String>,
    pub numbers: Vec<Vec<String>>,
}

/// A dataset as it was prepared.
#[derive(Clone, Debug)]
pub struct DatasetEntry {
    pub title: String,
    pub content: Result<Counts, String>,
}

/// What a dataset came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `classification into 51 classes`
    pub task: String,
    /// Split → samples.
    pub samples: Vec<(String, u64)>,
    pub found: Vec<(String, u64)>,
    /// Reason → how many were left out.
    pub dropped: Vec<(String, u64)>,
}

#[derive(Clone, Debug)]
pub struct MethodEntry {
    pub title: String,
    pub source: String,
    pub options: Vec<Fact>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

impl Fact {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Fact { name: name.into(), value: value.into() }
    }
}

/// A step that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    pub kind: &'static str,
    pub label: String,
    pub key: String,
    pub seconds: f64,
    /// When it ended, in seconds since 1970.
    pub finished: u64,
}

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// `fetch food101.zip failed`
    pub what: String,
    pub cause: String,
    /// The steps that were not done because of it.
    pub steps: Vec<String>,
}

/// The files that a page is made of; `report.html.j2` is a template, the others are taken in as they are.
pub const TEMPLATES: [&str; 3] = ["report.html.j2", "report.css", "report.js"];

/// The page.
///
/// # Errors
/// If a template cannot be read, is malformed (naming the file and the line) or leaves out the mark that says what kind of
/// results these are; if a figure cannot be taken into a page.
pub fn page(report: &Report, templates: &Templates) -> anyhow::Result<String> {
    let [template, style, script] = TEMPLATES;
    let style = part(templates, style, "</style")?;
    let script = part(templates, script, "</script")?;
    let view = view::of(report)?;
    let data = json(&view.data)?;
    let safe = |text: String| Value::from_safe_string(text);
    let context = minijinja::context! {
        policy => safe(policy::of(&script)),
        style => safe(style),
        script => safe(script),
        data => safe(data),
        version => env!("CARGO_PKG_VERSION"),
        ..Value::from(minijinja::value::Serde(&view))
    };
    let page = templates.fill(template, &[], Language::Html, &context)?;
    let mark = report.results.suite.kind.mark();
    let needed = view.sections_with_numbers + 1;
    let found = page.matches(mark).count();
    ensure!(
        found >= needed,
        errors::failed(
            format!(
                "the template {} should say what kind of results these are (\"{mark}\") at least {needed} times, at the head \
                 and in each section with numbers; found {found}",
                templates.path(template).display()
            ),
            "place `mark` below the heading of each section",
        )
    );
    Ok(page)
}

/// A file that is taken in as it is.
fn part(templates: &Templates, name: &str, end: &str) -> anyhow::Result<String> {
    let text = templates.read(name)?;
    let path = templates.path(name);
    ensure!(!text.to_ascii_lowercase().contains(end), "{} holds `{end}`, which would end it early", path.display());
    Ok(text)
}

/// JSON that nothing in it can end early.
fn json(data: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(data)?.replace('<', "\\u003c"))
}

#[cfg(test)]
pub(super) mod tests;
