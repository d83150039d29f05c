//! What a run will cost, before it starts.

use serde::Serialize;

use super::Run;
use super::run::Chosen;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::survey::State;
use crate::planning::calibration::Calibration;
use crate::planning::estimate::Estimate;
use crate::planning::overview::{Measure, measured};
use crate::steps::{Kind, Step};

/// What the steps to run will take.
#[derive(Debug, Serialize)]
pub struct Cost {
    pub trainings: usize,
    pub encodings: usize,
    pub estimate: Estimate,
    /// The archives that only a person can get. What needs them is not part of the estimate.
    pub unavailable: Vec<String>,
}

/// Beyond this time, in seconds, or these bytes to download, a run starts only if the user agrees.
const LONG: f64 = 3600.0;
const LARGE: u64 = 5_000_000_000;

/// Shorter runs are not worth a line, nor a measurement of this machine, which takes seconds.
const SHORT: f64 = 120.0;
const SMALL: u64 = 500_000_000;

impl Cost {
    /// Whether the user should agree first.
    pub fn is_large(&self) -> bool {
        self.estimate.total_seconds() > LONG || self.is_large_download()
    }

    /// Whether it downloads so much that this alone needs consent.
    pub fn is_large_download(&self) -> bool {
        self.download() > LARGE
    }

    /// Whether it is worth a line.
    pub fn is_notable(&self) -> bool {
        self.estimate.total_seconds() > SHORT || self.download() > SMALL
    }

    /// Bytes to download. What has no known size counts with its bound.
    pub fn download(&self) -> u64 {
        let Estimate { downloads, downloads_at_most, .. } = &self.estimate;
        downloads + downloads_at_most.values().sum::<u64>()
    }
}

impl Run {
    /// The cost of what the chosen publications need and is not done. A run that seems short is estimated by the speed of a
    /// usual machine; for others `measure` measures this one, unless that was done before.
    ///
    /// # Errors
    /// If measuring fails.
    pub fn cost(&self, chosen: Chosen<'_>, measure: Measure, quiet: bool) -> anyhow::Result<Cost> {
        let (graph, suite) = (&self.planned.graph, &self.planned.suite);
        let states = self.engine.survey(graph);
        let unavailable: Vec<String> = self.engine.unavailable(graph).into_iter().map(|(name, _)| name).collect();
        let blocked = blocked(graph, &unavailable);
        let needed = graph.needed_for(&self.wanted(chosen));
        let lost = self.engine.lost(graph, &states);
        let is_to_do = |id: NodeId| {
            let is_open = matches!(states[id.0], State::Ready(..) | State::Waiting(_)) || lost.contains(&id);
            is_open && !blocked[id.0] && needed.binary_search(&id).is_ok()
        };
        let estimate = |machine: &Calibration| self.engine.estimate(&self.planned, &states, machine, &is_to_do);
        let usual = || Calibration::usual(&self.engine, suite);
        let guess = estimate(&Calibration::load(&self.engine, suite).unwrap_or_else(usual));
        let estimate = match guess.total_seconds() > SHORT {
            true => measured(&self.engine, suite, Some(measure), quiet)?.as_ref().map_or(guess, estimate),
            false => guess,
        };
        let of_kind = |kind: Kind| graph.ids().filter(|&id| is_to_do(id) && graph.node(id).step.kind() == kind).count();
        let is_needed = |name: &&String| {
            let is_it =
                |id: &NodeId| matches!(&graph.node(*id).step, Step::Fetch(fetch) if fetch.archive.name == **name);
            needed.iter().any(is_it)
        };
        Ok(Cost {
            trainings: of_kind(Kind::Train),
            encodings: of_kind(Kind::Encode),
            estimate,
            unavailable: unavailable.iter().filter(is_needed).cloned().collect(),
        })
    }
}

/// The steps that will not run because an archive is unavailable.
pub(super) fn blocked(graph: &Graph, unavailable: &[String]) -> Vec<bool> {
    let mut blocked: Vec<bool> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let node = graph.node(id);
        let is_unavailable = matches!(&node.step, Step::Fetch(fetch) if unavailable.contains(&fetch.archive.name));
        let waits = !node.step.tolerates_absent_inputs() && node.inputs.values().any(|source| blocked[source.node.0]);
        blocked.push(is_unavailable || waits);
    }
    blocked
}
