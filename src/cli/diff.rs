//! `seesaw diff A B`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::context::{Global, show, stop_on_signals};
use crate::bundle::diff::diff;
use crate::errors::Class;
use crate::planning::project::Project;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: a folder in `out/` or its name, a file from `seesaw export`, or a `results.json`
    first: PathBuf,
    /// The run to compare with it
    second: PathBuf,
    /// The level of significance, of all numbers together
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = level)]
    alpha: f64,
    /// List numbers that differ within noise, too
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn level(text: &str) -> Result<f64, String> {
    let level = text.parse().ok().filter(|level: &f64| *level > 0.0 && *level < 1.0);
    level.ok_or_else(|| "expected a number between 0 and 1".to_owned())
}

/// Prints what moved between two runs, in Markdown. The exit code is 1 if a number moved beyond noise, or is gone.
///
/// # Errors
/// A usage error if one of the two is no run.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let found = |run: &Path| match Project::find(&global.options) {
        Ok(project) if !run.exists() => run.to_str().map(|name| project.out(name)).filter(|folder| folder.is_dir()),
        _ => None,
    };
    let [first, second] = [&args.first, &args.second].map(|run| found(run).unwrap_or_else(|| run.clone()));
    let moved = diff([&first, &second], args.alpha, &stop_on_signals()?)?;
    show(args.json, &moved, || moved.markdown(args.all))?;
    Ok(ExitCode::from(if moved.has_moved() { Class::Failed.exit_code() } else { 0 }))
}
