//! Locks of processes that share a folder, on one machine or on several.

mod lease;
mod mount;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::errors::{self, ANOTHER_STORE};
use crate::interrupt::Interrupt;
use crate::settings::variable;

use self::lease::Lease;

/// How processes keep out of each other's way. All that share a folder must use the same kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Locks {
    /// `flock`. The kernel releases it when the file is closed, however the process ends.
    #[default]
    Flock,
    /// Lock files that are renewed, for filesystems without `flock` between all that use them.
    Lease,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub enum Lock {
    /// The path of a file that goes with the lock.
    Flock(File, Option<PathBuf>),
    Lease(Lease),
}

impl Locks {
    pub fn name(self) -> &'static str {
        match self {
            Locks::Flock => "flock",
            Locks::Lease => "lease",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Locks::Flock, Locks::Lease].into_iter().find(|locks| locks.name() == name)
    }

    /// The kind that `SEESAW_LOCKS` names, if it is set.
    ///
    /// # Errors
    /// A usage error if there is no such kind, or `SEESAW_LEASE` is no number of seconds.
    pub fn chosen() -> anyhow::Result<Option<Self>> {
        lease::duration()?;
        let Some(name) = variable("SEESAW_LOCKS") else { return Ok(None) };
        let unknown = || errors::unknown(format!("unknown locks `{name}` in SEESAW_LOCKS"), &name, ["flock", "lease"]);
        Locks::named(&name).ok_or_else(unknown).map(Some)
    }

    /// What serves all processes that share a folder, and why that is not `flock`.
    ///
    /// # Errors
    /// If nothing can be written there, or for another reason than that there is no `flock`.
    pub fn found_in(folder: &Path) -> anyhow::Result<(Self, Option<String>)> {
        if let Some(why) = Locks::local(folder) {
            return Ok((Locks::Lease, Some(why)));
        }
        // A file without a name, which is gone when it is closed.
        let file = tempfile::tempfile_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
        match file.try_lock() {
            Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                Ok((Locks::Lease, Some("its filesystem has no `flock` here".into())))
            }
            Err(TryLockError::Error(error)) => Err(cannot_lock(error, folder)),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok((Locks::Flock, None)),
        }
    }

    /// Why `flock` in a folder does not reach other machines, as far as the mount tells.
    pub fn local(folder: &Path) -> Option<String> {
        mount::local_flock(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, &folder.canonicalize().ok()?)
    }

    /// Takes the lock that is the file at `path`, which goes with it. If another has it, calls `waiting` once and waits.
    ///
    /// # Errors
    /// If the file cannot be created or locked, or on an interrupt while waiting.
    pub fn take(self, path: &Path, interrupt: &Interrupt, waiting: impl FnOnce()) -> anyhow::Result<Lock> {
        let (began, mut waiting) = (Instant::now(), Some(waiting));
        let mut pause = Duration::from_millis(5);
        // Each look at a lease asks the filesystem for the time.
        let longest = Duration::from_millis(if self == Locks::Flock { 200 } else { 1000 });
        loop {
            if let Some(lock) = self.try_take(path)? {
                return Ok(lock);
            }
            if began.elapsed() > Duration::from_millis(50)
                && let Some(waiting) = waiting.take()
            {
                waiting();
            }
            interrupt.check()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    }

    fn try_take(self, path: &Path) -> anyhow::Result<Option<Lock>> {
        if self == Locks::Lease {
            return Lease::take(path).map(|lease| lease.map(Lock::Lease)).map_err(|error| cannot_lease(error, path));
        }
        loop {
            let file = opened(path)?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, path) => return Ok(Some(Lock::Flock(file, Some(path.to_owned())))),
                // Its holder removed the file after we opened it: try again with the new one.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(cannot_lock(error, path)),
            }
        }
    }

    /// Whether somebody has the lock that is the file at `path`.
    pub fn is_taken(self, path: &Path) -> bool {
        match self {
            Locks::Flock => match File::open(path) {
                Ok(file) => file.try_lock().is_err(),
                Err(error) => error.kind() != io::ErrorKind::NotFound,
            },
            // Who cannot tell leaves it alone.
            Locks::Lease => lease::is_live(path).unwrap_or(true),
        }
    }

    /// Holds a door open, as others may at the same time: nobody closes it until the lock is dropped. Waits while it is
    /// closed.
    ///
    /// # Errors
    /// If the file of the door cannot be written or locked.
    pub fn hold_open(self, door: &Path) -> anyhow::Result<Lock> {
        if self == Locks::Lease {
            return Lease::beside(door).map(Lock::Lease).map_err(|error| cannot_lease(error, door));
        }
        let file = opened(door)?;
        file.lock_shared().map_err(|error| cannot_lock(error, door))?;
        Ok(Lock::Flock(file, None))
    }

    /// Closes a door, unless somebody holds it open or has closed it.
    ///
    /// # Errors
    /// If the file of the door cannot be written or locked.
    pub fn try_to_close(self, door: &Path) -> anyhow::Result<Option<Lock>> {
        if self == Locks::Lease {
            return Lease::alone(door).map(|lease| lease.map(Lock::Lease)).map_err(|error| cannot_lease(error, door));
        }
        let file = opened(door)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::Flock(file, None))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot_lock(error, door)),
        }
    }
}

impl Lock {
    /// Makes sure that the lock is still held, before something is published or removed that only its holder may.
    ///
    /// # Errors
    /// If another may have taken it, since it was not renewed for too long.
    pub fn check(&self) -> anyhow::Result<()> {
        match self {
            Lock::Lease(lease) if !lease.is_held() => Err(errors::failed(
                format!("the lock {} was lost: it was not renewed in time, and another process took it", lease.path()),
                "the program was stopped for long, or the filesystem did not answer; start it again: finished steps are kept",
            )),
            _ => Ok(()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Lock::Flock(_, Some(path)) = self {
            // Still locked, so this cannot be the file of another.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn opened(path: &Path) -> anyhow::Result<File> {
    let opened = File::options().create(true).truncate(false).read(true).write(true).open(path);
    opened
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(|error| errors::with_hint(error, ANOTHER_STORE))
}

fn is_unsupported(error: &io::Error) -> bool {
    // NFS without its lock service has no locks to give.
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(libc::ENOLCK)
}

fn cannot_lock(error: io::Error, path: &Path) -> anyhow::Error {
    let hint = "if there is no `flock` here, the store can use lock files instead: docs/cluster.md says how";
    errors::with_hint(anyhow::Error::new(error).context(format!("cannot lock {}", path.display())), hint)
}

fn cannot_lease(error: io::Error, path: &Path) -> anyhow::Error {
    let message = format!("cannot take the lock {}", path.display());
    errors::with_hint(anyhow::Error::new(error).context(message), ANOTHER_STORE)
}

fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}
