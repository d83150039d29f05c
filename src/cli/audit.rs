//! `seesaw audit`

use std::process::ExitCode;

use super::context::{Global, show};
use crate::planning::project::Project;
use crate::report::audit;
use crate::report::reference::Reference;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is found in the paper's numbers. Findings are no failure: they are what was asked for.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let reference = Reference::load(&Project::find(&global.options)?.experiments())?;
    let audit = audit::audit(&reference);
    show(args.json, &audit, || audit.text())?;
    Ok(ExitCode::SUCCESS)
}
