//! Content-addressed files.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Output, Store};
use crate::digest::Digest;
use crate::files::{self, make_read_only};

/// What is wrong with an object.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("it is missing")]
    Missing,
    #[error("its size is {found} bytes instead of {expected}")]
    Size { expected: u64, found: u64 },
    #[error("its content has the SHA-256 {found} instead of {expected}")]
    Content { expected: Digest, found: Digest },
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

impl Store {
    /// The path of the object with this digest, whether it exists or not.
    pub fn object_path(&self, digest: Digest) -> PathBuf {
        self.sharded("objects", &digest.to_string(), "")
    }

    /// Moves a finished file into the store. The file must be on the filesystem of the store, as every
    /// [`super::Workspace`] is.
    ///
    /// # Errors
    /// If the file cannot be read, synced or moved, for example because the disk is full.
    pub fn put_file(&self, file: &Path) -> anyhow::Result<Output> {
        let (sha256, size) = Digest::of_file(file)
            .with_context(|| format!("cannot keep {} in the store {}", file.display(), self.root().display()))?;
        self.place(file, sha256)?;
        Ok(Output { sha256, size })
    }

    /// As [`Store::put_file`], for a file whose digest is known.
    pub(super) fn place(&self, file: &Path, sha256: Digest) -> anyhow::Result<()> {
        let context = || format!("cannot keep {} in the store {}", file.display(), self.root().display());
        let path = self.object_path(sha256);
        let folder = path.parent().expect("objects lie in a shard");
        std::fs::create_dir_all(folder).with_context(context)?;
        make_read_only(file);
        std::fs::File::open(file).and_then(|file| files::sync(&file)).with_context(context)?;
        // Replaces an object of this name, which may be damaged.
        std::fs::rename(file, &path).with_context(context)?;
        files::sync_folder(folder).with_context(context)
    }

    /// Stores bytes as an object.
    ///
    /// # Errors
    /// If the store cannot be written to.
    pub fn put_bytes(&self, bytes: &[u8]) -> anyhow::Result<Output> {
        let workspace = self.workspace()?;
        let file = workspace.path().join("bytes");
        std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        self.put_file(&file)
    }

    /// Whether an object exists with the right size: a cheap check, for planning.
    pub fn looks_whole(&self, output: &Output) -> bool {
        std::fs::metadata(self.object_path(output.sha256)).is_ok_and(|m| m.is_file() && m.len() == output.size)
    }

    /// Reads the object and compares its hash.
    pub fn verify(&self, output: &Output) -> Result<(), Damage> {
        let path = self.object_path(output.sha256);
        let found = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Damage::Missing),
            Err(error) => return Err(error.into()),
        };
        if found != output.size {
            return Err(Damage::Size { expected: output.size, found });
        }
        let (found, _) = Digest::of_file(&path)?;
        if found != output.sha256 {
            return Err(Damage::Content { expected: output.sha256, found });
        }
        Ok(())
    }

    /// Reads a small object and verifies it in the same pass.
    pub fn read(&self, output: &Output) -> Result<Vec<u8>, Damage> {
        let bytes = match std::fs::read(self.object_path(output.sha256)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Damage::Missing),
            Err(error) => return Err(error.into()),
        };
        let found = Digest::of(&bytes);
        if found != output.sha256 {
            return Err(Damage::Content { expected: output.sha256, found });
        }
        Ok(bytes)
    }

    /// Moves a damaged object to the quarantine, so that its step runs again. Returns its new path, or None if there is no
    /// such object.
    ///
    /// # Errors
    /// If the file exists and cannot be moved.
    pub fn set_aside(&self, digest: Digest) -> anyhow::Result<Option<PathBuf>> {
        let from = self.object_path(digest);
        let to = (0..)
            .map(|n| self.quarantine().join(format!("object-{digest}.{n}")))
            .find(|path| !path.exists())
            .expect("some number is free");
        match std::fs::rename(&from, &to) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot set the damaged {} aside", from.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_with(content: &[u8]) -> (tempfile::TempDir, Store, Output) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let output = store.put_bytes(content).unwrap();
        (folder, store, output)
    }

    #[test]
    fn what_is_put_can_be_read() {
        let (_folder, store, output) = store_with(b"content");
        assert!(store.looks_whole(&output));
        store.verify(&output).unwrap();
        assert_eq!(store.read(&output).unwrap(), b"content");
    }

    /// An edit that keeps the size and the modification time is noticed.
    #[test]
    fn a_silent_edit_is_noticed_and_set_aside() {
        let (_folder, store, output) = store_with(b"content");
        let path = store.object_path(output.sha256);
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"CONTENT").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert!(store.looks_whole(&output));
        assert!(matches!(store.verify(&output), Err(Damage::Content { .. })));
        assert!(matches!(store.read(&output), Err(Damage::Content { .. })));
        let aside = store.set_aside(output.sha256).unwrap().unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), b"CONTENT");
        assert!(matches!(store.verify(&output), Err(Damage::Missing)));
        assert_eq!(store.set_aside(output.sha256).unwrap(), None);
    }
}
