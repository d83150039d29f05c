//! Takes a bundle apart, and holds every member against the manifest.

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

/// A bundle in a folder of this machine: the members that are what the manifest says, under their names.
pub struct Bundle {
    pub folder: PathBuf,
    pub manifest: Manifest,
    pub store: Store,
    /// Members that differ, are missing, or should not be there.
    pub problems: Vec<String>,
}

impl Bundle {
    /// Where a member lies, if it came and is whole.
    pub fn member(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(name);
        (self.manifest.members.contains_key(name) && path.is_file()).then_some(path)
    }

    /// The object with this digest, if it came and is whole.
    pub fn object(&self, digest: Digest) -> Option<Output> {
        let name = super::object_member(digest);
        self.member(&name)?;
        self.manifest.members.get(&name).copied()
    }

    /// The project's folder as the bundle has it.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }
}

/// Unpacks a bundle into an empty folder. Only what the manifest lists and what has a place in a bundle is written, member
/// by member as it is verified.
///
/// # Errors
/// If it is no bundle or one of another layout, if the archive is one that no honest person made (see [`Archive`]), or if
/// the folder cannot be written.
pub fn unpack(bundle: &Path, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<Bundle> {
    let mut manifest: Option<Manifest> = None;
    let mut problems = Vec::new();
    let mut came = std::collections::BTreeSet::new();
    Archive::open(bundle)?.walk(interrupt, &mut |entry, content| {
        let Some(manifest) = &manifest else {
            manifest = Some(read_manifest(bundle, &entry.name, content)?);
            return Ok(());
        };
        came.insert(entry.name.clone());
        let Some(expected) = manifest.members.get(&entry.name) else {
            problems.push(format!("`{}` is not in the manifest", entry.name));
            return Ok(());
        };
        if !has_place(&entry.name) {
            problems.push(format!("`{}` has no place in a bundle", entry.name));
            return Ok(());
        }
        if entry.size != expected.size {
            problems.push(format!("`{}` has {} bytes instead of {}", entry.name, entry.size, expected.size));
            return Ok(());
        }
        let found = write(content, &folder.join(&entry.name))?;
        if found != expected.sha256 {
            std::fs::remove_file(folder.join(&entry.name)).context("cannot remove a damaged member")?;
            let expected = expected.sha256;
            problems.push(format!("`{}` has the SHA-256 {found} instead of {expected}", entry.name));
        }
        Ok(())
    })?;
    let manifest = manifest.ok_or_else(|| no_bundle(bundle, "it has no members"))?;
    let missing = manifest.members.keys().filter(|name| !came.contains(*name));
    problems.extend(missing.map(|name| format!("`{name}` is missing")));
    problems.sort();
    let store = Store::open(&folder.join("store"))?;
    Ok(Bundle { folder: folder.to_owned(), manifest, store, problems })
}

fn no_bundle(bundle: &Path, why: impl std::fmt::Display) -> anyhow::Error {
    errors::failed(
        format!("{} is no bundle: {why}", bundle.display()),
        "name a file that `seesaw export` wrote; if it was sent, send it again",
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
            "verify it with the version of the program that packed it",
        ));
    }
    serde_json::from_value(value).map_err(|error| no_bundle(bundle, format_args!("`{MANIFEST}`: {error}")))
}

/// Whether a member of this name belongs into a bundle. Names are relative and stay inside; [`Archive`] sees to that.
fn has_place(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let hex = |text: &str| text.parse::<Digest>().is_ok();
    match parts.as_slice() {
        ["out", rest @ ..] => !rest.is_empty() && rest.iter().all(|part| !part.starts_with('.')),
        ["project", "experiments", file] => file.ends_with(".toml") || *file == reference::FILE,
        ["project", "data-manifests", file] => file.ends_with(".json"),
        ["project", "templates", file] => file.ends_with(".j2"),
        ["store", "actions", shard, file] => {
            file.strip_suffix(".json").is_some_and(|key| hex(key) && key.starts_with(shard)) && shard.len() == 2
        }
        ["store", "objects", shard, file] => hex(file) && file.starts_with(shard) && shard.len() == 2,
        _ => false,
    }
}

/// Writes a member, and gives the SHA-256 of its bytes.
fn write(content: &mut Content<'_>, path: &Path) -> anyhow::Result<Digest> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(cannot)?;
    }
    // Never over something that is there: two members whose names a file system takes for one.
    let mut file = std::fs::File::create_new(path).with_context(cannot)?;
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match content.read(&mut piece).map_err(told)? {
            0 => return Ok(Digest(hash.finalize().into())),
            n => {
                hash.update(&piece[..n]);
                file.write_all(&piece[..n]).with_context(cannot)?;
            }
        }
    }
}

/// What reading a member says, with its hint.
fn told(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<errors::Problem>() {
        Ok(problem) => problem.into(),
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_there_has_a_place() {
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
            assert!(has_place(&name), "{name}");
        }
        for name in [
            "out".to_owned(),
            "out/.finished.json".to_owned(),
            "project/src/main.rs".to_owned(),
            "project/experiments/deep/smoke.toml".to_owned(),
            "project/experiments/other.json".to_owned(),
            format!("store/objects/00/{digest}"),
            format!("store/objects/{digest}"),
            format!("store/latest/{shard}/{digest}"),
            format!("store/actions/{shard}/{digest}"),
            "bundle.json/x".to_owned(),
        ] {
            assert!(!has_place(&name), "{name}");
        }
    }
}
