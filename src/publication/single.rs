//! One table or figure of a suite: `seesaw table` and `seesaw figure`.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use super::Run;
use crate::engine::graph::{Publication, Source};
use crate::engine::run::Outcome;
use crate::errors;
use crate::report::reference::Reference;
use crate::report::render;
use crate::report::results::{self, Results};
pub use crate::report::table::Of;
use crate::report::table::{self, columns};
use crate::report::target::{self, Kind, Target};
use crate::steps::Step;

/// The format in which a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Tex,
    Md,
    Csv,
    /// The results behind the table, with every seed and key
    Json,
}

/// A table or figure that a suite has.
pub struct Single<'a> {
    run: &'a Run,
    target: &'static Target,
}

impl<'a> Single<'a> {
    /// # Errors
    /// A usage error if there is no such table or figure, or the suite does not have it.
    pub fn find(run: &'a Run, name: &str) -> anyhow::Result<Self> {
        let target = target::find(name)?;
        let suite = &run.planned.suite;
        let outputs: Vec<&str> = suite.outputs.iter().map(|output| output.target.name).collect();
        if outputs.contains(&name) {
            return Ok(Single { run, target });
        }
        Err(errors::usage(
            format!("the suite `{}` has no {name}", suite.name),
            format!("it has: {}; add others to its file, as [[outputs]]", outputs.join(", ")),
        ))
    }

    /// Whether a published file is one of this table or figure.
    pub fn owns(&self, publication: &Publication) -> bool {
        publication.file.split_once('.').is_some_and(|(name, _)| name == self.target.name)
    }

    fn files(&self) -> impl Iterator<Item = &'a Publication> {
        self.run.planned.graph.publications.iter().filter(|publication| self.owns(publication))
    }

    /// The paths of its files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files().map(|file| self.run.planned.out.join(&file.file)).collect()
    }

    /// The table after a run; the paper's numbers alone need none.
    ///
    /// # Errors
    /// If it could not be made; if the paper has no such table or no numbers to stand beside it; if a template is malformed.
    pub fn table(&self, outcome: Option<&Outcome>, format: Format, of: Of) -> anyhow::Result<String> {
        match (of, outcome) {
            (Of::Ours, Some(outcome)) if format == Format::Json => self.read(outcome, self.source()?),
            (Of::Ours, Some(outcome)) => {
                let made = self.files().find(|file| file.file.ends_with(ending(format)));
                self.read(outcome, &made.context("a table has files")?.source)
            }
            _ => {
                let (results, templates) = (self.results(outcome)?, self.run.project.templates());
                render::beside(self.target, &results, &templates, &self.reference()?, (of, ending(format)))
            }
        }
    }

    /// As [`Single::table`], for a terminal of so many columns.
    ///
    /// # Errors
    /// As that.
    pub fn columns(&self, outcome: Option<&Outcome>, of: Of, width: usize) -> anyhow::Result<String> {
        let Kind::Table(which) = self.target.kind else { anyhow::bail!("{} is not a table", self.target.name) };
        let results = self.results(outcome)?;
        let ours = render::layout(which, self.target.name, &results);
        let table = match of {
            Of::Ours => ours,
            _ => table::beside(ours, self.target.name, &results, &self.reference()?, of)?,
        };
        Ok(columns::aligned(&table, width))
    }

    fn reference(&self) -> anyhow::Result<Reference> {
        Reference::load(&self.run.project.experiments())
    }

    /// Where the results behind the table come from.
    fn source(&self) -> anyhow::Result<&'a Source> {
        let made = self.files().next().context("a table has files")?;
        self.run.planned.graph.node(made.source.node).inputs.get("results").context("a table has results")
    }

    /// The results of a run; without one, results without any number, for the table's layout.
    fn results(&self, outcome: Option<&Outcome>) -> anyhow::Result<Results> {
        if let Some(outcome) = outcome {
            return Ok(serde_json::from_str(&self.read(outcome, self.source()?)?)?);
        }
        let graph = &self.run.planned.graph;
        let collect = graph.find(&format!("collect {}", self.target.name)).context("a table is collected")?;
        let Step::Collect(collect) = &graph.node(collect).step else {
            anyhow::bail!("`collect {}` should be a step that collects", self.target.name)
        };
        results::collect((*collect.suite).clone(), &[])
    }

    /// An output of a step, as text.
    fn read(&self, outcome: &Outcome, source: &Source) -> anyhow::Result<String> {
        let action = outcome.action(source.node).with_context(|| format!("{} could not be made", self.target.name))?;
        let bytes = self.run.engine.store.read_output(action, &source.output)?;
        String::from_utf8(bytes).context("a table should be UTF-8")
    }
}

fn ending(format: Format) -> &'static str {
    match format {
        Format::Tex => "tex",
        Format::Md => "md",
        Format::Csv => "csv",
        Format::Json => "json",
    }
}
