//! `seesaw compare [SUITE]`

use std::process::ExitCode;

use super::context::{Global, Suite, show};
use crate::engine::devices::Devices;
use crate::errors::Class;
use crate::interrupt::Interrupt;
use crate::publication::compare::{Agreement, Margin, compare};
use crate::publication::{Finished, Run, reports};

/// The exit code if no number differs, but not all of them agree.
const INCOMPLETE: u8 = 4;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// How far apart two numbers may be and still agree, in percentage points
    #[arg(long, value_name = "POINTS", default_value_t = Margin::default().points, value_parser = margin)]
    margin: f64,
    /// The same as a multiple of our standard deviation over seeds; the larger one counts
    #[arg(long, value_name = "N", default_value_t = Margin::default().deviations, value_parser = margin)]
    deviations: f64,
    /// List every number, not only those that differ
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn margin(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number of 0 or more".to_owned())
}

/// Compares each number that the paper prints with ours. The exit code is 0 if all agree, 1 if one differs, else 4.
///
/// # Errors
/// A usage error if the suite is not the paper's, or has no results yet.
pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    let margin = Margin { points: args.margin, deviations: args.deviations };
    let found = compare(&Finished { run: &run, nodes: &reports::outcomes(&run) }, margin)?;
    show(args.json, &found, || found.text(args.all))?;
    let any = |agreement| found.agreements.numbers.iter().any(|one| one.agreement == agreement);
    Ok(ExitCode::from(match (any(Agreement::Differs), any(Agreement::CannotTell) || any(Agreement::NotRun)) {
        (true, _) => Class::Failed.exit_code(),
        (false, true) => INCOMPLETE,
        (false, false) => 0,
    }))
}
