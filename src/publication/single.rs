//! One table or figure of a suite: `seesaw table` and `seesaw figure`.

use anyhow::Context;
use clap::ValueEnum;

use super::Run;
use crate::engine::graph::{Publication, Source};
use crate::engine::run::Outcome;
use crate::errors;
use crate::report::reference::Reference;
pub use crate::report::table::Of;
use crate::report::target::{self, Target};
use crate::report::{render, results};
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
        publication.file.rsplit_once('.').is_some_and(|(name, _)| name == self.target.name)
    }

    fn files(&self) -> impl Iterator<Item = &'a Publication> {
        self.run.planned.graph.publications.iter().filter(|publication| self.owns(publication))
    }

    /// The paths of its files, one a line.
    pub fn paths(&self) -> String {
        self.files().map(|file| format!("{}\n", self.run.planned.out.join(&file.file).display())).collect()
    }

    /// The table with the paper's numbers alone, which needs no results.
    ///
    /// # Errors
    /// If the paper has no such table, or a template is malformed.
    pub fn paper(&self, format: Format) -> anyhow::Result<String> {
        let graph = &self.run.planned.graph;
        let collect = graph.find(&format!("collect {}", self.target.name)).context("a table is collected")?;
        let Step::Collect(collect) = &graph.node(collect).step else {
            anyhow::bail!("`collect {}` should be a step that collects", self.target.name)
        };
        self.beside(&results::collect(collect.suite.clone(), &[])?, format, Of::Paper)
    }

    /// The table after a run.
    ///
    /// # Errors
    /// If it could not be made; if the paper has no numbers to stand beside it.
    pub fn table(&self, outcome: &Outcome, format: Format, of: Of) -> anyhow::Result<String> {
        let made = self.files().find(|file| file.file.ends_with(ending(format))).or_else(|| self.files().next());
        let made = made.context("a table has files")?;
        let results = self.run.planned.graph.node(made.source.node).inputs.get("results");
        let results = results.context("a table has results")?;
        match of {
            Of::Ours if format == Format::Json => self.read(outcome, results),
            Of::Ours => self.read(outcome, &made.source),
            _ => self.beside(&serde_json::from_str(&self.read(outcome, results)?)?, format, of),
        }
    }

    fn beside(&self, results: &results::Results, format: Format, of: Of) -> anyhow::Result<String> {
        let project = &self.run.project;
        let reference = Reference::load(&project.experiments())?;
        render::beside(self.target, results, &project.templates(), &reference, (of, ending(format)))
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
