//! The report: one HTML page about a suite, which holds everything that it shows and loads nothing.
//!
//! [`Report`] is what is known. `view` turns it into the words and numbers that `templates/report.html.j2` places,
//! `grid` turns tables so that they can be sorted, `details` is what a number shows on request, `forest` is the plot at the
//! head, `selections` says how much the selection of the epoch moves numbers, and `choices` lists all that was tried.

mod choices;
mod details;
mod forest;
mod grid;
mod selections;
mod view;

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;
use serde::Serialize;

pub(super) use view::shared;

use super::agreement::Agreements;
use super::claims::Judgements;
use super::figure::{Caption, Spot};
use super::open_questions::OpenQuestion;
use super::reference::{Paper, Reference};
use super::results::Results;
use super::table::Table;
use super::templates::{Language, Templates};
use crate::digest::Digest;
use crate::errors;

/// Everything that a report contains. The same report gives the same page.
#[derive(Clone, Debug)]
pub struct Report {
    pub results: Results,
    pub tables: Vec<TableEntry>,
    pub figures: Vec<FigureEntry>,
    /// How the paper is cited, if the project has its numbers.
    pub paper: Option<Paper>,
    /// The paper's numbers, in a reproduction.
    pub reference: Option<Arc<Reference>>,
    /// How they compare with ours.
    pub agreements: Option<Agreements>,
    /// The verdicts on the paper's claims, if there are claims about the suite.
    pub claims: Option<Judgements>,
    pub datasets: Vec<DatasetEntry>,
    /// In the order of the suite.
    pub methods: Vec<MethodEntry>,
    pub questions: Vec<OpenQuestion>,
    /// Program, compiler, libtorch, device.
    pub environment: Vec<Fact>,
    pub steps: Vec<StepTime>,
    /// What is missing, in a few words: `5 of 20 downloads missing`. None if everything is done.
    pub incomplete: Option<String>,
    /// What was not done, by cause.
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
    pub caption: Caption,
    pub svg: String,
    /// What its points and bars stand for.
    pub spots: Vec<Spot>,
    /// Files beside the page that hold it.
    pub files: Vec<String>,
}

/// A dataset as it was prepared, or why it was not.
#[derive(Clone, Debug)]
pub struct DatasetEntry {
    pub title: String,
    pub content: Result<Counts, String>,
}

/// The size of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `one of 51 classes`
    pub task: String,
    /// Split → samples.
    pub samples: Vec<(String, u64)>,
    /// What the archives contain → how many.
    pub found: Vec<(String, u64)>,
    /// Reason → how many were left out.
    pub dropped: Vec<(String, u64)>,
}

/// A method and the options that it was trained with.
#[derive(Clone, Debug, Serialize)]
pub struct MethodEntry {
    pub title: String,
    pub source: String,
    pub options: Vec<Fact>,
}

/// A name and its value.
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

/// A step that is done.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    pub kind: &'static str,
    pub label: String,
    pub key: Digest,
    pub seconds: f64,
    /// When it ended, as RFC 3339 writes it in UTC.
    pub finished: String,
}

/// Something that is missing: steps of one kind that ended in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// `fetch food101.zip failed`, `5 downloads failed`
    pub what: String,
    /// The cause, if it is the same for all of these steps.
    pub cause: Option<String>,
    /// What to do, if it is the same for all of them.
    pub hint: Option<String>,
    /// Each of them, with what is not the same for all; none if there is only one, or if no step is to blame.
    pub each: Vec<Origin>,
    /// The steps that did not run because of it.
    pub steps: Vec<String>,
}

/// A step that failed or is unavailable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    pub step: String,
    pub cause: Option<String>,
    pub hint: Option<String>,
}

/// The files that a page is made of: a template, and two that are included as they are.
pub const TEMPLATES: [&str; 3] = ["report.html.j2", "report.css", "report.js"];

/// Writes the page.
///
/// # Errors
/// If a template cannot be read, is malformed (the error names file and line), or does not show what kind of results these
/// are; if the record of a sweep cannot be read; if the page cannot be written.
pub fn write(report: Report, templates: &Templates, writer: impl Write) -> anyhow::Result<()> {
    let [template, style, script] = TEMPLATES;
    let style = part(templates, style, "</style")?;
    let script = part(templates, script, "</script")?;
    let context = minijinja::context! {
        policy => Value::from_safe_string(policy(&script)),
        style => Value::from_safe_string(style),
        script => Value::from_safe_string(script),
        version => env!("CARGO_PKG_VERSION"),
        ..view::of(&report)?
    };
    let mark = report.results.suite.kind.mark();
    // The page of a large suite takes as much room as its results, which the context has copied.
    drop(report);
    let mut writer = Counting { writer, mark: mark.as_bytes(), end: Vec::new(), found: 0 };
    templates.fill_into(&mut writer, template, &[], Language::Html, &context)?;
    let needed = view::SECTIONS.iter().filter(|(.., has_numbers)| *has_numbers).count() + 1;
    let found = writer.found;
    ensure!(
        found >= needed,
        errors::failed(
            format!(
                "the template {} should show the kind of results (\"{mark}\") at least {needed} times, at the head and in \
                 each section with numbers; found {found}",
                templates.path(template).display()
            ),
            "place `mark` below the heading of each section",
        )
    );
    Ok(())
}

/// Counts how often a mark is written.
struct Counting<'a, W> {
    writer: W,
    mark: &'a [u8],
    /// What was written last and may be the beginning of a mark.
    end: Vec<u8>,
    found: usize,
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.end.extend_from_slice(&bytes[..written]);
        self.found += self.end.windows(self.mark.len()).filter(|window| *window == self.mark).count();
        self.end.drain(..self.end.len().saturating_sub(self.mark.len() - 1));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A file that is included as it is.
fn part(templates: &Templates, name: &str, end: &str) -> anyhow::Result<String> {
    let text = templates.read(name)?;
    let path = templates.path(name);
    ensure!(!text.to_ascii_lowercase().contains(end), "{} contains `{end}`, which would end it early", path.display());
    Ok(text)
}

/// The page's Content-Security-Policy: this script and no other, nothing from elsewhere. Styles have no hash, because
/// elements of the page have styles of their own.
fn policy(script: &str) -> String {
    let hash = STANDARD.encode(Digest::of(script.as_bytes()).0);
    format!(
        "default-src 'none'; script-src 'sha256-{hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
         form-action 'none'"
    )
}

#[cfg(test)]
pub(super) mod tests;
