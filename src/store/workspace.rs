//! Folders for work in progress.

use std::fs::File;
use std::path::Path;

use anyhow::Context;

use super::Store;
use crate::files::{folder_of, write_atomically};

/// A temporary folder on the filesystem of the store, removed when dropped. A lock in it tells sweeps that its owner is
/// alive.
#[derive(Debug)]
pub struct Workspace {
    folder: tempfile::TempDir,
    _alive: File,
}

const ALIVE: &str = ".alive";

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
        let tmp = self.root().join("tmp");
        let context = || format!("cannot create a temporary folder in {}", tmp.display());
        // Keeps sweeps out until the new folder has its lock.
        let door = self.door().with_context(context)?;
        door.lock_shared().with_context(context)?;
        let folder = tempfile::Builder::new().prefix("work-").tempdir_in(&tmp).with_context(context)?;
        let alive = File::create(folder.path().join(ALIVE)).with_context(context)?;
        alive.lock().with_context(context)?;
        Ok(Workspace { folder, _alive: alive })
    }

    fn door(&self) -> std::io::Result<File> {
        File::options().create(true).truncate(false).write(true).open(self.root().join("locks/tmp"))
    }

    /// Writes a file so that a crash leaves either the old one or the new one, by way of `tmp/` or, if that is on another
    /// filesystem, by way of the folder of the file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        // Keeps sweeps from the temporary file.
        let door = self.door()?;
        door.lock_shared()?;
        match write_atomically(path, &self.root().join("tmp"), bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                write_atomically(path, folder_of(path), bytes)
            }
            written => written,
        }
    }

    /// Removes what killed runs left in `tmp/`: folders whose lock nobody holds, and files, which exist only while somebody
    /// holds the door. Does nothing if somebody does; the next run sweeps.
    pub(super) fn sweep(&self) -> anyhow::Result<()> {
        let tmp = self.root().join("tmp");
        let door = self.door().with_context(|| format!("cannot write to {}", self.root().display()))?;
        if door.try_lock().is_err() {
            return Ok(());
        }
        let entries = std::fs::read_dir(&tmp).with_context(|| format!("cannot list {}", tmp.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            // A later sweep tries again.
            let _ = match path.is_dir() {
                true if abandoned(&path) => std::fs::remove_dir_all(&path),
                true => Ok(()),
                false => std::fs::remove_file(&path),
            };
        }
        Ok(())
    }
}

/// Whether the owner of a workspace has ended.
fn abandoned(folder: &Path) -> bool {
    let alive = folder.join(ALIVE);
    match File::open(&alive) {
        Ok(file) => file.try_lock().is_ok(),
        // Its owner ended before it created the file.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_keeps_workspaces_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let living = store.workspace().unwrap();
        let dead = folder.path().join("tmp/work-dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(ALIVE), "").unwrap();
        std::fs::write(dead.join("half"), "half").unwrap();
        std::fs::write(folder.path().join("tmp/half a record"), "half").unwrap();
        store.sweep().unwrap();
        assert!(living.path().exists());
        assert!(!dead.exists());
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
