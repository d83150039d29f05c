//! Whether a file is the one that a manifest or a lock file expects.

use std::path::Path;

use anyhow::Context;

use super::context::FetchContext;
use super::{Archive, GitBlob};
use crate::digest::Digest;
use crate::errors;

/// Whether a file is the wanted one, by its stated or recorded hash, or by its name in Git. A known version is right
/// whatever the lock file records, which may be another form of the same data.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn is_right(archive: &Archive, file: &Path, sha256: Digest, size: u64) -> anyhow::Result<bool> {
    if archive.is_known(sha256) {
        return Ok(size <= archive.most());
    }
    if archive.expected().is_some_and(|expected| expected != sha256) || archive.size().is_some_and(|s| s != size) {
        return Ok(false);
    }
    let Some(expected) = &archive.git_blob else { return Ok(size > 0 && size <= archive.most()) };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(GitBlob::of(&bytes) == *expected)
}

/// Compares a file with the manifest, and sets it aside if it differs.
///
/// # Errors
/// If the file differs: the expected and found size and hash, its source and its new path.
pub(super) fn verify(archive: &Archive, file: &Path, context: &FetchContext, from: &str) -> anyhow::Result<()> {
    let (sha256, size) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
    match is_right(archive, file, sha256, size)? {
        true => Ok(()),
        false => Err(reject(archive, file, sha256, size, from, context)),
    }
}

/// Sets a wrong file aside, under its name and hash, and returns the error that describes it.
pub(super) fn reject(
    archive: &Archive,
    file: &Path,
    sha256: Digest,
    size: u64,
    from: &str,
    context: &FetchContext,
) -> anyhow::Error {
    let aside = context.places.quarantine.join(format!("{}-{sha256}", archive.name));
    let moved = std::fs::create_dir_all(&context.places.quarantine).and_then(|()| std::fs::rename(file, &aside));
    let place = match moved {
        // Reports show this, so it has no path of this machine.
        Ok(()) => format!("it was moved to quarantine/{}-{sha256} in the store", archive.name),
        // Nothing uses it where it is, but a later run must not resume from it.
        Err(error) => match std::fs::remove_file(file) {
            Ok(()) => format!("it was removed, because it could not be set aside ({error})"),
            Err(_) => format!("it could not be set aside ({error}): remove it"),
        },
    };
    errors::failed(
        difference(archive, sha256, size, from),
        format!("{place} and is not used; {}", another_version(archive)),
    )
}

/// The hint if a source has another file than the expected one.
pub(super) fn another_version(archive: &Archive) -> &'static str {
    match archive.needs_lock() && archive.locked.is_some() {
        true => {
            "the lock file may record another form of the same data (an unpacked folder, or another zip): provide that one \
             again, or run `seesaw fetch --relock NAME` with the name of the manifest to accept the new one"
        }
        false => "try again later, or check whether the source has a new version",
    }
}

pub(super) fn difference(archive: &Archive, sha256: Digest, size: u64, from: &str) -> String {
    let found = format!("found {sha256} ({size} bytes)");
    let expected = match (archive.expected(), &archive.git_blob) {
        (Some(expected), _) => {
            let size = archive.size.or(archive.locked.map(|locked| locked.size));
            let bytes = size.map_or_else(String::new, |size| format!(" ({size} bytes)"));
            let whose = if archive.needs_lock() { ", as its lock file recorded" } else { "" };
            format!("expected SHA-256 {expected}{bytes}{whose}")
        }
        (None, Some(blob)) => format!("expected the Git blob {blob}"),
        (None, None) => format!("expected 1 to {} bytes", archive.most()),
    };
    format!("{} from {from} is not the expected file: {expected}, {found}", archive.name)
}
