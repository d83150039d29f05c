//! `seesaw fetch [NAME…]`

use std::process::ExitCode;

use super::context::{Global, print, print_json, stop_on_signals};
use crate::engine::devices::Devices;
use crate::errors::Class;
use crate::planning::fetch::{Archives, Report, State};
use crate::planning::project::Project;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datasets or manifests
    #[arg(required_unless_present_any = ["all", "check"])]
    names: Vec<String>,
    /// Fetch all datasets and weights: tens of gigabytes
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Download nothing; compare archives in the store with their hashes [default: all archives]
    #[arg(long)]
    check: bool,
    /// Download archives without a public checksum again, and update their lock files
    #[arg(long, conflicts_with_all = ["check", "mirror"])]
    relock: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let mut engine = project.engine(devices, stop_on_signals()?)?;
    if args.relock {
        // Asks the sources what they have now.
        engine.remote = None;
    }
    let archives = Archives::find(&project, &engine, &args.names, args.relock)?;
    let mut reports = if args.check { archives.check() } else { archives.fetch(global.style())? };
    if args.check && args.names.is_empty() {
        // Archives that were never fetched are a problem only if the user names them.
        reports.retain(|report| report.state != State::Missing);
    }
    if args.json {
        print_json(&reports)?;
    } else if !global.quiet {
        print(&text(&reports))?;
    }
    let any = |states: &[State]| reports.iter().any(|report| states.contains(&report.state));
    Ok(ExitCode::from(match any(&[State::Missing, State::Damaged, State::Failed]) {
        true => Class::Failed.exit_code(),
        false if any(&[State::Unavailable]) => Class::Unavailable.exit_code(),
        false => 0,
    }))
}

fn text(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let mib = |size: u64| format!("{:.1} MiB", size as f64 / f64::from(1 << 20));
        let size = report.size.map_or_else(|| "size unknown".to_owned(), mib);
        text += &format!("{:<9} {size:>12}  {}", report.state.name(), report.archive);
        // The causes of failed downloads were printed during the download.
        if let (State::Damaged, Some(cause)) = (report.state, &report.cause) {
            text += &format!(": {}", cause.replace('\n', " "));
        }
        text.push('\n');
    }
    text
}
