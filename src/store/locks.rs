//! One lock per key, so that of two runs that share a store only one computes a step.

use std::fs::File;

use super::Store;
use crate::digest::Digest;
use crate::files;
use crate::interrupt::Interrupt;

/// A lock that is held while a step is computed. See [`files::lock`].
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
    path: std::path::PathBuf,
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Still locked, so this cannot be the lock file of another run.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Store {
    /// Takes the lock of a key. If another run holds it, calls `waiting` once and waits.
    ///
    /// # Errors
    /// If the lock file cannot be created, or on an interrupt while waiting.
    pub fn lock(&self, key: Digest, interrupt: &Interrupt, waiting: impl FnOnce()) -> anyhow::Result<KeyLock> {
        self.prepare()?;
        let path = self.root().join("locks").join(key.to_string());
        Ok(KeyLock { _file: files::lock(&path, interrupt, waiting)?, path })
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
        let raised = interrupt.clone();
        let error = store.lock(Digest::of(b"key"), &interrupt, move || raised.raise()).unwrap_err();
        assert_eq!(crate::errors::class_of(&error), crate::errors::Class::Interrupted);
    }
}
