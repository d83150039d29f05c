//! A set of archives by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Archive, ZipReader};

/// Archives by the file names of their manifest.
#[derive(Clone, Debug, Default)]
pub struct Archives(pub BTreeMap<String, PathBuf>);

impl Archives {
    /// Opens a zip, whose members are read at random. Messages use its name, not its path in the store.
    ///
    /// # Errors
    /// If there is no archive of this name, or it is not a zip.
    pub fn open(&self, name: &str) -> anyhow::Result<ZipReader> {
        ZipReader::open_as(self.path(name)?, name)
    }

    /// Opens an archive of any kind, whose members are visited one after the other.
    ///
    /// # Errors
    /// If there is no archive of this name, or it has no known format.
    pub fn archive(&self, name: &str) -> anyhow::Result<Archive> {
        Archive::open_as(self.path(name)?, name)
    }

    /// Reads an archive that is a plain, small file: a configuration, a tokenizer.
    ///
    /// # Errors
    /// If there is no archive of this name, it cannot be read, or it is larger than 64 MiB.
    pub fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        const MOST_BYTES: u64 = 64 << 20;
        let path = self.path(name)?;
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut content));
        read.with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(
            content.len() as u64 <= MOST_BYTES,
            "{name} ({}) is larger than {MOST_BYTES} bytes",
            path.display()
        );
        Ok(content)
    }

    /// The path of an archive.
    ///
    /// # Errors
    /// If there is no archive of this name.
    pub fn path(&self, name: &str) -> anyhow::Result<&Path> {
        let path = self.0.get(name).map(PathBuf::as_path);
        path.with_context(|| format!("the archive {name} was not given"))
    }
}
