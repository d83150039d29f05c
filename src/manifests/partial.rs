//! An incomplete download: a file with a lock beside it, and the hash of its bytes so far. It outlives the process, so that the next one
//! can resume it. If the hash of the whole is unknown, a note beside it records the address and the version.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::context::FetchContext;
use super::expected::{is_right, reject};
use super::request::Version;
use crate::digest::Digest;
use crate::files;
use crate::locks::Lock;
use crate::progress::Unit;

/// The open file and its lock.
pub(super) struct Partial {
    path: PathBuf,
    lock: Lock,
    file: File,
    hash: Sha256,
    length: u64,
    inherited: bool,
    origin: Option<Origin>,
}

/// The origin of a partial file without an expected hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub url: String,
    /// The version that the server named.
    pub version: Version,
}

impl Partial {
    /// Opens the partial file of an archive, waits for its lock, and hashes its bytes. Starts again if there are more bytes
    /// than the archive has, or if no hash is expected and they came from another address.
    ///
    /// # Errors
    /// If the file cannot be written; on an interrupt.
    pub fn open(archive: &Archive, url: &str, context: &FetchContext) -> anyhow::Result<Self> {
        files::create_folder(&context.places.partial)?;
        let path =
            context.places.partial.join(archive.expected().map_or_else(
                || format!("open-{}", Digest::of(archive.name.as_bytes())),
                |expected| expected.to_string(),
            ));
        // Writing without the lock could change a download that another process has just finished and moved.
        let waiting = || context.progress.note("waiting for another run that downloads the same file");
        let lock = context.places.locks.take(&path.with_extension("lock"), &context.interrupt, waiting)?;
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.with_context(|| format!("cannot write {}", path.display()))?;
        let mut partial = Partial { path, lock, file, hash: Sha256::new(), length: 0, inherited: false, origin: None };
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

    /// The number of bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn note(&self) -> PathBuf {
        self.path.with_extension("origin")
    }

    /// The version of the file that this is the beginning of, as far as it is known.
    pub fn version(&self) -> Version {
        self.origin.as_ref().map(|origin| origin.version.clone()).unwrap_or_default()
    }

    /// Records the origin. Without one, no later process can resume.
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

    /// Whether an earlier download left some of the bytes.
    pub fn inherited(&self) -> bool {
        self.inherited
    }

    /// Discards all bytes.
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

    /// Appends bytes. If that fails, for example because the disk is full, the file still has exactly the hashed bytes.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // If this fails too, the hash of the whole reveals it.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(error).with_context(|| self.place("write"));
        }
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether the file is complete and is what the manifest asks for.
    ///
    /// # Errors
    /// If the file cannot be read again.
    pub fn is_right(&self, archive: &Archive) -> anyhow::Result<bool> {
        let digest = Digest(self.hash.clone().finalize().into());
        is_right(archive, &self.path, digest, self.length)
    }

    /// Syncs the file and moves it to its destination.
    ///
    /// # Errors
    /// If that fails.
    pub fn finish(self, to: &Path) -> anyhow::Result<()> {
        files::sync(&self.file).with_context(|| self.place("write"))?;
        self.lock.check()?;
        if self.origin.is_some() {
            let _ = std::fs::remove_file(self.note());
        }
        // The lock is held until the file has left this path.
        std::fs::rename(&self.path, to).with_context(|| self.place("move"))
    }

    /// Sets a wrong file aside. Returns the error that describes it: see [`reject`].
    pub fn reject(self, archive: &Archive, from: &str, context: &FetchContext) -> anyhow::Error {
        let found = Digest(self.hash.finalize().into());
        reject(archive, &self.path, found, self.length, from, context)
    }
}
