//! How much of a suite is done, and whether its files in `out/` are up to date.

use std::path::PathBuf;

use serde::Serialize;

use super::cluster::Jobs;
use super::publish::{self, Copy};
use crate::engine::Engine;
use crate::engine::graph::NodeId;
use crate::engine::survey::State;
use crate::planning::project::{Planned, Project};
use crate::steps::Kind;

/// The status of a suite.
#[derive(Serialize)]
pub struct Status {
    pub suite: String,
    /// The folder of its results.
    pub out: PathBuf,
    /// The command that computes what is not done.
    pub command: String,
    pub steps: usize,
    pub done: usize,
    pub would_run: usize,
    pub cells: usize,
    pub cells_done: usize,
    /// Step → why its result is refused.
    pub refused: Vec<(String, String)>,
    /// Files in `out/` that differ from the results in the store.
    pub stale: Vec<String>,
    /// Its jobs on a cluster, if it was submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Jobs>,
}

impl Status {
    /// # Errors
    /// If the files of its submissions cannot be read.
    pub fn of(suite: String, project: &Project, planned: &Planned, engine: &Engine) -> anyhow::Result<Self> {
        let Planned { graph, out, .. } = planned;
        let states = engine.survey(graph);
        let lost = engine.lost(graph, &states);
        let jobs = Jobs::of(out, graph, &states)?;
        let action = |state: &State| match state {
            State::Done(_, action) => Some(action.clone()),
            _ => None,
        };
        let done: Vec<_> = states.iter().map(action).collect();
        let is_done = |id: NodeId| done[id.0].is_some() && !lost.contains(&id);
        let would_run = |id: &NodeId| matches!(states[id.0], State::Ready(..) | State::Waiting(_)) || lost.contains(id);
        let cells = || graph.ids().filter(|id| graph.node(*id).step.kind() == Kind::Train);
        let publications = graph.publications.iter();
        let copies = publications.filter_map(|file| Copy::of(file, done[file.source.node.0].as_deref()));
        let refused = graph.ids().zip(&states).filter_map(|(id, state)| match state {
            State::Refused(_, _, absence) => Some((graph.node(id).step.label(), absence.to_string())),
            _ => None,
        });
        Ok(Status {
            suite,
            out: out.clone(),
            command: project.command("run", &planned.suite),
            steps: graph.len(),
            done: graph.ids().filter(|id| is_done(*id)).count(),
            would_run: graph.ids().filter(would_run).count(),
            cells: cells().count(),
            cells_done: cells().filter(|id| is_done(*id)).count(),
            refused: refused.collect(),
            stale: publish::stale(out, copies).iter().map(|copy| copy.file.to_owned()).collect(),
            jobs,
        })
    }
}
