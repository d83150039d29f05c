//! `seesaw claims SUITE`, and the files that a run writes of them.

use std::process::ExitCode;

use super::context::{Global, show};
use crate::interrupt::Interrupt;
use crate::planning::project::Project;
use crate::publication::{self, Finished};
use crate::report::claims;
use crate::report::reference::Reference;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints the verdicts on the paper's claims. Whatever they are, they are no failure.
///
/// # Errors
/// A usage error if the suite has no results yet, or if no claims are made about it.
pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let claims = publication::claims::load(&project)?;
    let interrupt = Interrupt::default();
    let planned = project.planned(&args.suite, &interrupt)?;
    claims.mapping(&planned.suite.name, planned.suite.kind)?;
    let engine = project.engine(device, interrupt)?;
    let nodes = publication::outcomes::outcomes(&engine, &planned);
    let finished = Finished { project: &project, planned: &planned, engine: &engine, nodes: &nodes };
    let results = publication::outputs::results(&finished)?;
    let judged = claims::judge(&claims, &results, &Reference::load(&project.experiments())?)?;
    show(args.json, &judged, || judged.text())?;
    Ok(ExitCode::SUCCESS)
}
