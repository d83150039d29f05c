//! Folders for work in progress.

use std::fs::File;
use std::path::Path;

use anyhow::Context;

use super::Store;

/// A temporary folder on the store's filesystem, removed when dropped. A lock on it tells a sweep that its owner is
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
    /// A fresh workspace.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn workspace(&self) -> anyhow::Result<Workspace> {
        let tmp = self.root().join("tmp");
        let context = || format!("cannot make a temporary folder in {}", tmp.display());
        // No sweep runs between the making of a folder and its locking.
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

    /// Removes what killed runs left in `tmp/`: folders whose lock nobody holds, and files older than a day. Does
    /// nothing while another run makes a folder; the next run sweeps.
    pub(super) fn sweep(&self) -> anyhow::Result<()> {
        let tmp = self.root().join("tmp");
        let door = self.door().with_context(|| format!("cannot write to {}", self.root().display()))?;
        if door.try_lock().is_err() {
            return Ok(());
        }
        let entries = std::fs::read_dir(&tmp).with_context(|| format!("cannot list {}", tmp.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if if path.is_dir() { abandoned(&path) } else { old(&path) } {
                // Another run may sweep at the same time.
                let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            }
        }
        Ok(())
    }
}

/// Whether the owner of a workspace is gone.
fn abandoned(folder: &Path) -> bool {
    let alive = folder.join(ALIVE);
    match File::open(&alive) {
        Ok(file) => file.try_lock().is_ok(),
        // Its owner died before it made the file.
        Err(_) => true,
    }
}

fn old(path: &Path) -> bool {
    let age = std::fs::metadata(path).and_then(|m| m.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age.as_secs() > 24 * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_leaves_the_living_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let living = store.workspace().unwrap();
        let dead = folder.path().join("tmp/work-dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(ALIVE), "").unwrap();
        std::fs::write(dead.join("half"), "half").unwrap();
        store.sweep().unwrap();
        assert!(living.path().exists());
        assert!(!dead.exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
    }
}
