//! How much of a suite is done, and whether its files in `out/` are up to date.

use std::path::PathBuf;

use serde::Serialize;

use super::cluster::Jobs;
use super::cost::blocked;
use super::publish::{self, Copy};
use super::reports;
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
    /// The steps that cannot run without data that only a person can get.
    pub without_data: usize,
    /// Archive → what a person has to do before it can be fetched.
    pub unavailable: Vec<(String, String)>,
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
        let unavailable = engine.unavailable(graph);
        let names: Vec<String> = unavailable.iter().map(|(archive, _)| archive.clone()).collect();
        let blocked = blocked(graph, &names);
        // What the last run collected without this data is done.
        let mut without = reports::absent(&engine.store, planned);
        without.retain(|label, _| graph.find(label).is_some_and(|id| blocked[id.0]));
        let (states, _) = engine.survey_without(graph, &without);
        let lost = engine.lost(graph, &states);
        let jobs = Jobs::of(out, graph, &states)?;
        let action = |state: &State| match state {
            State::Done(_, action) => Some(action.clone()),
            _ => None,
        };
        let done: Vec<_> = states.iter().map(action).collect();
        let is_done = |id: NodeId| done[id.0].is_some() && !lost.contains(&id);
        let is_open = |id: &NodeId| match states[id.0] {
            State::Ready(..) | State::Waiting(_) => true,
            State::Blocked(_) => blocked[id.0],
            State::Done(..) | State::Refused(..) => lost.contains(id),
        };
        let (without_data, open): (Vec<NodeId>, Vec<NodeId>) =
            graph.ids().filter(is_open).partition(|id| blocked[id.0]);
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
            would_run: open.len(),
            without_data: without_data.len(),
            unavailable,
            cells: cells().count(),
            cells_done: cells().filter(|id| is_done(*id)).count(),
            refused: refused.collect(),
            stale: publish::stale(out, copies).iter().map(|copy| copy.file.to_owned()).collect(),
            jobs,
        })
    }
}
