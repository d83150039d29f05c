//! One lock per key, so that two runs that share a store wait for each other rather than compute a step twice.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Store;
use crate::digest::Digest;
use crate::interrupt::Interrupt;

/// Held while a step is computed. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
    path: std::path::PathBuf,
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // While the lock is held, so that nobody else's lock file is removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Store {
    /// Takes the lock of a key. Where another run holds it, `waiting` is called once, and this waits for as long as
    /// that run needs.
    ///
    /// # Errors
    /// If the lock file cannot be made, or a stop was asked for while waiting.
    pub fn lock(&self, key: Digest, interrupt: &Interrupt, waiting: impl FnOnce()) -> anyhow::Result<KeyLock> {
        let path = self.root().join("locks").join(key.to_string());
        let context = || format!("cannot lock {}", path.display());
        let mut waiting = Some(waiting);
        let mut pause = Duration::from_millis(5);
        let began = Instant::now();
        loop {
            let file = File::options().create(true).truncate(false).write(true).open(&path).with_context(context)?;
            match file.try_lock() {
                Ok(()) if same_file(&file, &path) => return Ok(KeyLock { _file: file, path }),
                // Its holder removed the file between our opening and locking it: try again with a new one.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
            if began.elapsed() > Duration::from_millis(50)
                && let Some(waiting) = waiting.take()
            {
                waiting();
            }
            interrupt.check()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn only_one_holds_a_key_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let lock = store.lock(Digest::of(b"key"), &Interrupt::default(), || {}).unwrap();
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert!(!folder.path().join("locks").join(Digest::of(b"key").to_string()).exists());
    }

    #[test]
    fn waiting_ends_when_a_stop_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let _held = store.lock(Digest::of(b"key"), &Interrupt::default(), || {}).unwrap();
        let interrupt = Interrupt::default();
        let told = interrupt.clone();
        let error = store.lock(Digest::of(b"key"), &interrupt, move || told.raise()).unwrap_err();
        assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Interrupted);
    }
}
