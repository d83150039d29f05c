//! Reports that are written and not at their place yet.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;

use super::record::{Machine, Program};
use crate::store::{Store, Workspace};

/// The program that made reports, and its machine.
pub type By<'a> = (&'a Program, &'a Machine);

/// The folder of reports that are not at their place yet, in a store. It exists from the first of them on: a report that
/// cannot be made leaves no store behind.
pub struct Drafts<'a> {
    store: &'a Store,
    folder: OnceCell<Workspace>,
}

impl<'a> Drafts<'a> {
    pub fn new(store: &'a Store) -> Self {
        Drafts { store, folder: OnceCell::new() }
    }

    /// The path of a report.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = match self.folder.get() {
            Some(folder) => folder,
            None => {
                let made = self.store.workspace()?;
                self.folder.get_or_init(|| made)
            }
        };
        Ok(folder.path().join(name))
    }

    /// Creates a report that is written in parts. Returns its name.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn create(
        &self,
        name: &'static str,
        write: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
    ) -> anyhow::Result<&'static str> {
        let path = self.path(name)?;
        let place = || format!("cannot write {}", path.display());
        let mut file = BufWriter::new(File::create(&path).with_context(place)?);
        write(&mut file)?;
        file.flush().with_context(place)?;
        Ok(name)
    }

    /// Writes a report. Returns its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &'static str, content: impl AsRef<[u8]>) -> anyhow::Result<&'static str> {
        let path = self.path(name)?;
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(name)
    }
}
