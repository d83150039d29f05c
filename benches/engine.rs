//! What the engine adds to a step: `cargo bench --bench engine`.
//!
//! Steps that write a small file, in chains and side by side, through the whole engine: keys, locks, work folders,
//! hashing, syncing to disk, records. The files themselves are written by hand too, to tell how much of it is the disk.
//! Suites of 500 and 5,000 steps, and with an argument such as `40000` one of that many, which takes minutes.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use seesaw::engine::Engine;
use seesaw::engine::devices::Devices;
use seesaw::engine::graph::{Graph, NodeId, Source};
use seesaw::engine::key::Environment;
use seesaw::engine::reuse::Reuse;
use seesaw::engine::run::Observer;
use seesaw::interrupt::Interrupt;
use seesaw::progress::{Progress, Silent};
use seesaw::steps::choose::Choose;
use seesaw::steps::{Absence, FetchPlaces, Job, Outputs, Step};
use seesaw::store::{Brief, Store};
use tempfile::TempDir;

/// What a step may cost beside its own work, in milliseconds, however many there are.
const MOST: f64 = 5.0;
/// How much more a step of a large suite may cost than one of a small suite.
const MOST_GROWTH: f64 = 1.5;
/// What a look at a finished suite may take, in seconds.
const MOST_LOOK: f64 = 1.0;

/// A step with few parameters; what it computes here is up to [`execute`].
fn small(number: usize) -> Choose {
    Choose {
        dataset: "bench".to_owned(),
        name: number.to_string(),
        candidates: Vec::new(),
        seeds: Vec::new(),
        seed: number as u64,
        others: Vec::new(),
    }
}

struct Nobody;

impl Observer for Nobody {
    fn started(&self, _: NodeId, _: &str) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }
    fn computed(&self, _: NodeId, _: &Brief) {}
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
fn graph(steps: usize, chains: usize) -> Graph {
    let mut graph = Graph::default();
    for number in 0..steps {
        let before = number.checked_sub(chains).map(|at| Source { node: NodeId(at), output: "text".into() });
        graph.add(small(number), before.map(|source| ("before".into(), source)));
    }
    graph
}

/// Runs a suite of this many steps; milliseconds a step.
fn bench(steps: usize, chains: usize) -> anyhow::Result<f64> {
    let folder = TempDir::new_in(std::env::current_dir()?)?;
    let root = folder.path();
    let engine = Engine {
        store: Store::open(&root.join("store"))?,
        devices: Devices::CPU,
        environment: Environment { device: "cpu".into(), architecture: "bench".into(), libtorch: "0".into() },
        threads: 2,
        downloads: FetchPlaces::new(root.join("p"), root.join("q"), vec![]),
        remote: None,
        reuse: Reuse::Any,
        interrupt: Interrupt::default(),
    };
    let begun = Instant::now();
    let graph = graph(steps, chains);
    let planned = begun.elapsed().as_secs_f64();
    let all: Vec<NodeId> = graph.ids().collect();
    let milliseconds = |begun: Instant| 1e3 * begun.elapsed().as_secs_f64() / steps as f64;

    let begun = Instant::now();
    let outcome = engine.run(&graph, &all, &[], &Nobody, execute);
    let cold = milliseconds(begun);
    anyhow::ensure!(all.iter().all(|&id| outcome.action(id).is_some()), "every step was computed");
    drop(outcome);
    let begun = Instant::now();
    let states = engine.survey(&graph);
    let survey = begun.elapsed().as_secs_f64();
    anyhow::ensure!(states.len() == steps, "every step was looked at");

    // Two files a step, each synced: the least that is safe.
    let begun = Instant::now();
    for number in 0..2 * steps {
        let file = std::fs::File::create(root.join(format!("by hand {number}")))?;
        std::io::Write::write_all(&mut &file, b"some words")?;
        file.sync_all().context("cannot sync")?;
    }
    let disk = milliseconds(begun);
    println!(
        "{steps:>6} steps in {chains:>2} chains: {cold:.2} ms a step ({:.2} of the {MOST} that it may cost), of which two \
         synced files are {disk:.2} ms; planned in {planned:.2} s; looked up again in {survey:.2} s ({:.2} of {MOST_LOOK})",
        cold / MOST,
        survey / MOST_LOOK
    );
    Ok(cold)
}

fn main() -> anyhow::Result<()> {
    let more = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let sizes: Vec<usize> = [500, 5_000].into_iter().chain(more).collect();
    bench(500, 1)?;
    let costs: Vec<f64> = sizes.iter().map(|&steps| bench(steps, 50)).collect::<anyhow::Result<_>>()?;
    let growth = costs[costs.len() - 1] / costs[0];
    println!("a step of the largest suite costs {growth:.2} times one of the smallest; it may be {MOST_GROWTH}");
    Ok(())
}
