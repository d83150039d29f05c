//! `seesaw table N` and `seesaw figure N`: one table or figure of a suite, and only what it needs.

use std::process::ExitCode;

use super::context::{Answer, Global, Program, exit_code, print, stop_on_signals};
use crate::engine::graph::Publication;
use crate::errors;
use crate::publication::Run;
use crate::publication::single::{Format, Of as Whose, Single};

#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The number of the table in the paper
    number: u8,
    #[command(flatten)]
    of: Of,
    /// The format to print; `out/` has all formats except JSON
    #[arg(long, value_enum, default_value = "md")]
    format: Format,
    /// Whose numbers to print
    #[arg(long = "of", value_enum, default_value = "ours")]
    whose: Whose,
}

#[derive(Debug, clap::Args)]
pub struct FigureArgs {
    /// The number of the figure in the paper
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

/// Computes what a table needs, writes its files, and prints it.
///
/// # Errors
/// A usage error if the suite has no such table; if a file cannot be written.
pub fn table(global: &Global, args: &TableArgs, device: tch::Device, program: Program) -> anyhow::Result<Answer> {
    run(global, (&args.of.suite, format!("table{}", args.number)), Some((args.format, args.whose)), device, program)
}

/// Computes what a figure needs, writes its files, and prints their paths.
///
/// # Errors
/// A usage error if the suite has no such figure; if a file cannot be written.
pub fn figure(global: &Global, args: &FigureArgs, device: tch::Device, program: Program) -> anyhow::Result<Answer> {
    run(global, (&args.of.suite, format!("figure{}", args.number)), None, device, program)
}

fn run(
    global: &Global,
    (suite, name): (&str, String),
    as_table: Option<(Format, Whose)>,
    device: tch::Device,
    program: Program,
) -> anyhow::Result<Answer> {
    let run = Run::open(&global.options, suite, device, stop_on_signals()?)?;
    let single = Single::find(&run, &name)?;
    if let Some((format, Whose::Paper)) = as_table {
        print(&single.paper(format)?)?;
        return Ok(Answer::Done(ExitCode::SUCCESS));
    }
    let chosen = |publication: &Publication| single.owns(publication);
    let outcome = match (run.if_done(&chosen), program.tensors) {
        (Some(outcome), _) => outcome,
        (None, Some(tensors)) => run.compute(&chosen, tensors.execute, global.style())?,
        (None, None) => return Ok(Answer::NeedsTensors),
    };
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    print(&match as_table {
        Some((format, whose)) => single.table(&outcome, format, whose)?,
        None => single.paths(),
    })?;
    Ok(Answer::Done(exit_code(&outcome)))
}
