//! Data manifests: where archives come from, and how they are downloaded and verified.
//!
//! `data-manifests/*.json` has one file per family of datasets and per pretrained model. `data-manifests/README.md`
//! describes the schema, which the types here define. [`fetch`] gets an archive from the first source that has it: HTTPS, a
//! model hub, Kaggle, a Python package through pip, or a file that a person provides. [`lock`] records the hashes of files
//! without a public checksum.

mod child;
pub mod context;
mod entry;
mod expected;
pub mod fetch;
mod https;
pub mod kaggle;
pub mod lock;
mod manual;
pub mod mirror;
pub mod outlook;
mod partial;
mod python_package;
mod request;
mod unavailable;

pub use entry::{Archive, GitBlob, KnownFile, Manual, Source};
pub use python_package::pip;
pub use unavailable::unavailable;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::{errors, terms};

/// The kind of data that a manifest describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestKind {
    Dataset,
    Model,
}

/// A file of `data-manifests/`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// The version of the schema: 1.
    pub schema: u32,
    /// The name of the file without `.json`.
    pub name: String,
    pub kind: ManifestKind,
    /// One line for people.
    pub title: String,
    /// The page that describes the data.
    #[serde(default)]
    pub homepage: Option<String>,
    pub licence: Licence,
    /// How to cite the data.
    pub citation: String,
    /// The datasets that are read from these archives.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Expected counts: dataset → what is counted (samples of a split, and whatever else the reader counts) → how many.
    #[serde(default)]
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    pub archives: Vec<Archive>,
}

/// The terms of use.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Licence {
    /// An SPDX identifier, or `other`.
    pub id: String,
    /// What users have to know.
    pub note: String,
    /// The page with the terms.
    #[serde(default)]
    pub url: Option<String>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// If a field is wrong; names the file and the field.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        Manifest::parse(stem, &text).map_err(|error| {
            errors::usage(
                format!("{}: {error:#}", path.display()),
                "the schema is described in data-manifests/README.md",
            )
        })
    }

    /// Parses and checks a manifest. `stem` is the name of its file without `.json`.
    ///
    /// # Errors
    /// If a field is wrong; names it.
    pub fn parse(stem: &str, text: &[u8]) -> anyhow::Result<Self> {
        let manifest: Manifest = serde_json::from_slice(text)?;
        anyhow::ensure!(manifest.schema == 1, "`schema` should be 1, found {}", manifest.schema);
        anyhow::ensure!(
            manifest.name == stem,
            "`name` should be that of the file, `{stem}`, found `{}`",
            manifest.name
        );
        terms::check_name(&manifest.name).context("`name`")?;
        manifest.check_datasets()?;
        anyhow::ensure!(!manifest.archives.is_empty(), "`archives` should list at least one file");
        for (i, archive) in manifest.archives.iter().enumerate() {
            archive.check().with_context(|| format!("`archives[{i}]`"))?;
            let twice = manifest.archives[..i].iter().any(|other| other.name == archive.name);
            anyhow::ensure!(!twice, "`archives[{i}].name`: {} is listed twice", archive.name);
        }
        Ok(manifest)
    }

    /// The manifest of a dataset lists datasets and their counts, that of a model does not.
    fn check_datasets(&self) -> anyhow::Result<()> {
        for (i, name) in self.datasets.iter().enumerate() {
            terms::check_name(name).context("`datasets`")?;
            anyhow::ensure!(!self.datasets[..i].contains(name), "`datasets`: {name} is listed twice");
        }
        for name in self.counts.keys() {
            anyhow::ensure!(self.datasets.contains(name), "`counts`: {name} is not among `datasets`");
        }
        match self.kind {
            ManifestKind::Dataset => anyhow::ensure!(!self.datasets.is_empty(), "`datasets` should name at least one"),
            ManifestKind::Model => anyhow::ensure!(self.datasets.is_empty(), "`datasets` is for datasets, not models"),
        }
        Ok(())
    }

    /// Whether `name` is the name of this manifest or of one of its datasets.
    pub fn serves(&self, name: &str) -> bool {
        self.name == name || self.datasets.iter().any(|dataset| dataset == name)
    }

    /// The archive with this name.
    ///
    /// # Errors
    /// If the manifest does not list it.
    pub fn archive(&self, name: &str) -> anyhow::Result<&Archive> {
        let found = self.archives.iter().find(|archive| archive.name == name);
        found.with_context(|| format!("the manifest `{}` does not list {name}", self.name))
    }
}

/// All manifests of a folder, sorted by name.
///
/// # Errors
/// If the folder or one of them cannot be read, if two of them share a name, or if they list different files under one
/// name.
pub fn load_all(folder: &Path) -> anyhow::Result<Vec<Manifest>> {
    let place = || format!("cannot list {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        if is_json && !path.ends_with("schema.json") && !lock::is_lock(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut manifests = paths.iter().map(|path| Manifest::load(path)).collect::<anyhow::Result<Vec<_>>>()?;
    manifests.sort_by(|a, b| a.name.cmp(&b.name));
    manifests.iter_mut().try_for_each(|manifest| lock::apply(folder, manifest))?;
    check_together(&manifests)?;
    Ok(manifests)
}

fn check_together(manifests: &[Manifest]) -> anyhow::Result<()> {
    for (i, manifest) in manifests.iter().enumerate() {
        let clash = |what: String, other: &Manifest| {
            let files = format!("data-manifests/{}.json and data-manifests/{}.json", other.name, manifest.name);
            errors::usage(format!("{files} {what}"), "rename it in one of them")
        };
        for other in &manifests[..i] {
            let mut names = manifest.datasets.iter().chain([&manifest.name]);
            if let Some(name) = names.find(|name| other.serves(name)) {
                return Err(clash(format!("both have the name `{name}`"), other));
            }
            let differs = |archive: &&Archive| other.archives.iter().any(|a| a.name == archive.name && a != *archive);
            if let Some(archive) = manifest.archives.iter().find(differs) {
                return Err(clash(format!("list different archives under the name {}", archive.name), other));
            }
        }
    }
    Ok(())
}

/// The manifests with these names, or of datasets with these names. All manifests if `names` is empty.
///
/// # Errors
/// A usage error for an unknown name, with the nearest known one and the list of all.
pub fn find(all: Vec<Manifest>, names: &[String]) -> anyhow::Result<Vec<Manifest>> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|manifest| manifest.serves(name))) {
        let known = all.iter().flat_map(|manifest| manifest.datasets.iter().chain([&manifest.name]));
        let mut known: Vec<&str> = known.map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        return Err(errors::unknown(format!("no manifest or dataset is named `{name}`"), name, known));
    }
    let wanted = |manifest: &Manifest| names.is_empty() || names.iter().any(|name| manifest.serves(name));
    Ok(all.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests;
