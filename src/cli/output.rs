//! `seesaw table N` and `seesaw figure N`: one table or figure of a suite, and only what it needs.

use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;

use super::context::{Answer, Global, Program, exit_code, print, stop_on_signals};
use crate::engine::Engine;
use crate::engine::graph::{Publication, Source};
use crate::engine::run::Outcome;
use crate::errors;
use crate::planning::project::{Planned, Project};
use crate::publication::run::Run;
use crate::report::reference::Reference;
use crate::report::target::{self, Target};
use crate::report::{render, results, table};
use crate::steps::Step;

#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// Its number in the paper
    number: u8,
    #[command(flatten)]
    of: Of,
    /// What is printed; the files in `out/` have all formats but JSON
    #[arg(long, value_enum, default_value = "md")]
    format: TableFormat,
    /// Whose numbers are printed
    #[arg(long = "of", value_enum, default_value = "ours")]
    whose: Whose,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whose {
    /// What was computed
    Ours,
    /// What the paper prints
    Paper,
    /// Ours minus the paper's
    Delta,
    /// Ours, the paper's in brackets beside it
    Both,
}

impl Whose {
    fn of(self) -> table::Of {
        match self {
            Whose::Ours => table::Of::Ours,
            Whose::Paper => table::Of::Paper,
            Whose::Delta => table::Of::Delta,
            Whose::Both => table::Of::Both,
        }
    }
}

/// One table or figure that is asked for.
pub struct Wanted<'a> {
    suite: &'a str,
    target: &'static Target,
    /// What is printed of a table; a figure's files are told.
    format: Option<TableFormat>,
    of: table::Of,
}

impl TableArgs {
    /// # Errors
    /// A usage error if there is no such table.
    pub fn wanted(&self) -> anyhow::Result<Wanted<'_>> {
        let target = target::find(&format!("table{}", self.number))?;
        Ok(Wanted { suite: &self.of.suite, target, format: Some(self.format), of: self.whose.of() })
    }
}

impl FigureArgs {
    /// # Errors
    /// A usage error if there is no such figure.
    pub fn wanted(&self) -> anyhow::Result<Wanted<'_>> {
        let target = target::find(&format!("figure{}", self.number))?;
        Ok(Wanted { suite: &self.of.suite, target, format: None, of: table::Of::Ours })
    }
}

impl Wanted<'_> {
    fn planned(&self, project: &Project, engine: &Engine) -> anyhow::Result<Planned> {
        let planned = project.planned(self.suite, &engine.interrupt)?;
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

    /// Computes what it needs, writes its files, and prints it.
    ///
    /// # Errors
    /// If the suite has no such output, or a file cannot be written.
    pub fn run(&self, global: &Global, device: tch::Device, program: Program) -> anyhow::Result<Answer> {
        let project = Project::find(&global.options)?;
        let engine = project.engine(device, stop_on_signals()?)?;
        let planned = self.planned(&project, &engine)?;
        if self.of == table::Of::Paper {
            return self.print_paper(&project, &planned).map(Answer::Done);
        }
        let run = Run { project: &project, planned: &planned, engine: &engine };
        let chosen = |publication: &Publication| self.is_its(publication);
        let outcome = match (run.if_done(&chosen), program.tensors) {
            (Some(outcome), _) => outcome,
            (None, Some(tensors)) => run.compute(&chosen, tensors.execute, global.style())?.0,
            (None, None) => return Ok(Answer::NeedsTensors),
        };
        if outcome.interrupted {
            return Err(errors::interrupted());
        }
        self.print(&run, &outcome).map(Answer::Done)
    }

    /// The paper's own numbers, which need no results.
    fn print_paper(&self, project: &Project, planned: &Planned) -> anyhow::Result<ExitCode> {
        let collect = planned.graph.find(&format!("collect {}", self.target.name)).context("a table is collected")?;
        let Step::Collect(collect) = &planned.graph.node(collect).step else {
            anyhow::bail!("`collect {}` is another step", self.target.name)
        };
        let nothing = results::collect(collect.suite.clone(), &[])?;
        let reference = Reference::load(&project.experiments())?;
        let format = self.format.map_or("md", |format| ending(format).trim_start_matches('.'));
        let templates = project.templates();
        print(&render::beside(self.target, &nothing, &templates, &reference, (self.of, format))?)?;
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, run: &Run<'_>, outcome: &Outcome) -> anyhow::Result<ExitCode> {
        let Run { project, engine, planned: Planned { graph, out, .. } } = run;
        let files: Vec<&Publication> = graph.publications.iter().filter(|file| self.is_its(file)).collect();
        let text = match self.format {
            None => files.iter().map(|file| format!("{}\n", out.join(&file.file).display())).collect(),
            Some(format) => {
                let wanted = files.iter().find(|file| file.file.ends_with(ending(format))).copied();
                let made = wanted.or(files.first().copied()).context("a table has files")?;
                let results = graph.node(made.source.node).inputs.get("results").context("a table has results")?;
                match (format, self.of) {
                    (TableFormat::Json, table::Of::Ours) => self.read(engine, outcome, results)?,
                    (_, table::Of::Ours) => self.read(engine, outcome, &made.source)?,
                    (_, of) => {
                        let results = serde_json::from_str(&self.read(engine, outcome, results)?)?;
                        let reference = Reference::load(&project.experiments())?;
                        let (templates, format) = (project.templates(), ending(format).trim_start_matches('.'));
                        render::beside(self.target, &results, &templates, &reference, (of, format))?
                    }
                }
            }
        };
        print(&text)?;
        Ok(exit_code(outcome))
    }

    /// An output of a step, as text.
    fn read(&self, engine: &Engine, outcome: &Outcome, source: &Source) -> anyhow::Result<String> {
        let action = outcome.action(source.node).with_context(|| format!("{} could not be made", self.target.name))?;
        let bytes = engine.store.read_output(action, &source.output)?;
        String::from_utf8(bytes).context("a table is text")
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
