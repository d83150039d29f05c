//! The locks of a store: which kind, and one per key, so that of two runs that share it only one computes a step.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::Store;
use crate::digest::Digest;
use crate::errors::{self, ANOTHER_STORE};
use crate::files;
use crate::interrupt::Interrupt;
use crate::locks::{Lock, Locks};

/// The file that says which kind of locks all processes use.
const KIND: &str = "locks/kind";

impl Store {
    /// Takes the lock of a key. If another run holds it, calls `waiting` once and waits.
    ///
    /// # Errors
    /// If the lock file cannot be created, or on an interrupt while waiting.
    pub fn lock(&self, key: Digest, interrupt: &Interrupt, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        self.locks()?.take(&self.root().join("locks").join(key.to_string()), interrupt, waiting)
    }

    /// The kind of locks that the store in `root` uses. None: nothing was written to it yet.
    ///
    /// # Errors
    /// If the file that says so cannot be read, or names no kind.
    pub fn known_locks(root: &Path) -> anyhow::Result<Option<Locks>> {
        let file = root.join(KIND);
        let name = match std::fs::read_to_string(&file) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            // Empty while it is written.
            read => read.with_context(|| format!("cannot read {}", file.display()))?.trim().to_owned(),
        };
        let unknown = || {
            let message = format!("{} should say `flock` or `lease`, found {name:?}", file.display());
            errors::usage(message, ANOTHER_STORE)
        };
        if name.is_empty() { Ok(None) } else { Locks::named(&name).ok_or_else(unknown).map(Some) }
    }

    /// The kind of locks of this store. The first process that writes to it chooses, and all others follow: two kinds do not
    /// keep out of each other's way.
    ///
    /// # Errors
    /// If this process is told to use another kind, or cannot use that one.
    pub(super) fn agree_on_locks(&self) -> anyhow::Result<Locks> {
        let (chosen, file) = (Locks::chosen()?, self.root().join(KIND));
        let anew = || format!("when nothing uses the store, remove {}: the next run chooses anew", file.display());
        if let Some(known) = Store::known_locks(self.root())? {
            let refuse = |what| Err(errors::usage(format!("the store {} {what}", self.root().display()), anew()));
            return match chosen {
                Some(chosen) if chosen != known => {
                    refuse(format!("uses `{}`, but SEESAW_LOCKS is `{}`", known.name(), chosen.name()))
                }
                None if known == Locks::Flock
                    && let Some(why) = Locks::local(self.root()) =>
                {
                    refuse(format!("uses `flock`, but {why}"))
                }
                _ => Ok(known),
            };
        }
        let (locks, why) = match chosen {
            Some(chosen) => (chosen, None),
            None => {
                Locks::found_in(&self.root().join("tmp")).map_err(|error| errors::with_hint(error, ANOTHER_STORE))?
            }
        };
        let (text, context) = (format!("{}\n", locks.name()), || format!("cannot write {}", file.display()));
        match File::create_new(&file) {
            Ok(mut created) => {
                std::io::Write::write_all(&mut created, text.as_bytes())
                    .and_then(|()| files::sync(&created))
                    .with_context(context)?;
                if let Some(why) = why {
                    tracing::warn!(
                        "the store {} uses lock files that are renewed: {why}. `docs/cluster.md` says what that means",
                        self.root().display()
                    );
                }
                Ok(locks)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                // Another process chose at the same time. It may have been killed before it wrote what.
                for _ in 0..20 {
                    if Store::known_locks(self.root())?.is_some() {
                        return self.agree_on_locks();
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                let turn = Locks::Lease.take(&file.with_extension("turn"), &Interrupt::default(), || {})?;
                if Store::known_locks(self.root())?.is_none() {
                    std::fs::write(&file, &text).with_context(context)?;
                }
                drop(turn);
                self.agree_on_locks()
            }
            Err(error) => Err(error).with_context(context).map_err(|error| errors::with_hint(error, ANOTHER_STORE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    impl Store {
        /// A new store whose locks were chosen.
        pub(in crate::store) fn with_locks(root: &Path, locks: Locks) -> Store {
            let store = Store::open(root).unwrap();
            std::fs::create_dir_all(root.join("locks")).unwrap();
            std::fs::write(root.join(KIND), locks.name()).unwrap();
            store
        }
    }

    #[test]
    fn only_one_holds_a_key_at_a_time() {
        [Locks::Flock, Locks::Lease].into_iter().for_each(one_at_a_time);
    }

    fn one_at_a_time(locks: Locks) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::with_locks(folder.path(), locks);
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
        let mut left = std::fs::read_dir(folder.path().join("locks")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.all(|name| name == "kind" || name == "tmp"), "no lock file is left");
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

    /// Who comes first chooses, others follow, and another choice is refused.
    #[test]
    fn all_processes_use_one_kind_of_locks() {
        let folder = tempfile::tempdir().unwrap();
        let kinds = std::thread::scope(|scope| {
            let others = [(); 8].map(|()| scope.spawn(|| Store::open(folder.path()).unwrap().locks().unwrap()));
            others.map(|other| other.join().unwrap())
        });
        assert!(kinds.iter().all(|kind| Store::known_locks(folder.path()).unwrap() == Some(*kind)), "{kinds:?}");
        // The process that was about to write what it chose was killed.
        std::fs::write(folder.path().join(KIND), "").unwrap();
        assert_eq!(Store::open(folder.path()).unwrap().locks().unwrap(), kinds[0]);
        std::fs::write(folder.path().join(KIND), "semaphore\n").unwrap();
        let error = Store::open(folder.path()).unwrap().locks().unwrap_err();
        assert!(error.to_string().ends_with("should say `flock` or `lease`, found \"semaphore\""), "{error}");
    }
}
