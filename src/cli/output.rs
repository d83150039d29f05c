//! `seesaw table N` and `seesaw figure N`: one table or figure of a suite, and only what it needs.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::{Global, Planned, Project, run};
use crate::engine::Engine;
use crate::engine::graph::Publication;
use crate::engine::run::Outcome;
use crate::errors;
use crate::report::target::{self, Target};

#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// Its number in the paper
    number: u8,
    #[command(flatten)]
    of: Of,
    /// What is printed; the files in `out/` have all formats but JSON
    #[arg(long, value_enum, default_value = "md")]
    format: TableFormat,
}

#[derive(Debug, clap::Args)]
pub struct FigureArgs {
    /// Its number in the paper
    number: u8,
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, clap::Args)]
struct Of {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    #[arg(long, default_value = "paper")]
    suite: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    Tex,
    Md,
    Csv,
    /// The results that the table is made from, with every seed and key
    Json,
}

/// One table or figure that is asked for.
pub struct Wanted<'a> {
    suite: &'a str,
    target: &'static Target,
    /// What is printed of a table; a figure's files are told.
    format: Option<TableFormat>,
}

impl TableArgs {
    /// # Errors
    /// A usage error if there is no such table.
    pub fn wanted(&self) -> anyhow::Result<Wanted<'_>> {
        let target = target::find(&format!("table{}", self.number))?;
        Ok(Wanted { suite: &self.of.suite, target, format: Some(self.format) })
    }
}

impl FigureArgs {
    /// # Errors
    /// A usage error if there is no such figure.
    pub fn wanted(&self) -> anyhow::Result<Wanted<'_>> {
        let target = target::find(&format!("figure{}", self.number))?;
        Ok(Wanted { suite: &self.of.suite, target, format: None })
    }
}

impl Wanted<'_> {
    fn planned(&self, global: &Global, project: &Project, engine: &Engine) -> anyhow::Result<Planned> {
        let planned = project.planned(global, self.suite, &engine.interrupt)?;
        let outputs = || planned.suite.outputs.iter().map(|output| output.target.name);
        if outputs().any(|name| name == self.target.name) {
            return Ok(planned);
        }
        Err(errors::usage(
            format!("the suite `{}` has no {}", self.suite, self.target.name),
            format!(
                "it has: {}; more can be asked for in its file, as [[outputs]]",
                outputs().collect::<Vec<_>>().join(", ")
            ),
        ))
    }

    fn is_its(&self, publication: &Publication) -> bool {
        publication.file.rsplit_once('.').is_some_and(|(name, _)| name == self.target.name)
    }

    /// If nothing is left to compute: prints it. Else none.
    ///
    /// # Errors
    /// If the suite has no such output, or the store cannot be read.
    pub fn light(&self, global: &Global, device: tch::Device) -> anyhow::Result<Option<ExitCode>> {
        let project = Project::find(global)?;
        let engine = project.engine(global, device, crate::interrupt::Interrupt::default())?;
        let planned = self.planned(global, &project, &engine)?;
        let chosen = |publication: &Publication| self.is_its(publication);
        match run::all_done(&engine, &planned, &chosen) {
            Some(outcome) => self.tell(&engine, &planned, &outcome).map(Some),
            None => Ok(None),
        }
    }

    /// Computes what it needs, writes its files, and prints it.
    ///
    /// # Errors
    /// If the suite has no such output, or a file cannot be written.
    pub fn run(&self, global: &Global, device: tch::Device) -> anyhow::Result<ExitCode> {
        let project = Project::find(global)?;
        let engine = project.engine(global, device, run::stop_on_signals()?)?;
        let planned = self.planned(global, &project, &engine)?;
        let (outcome, _) =
            run::carry_out(global, &project, &engine, &planned, &|publication| self.is_its(publication))?;
        if outcome.interrupted {
            return Err(errors::interrupted());
        }
        self.tell(&engine, &planned, &outcome)
    }

    fn tell(&self, engine: &Engine, planned: &Planned, outcome: &Outcome) -> anyhow::Result<ExitCode> {
        let Planned { graph, out, .. } = planned;
        let files: Vec<&Publication> = graph.publications.iter().filter(|file| self.is_its(file)).collect();
        let text = match self.format {
            None => files.iter().map(|file| format!("{}\n", out.join(&file.file).display())).collect(),
            Some(format) => {
                let wanted = files.iter().find(|file| file.file.ends_with(ending(format))).copied();
                let made = wanted.or(files.first().copied()).context("a table has files")?;
                let source = match format {
                    TableFormat::Json => {
                        graph.node(made.source.node).inputs.get("results").context("a table has results")?
                    }
                    _ => &made.source,
                };
                let output = outcome.action(source.node).and_then(|action| action.outputs.get(&source.output));
                let output = output.with_context(|| format!("{} could not be made", self.target.name))?;
                let bytes = engine.store.read(output).map_err(|damage| {
                    errors::failed(format!("{} is damaged: {damage}", self.target.name), "run the same command again")
                })?;
                String::from_utf8(bytes).context("a table is text")?
            }
        };
        super::print(&text)?;
        Ok(run::exit_code(outcome))
    }
}

fn ending(format: TableFormat) -> &'static str {
    match format {
        TableFormat::Tex => ".tex",
        TableFormat::Md => ".md",
        TableFormat::Csv => ".csv",
        TableFormat::Json => ".json",
    }
}
