//! `seesaw claims SUITE`

use std::process::ExitCode;

use super::context::{Global, Opened, show};
use crate::interrupt::Interrupt;
use crate::publication::{claims, reports};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the verdicts on the paper's claims. Verdicts are results, not failures.
///
/// # Errors
/// A usage error if the suite has no results yet, or no claims apply to it.
pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let opened = Opened::new(global, &args.suite, device, Interrupt::default())?;
    let nodes = reports::outcomes(&opened.engine, &opened.planned);
    let judged = claims::judge(&opened.finished(&nodes))?;
    show(args.json, &judged, || judged.text())?;
    Ok(ExitCode::SUCCESS)
}
