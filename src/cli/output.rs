//! `seesaw table N` and `seesaw figure N`: one table or figure of a suite, and only what it needs.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Answer, Consent, Global, OfSuite, Tensors, exit_code, print, print_json, stop_on_signals};
use crate::engine::devices::Devices;
use crate::engine::graph::Publication;
use crate::engine::run::Outcome;
use crate::errors;
use crate::publication::Run;
use crate::publication::single::{Format, Of as Whose, Single};

#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The number of the table in the paper
    number: u8,
    #[command(flatten)]
    of: OfSuite,
    /// The format to print; `out/` has all formats except JSON [default: columns that fit on a terminal, otherwise md]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Whose numbers to print
    #[arg(long = "of", value_enum, default_value = "ours")]
    whose: Whose,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, clap::Args)]
pub struct FigureArgs {
    /// The number of the figure in the paper
    number: u8,
    #[command(flatten)]
    of: OfSuite,
    /// Print the paths of its files as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Computes what a table needs, writes its files, and prints it.
///
/// # Errors
/// A usage error if the suite has no such table; if a file cannot be written.
pub fn table(global: &Global, args: &TableArgs, devices: Devices, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let shown = Shown::Table(args.format, args.whose);
    run(global, (&args.of.suite, format!("table{}", args.number)), shown, &args.consent, devices, tensors)
}

/// Computes what a figure needs, writes its files, and prints their paths.
///
/// # Errors
/// A usage error if the suite has no such figure; if a file cannot be written.
pub fn figure(
    global: &Global,
    args: &FigureArgs,
    devices: Devices,
    tensors: Option<Tensors>,
) -> anyhow::Result<Answer> {
    let shown = Shown::Paths { json: args.json };
    run(global, (&args.of.suite, format!("figure{}", args.number)), shown, &args.consent, devices, tensors)
}

/// What is printed of a table or figure.
#[derive(Clone, Copy)]
enum Shown {
    Table(Option<Format>, Whose),
    Paths { json: bool },
}

fn run(
    global: &Global,
    (suite, name): (&str, String),
    shown: Shown,
    consent: &Consent,
    devices: Devices,
    tensors: Option<Tensors>,
) -> anyhow::Result<Answer> {
    let run = Run::open(&global.options, suite, devices, stop_on_signals()?)?;
    let single = Single::find(&run, &name)?;
    let print_table = |outcome: Option<&Outcome>, format: Option<Format>, whose: Whose| {
        print(&match width(format) {
            Some(width) => single.columns(outcome, whose, width)?,
            None => single.table(outcome, format.unwrap_or(Format::Md), whose)?,
        })
    };
    if let Shown::Table(format, Whose::Paper) = shown {
        print_table(None, format, Whose::Paper)?;
        return Ok(Answer::Done(ExitCode::SUCCESS));
    }
    let chosen = |publication: &Publication| single.owns(publication);
    let outcome = match (run.if_done(&chosen), tensors) {
        (Some(outcome), _) => outcome,
        (None, Some(tensors)) => {
            consent.ask(&run, &chosen, tensors.calibrate(), global.quiet)?;
            run.compute(&chosen, tensors.execute(), global.style())?
        }
        (None, None) => return Ok(Answer::NeedsTensors),
    };
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    match shown {
        Shown::Table(format, whose) => print_table(Some(&outcome), format, whose)?,
        Shown::Paths { json: true } => print_json(&single.paths())?,
        Shown::Paths { json: false } => {
            let line = |path: &PathBuf| format!("{}\n", path.display());
            print(&single.paths().iter().map(line).collect::<String>())?;
        }
    }
    Ok(Answer::Done(exit_code(&outcome)))
}

/// The columns of the terminal that a table is printed on, unless a format was asked for.
fn width(format: Option<Format>) -> Option<usize> {
    let on_terminal = format.is_none() && std::io::stdout().is_terminal();
    on_terminal.then(|| terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)))
}
