//! Fetching and checking archives outside of a run: `seesaw fetch`.

use std::path::PathBuf;

use serde::Serialize;

use super::plan;
use super::project::Project;
use crate::engine::Engine;
use crate::engine::display::{Display, Style};
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::NodeOutcome;
use crate::engine::survey::State as StepState;
use crate::errors;
use crate::manifests::{self, Manifest};
use crate::steps::fetch::{ARCHIVE, label};
use crate::steps::{Status, execute_without_tensors};
use crate::store::{Damage, Output};
use crate::terms::named;

named! {
    /// Where an archive stands.
    pub enum State {
        /// Downloaded now.
        Fetched = "fetched",
        /// In the store before, and equal to its hash.
        Present = "present",
        /// As [`State::Present`], when nothing is downloaded.
        Verified = "verified",
        /// Not in the store, and not asked for.
        Missing = "missing",
        Damaged = "damaged",
        Failed = "failed",
        /// Only a person can get it.
        Unavailable = "unavailable",
    }
}

/// An archive, for people and scripts.
#[derive(Serialize)]
pub struct Report {
    pub archive: String,
    /// Of its content, or expected; `None`: the archive is not in the store, and no source states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The archives of the named datasets and manifests, or of all manifests.
pub struct Archives<'a> {
    project: &'a Project,
    engine: &'a Engine,
    manifests: Vec<Manifest>,
    graph: Graph,
    nodes: Vec<NodeId>,
}

impl<'a> Archives<'a> {
    /// # Errors
    /// A usage error if a name is unknown; if a manifest cannot be read.
    pub fn find(project: &'a Project, engine: &'a Engine, names: &[String], relock: bool) -> anyhow::Result<Self> {
        let mut manifests = manifests::find(project.load_manifests(&engine.interrupt)?, names)?;
        if relock {
            manifests.iter_mut().flat_map(|manifest| &mut manifest.archives).for_each(|archive| archive.locked = None);
        }
        let (graph, nodes) = plan::fetches(&manifests);
        let archives = Archives { project, engine, manifests, graph, nodes };
        if relock {
            archives.forget_unlocked()?;
        }
        Ok(archives)
    }

    /// Forgets the archives without a public checksum, so that they are downloaded again.
    fn forget_unlocked(&self) -> anyhow::Result<()> {
        let archives = self.manifests.iter().flat_map(|manifest| &manifest.archives);
        let labels = archives.filter(|archive| archive.needs_lock()).map(label);
        let again: Vec<NodeId> = labels.filter_map(|label| self.graph.find(&label)).collect();
        for (id, state) in self.graph.ids().zip(self.engine.survey(&self.graph)) {
            if let (StepState::Done(key, _), true) = (state, again.contains(&id)) {
                self.engine.store.forget(key)?;
            }
        }
        Ok(())
    }

    /// Fetches what is not in the store. Archives in the store are verified first; a damaged one is fetched again.
    ///
    /// # Errors
    /// If the store or a lock file cannot be written, or on interruption. Failed downloads are part of the reports.
    pub fn fetch(&self, style: Style) -> anyhow::Result<Vec<Report>> {
        let Archives { project, engine, manifests, graph, nodes } = self;
        let (mut lost, mut present) = (Vec::new(), Vec::new());
        for (id, state) in graph.ids().zip(engine.survey(graph)) {
            if let StepState::Done(_, action) = state
                && let Some(output) = action.outputs.get(ARCHIVE)
            {
                let Err(damage) = engine.store.verify(output) else {
                    present.push(id);
                    continue;
                };
                // An archive that is not here was left out when its record was pulled.
                if !matches!(damage, Damage::Missing) {
                    tracing::warn!("{} is damaged: {damage}; fetching it again", graph.node(id).step.label());
                }
                engine.store.set_aside(output.sha256)?;
                lost.push(id);
            }
        }
        let display = Display::new(graph, nodes, style);
        let mut outcome = engine.run(graph, nodes, &lost, &display, execute_without_tensors);
        display.finish();
        project.record_locks(engine, graph, manifests, &mut outcome)?;
        if outcome.interrupted {
            return Err(errors::interrupted());
        }
        Ok(self.reports(|id| match &outcome.nodes[id.0] {
            NodeOutcome::Done(_, action) => {
                let state = if present.contains(&id) { State::Present } else { State::Fetched };
                (state, action.outputs.get(ARCHIVE).copied(), None)
            }
            NodeOutcome::Absent(absence) => {
                let state = if absence.status == Status::Unavailable { State::Unavailable } else { State::Failed };
                (state, None, Some(absence.with_hint()))
            }
            NodeOutcome::NotWanted => (State::Missing, None, None),
        }))
    }

    /// Compares the archives in the store with their hashes. Damaged ones are set aside, so that the next run or fetch that
    /// needs them downloads them again.
    pub fn check(&self) -> Vec<Report> {
        let states = self.engine.survey(&self.graph);
        self.reports(|id| {
            let StepState::Done(_, action) = &states[id.0] else { return (State::Missing, None, None) };
            let Some(output) = action.outputs.get(ARCHIVE) else { return (State::Missing, None, None) };
            match self.engine.store.verify(output) {
                Ok(()) => (State::Verified, Some(*output), None),
                Err(Damage::Missing) => (State::Missing, None, None),
                Err(damage) => {
                    let cause = match self.engine.store.set_aside(output.sha256) {
                        Ok(_) => format!("{damage}; run `seesaw fetch` to download it again"),
                        Err(error) => format!("{damage}; {error:#}"),
                    };
                    (State::Damaged, Some(*output), Some(cause))
                }
            }
        })
    }

    fn reports(&self, found: impl Fn(NodeId) -> (State, Option<Output>, Option<String>)) -> Vec<Report> {
        let archives = self.manifests.iter().flat_map(|manifest| &manifest.archives);
        let report = |archive: &manifests::Archive| {
            let (state, output, cause) = found(self.graph.find(&label(archive))?);
            let sha256 = output.map(|output| output.sha256).or(archive.expected());
            Some(Report {
                archive: archive.name.clone(),
                sha256: sha256.map(|digest| digest.to_string()),
                size: output.map(|output| output.size).or(archive.size()),
                state,
                path: output.map(|output| self.engine.store.object_path(output.sha256)),
                cause,
            })
        };
        archives.filter_map(report).collect()
    }
}
