//! `seesaw report SUITE`, and the report that every run leaves in `out/SUITE/`.

mod gather;
mod outputs;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

pub use self::gather::outcomes;
pub use self::outputs::results;
use super::finish::{self, Files, Finished};
use super::{Global, Project};
use crate::interrupt::Interrupt;
use crate::report::{html, latex};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The templates that the report is made of.
pub const TEMPLATES: [&str; 4] = {
    let [page, style, script] = html::TEMPLATES;
    [page, style, script, latex::TEMPLATE]
};

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
    let project = Project::find(global)?;
    let engine = project.engine(global, device, Interrupt::default())?;
    let planned = project.planned(global, &args.suite, &engine.interrupt)?;
    let nodes = outcomes(&engine, &planned);
    let finished = Finished { project: &project, global, planned: &planned, engine: &engine, nodes: &nodes };
    // Claims and provenance stand beside the report and are named in it: one is never older than the other.
    let written = finish::make(&finished)?;
    let made = Made { suite: planned.suite.name.clone(), written, missing: gather::failures(&finished) };
    match args.json {
        true => super::print_json(&made)?,
        false => super::print(&told(&made))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of the report of a run.
///
/// # Errors
/// If the results cannot be read, or a template is malformed.
pub fn files(finished: &Finished) -> anyhow::Result<Files> {
    let report = gather::gather(finished)?;
    let templates = finished.project.templates(finished.global);
    Ok(vec![
        ("report.html".to_owned(), html::page(&report, &templates)?.into_bytes()),
        ("report.tex".to_owned(), latex::document(&report, &templates)?.into_bytes()),
    ])
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
