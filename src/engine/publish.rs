//! `out/`: copies of results under names for people. The store has the results; a copy that someone changed or removed
//! is made again.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Engine;
use super::graph::{Graph, NodeId, Publication};
use crate::store::{Digest, Output};

impl Engine {
    /// The publications whose file in `folder` is not what the step gave: missing, changed, or of another run.
    pub fn stale<'g>(
        &self,
        graph: &'g Graph,
        folder: &Path,
        output_of: impl Fn(&Publication) -> Option<Output>,
    ) -> Vec<(&'g Publication, Output)> {
        let outdated = |publication: &Publication, output: &Output| !matches!(Digest::of_file(&folder.join(&publication.file)), Ok((found, _)) if found == output.sha256);
        graph
            .publications
            .iter()
            .filter_map(|publication| Some((publication, output_of(publication)?)))
            .filter(|(publication, output)| outdated(publication, output))
            .collect()
    }

    /// Writes stale publications anew. Returns the files written, and the steps whose output is damaged in the store
    /// and has to be made again first.
    ///
    /// # Errors
    /// If a file under `out/` cannot be written.
    pub fn publish(
        &self,
        folder: &Path,
        stale: &[(&Publication, Output)],
    ) -> anyhow::Result<(Vec<PathBuf>, Vec<NodeId>)> {
        let (mut written, mut lost) = (Vec::new(), Vec::new());
        for (publication, output) in stale {
            match self.store.read(output) {
                Ok(bytes) => {
                    let file = folder.join(&publication.file);
                    self.store.write_file(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
                    written.push(file);
                }
                Err(damage) => {
                    tracing::warn!("the result behind {} is damaged: {damage}; it is made again", publication.file);
                    self.store.set_aside(output.sha256)?;
                    lost.push(publication.source.node);
                }
            }
        }
        Ok((written, lost))
    }
}
