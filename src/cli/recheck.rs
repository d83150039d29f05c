//! `seesaw recheck [SUITE]`

use std::process::ExitCode;

use super::context::{Answer, Global, Suite, Tensors, show, stop_on_signals};
use super::verify::rerun_text;
use crate::bundle::recheck::recheck;
use crate::bundle::verify::Cells;
use crate::errors::Class;
use crate::publication::Run;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// Train this many random cells again
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    cells: u32,
    /// Select the cells by this seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Trains finished cells again, and says whether they give the same bits, or how far from them they are. The exit code is 1 if
/// one differs. The report shows the last time.
///
/// # Errors
/// A usage error if no cell of the suite is finished.
pub fn run(global: &Global, args: &Args, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let Some(tensors) = tensors else { return Ok(Answer::NeedsTensors) };
    let devices = tensors.devices(global)?;
    let run = Run::open(&global.options, &args.of.suite, devices.clone(), stop_on_signals()?)?;
    let cells = Cells { count: args.cells as usize, seed: args.seed, devices, execute: tensors.execute() };
    let found = recheck(&run, &cells, global.style())?;
    show(args.json, &found, || {
        let verdict = if found.is_good() { "the cells gave the same again" } else { "some cells gave something else" };
        let report = run.project.command("report", &run.planned.suite);
        format!("{}{verdict}; `{report}` shows it\n", rerun_text(&found))
    })?;
    Ok(Answer::Done(ExitCode::from(if found.is_good() { 0 } else { Class::Failed.exit_code() })))
}
