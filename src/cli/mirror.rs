//! `seesaw mirror make DIR`, `seesaw mirror serve DIR`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;

use super::context::{Global, print, stop_on_signals};
use crate::datasets::Archives;
use crate::engine::Engine;
use crate::engine::display::Display;
use crate::errors;
use crate::manifests::{self, Manifest};
use crate::mirror::serve::{FaultyPath, Server};
use crate::mirror::{self, Making};
use crate::planning::plan;
use crate::planning::project::Project;
use crate::steps::fetch::{ARCHIVE, label};
use crate::steps::{Status, execute_without_tensors};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make archives and checkpoints in the layouts of the real ones, of emoji and random weights
    Make {
        /// Where to put them
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// How many samples each benchmark has, all splits together
        #[arg(long, value_name = "N", default_value_t = 300)]
        samples: u32,
        /// Other samples and weights for another seed
        #[arg(long, value_name = "S", default_value_t = 0)]
        seed: u64,
    },
    /// Serve them to this machine until interrupted; prints the address first
    Serve {
        /// The folder that `make` wrote
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// At this port; 0 is any that is free
        #[arg(long, value_name = "P", default_value_t = 0)]
        port: u16,
        /// Misbehave when this path is asked for: cut:N, slow:MS, status:CODE, length:N, bytes, norange, redirect or
        /// stall, and `:TIMES` behind it for the first few requests alone; may be given again for other paths
        #[arg(long, value_name = "PATH=FAULT")]
        faults: Vec<FaultyPath>,
    },
}

pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Make { folder, samples, seed } => make(global, folder, *samples, *seed)?,
        Command::Serve { folder, port, faults } => serve(folder, *port, faults)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn make(global: &Global, folder: &Path, samples: u32, seed: u64) -> anyhow::Result<()> {
    let project = Project::find(&global.options)?;
    // Archives are fetched on the CPU, whatever the device.
    let engine = project.engine(tch::Device::Cpu, stop_on_signals()?)?;
    let names = mirror::NEEDS.map(str::to_owned);
    let needed = manifests::find(manifests::load_all(&project.manifests())?, &names)?;
    let archives = fetch(global, &engine, &needed)?;
    let making =
        Making { archives: &archives, manifests: &project.manifests(), samples, seed, interrupt: &engine.interrupt };
    mirror::make(&making, folder)?;
    if !global.quiet {
        print(&format!("made {}; `seesaw mirror serve {0}` serves it\n", folder.display()))?;
    }
    Ok(())
}

/// Brings archives into the store; where they lie, by their names.
fn fetch(global: &Global, engine: &Engine, needed: &[Manifest]) -> anyhow::Result<Archives> {
    let (graph, nodes) = plan::fetches(needed);
    let display = Display::new(nodes.len(), global.style());
    let outcome = engine.run(&graph, &nodes, &[], &display, execute_without_tensors);
    display.finish();
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    let mut archives = Archives::default();
    for archive in needed.iter().flat_map(|manifest| &manifest.archives) {
        let action = graph.find(&label(archive)).and_then(|id| outcome.action(id));
        let output = action.and_then(|action| action.outputs.get(ARCHIVE)).ok_or_else(|| {
            let cause = outcome.absent(Status::Failed).next().map_or("", |(_, absence)| &absence.cause);
            errors::failed(
                format!("a mirror is made from {}, which could not be fetched: {cause}", archive.name),
                "see that `seesaw fetch emoji all-minilm-l6-v2` works",
            )
        })?;
        archives.0.insert(archive.name.clone(), engine.store.object_path(output.sha256));
    }
    Ok(archives)
}

fn serve(folder: &Path, port: u16, faults: &[FaultyPath]) -> anyhow::Result<()> {
    let interrupt = stop_on_signals()?;
    let server = Server::start(folder, port, faults.to_vec())?;
    // Whoever started it may have gone, and still want it to run.
    print(&format!("{}\n", server.url())).context("cannot tell the address")?;
    while !interrupt.raised() {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);
    Err(errors::interrupted())
}
