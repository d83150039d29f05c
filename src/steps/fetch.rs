//! Brings one archive and verifies it.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{Compute, Cost, Job, Kind, Outputs, Step};
use crate::manifests::Archive;
use crate::manifests::fetch::{self, FetchContext};
use crate::store::Ingredients;

/// Fetches an archive of a manifest. Its key is the content that the manifest asks for: another mirror or another tool
/// brings the same bytes.
#[derive(Clone, Debug)]
pub struct Fetch {
    pub archive: Archive,
}

/// The name of the one output.
pub const ARCHIVE: &str = "archive";

impl Step for Fetch {
    fn kind(&self) -> Kind {
        Kind::Fetch
    }

    fn label(&self) -> String {
        format!("fetch {}", self.archive.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The name is a label; the sources are ways to the same bytes; the size follows from the content.
        let Archive { sha256, name: _, sources: _, size: _ } = &self.archive;
        list.digest("sha256", *sha256);
    }

    fn cost(&self) -> Cost {
        Cost::Network
    }
}

impl Compute for Fetch {
    fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let destination = job.folder.join("archive");
        let context = FetchContext::new(job.interrupt.clone(), job.progress.clone(), job.downloads.clone());
        fetch::fetch_archive(&self.archive, &destination, &context)?;
        Ok(BTreeMap::from([(ARCHIVE.to_owned(), destination)]))
    }
}

/// Carries out fetches and nothing else, for a program that does not load libtorch.
///
/// # Errors
/// See [`super::execute`].
pub fn execute(step: &dyn Step, job: &Job) -> anyhow::Result<Outputs> {
    let step: &dyn std::any::Any = step;
    step.downcast_ref::<Fetch>().context("only archives are fetched here")?.compute(job)
}
