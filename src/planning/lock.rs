//! Records what archives without a public checksum turned out to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::engine::graph::{Graph, NodeId};
use crate::engine::{Engine, key};
use crate::manifests::lock::{self, Locked};
use crate::manifests::{Archive, Manifest};
use crate::steps::Step;
use crate::steps::fetch::{ARCHIVE, Fetch, label};
use crate::store::Action;

/// Whether a manifest leaves the content of some archive open, and no lock file has recorded it.
pub fn is_open(manifests: &[Manifest], graph: &Graph) -> bool {
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    archives.filter(|archive| archive.expected().is_none()).any(|archive| graph.find(&label(archive)).is_some())
}

impl Engine {
    /// Writes lock files for the archives that were brought and that neither a manifest nor a lock file pinned. From then
    /// on they are fetched by their hash, which is recorded as done too: nothing is downloaded again.
    ///
    /// # Returns
    /// The lock files that were written.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn record_locks<'a>(
        &self,
        graph: &Graph,
        folder: &Path,
        manifests: &[Manifest],
        done: impl Fn(NodeId) -> Option<&'a Action>,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for manifest in manifests {
            let mut found = BTreeMap::new();
            for archive in manifest.archives.iter().filter(|archive| archive.expected().is_none()) {
                let action = graph.find(&label(archive)).and_then(&done);
                let Some(output) = action.and_then(|action| action.outputs.get(ARCHIVE)) else { continue };
                found.insert(archive.name.clone(), Locked { sha256: output.sha256, size: output.size });
            }
            if found.is_empty() {
                continue;
            }
            written.push(lock::record(folder, &manifest.name, &found)?);
            for (name, locked) in found {
                let archive = manifest.archive(&name)?;
                let action = graph.find(&label(archive)).and_then(&done).context("it was there a moment ago")?;
                let pinned = Fetch { archive: Archive { locked: Some(locked), ..archive.clone() } };
                let ingredients = key::ingredients(&Step::Fetch(pinned), &BTreeMap::new(), &self.environment);
                self.store.record(&Action { ingredients, ..action.clone() })?;
            }
        }
        Ok(written)
    }
}
