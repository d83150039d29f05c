//! `seesaw prune`

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use indicatif::{HumanCount, HumanDuration};

use super::context::{Global, counted, show, size, stop_on_signals};
use crate::engine::devices::Devices;
use crate::errors;
use crate::planning::project::Project;
use crate::publication::storage::{self, Pruned};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep results that were computed in the last N days, whoever needs them
    #[arg(long, value_name = "N", default_value_t = 7)]
    keep_days: u32,
    /// Remove nothing; list what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Prune a store outside of the project, although other projects may need what is in it
    #[arg(long)]
    shared: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let mut engine = project.engine(devices, stop_on_signals()?)?;
    project.check_store(&engine.store)?;
    let root = engine.store.root();
    if !args.shared && !args.dry_run && !is_inside(root, &project.root) {
        return Err(errors::usage(
            format!(
                "the store {} lies outside of the project, so other projects may need what is in it",
                root.display()
            ),
            "look at what would go with --dry-run, then add --shared",
        ));
    }
    let keep = Duration::from_secs(u64::from(args.keep_days) * DAY);
    let pruned = storage::prune(&project, &mut engine, keep, args.dry_run)?;
    show(args.json, &pruned, || text(&pruned, args, global.verbose))?;
    Ok(ExitCode::SUCCESS)
}

const DAY: u64 = 24 * 60 * 60;

/// Whether a folder lies in another one, links followed.
fn is_inside(folder: &std::path::Path, outer: &std::path::Path) -> bool {
    match (folder.canonicalize(), outer.canonicalize()) {
        (Ok(folder), Ok(outer)) => folder.starts_with(outer),
        // A store that does not exist has nothing to remove.
        _ => !folder.exists(),
    }
}

/// The most results that are listed unless all are asked for.
const LISTED: usize = 20;

#[expect(clippy::disallowed_methods, reason = "the age of a result is shown, and no result depends on it")]
fn text(pruned: &Pruned, args: &Args, all: bool) -> String {
    let Pruned { dry_run, results: found, removed, kept } = pruned;
    let mut text = String::new();
    let shown = if all { found.len() } else { LISTED };
    for result in found.iter().take(shown) {
        let age = SystemTime::UNIX_EPOCH + Duration::from_secs(result.finished);
        let age = HumanDuration(SystemTime::now().duration_since(age).unwrap_or_default());
        text += &format!("{:>12}  {:<14} {}\n", size(result.size), format!("{age} ago"), result.label);
    }
    if found.len() > shown {
        text += &format!("and {} more results (-v lists them)\n", HumanCount((found.len() - shown) as u64));
    }
    let verb = if *dry_run { "would remove" } else { "removed" };
    text += &format!(
        "{verb} {} and {}: {}\n",
        counted(removed.actions, "result"),
        counted(removed.objects, "file"),
        size(removed.size)
    );
    if kept.results > 0 {
        let days = args.keep_days;
        text += &format!(
            "kept {} ({}) that no suite needs, computed in the last {days} days; --keep-days changes that\n",
            counted(kept.results, "result"),
            size(kept.size)
        );
    }
    text
}
