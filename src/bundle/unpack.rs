//! Unpacks a bundle and compares every member with the manifest.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::Digest as _;

use super::{MANIFEST, MOST_MANIFEST, Manifest, SCHEMA};
use crate::archives::{Archive, Content};
use crate::digest::Digest;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::report::reference;
use crate::store::{Output, Store};

/// An unpacked bundle: the members that agree with the manifest, under their names.
pub struct Bundle {
    pub folder: PathBuf,
    pub manifest: Manifest,
    pub store: Store,
    /// Members that differ, are missing, or do not belong into a bundle.
    pub problems: Vec<String>,
}

impl Bundle {
    /// The path of a member, if it is intact.
    pub fn member(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        (self.manifest.members.contains_key(name) && path.is_file()).then_some(path)
    }

    /// The content of a member, if it is intact.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let read = |path: PathBuf| std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
        self.member(name).map(read).transpose()
    }

    /// The object with this digest, if it is intact.
    pub fn object(&self, digest: Digest) -> Option<Output> {
        let name = super::object_member(digest);
        self.member(&name)?;
        self.manifest.members.get(&name).copied()
    }

    /// The project's folder in the bundle.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }
}

/// Unpacks a bundle into an empty folder. Writes only members that the manifest lists and that belong into a bundle, and
/// verifies each one.
///
/// # Errors
/// If the file is no bundle or has another layout, if the archive is hostile (see [`Archive`]), or if the folder cannot be
/// written.
pub fn unpack(bundle: &Path, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<Bundle> {
    let store = Store::open(&folder.join("store"))?;
    store.prepare()?;
    let mut manifest: Option<Manifest> = None;
    let mut problems = Vec::new();
    let mut found = BTreeSet::new();
    Archive::open(bundle)?.walk(interrupt, &mut |entry, content| {
        let Some(manifest) = &manifest else {
            manifest = Some(read_manifest(bundle, &entry.name, content)?);
            return Ok(());
        };
        found.insert(entry.name.clone());
        let Some(expected) = manifest.members.get(&entry.name) else {
            problems.push(format!("`{}` is not in the manifest", entry.name));
            return Ok(());
        };
        if !belongs(&entry.name) {
            problems.push(format!("`{}` does not belong into a bundle", entry.name));
            return Ok(());
        }
        if entry.size != expected.size {
            problems.push(format!("`{}` has {} bytes instead of {}", entry.name, entry.size, expected.size));
            return Ok(());
        }
        let sha256 = write(content, &folder.join(&entry.name))?;
        if sha256 != expected.sha256 {
            std::fs::remove_file(folder.join(&entry.name)).context("cannot remove a damaged member")?;
            let expected = expected.sha256;
            problems.push(format!("`{}` has the SHA-256 {sha256} instead of {expected}", entry.name));
        }
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| no_bundle(bundle, "it has no members"))?;
    let missing = manifest.members.keys().filter(|name| !found.contains(*name));
    problems.extend(missing.map(|name| format!("`{name}` is missing")));
    problems.sort();
    Ok(Bundle { folder: folder.to_owned(), manifest, store, problems })
}

fn no_bundle(bundle: &Path, why: impl std::fmt::Display) -> anyhow::Error {
    errors::failed(
        format!("{} is not a bundle: {why}", bundle.display()),
        "name a file from `seesaw export`; if it was downloaded, download it again",
    )
}

fn read_manifest(bundle: &Path, name: &str, content: &mut Content<'_>) -> anyhow::Result<Manifest> {
    if name != MANIFEST {
        return Err(no_bundle(bundle, format_args!("its first member should be `{MANIFEST}`, found `{name}`")));
    }
    let bytes = content.read_all(MOST_MANIFEST)?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| no_bundle(bundle, format_args!("`{MANIFEST}`: {error}")))?;
    if value["schema"] != SCHEMA {
        return Err(errors::failed(
            format!("{} has the layout {}, expected {SCHEMA}", bundle.display(), value["schema"]),
            "verify it with the version of Seesaw that packed it",
        ));
    }
    serde_json::from_value(value).map_err(|error| no_bundle(bundle, format_args!("`{MANIFEST}`: {error}")))
}

/// Whether a member with this name belongs into a bundle. [`Archive`] has made sure that names stay inside the folder.
fn belongs(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let hex = |text: &str| text.parse::<Digest>().is_ok();
    match parts.as_slice() {
        ["out", rest @ ..] => !rest.is_empty() && rest.iter().all(|part| !part.starts_with('.')),
        ["project", "experiments", file] => file.ends_with(".toml") || *file == reference::FILE,
        ["project", "data-manifests", file] => file.ends_with(".json"),
        ["project", "templates", file] => [".j2", ".css", ".js"].iter().any(|ending| file.ends_with(ending)),
        ["store", "actions", shard, file] => {
            file.strip_suffix(".json").is_some_and(|key| hex(key) && key.starts_with(shard)) && shard.len() == 2
        }
        ["store", "objects", shard, file] => hex(file) && file.starts_with(shard) && shard.len() == 2,
        _ => false,
    }
}

/// Writes a member, and returns the SHA-256 of its content.
fn write(content: &mut Content<'_>, path: &Path) -> anyhow::Result<Digest> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    // Never overwrite: some file systems take two different names for the same file.
    let mut file = std::fs::File::create_new(path).with_context(cannot)?;
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match content.read(&mut piece).map_err(unwrap_problem)? {
            0 => return Ok(Digest(hash.finalize().into())),
            n => {
                hash.update(&piece[..n]);
                file.write_all(&piece[..n]).with_context(cannot)?;
            }
        }
    }
}

/// The error of reading a member, with its hint.
fn unwrap_problem(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<errors::Problem>() {
        Ok(problem) => problem.into(),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_belong_into_a_bundle() {
        let digest = Digest::of(b"x").to_string();
        let shard = &digest[..2];
        for name in [
            "out/results.json".to_owned(),
            "out/figures/a.svg".to_owned(),
            "project/experiments/smoke.toml".to_owned(),
            "project/experiments/reference.json".to_owned(),
            format!("store/objects/{shard}/{digest}"),
            format!("store/actions/{shard}/{digest}.json"),
        ] {
            assert!(belongs(&name), "{name}");
        }
        for name in [
            "out".to_owned(),
            "out/.hidden".to_owned(),
            "project/src/main.rs".to_owned(),
            "project/experiments/deep/smoke.toml".to_owned(),
            "project/experiments/other.json".to_owned(),
            format!("store/objects/00/{digest}"),
            format!("store/objects/{digest}"),
            format!("store/latest/{shard}/{digest}"),
            format!("store/actions/{shard}/{digest}"),
            "bundle.json/x".to_owned(),
        ] {
            assert!(!belongs(&name), "{name}");
        }
    }
}
