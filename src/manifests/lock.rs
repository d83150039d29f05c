//! Lock files: the hashes of files without a public checksum, as they were first downloaded.
//!
//! `data-manifests/NAME.lock.json` belongs to `data-manifests/NAME.json`. Commit it, so that later runs and other machines
//! verify against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::digest::Digest;
use crate::{errors, files};

/// A file as it was first downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Locked {
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// A lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LockFile {
    /// The version of this format: 1.
    schema: u32,
    /// By the names of the archives.
    archives: BTreeMap<String, Locked>,
}

/// The path of the lock file of a manifest.
pub fn path(manifests: &Path, manifest: &str) -> PathBuf {
    manifests.join(format!("{manifest}.lock.json"))
}

/// Whether a file of the folder is a lock file.
pub(super) fn is_lock(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(".lock.json"))
}

/// Adds the entries of the lock file, if there is one, to the archives of a manifest.
///
/// # Errors
/// If the lock file is malformed, or lists an archive for which the manifest states a SHA-256, or none at all.
pub(super) fn apply(folder: &Path, manifest: &mut Manifest) -> anyhow::Result<()> {
    let path = path(folder, &manifest.name);
    let Some(file) = read(&path)? else { return Ok(()) };
    for (name, locked) in file.archives {
        let archive = manifest.archives.iter_mut().find(|archive| archive.name == name && archive.needs_lock());
        let archive = archive.ok_or_else(|| {
            errors::usage(
                format!("{}: {} has no archive {name} without a SHA-256", path.display(), manifest.name),
                "remove the entry",
            )
        })?;
        archive.locked = Some(locked);
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Option<LockFile>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let wrong = |what: String| {
        errors::usage(
            format!("{}: {what}", path.display()),
            "restore it from version control, or remove it to record the next downloads",
        )
    };
    let file: LockFile = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if file.schema != 1 {
        return Err(wrong(format!("`schema` should be 1, found {}", file.schema)));
    }
    Ok(Some(file))
}

/// Adds or replaces entries of the lock file of a manifest. Returns its path.
///
/// # Errors
/// If it cannot be read or written.
pub fn record(folder: &Path, manifest: &str, found: &BTreeMap<String, Locked>) -> anyhow::Result<PathBuf> {
    let path = path(folder, manifest);
    let mut file = read(&path)?.unwrap_or(LockFile { schema: 1, archives: BTreeMap::new() });
    file.archives.extend(found.iter().map(|(name, locked)| (name.clone(), *locked)));
    let mut text = serde_json::to_vec_pretty(&file).context("the lock file cannot be written as JSON")?;
    text.push(b'\n');
    files::write_atomically(&path, folder, &text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    fn open(name: &str) -> Manifest {
        let https = serde_json::json!({ "type": "https", "urls": ["https://example.org/open.bin"] });
        Manifest::parse(name, model(name, "open.bin", &https).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_recorded_is_expected_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = open("open");
        apply(folder.path(), &mut manifest).unwrap();
        assert_eq!(manifest.archives[0].expected(), None);
        let locked = Locked { sha256: Digest::of(b"x"), size: 1 };
        record(folder.path(), "open", &BTreeMap::from([("open.bin".to_owned(), locked)])).unwrap();
        let other = Locked { sha256: Digest::of(b"y"), size: 1 };
        record(folder.path(), "other", &BTreeMap::from([("open.bin".to_owned(), other)])).unwrap();
        apply(folder.path(), &mut manifest).unwrap();
        assert_eq!((manifest.archives[0].expected(), manifest.archives[0].most()), (Some(locked.sha256), 1));
    }

    #[test]
    fn a_wrong_lock_file_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = |text: &str| {
            std::fs::write(path(folder.path(), "open"), text).unwrap();
            let error = apply(folder.path(), &mut open("open")).unwrap_err();
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            error.to_string()
        };
        assert!(error("{").contains("open.lock.json: EOF"));
        assert!(error(r#"{"schema": 2, "archives": {}}"#).contains("`schema` should be 1, found 2"));
        let digest = Digest::of(b"x");
        let entry = format!(r#"{{"schema": 1, "archives": {{"other.bin": {{"sha256": "{digest}", "size": 1}}}}}}"#);
        assert!(error(&entry).contains("no archive other.bin without a SHA-256"));
    }
}
