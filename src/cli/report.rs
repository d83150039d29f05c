//! `seesaw report SUITE`, and the report that every run leaves in `out/SUITE/`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::context::{Global, show};
use crate::interrupt::Interrupt;
use crate::planning::project::Project;
use crate::publication::outcomes::outcomes;
use crate::publication::{Finished, gather, reports};
use crate::report::html;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What was made, for scripts.
#[derive(Serialize)]
struct Made {
    suite: String,
    written: Vec<PathBuf>,
    /// What the report says is missing, and why.
    missing: Vec<html::Failure>,
}

/// Makes the report, and what stands beside it, from what the store holds.
///
/// # Errors
/// If the suite has no results yet, or a file cannot be written.
pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, Interrupt::default())?;
    let planned = project.planned(&args.suite, &engine.interrupt)?;
    let nodes = outcomes(&engine, &planned);
    let finished = Finished { project: &project, planned: &planned, engine: &engine, nodes: &nodes };
    // Claims and provenance stand beside the report and are named in it: one is never older than the other.
    let written = reports::make(&finished)?;
    let made = Made { suite: planned.suite.name.clone(), written, missing: gather::failures(&finished) };
    show(args.json, &made, || told(&made))?;
    Ok(ExitCode::SUCCESS)
}

fn told(made: &Made) -> String {
    let mut text = String::new();
    for path in &made.written {
        text += &format!("wrote {}\n", path.display());
    }
    for failure in &made.missing {
        let steps = failure.steps.len();
        let first = failure.cause.lines().next().unwrap_or_default();
        text += &format!("missing: {}: {first} ({steps} steps)\n", failure.what);
    }
    text
}
