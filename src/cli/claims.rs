//! `seesaw claims [SUITE]`

use std::process::ExitCode;

use super::context::{Global, Suite, show};
use crate::engine::devices::Devices;
use crate::interrupt::Interrupt;
use crate::publication::{Finished, Run, claims, reports};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the verdicts on the paper's claims. Verdicts are results, not failures.
///
/// # Errors
/// A usage error if the suite has no results yet, or no claims apply to it.
pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    claims::load(&run.project)?;
    let judged = claims::judge(&Finished { run: &run, nodes: &reports::outcomes(&run) })?;
    show(args.json, &judged, || judged.text())?;
    Ok(ExitCode::SUCCESS)
}
