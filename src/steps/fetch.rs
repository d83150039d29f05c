//! Fetches one archive and verifies it.

use anyhow::Context;

use super::job::{Job, Outputs};
use super::kind::{Cost, Describe};
use crate::digest::Digest;
use crate::manifests::Archive;
use crate::manifests::context::FetchContext;
use crate::manifests::fetch;
use crate::store::Ingredients;

/// Fetches an archive of a manifest. The key holds the checksum of the manifest or its lock file, so that all mirrors and
/// tools give the same result. If there is no checksum yet, the key holds the sources. Output `archive`: the file.
#[derive(Clone, Debug)]
pub struct Fetch {
    // In a box: a large suite has tens of thousands of steps, each of which has room for the largest kind.
    pub archive: Box<Archive>,
}

/// The name of the only output.
pub const ARCHIVE: &str = "archive";

/// The label of the step that fetches an archive.
pub fn label(archive: &Archive) -> String {
    format!("fetch {}", archive.name)
}

impl Describe for Fetch {
    fn label(&self) -> String {
        label(&self.archive)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The name is a label, the sources lead to the same bytes, and everything else follows from the content.
        let Archive { name, sources, sha256: _, locked: _, size: _, at_most: _, about: _, git_blob, known: _ } =
            &*self.archive;
        match self.archive.expected() {
            Some(sha256) => list.digest("sha256", sha256),
            None => {
                list.text("archive without a checksum", name);
                list.text("sources", serde_json::to_string(sources).expect("sources are plain data"));
                list.text("git blob", git_blob.as_ref().map_or_else(String::new, ToString::to_string));
            }
        }
    }

    fn cost(&self) -> Cost {
        Cost::Network
    }
}

impl Fetch {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let destination = job.folder.join(ARCHIVE);
        let context = FetchContext::new(job.interrupt.clone(), job.progress.clone(), job.downloads.clone());
        fetch::fetch_archive(&self.archive, &destination, &context)?;
        if !self.archive.known.is_empty() {
            let (sha256, _) = Digest::of_file(&destination).context("cannot read the archive")?;
            self.archive.remark(sha256).iter().for_each(|remark| job.progress.note(remark));
        }
        Ok(Outputs::from([(ARCHIVE.to_owned(), destination)]))
    }
}
