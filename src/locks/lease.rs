//! Leases: lock files that their owner renews as long as it lives.
//!
//! A lease is a file that was created exclusively, with a token that no other lease has. A thread of its owner writes it
//! again every quarter of its duration. One that is older than its duration, by the clock of its filesystem, is stale: its
//! owner has ended, and whoever wants it may remove it.
//!
//! Who removes a lease of others or its own first creates `NAME-TOKEN`, after the token in it, and then looks at it again. So
//! of several that saw the same stale lease one removes it, and nobody removes the one that comes after it. An owner that
//! was stopped for longer than the duration finds out when it looks.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, SystemTime};

use crate::errors;
use crate::files;
use crate::settings::variable;

/// A lease of this process. Dropping it removes the file, if it is still its own.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    token: String,
}

/// How long a lease lives that is not renewed, unless `SEESAW_LEASE` says otherwise.
const DURATION: Duration = Duration::from_secs(60);

/// The duration of the leases of this process.
///
/// # Errors
/// A usage error if `SEESAW_LEASE` is no number of seconds.
pub fn duration() -> anyhow::Result<Duration> {
    let Some(text) = variable("SEESAW_LEASE") else { return Ok(DURATION) };
    match text.trim().parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(errors::usage(
            format!("SEESAW_LEASE should be a number of seconds from 1 to 86400, found `{text}`"),
            "a lock of a process that was killed is free after this time; unset it for the default of 60",
        )),
    }
}

impl Lease {
    /// Takes the lease at `path`, unless somebody has it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        if let Some(lease) = Lease::create(path.to_owned(), token())? {
            return Ok(Some(lease));
        }
        let is_free = match look(path)? {
            Some(seen) => seen.is_stale(path)? && remove(path, &seen.token, true)?,
            None => true,
        };
        if is_free { Lease::create(path.to_owned(), token()) } else { Ok(None) }
    }

    /// Takes a lease beside `path`, as others do at the same time, while nobody has the one at `path` itself.
    pub fn beside(path: &Path) -> io::Result<Self> {
        loop {
            let token = token();
            let lease = Lease::create(named(path, '+', &token), token)?;
            // Who wants to be alone creates its file first too, and then looks: at least one sees the other.
            if !is_live(path)?
                && let Some(lease) = lease
            {
                return Ok(lease);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Takes the lease at `path`, unless somebody has it or one beside it.
    pub fn alone(path: &Path) -> io::Result<Option<Self>> {
        let Some(lease) = Lease::take(path)? else { return Ok(None) };
        let beside = named(path, '+', "");
        for entry in std::fs::read_dir(files::folder_of(path))? {
            let other = entry?.path();
            if !other.as_os_str().as_encoded_bytes().starts_with(beside.as_os_str().as_encoded_bytes()) {
                continue;
            }
            if is_live(&other)? {
                return Ok(None);
            }
            // Its name is that of no other, so nobody can have taken its place.
            let _ = std::fs::remove_file(&other);
        }
        Ok(Some(lease))
    }

    pub fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    /// Whether nobody has taken it since.
    pub fn is_held(&self) -> bool {
        look(&self.path).is_ok_and(|seen| seen.is_some_and(|seen| seen.token == self.token))
    }

    /// Creates the file, unless there is one, and has it renewed.
    fn create(path: PathBuf, token: String) -> io::Result<Option<Self>> {
        static RENEWING: Once = Once::new();
        if !create(&path, &token)? {
            return Ok(None);
        }
        held().insert((path.clone(), token.clone()));
        RENEWING.call_once(|| drop(std::thread::spawn(renew_all)));
        Ok(Some(Lease { path, token }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        held().remove(&(self.path.clone(), self.token.clone()));
        // What cannot be removed becomes stale. A name with the token in it is that of no other.
        let _ = match self.path.to_string_lossy().ends_with(&self.token) {
            true => std::fs::remove_file(&self.path).map(|()| true),
            false => remove(&self.path, &self.token, false),
        };
    }
}

/// The leases of this process, which are renewed: path and token.
fn held() -> MutexGuard<'static, BTreeSet<(PathBuf, String)>> {
    static HELD: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn renew_all() {
    loop {
        std::thread::sleep(duration().unwrap_or(DURATION) / 4);
        let all = held().clone();
        for (path, token) in all {
            // Tried again at the next turn; its owner looks before it relies on it.
            let _ = renew(&path, &token);
        }
    }
}

/// Writes a lease again, if it is still that of the token.
fn renew(path: &Path, token: &str) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if token_of(&text) == token {
        // The filesystem sets the time, whose clock may not be that of this machine.
        file.rewind()?;
        file.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// What a look at a lease shows.
struct Seen {
    /// Empty while its owner writes it.
    token: String,
    duration: Duration,
    renewed: SystemTime,
}

/// Looks at a lease. None: there is none.
fn look(path: &Path) -> io::Result<Option<Seen>> {
    let gone = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::StaleNetworkFileHandle);
    let read = || {
        // On NFS, opening a file asks the server what it is now.
        let mut file = File::open(path)?;
        let (mut text, renewed) = (String::new(), file.metadata()?.modified()?);
        file.read_to_string(&mut text)?;
        let seconds = text.split(' ').nth(1).and_then(|seconds| seconds.parse().ok());
        let duration = seconds.map_or_else(|| duration().unwrap_or(DURATION), Duration::from_secs);
        Ok(Some(Seen { token: token_of(&text).to_owned(), duration, renewed }))
    };
    read().or_else(|error| if gone(&error) { Ok(None) } else { Err(error) })
}

impl Seen {
    fn is_stale(&self, path: &Path) -> io::Result<bool> {
        // A file that is written now tells the time of the filesystem.
        let mut clock = tempfile::tempfile_in(files::folder_of(path))?;
        clock.write_all(b"now")?;
        files::sync(&clock)?;
        let now = clock.metadata()?.modified()?;
        Ok(now.duration_since(self.renewed).is_ok_and(|age| age > self.duration))
    }
}

/// Whether somebody has the lease at `path`.
pub fn is_live(path: &Path) -> io::Result<bool> {
    Ok(match look(path)? {
        Some(seen) => !seen.is_stale(path)?,
        None => false,
    })
}

/// Removes the lease of a token; if asked to, only while it is stale. Returns whether it did.
fn remove(path: &Path, token: &str, only_if_stale: bool) -> io::Result<bool> {
    let turn = named(path, '-', token);
    if !create(&turn, &self::token())? {
        // Somebody else removes it, or ended before it had.
        if let Some(other) = look(&turn)?
            && other.is_stale(&turn)?
        {
            remove(&turn, &other.token, true)?;
        }
        return Ok(false);
    }
    let look_again = || {
        let Some(seen) = look(path)?.filter(|seen| seen.token == token) else { return Ok(false) };
        if only_if_stale && !seen.is_stale(path)? {
            return Ok(false);
        }
        std::fs::remove_file(path).map(|()| true)
    };
    let removed = look_again();
    let _ = std::fs::remove_file(&turn);
    removed
}

/// Creates a file for a token, unless there is a file.
fn create(path: &Path, token: &str) -> io::Result<bool> {
    match File::create_new(path) {
        Ok(mut file) => {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let (seconds, process) = (duration().unwrap_or(DURATION).as_secs(), std::process::id());
            // The host and the process are for people.
            let written = file.write_all(format!("{token} {seconds} {} {process}\n", host.trim()).as_bytes());
            written.inspect_err(|_| drop(std::fs::remove_file(path)))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// 64 bits that the system drew at random. They enter no result.
fn token() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

fn token_of(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

fn named(path: &Path, mark: char, token: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("{mark}{token}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Place(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("key")
        }

        fn names(&self) -> Vec<String> {
            let names = std::fs::read_dir(self.0.path()).unwrap();
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    /// As if nobody had renewed it for so long.
    fn age(path: &Path, seconds: u64) {
        let file = File::options().write(true).open(path).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn a_live_lease_is_not_taken_and_a_stale_one_is() {
        let place = Place::new();
        let first = Lease::take(&place.path()).unwrap().unwrap();
        age(&place.path(), 50);
        assert!(Lease::take(&place.path()).unwrap().is_none() && first.is_held());
        // Renewed, it counts from now.
        renew(&place.path(), &first.token).unwrap();
        age(&place.path(), 50);
        assert!(is_live(&place.path()).unwrap());
        age(&place.path(), 20);
        let second = Lease::take(&place.path()).unwrap().unwrap();
        assert!(second.is_held() && !first.is_held(), "its owner finds out");
        // It neither renews nor removes that of another.
        age(&place.path(), 70);
        renew(&place.path(), &first.token).unwrap();
        assert!(!is_live(&place.path()).unwrap());
        drop(first);
        assert!(second.is_held());
        drop(second);
        assert_eq!(place.names(), [""; 0]);
    }

    /// Whatever a killed process left, as many as come take turns.
    #[test]
    fn a_stale_lease_is_taken_by_one_at_a_time() {
        let place = Place::new();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        for left in ["", "dead 60 node1 17\n"] {
            std::fs::write(place.path(), left).unwrap();
            // Of one that was killed while it removed that one.
            let turn = named(&place.path(), '-', token_of(left));
            std::fs::write(&turn, "ended 60 node2 18\n").unwrap();
            [place.path(), turn].iter().for_each(|path| age(path, 70));
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..10 {
                            let lease = loop {
                                if let Some(lease) = Lease::take(&place.path()).unwrap() {
                                    break lease;
                                }
                                std::thread::sleep(Duration::from_millis(1));
                            };
                            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::yield_now();
                            assert!(lease.is_held());
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    });
                }
            });
            assert_eq!((most.load(Ordering::SeqCst), place.names()), (1, Vec::new()));
        }
    }

    #[test]
    fn a_door_is_held_open_by_many_or_closed_by_one() {
        let place = Place::new();
        let door = place.path();
        let open = [(); 2].map(|()| Lease::beside(&door).unwrap());
        assert!(Lease::alone(&door).unwrap().is_none());
        age(&open[0].path, 70);
        assert!(Lease::alone(&door).unwrap().is_none());
        age(&open[1].path, 70);
        let closed = Lease::alone(&door).unwrap().unwrap();
        assert!(Lease::alone(&door).unwrap().is_none());
        let opened = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lease::beside(&door).unwrap());
            std::thread::sleep(Duration::from_millis(150));
            assert!(!waiting.is_finished());
            drop(closed);
            waiting.join().unwrap()
        });
        drop((open, opened));
        assert_eq!(place.names(), [""; 0]);
    }
}
