//! The files of published weights.

use anyhow::Context;
use serde::de::DeserializeOwned;
use tch::Device;

use super::published::Published;
use super::weights::Weights;
use crate::archives::{Archives, is_damage};
use crate::errors;

/// The files of one encoder. Errors name the file as its manifest does: its path in the store says nothing to people.
pub(super) struct Files<'a, Modality: 'static> {
    pub published: &'static Published<Modality>,
    pub archives: &'a Archives,
    pub device: Device,
}

impl<Modality> Files<'_, Modality> {
    /// Builds a network from the weights, which it takes to the device.
    ///
    /// # Errors
    /// If the weights cannot be read or do not fit.
    pub fn network<T>(&self, build: impl FnOnce(Weights) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let name = self.published.file(0);
        let weights = match self.published.members {
            [] => Weights::open(self.archives.path(name)?),
            _ => self.archives.open(self.published.archives[0])?.stream(name, |file, size| Weights::stream(file, size)),
        };
        weights.and_then(|weights| build(weights.to_device(self.device))).with_context(|| name.to_owned())
    }

    /// Reads `config.json`.
    ///
    /// # Errors
    /// If it cannot be read, or a key is missing.
    pub fn config<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.read(1)?)
            .with_context(|| format!("{} is not a configuration of this network", self.published.file(1)))
    }

    /// Reads a small file, by its place in the row.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, place: usize) -> anyhow::Result<Vec<u8>> {
        let name = self.published.file(place);
        match self.published.members {
            [] => self.archives.read(name),
            _ => self.archives.open(self.published.archives[0])?.read(name),
        }
    }
}

/// Adds what to do about files that are not the weights they should be. Their content has the SHA-256 of the manifest, so
/// they are what the manifest asked for.
pub(super) fn hinted(error: anyhow::Error) -> anyhow::Error {
    if errors::hint_of(&error).is_some() || !is_damage(&error) {
        return error;
    }
    errors::failed(
        format!("{error:#}"),
        "the manifest in data-manifests/, or the mirror, names another file than the published weights of this encoder; \
         correct the sources and the sha256 there, and run again",
    )
}

/// Whether a feature needs a part that the checkpoint does not have.
pub(super) fn require(present: bool, part: &str) -> anyhow::Result<()> {
    anyhow::ensure!(present, "the checkpoint has no {part}");
    Ok(())
}
