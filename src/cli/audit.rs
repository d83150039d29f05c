//! `seesaw audit`

use std::process::ExitCode;

use super::context::{Global, show};
use crate::planning::project::Project;
use crate::publication::claims;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the findings. Findings are results, not failures.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let audit = claims::audit(&Project::find(&global.options)?)?;
    show(args.json, &audit, || audit.text())?;
    Ok(ExitCode::SUCCESS)
}
