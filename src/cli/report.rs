//! `seesaw report [SUITE]`

use std::process::ExitCode;

use super::context::{Global, Suite, counted, show};
use crate::engine::devices::Devices;
use crate::interrupt::Interrupt;
use crate::publication::reports::{self, Made};
use crate::publication::{Finished, Run};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Makes the reports from what the store has.
///
/// # Errors
/// If the suite has no results yet, or a file cannot be written.
pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    let made = reports::make_anew(&Finished { run: &run, nodes: &reports::outcomes(&run) })?;
    show(args.json, &made, || text(&made))?;
    Ok(ExitCode::SUCCESS)
}

fn text(made: &Made) -> String {
    let mut text = String::new();
    for path in &made.written {
        text += &format!("wrote {}\n", path.display());
    }
    for failure in &made.missing {
        let steps = counted(failure.steps.len(), "step");
        let first = failure.cause.iter().flat_map(|cause| cause.lines().next()).map(|line| format!(": {line}"));
        text += &format!("not made: {}{} ({steps})\n", failure.what, first.collect::<String>());
    }
    text
}
