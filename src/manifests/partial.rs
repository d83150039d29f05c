//! An incomplete download: its bytes on disk, locked, and their hash so far. It outlives the process, so that the next
//! one goes on where this one stopped.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::fetch::{FetchContext, reject};
use crate::progress::Unit;
use crate::store::Digest;

/// The file under the name of what it will be. While it is open, no other process writes to it.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
    inherited: bool,
}

impl Partial {
    /// Opens the archive's partial file, waits for its lock, and hashes what is there. More bytes than the archive has
    /// cannot be its beginning: such a file starts anew.
    ///
    /// # Errors
    /// If it cannot be written, or a stop is asked for.
    pub fn open(archive: &Archive, context: &FetchContext) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&context.partial)
            .with_context(|| format!("cannot make {}", context.partial.display()))?;
        let path = context.partial.join(archive.sha256.to_string());
        let file = open_locked(&path, context)?;
        let mut partial = Partial { path, file, hash: Sha256::new(), length: 0, inherited: false };
        let there = partial.file.metadata().with_context(|| partial.place("read"))?.len();
        match there > archive.size {
            true => partial.restart()?,
            false => partial.hash_what_is_there(context)?,
        }
        partial.inherited = partial.length > 0;
        context.progress.begin(Some(archive.size), Unit::Bytes);
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
        Ok(())
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
    pub fn is_right(&self, archive: &Archive) -> bool {
        self.length == archive.size && Digest(self.hash.clone().finalize().into()) == archive.sha256
    }

    /// Moves the file to its destination, safely on disk.
    ///
    /// # Errors
    /// If that fails.
    pub fn finish(self, to: &Path) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| self.place("write"))?;
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
