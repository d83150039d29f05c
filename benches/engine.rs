//! What the engine adds to a step: `cargo bench --bench engine`.
//!
//! Steps that write a small file, in chains and side by side, through the whole engine: keys, locks, work folders,
//! hashing, syncing to disk, records. The files themselves are written by hand too, to tell how much of it is the disk.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use seesaw::engine::Engine;
use seesaw::engine::graph::{Graph, NodeId, Source};
use seesaw::engine::key::Environment;
use seesaw::engine::run::Observer;
use seesaw::interrupt::Interrupt;
use seesaw::progress::{Progress, Silent};
use seesaw::steps::choose::Choose;
use seesaw::steps::{Absence, FetchPlaces, Job, Outputs, Step};
use seesaw::store::{Action, Store};
use tempfile::TempDir;

const STEPS: usize = 500;
/// What a step may cost beside its own work, in milliseconds.
const MOST: f64 = 5.0;

/// A step with few parameters; what it computes here is up to [`execute`].
fn small(number: usize) -> Choose {
    Choose {
        dataset: "bench".to_owned(),
        name: number.to_string(),
        candidates: Vec::new(),
        seeds: Vec::new(),
        seed: number as u64,
    }
}

struct Nobody;

impl Observer for Nobody {
    fn started(&self, _: NodeId, _: &str) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }
    fn computed(&self, _: NodeId, _: &Action) {}
    fn kept(&self, _: NodeId) {}
    fn absent(&self, _: NodeId, label: &str, absence: &Absence) {
        panic!("{label}: {absence}");
    }
    fn stopped(&self, _: NodeId) {}
    fn warned(&self, message: &str) {
        panic!("{message}");
    }
}

fn execute(step: &Step, job: &Job) -> anyhow::Result<Outputs> {
    let text = format!("{} from {} inputs", step.label(), job.inputs.len());
    Ok(Outputs::from([job.write("text", text.as_bytes())?]))
}

/// Every step uses the one `chains` places before it.
fn graph(chains: usize) -> Graph {
    let mut graph = Graph::default();
    for number in 0..STEPS {
        let before = number.checked_sub(chains).map(|at| Source { node: NodeId(at), output: "text".into() });
        graph.add(small(number), before.map(|source| ("before".to_owned(), source)));
    }
    graph
}

fn main() -> anyhow::Result<()> {
    for chains in [1, 50] {
        let folder = TempDir::new_in(std::env::current_dir()?)?;
        let root = folder.path();
        let engine = Engine {
            store: Store::open(&root.join("store"))?,
            device: tch::Device::Cpu,
            environment: Environment { device: "cpu".into(), architecture: "bench".into(), libtorch: "0".into() },
            threads: 2,
            downloads: FetchPlaces::new(root.join("p"), root.join("q"), vec![]),
            interrupt: Interrupt::default(),
        };
        let graph = graph(chains);
        let all: Vec<NodeId> = graph.ids().collect();
        let milliseconds = |begun: Instant| 1e3 * begun.elapsed().as_secs_f64() / STEPS as f64;

        let begun = Instant::now();
        let outcome = engine.run(&graph, &all, &[], &Nobody, execute);
        let cold = milliseconds(begun);
        anyhow::ensure!(all.iter().all(|&id| outcome.action(id).is_some()), "every step was computed");
        let begun = Instant::now();
        let states = engine.survey(&graph);
        let survey = milliseconds(begun);
        anyhow::ensure!(states.len() == STEPS, "every step was looked at");

        // Two files a step, each synced: the least that is safe.
        let begun = Instant::now();
        for number in 0..2 * STEPS {
            let file = std::fs::File::create(root.join(format!("by hand {number}")))?;
            std::io::Write::write_all(&mut &file, b"some words")?;
            file.sync_all().context("cannot sync")?;
        }
        let disk = milliseconds(begun);
        println!(
            "{STEPS} steps in {chains} chains: {cold:.2} ms a step ({:.2} of the {MOST} that it may cost), of which two \
             synced files are {disk:.2} ms; looked up again in {survey:.3} ms",
            cold / MOST
        );
    }
    Ok(())
}
