//! `seesaw store [verify]`

use std::process::ExitCode;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::context::{Global, show, stop_on_signals};
use crate::errors::Class;
use crate::planning::project::Project;
use crate::progress::{Progress, Unit};
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

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let mut engine = project.engine(device, stop_on_signals()?)?;
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

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number of results for people.
pub(super) fn results(results: usize) -> String {
    format!("{} {}", HumanCount(results as u64), if results == 1 { "result" } else { "results" })
}

fn text(found: &Storage) -> String {
    let Storage { store, all, kinds, suites, unneeded, quarantine, partial } = found;
    let line = |Share { name, results, size: bytes }: &Share| {
        format!("  {name:<24} {:>9} {:>12}\n", HumanCount(*results as u64).to_string(), size(*bytes))
    };
    let mut text = format!("store: {}\n{}, {}\n", store.display(), results(all.results), size(all.size));
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
    let Verified { actions, objects, damaged_actions, damaged_objects } = found;
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
    text += &format!("{} records and {} files checked", HumanCount(*actions as u64), HumanCount(*objects as u64));
    text += &match damaged {
        0 => ": all are whole\n".to_owned(),
        _ => format!(": {damaged} damaged; what a suite needs of them is computed again when it runs\n"),
    };
    text
}

/// A bar on a terminal.
struct Meter(ProgressBar);

impl Meter {
    fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let style = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
        Meter(bar.with_style(ProgressStyle::with_template(style).expect("the template is right")))
    }
}

impl Progress for Meter {
    fn begin(&self, total: Option<u64>, _unit: Unit) {
        total.iter().for_each(|total| self.0.set_length(*total));
    }

    fn advance(&self, n: u64) {
        self.0.inc(n);
    }

    fn note(&self, message: &str) {
        self.0.println(message);
    }
}
