//! An incomplete download: its bytes on disk, locked, and their hash so far. It outlives the process, so that the next
//! one goes on where this one stopped. Where nobody knows the hash of the whole, a note beside it says of which version of
//! which address it is the beginning.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::fetch::{FetchContext, is_right, reject};
use crate::digest::Digest;
use crate::progress::Unit;

/// The file under the name of what it will be. While it is open, no other process writes to it.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
    inherited: bool,
    origin: Option<Origin>,
}

/// Of what a partial file is the beginning, where no hash tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub url: String,
    /// What the server calls this version of the file.
    pub version: String,
}

impl Partial {
    /// Opens the archive's partial file, waits for its lock, and hashes what is there. More bytes than the archive has
    /// cannot be its beginning, and where no hash is expected, neither can those of another address: then it starts anew.
    ///
    /// # Errors
    /// If it cannot be written, or a stop is asked for.
    pub fn open(archive: &Archive, url: &str, context: &FetchContext) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&context.partial)
            .with_context(|| format!("cannot make {}", context.partial.display()))?;
        let path =
            context.partial.join(archive.expected().map_or_else(
                || format!("open-{}", Digest::of(archive.name.as_bytes())),
                |expected| expected.to_string(),
            ));
        let file = open_locked(&path, context)?;
        let mut partial = Partial { path, file, hash: Sha256::new(), length: 0, inherited: false, origin: None };
        partial.origin = std::fs::read(partial.note()).ok().and_then(|note| serde_json::from_slice(&note).ok());
        let there = partial.file.metadata().with_context(|| partial.place("read"))?.len();
        let unknown = archive.expected().is_none() && partial.origin.as_ref().is_none_or(|origin| origin.url != url);
        match there > archive.most() || unknown {
            true => partial.restart()?,
            false => partial.hash_what_is_there(context)?,
        }
        partial.inherited = partial.length > 0;
        context.progress.begin(archive.size(), Unit::Bytes);
        context.progress.advance(partial.length);
        Ok(partial)
    }

    fn hash_what_is_there(&mut self, context: &FetchContext) -> anyhow::Result<()> {
        let mut buffer = vec![0; 1 << 18];
        loop {
            context.interrupt.check()?;
            match self.file.read(&mut buffer).with_context(|| self.place("read"))? {
                0 => return Ok(()),
                n => {
                    self.hash.update(&buffer[..n]);
                    self.length += n as u64;
                }
            }
        }
    }

    fn place(&self, verb: &str) -> String {
        format!("cannot {verb} {}", self.path.display())
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn note(&self) -> PathBuf {
        self.path.with_extension("origin")
    }

    /// What the server called the file whose beginning this is.
    pub fn version(&self) -> Option<String> {
        Some(self.origin.as_ref()?.version.clone())
    }

    /// Notes of what this is the beginning; nothing: nobody can tell later on.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn belongs_to(&mut self, origin: Option<Origin>) -> anyhow::Result<()> {
        if origin != self.origin {
            let note = self.note();
            let written = match &origin {
                Some(origin) => std::fs::write(&note, serde_json::to_vec(origin).context("a note as JSON")?),
                None => std::fs::remove_file(&note),
            };
            written.with_context(|| format!("cannot write {}", note.display()))?;
            self.origin = origin;
        }
        Ok(())
    }

    /// Whether some of the bytes were there when it was opened.
    pub fn inherited(&self) -> bool {
        self.inherited
    }

    /// Drops what is there.
    ///
    /// # Errors
    /// If the file cannot be changed.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).with_context(|| self.place("write"))?;
        self.hash = Sha256::new();
        self.length = 0;
        self.inherited = false;
        self.belongs_to(None)
    }

    /// Adds bytes at the end. If that fails (a full disk), the file still holds exactly what was hashed.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // If this fails too, the hash at the end tells.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(error).with_context(|| self.place("write"));
        }
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether all of it is there and is what the manifest asks for.
    ///
    /// # Errors
    /// If the file cannot be read again.
    pub fn is_right(&self, archive: &Archive) -> anyhow::Result<bool> {
        let digest = Digest(self.hash.clone().finalize().into());
        is_right(archive, &self.path, digest, self.length)
    }

    /// Moves the file to its destination, safely on disk.
    ///
    /// # Errors
    /// If that fails.
    pub fn finish(self, to: &Path) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| self.place("write"))?;
        if self.origin.is_some() {
            let _ = std::fs::remove_file(self.note());
        }
        // The lock is held until it is gone from here.
        std::fs::rename(&self.path, to).with_context(|| self.place("move"))
    }

    /// Sets a file that turned out wrong aside.
    ///
    /// # Returns
    /// The error to tell: expected and found size and hash, and where the file is now.
    pub fn reject(self, archive: &Archive, from: &str, context: &FetchContext) -> anyhow::Error {
        let found = Digest(self.hash.finalize().into());
        reject(archive, &self.path, found, self.length, from, context)
    }
}

/// Opens and locks a file, so that two processes do not write it at once.
fn open_locked(path: &Path, context: &FetchContext) -> anyhow::Result<File> {
    let mut told = false;
    loop {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            // Another process may have finished, and moved this very file away, between the opening and the locking:
            // writing to it would change a finished download.
            Ok(()) if is_still_at(&file, path) => return Ok(file),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    context.progress.note("waiting for another run that downloads the same file");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        context.interrupt.check()?;
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}
