//! Records the checksums of archives that have no public one.

use std::collections::BTreeMap;

use super::project::Project;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::engine::{Engine, key};
use crate::manifests::lock::{self, Locked};
use crate::manifests::{Archive, Manifest};
use crate::progress::say;
use crate::steps::fetch::{ARCHIVE, Fetch, label};
use crate::store::{Brief, Output};

/// Whether the plan needs an archive without a checksum, in its manifest or a lock file.
pub fn is_open(manifests: &[Manifest], graph: &Graph) -> bool {
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    archives.filter(|archive| archive.expected().is_none()).any(|archive| graph.find(&label(archive)).is_some())
}

impl Project {
    /// Writes lock files for the archives of a run that had no checksum, and asks the user to commit them. Later runs fetch
    /// these archives by checksum; such fetches are recorded as done too, so that nothing is downloaded again.
    ///
    /// # Errors
    /// If a lock file cannot be written.
    pub fn record_locks(
        &self,
        engine: &Engine,
        graph: &Graph,
        manifests: &[Manifest],
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        // What a mirror has says nothing about the data of others.
        if self.options.mirror.is_some() {
            return Ok(());
        }
        let locked = |output: &Output| Locked { sha256: output.sha256, size: output.size };
        for manifest in manifests {
            let open = manifest.archives.iter().filter(|archive| archive.expected().is_none());
            let fetched = open.filter_map(|archive| {
                let id = graph.find(&label(archive))?;
                let action = outcome.action(id)?;
                Some((archive, id, action.clone(), *action.outputs.get(ARCHIVE)?))
            });
            let fetched: Vec<(&Archive, NodeId, Brief, Output)> = fetched.collect();
            if fetched.is_empty() {
                continue;
            }
            let found = fetched.iter().map(|(archive, .., output)| (archive.name.clone(), locked(output))).collect();
            let file = lock::record(&self.manifests(), &manifest.name, &found)?;
            for (archive, id, action, output) in fetched {
                let pinned = Fetch { archive: Archive { locked: Some(locked(&output)), ..archive.clone() }.into() };
                let ingredients = key::ingredients(&pinned.into(), &BTreeMap::new(), &engine.environment);
                let action = action.with(ingredients);
                // From here on, the step is the one that a plan with the lock file has.
                outcome.nodes[id.0] = NodeOutcome::Done(engine.store.record(&action)?, Box::new(action.with(())));
            }
            let file = file.display();
            say(format_args!("recorded checksums of archives without a public one in {file}; commit this file"));
        }
        Ok(())
    }
}
