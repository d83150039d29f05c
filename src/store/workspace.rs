//! Folders for work in progress.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Store;
use crate::files;
use crate::interrupt::Interrupt;
use crate::locks::{Lock, Locks};

/// A temporary folder on the filesystem of the store, removed when dropped. A lock in it tells sweeps that its owner is
/// alive.
#[derive(Debug)]
pub struct Workspace {
    folder: tempfile::TempDir,
    _alive: Lock,
}

const ALIVE: &str = ".alive";

/// The beginning of the names of workspaces.
const FOLDER: &str = "work-";

impl Workspace {
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Store {
    /// Creates a workspace.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn workspace(&self) -> anyhow::Result<Workspace> {
        let context = || format!("cannot create a temporary folder in {}", self.tmp().display());
        // Keeps sweeps out until the new folder has its lock.
        let _door = self.door()?;
        let folder = tempfile::Builder::new().prefix(FOLDER).tempdir_in(self.tmp()).with_context(context)?;
        let alive = self.locks()?.take(&folder.path().join(ALIVE), &Interrupt::default(), || {});
        Ok(Workspace { folder, _alive: alive.with_context(context)? })
    }

    fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// Prepares the store and holds its door open: no sweep takes place until the lock is dropped.
    fn door(&self) -> anyhow::Result<Lock> {
        self.locks()?.hold_open(&self.door_path())
    }

    pub(super) fn door_path(&self) -> PathBuf {
        self.root().join("locks/tmp")
    }

    /// Writes a file so that a crash leaves either the old one or the new one, by way of `tmp/`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        self.fill_file(path, |file| file.write_all(bytes))
    }

    /// As [`Store::write_file`], with the content of another file.
    ///
    /// # Errors
    /// If one of the files cannot be read or written.
    pub fn copy_file(&self, from: &Path, path: &Path) -> anyhow::Result<()> {
        let source = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.fill_file(path, |file| {
            (&source).rewind()?;
            std::io::copy(&mut &source, file).map(drop)
        })
    }

    fn fill_file(&self, path: &Path, fill: impl Fn(&mut File) -> std::io::Result<()>) -> anyhow::Result<()> {
        // Keeps sweeps from the temporary file.
        match self.door() {
            Ok(_door) => files::fill_atomically(path, &self.tmp(), fill),
            // Who may only read the store of others has results of their own elsewhere.
            Err(_) if !path.starts_with(self.root()) => files::fill_atomically(path, files::folder_of(path), fill),
            Err(error) => Err(error),
        }
    }

    /// As [`Store::write_file`], for what no result depends on: it does not wait for the disk, and may be lost if the machine
    /// stops.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write_hint(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", path.display());
        let _door = self.door()?;
        files::create_folder(files::folder_of(path))?;
        let mut file = files::temporary_in(&self.tmp()).with_context(context)?;
        file.write_all(bytes).with_context(context)?;
        file.persist(path).map(drop).map_err(|error| error.error).with_context(context)
    }

    /// Whether a process has a workspace. Those that want another one wait for who holds the door alone.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub(super) fn is_computing(&self) -> anyhow::Result<bool> {
        let (tmp, locks) = (self.tmp(), self.locks()?);
        let entries = std::fs::read_dir(&tmp).with_context(|| format!("cannot list {}", tmp.display()))?;
        let mut names = entries.filter_map(Result::ok);
        Ok(names.any(|entry| {
            entry.file_name().to_string_lossy().starts_with(FOLDER) && locks.is_taken(&entry.path().join(ALIVE))
        }))
    }

    /// Removes what killed runs left in `tmp/`: folders whose lock nobody holds, and files, which exist only while somebody
    /// holds the door. Touches no other names, and follows no links. Does nothing if somebody holds the door; the next run
    /// sweeps.
    pub(super) fn sweep(&self, locks: Locks) -> anyhow::Result<()> {
        let tmp = self.tmp();
        let door = locks.try_to_close(&self.door_path())?;
        if door.is_none() || !std::fs::symlink_metadata(&tmp).is_ok_and(|data| data.is_dir()) {
            return Ok(());
        }
        let entries = std::fs::read_dir(&tmp).with_context(|| format!("cannot list {}", tmp.display()))?;
        for entry in entries.filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name());
            let (name, Ok(kind)) = (name.to_string_lossy(), entry.file_type()) else { continue };
            // A later sweep tries again.
            let _ = match (kind.is_dir(), kind.is_file()) {
                (true, _) if name.starts_with(FOLDER) && !locks.is_taken(&path.join(ALIVE)) => {
                    std::fs::remove_dir_all(&path)
                }
                (_, true) if name.starts_with(files::HALF) => std::fs::remove_file(&path),
                _ => Ok(()),
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leftovers of killed runs go; work of living ones, names of others and what links lead to stay.
    #[test]
    fn a_sweep_removes_abandoned_work_alone() {
        [Locks::Flock, Locks::Lease].into_iter().for_each(sweeps);
    }

    fn sweeps(locks: Locks) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::with_locks(folder.path(), locks);
        let living = store.workspace().unwrap();
        let tmp = folder.path().join("tmp");
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("thesis.tex"), "x").unwrap();
        std::fs::create_dir(tmp.join("work-dead")).unwrap();
        let alive = std::fs::File::create(tmp.join("work-dead").join(ALIVE)).unwrap();
        alive.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        std::fs::write(tmp.join("work-dead/half"), "half").unwrap();
        std::fs::write(tmp.join(format!("{}record", files::HALF)), "half").unwrap();
        std::fs::create_dir(tmp.join("thesis")).unwrap();
        std::fs::write(tmp.join("notes"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), tmp.join("work-link")).unwrap();
        let door = store.door().unwrap();
        store.sweep(locks).unwrap();
        assert!(tmp.join("work-dead").exists(), "somebody holds the door open");
        drop(door);
        store.sweep(locks).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = ["notes", "thesis", "work-link"].map(std::ffi::OsString::from).to_vec();
        expected.insert(2, living.path().file_name().unwrap().to_owned());
        expected.sort();
        assert_eq!(left, expected);
        assert!(outside.path().join("thesis.tex").exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }

    /// A `tmp` that leads elsewhere is not swept at all.
    #[test]
    fn a_link_in_the_place_of_the_folder_is_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(folder.path()).unwrap();
        store.prepare().unwrap();
        std::fs::create_dir(outside.path().join("work-thesis")).unwrap();
        std::fs::remove_dir(folder.path().join("tmp")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("tmp")).unwrap();
        store.sweep(Locks::Flock).unwrap();
        assert!(outside.path().join("work-thesis").exists());
    }
}
