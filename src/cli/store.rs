//! `seesaw store [verify]`

use std::process::ExitCode;

use indicatif::HumanCount;

use super::context::{Global, Meter, counted, show, size, stop_on_signals};
use crate::engine::devices::Devices;
use crate::errors::Class;
use crate::planning::project::Project;
use crate::publication::storage::{self, Share, Storage, Verified};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read and hash everything in the store, and set aside what is damaged
    Verify,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let mut engine = project.engine(devices, stop_on_signals()?)?;
    project.check_store(&engine.store)?;
    match args.command {
        None => {
            let found = Storage::of(&project, &mut engine)?;
            show(args.json, &found, || text(&found))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Verify) => {
            let found = storage::verify(&engine, &Meter::new(global.quiet))?;
            show(args.json, &found, || verified(&found))?;
            let is_whole = found.damaged_actions.is_empty() && found.damaged_objects.is_empty();
            Ok(ExitCode::from(if is_whole { 0 } else { Class::Failed.exit_code() }))
        }
    }
}

fn text(found: &Storage) -> String {
    let Storage { store, all, kinds, suites, unneeded, quarantine, partial } = found;
    let line = |Share { name, results, size: bytes }: &Share| {
        format!("  {name:<24} {:>9} {:>12}\n", HumanCount(*results as u64).to_string(), size(*bytes))
    };
    let yet = if store.exists() { "" } else { " (does not exist yet)" };
    let mut text = format!("store: {}{yet}\n{}, {}\n", store.display(), counted(all.results, "result"), size(all.size));
    text += "by kind of step\n";
    text += &kinds.iter().map(line).collect::<String>();
    text += "by suite or run in out/ (what several need counts for each)\n";
    text += &suites.iter().map(line).collect::<String>();
    text += &line(unneeded);
    if unneeded.results > 0 {
        text += "  `seesaw prune` removes what none of them needs\n";
    }
    for (what, bytes) in [("damaged files set aside", quarantine), ("incomplete downloads", partial)] {
        if *bytes > 0 {
            text += &format!("{what}: {}\n", size(*bytes));
        }
    }
    text
}

/// The most damaged results that are listed.
const LISTED: usize = 20;

fn verified(found: &Verified) -> String {
    let Verified { actions, objects, damaged_actions, damaged_objects, left_out } = found;
    let mut text = String::new();
    for key in damaged_actions.iter().take(LISTED) {
        text += &format!("damaged record: {key}\n");
    }
    for object in damaged_objects.iter().take(LISTED) {
        let of: Vec<&str> = object.labels.iter().map(String::as_str).collect();
        text += &format!("damaged file: {} of {}: {}\n", object.sha256.short(), of.join(", "), object.damage);
    }
    let damaged = damaged_actions.len() + damaged_objects.len();
    if damaged > LISTED {
        text += "…\n";
    }
    text += &format!("{} and {} checked", counted(*actions, "record"), counted(*objects, "file"));
    text += &match damaged {
        0 => ": all are whole\n".to_owned(),
        _ => format!(": {damaged} damaged; what a suite needs of them is computed again when it runs\n"),
    };
    if *left_out > 0 {
        let files = counted(*left_out, "file");
        text += &format!("not here: {files} of others, fetched or made again when a step needs them\n");
    }
    text
}
