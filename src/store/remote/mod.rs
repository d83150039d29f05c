//! Remote stores: S3 and what speaks it, GCS, Azure, HTTP(S) for reading, a folder.
//!
//! A remote store has the layout of a local one, so far as others need it: the mark, `objects/` and `actions/`. Nothing that
//! comes from it is believed: a record has to be that of its key, and an object to have the size and the SHA-256 that the
//! record states, before either is seen in the store. Whether a record tells the truth about a computation cannot be
//! checked, so a remote store has to be one that you trust.
//!
//! [`Remote`] is the connection; all its methods block, and end when a stop is requested.

mod connect;
mod place;

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use object_store::path::{Path, PathPart};
use object_store::{Error, ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

pub use place::Place;

use super::{Action, FORM, MARK, Output, Store, actions};
use crate::digest::Digest;
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// A remote store.
pub struct Remote {
    place: Place,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    can_be_written: bool,
    runtime: Runtime,
    interrupt: Interrupt,
}

/// Why a remote store gave no file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("it is not there")]
    Absent,
    #[error("{0}")]
    Wrong(String),
    /// No other file can be had either: the remote does not answer, the disk of this machine fails, or a stop was requested.
    #[error(transparent)]
    Failed(anyhow::Error),
}

/// The largest record, in bytes.
const MOST_RECORD: u64 = 16 << 20;

/// Larger objects are sent in parts of this size, in bytes; a server allows ten thousand of them.
const PART: usize = 16 << 20;

/// How often a file is asked for whose transfer was cut.
const MOST_TRIES: usize = 3;

/// The number of transfers at the same time.
const MOST_TRANSFERS: usize = 8;

/// The name of the object with this digest.
fn object_name(digest: Digest) -> String {
    let name = digest.to_string();
    format!("objects/{}/{name}", &name[..2])
}

/// The name of the record under this key.
fn record_name(key: Digest) -> String {
    let name = key.to_string();
    format!("actions/{}/{name}.json", &name[..2])
}

impl Remote {
    /// Prepares a connection; asks nothing yet.
    ///
    /// # Errors
    /// A usage error if the place cannot be read, or the variables for it are not set.
    pub fn open(place: &Place, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let connect::Connection { store, prefix, can_be_written } = connect::to(place)?;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime =
            runtime.worker_threads(1).enable_all().build().context("cannot start a thread for the network")?;
        let (place, interrupt) = (place.clone(), interrupt.clone());
        Ok(Remote { place, store, prefix, can_be_written, runtime, interrupt })
    }

    /// Checks that this is a store of a version that this program knows.
    ///
    /// # Errors
    /// If it is not, or the remote does not answer.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.bytes(MARK, FORM.len() as u64 + 100) {
            Ok(text) if text == FORM.as_bytes() => Ok(()),
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                let (found, known) = (text.lines().next().unwrap_or_default(), FORM.trim_end());
                Err(errors::failed(
                    format!("{} is a store of another version: expected `{known}`, found {found:?}", self.place),
                    "use the version of seesaw that wrote it, or name another remote store",
                ))
            }
            Err(Fault::Failed(error)) => Err(error),
            Err(Fault::Absent) => Err(errors::failed(
                format!("{} is not a store: it holds no file `{MARK}`", self.place),
                "check the address; `seesaw push` makes a remote store",
            )),
            Err(Fault::Wrong(_)) => Err(errors::failed(
                format!("{} is not a store: its file `{MARK}` is something else", self.place),
                "check the address",
            )),
        }
    }

    /// # Errors
    /// A usage error if it can only be read.
    pub fn check_writable(&self) -> anyhow::Result<()> {
        match self.can_be_written {
            true => Ok(()),
            false => Err(errors::usage(
                format!("the remote store {} can only be read", self.place),
                "push to s3://, gs://, az:// or a folder, which a server can offer for reading",
            )),
        }
    }

    /// As [`Remote::check`], but makes a new store if nothing is there.
    ///
    /// # Errors
    /// As [`Remote::check`], and if it cannot be written to.
    pub fn prepare(&self) -> anyhow::Result<()> {
        match self.bytes(MARK, FORM.len() as u64) {
            Err(Fault::Absent) => self.put(MARK, FORM.as_bytes().to_vec()),
            _ => self.check(),
        }
    }

    /// The names and sizes of all records and objects.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn list(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut found = BTreeMap::new();
        for folder in ["objects", "actions"] {
            let mut entries = self.store.list(Some(&self.path(folder)));
            while let Some(entry) =
                self.wait(async { Ok(entries.next().await) }).map_err(|e| self.failed("list", folder, e))?
            {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(Error::NotFound { .. }) => continue,
                    Err(error) => return Err(self.failed("list", folder, Ended::Error(error))),
                };
                let Some(rest) = entry.location.prefix_match(&self.prefix) else { continue };
                let name = rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                found.insert(name, entry.size);
            }
        }
        Ok(found)
    }

    /// Whether a list has an object.
    pub fn lists(list: &BTreeMap<String, u64>, output: &Output) -> bool {
        list.get(&object_name(output.sha256)) == Some(&output.size)
    }

    /// Whether a list has a record.
    pub fn lists_record(list: &BTreeMap<String, u64>, key: Digest) -> bool {
        list.contains_key(&record_name(key))
    }

    /// The record under a key.
    pub fn record(&self, key: Digest) -> Result<Action, Fault> {
        let text = self.bytes(&record_name(key), MOST_RECORD)?;
        let action = actions::unsealed(key, &text).filter(|action| action.ingredients.key() == key);
        action.ok_or_else(|| Fault::Wrong("it is not the record of this key".into()))
    }

    /// Brings an object into a store, if it is what it should be.
    pub fn bring(&self, output: &Output, into: &Store, progress: &dyn Progress) -> Result<(), Fault> {
        let workspace = into.workspace().map_err(Fault::Failed)?;
        let path = workspace.path().join("object");
        let context = || format!("cannot write {}", path.display());
        let mut counted = 0;
        for attempt in 1.. {
            let mut file = File::create(&path).with_context(context).map_err(Fault::Failed)?;
            let (mut hash, mut length) = (Sha256::new(), 0);
            let received = self.stream(&object_name(output.sha256), output.size, |bytes| {
                file.write_all(bytes).with_context(context)?;
                hash.update(bytes);
                length += bytes.len() as u64;
                // What comes again after a cut counts once.
                progress.advance(length.saturating_sub(counted));
                counted = counted.max(length);
                Ok(())
            });
            match received {
                Err(Cut::Cut(error)) if attempt == MOST_TRIES => return Err(Fault::Failed(error)),
                Err(Cut::Cut(_)) => continue,
                Err(Cut::Fault(fault)) => return Err(fault),
                Ok(()) => {}
            }
            if length != output.size {
                return Err(Fault::Wrong(format!("its size is {length} bytes instead of {}", output.size)));
            }
            let found = Digest(hash.finalize().into());
            if found != output.sha256 {
                return Err(Fault::Wrong(format!("its content has the SHA-256 {found}")));
            }
            return into.place(&path, output.sha256).map_err(Fault::Failed);
        }
        unreachable!("the last attempt returns")
    }

    /// Sends an object of a store, which is verified before.
    ///
    /// # Errors
    /// [`Fault::Absent`] and [`Fault::Wrong`] are about the object in the store.
    pub fn send(&self, output: &Output, from: &Store, progress: &dyn Progress) -> Result<(), Fault> {
        let wrong = |damage: super::Damage| match damage {
            super::Damage::Missing => Fault::Absent,
            damage => Fault::Wrong(damage.to_string()),
        };
        let name = object_name(output.sha256);
        if output.size <= PART as u64 {
            let bytes = from.read(output).map_err(wrong)?;
            self.put(&name, bytes).map_err(Fault::Failed)?;
            progress.advance(output.size);
            return Ok(());
        }
        from.verify(output).map_err(wrong)?;
        self.put_parts(&name, &from.object_path(output.sha256), progress).map_err(Fault::Failed)
    }

    /// Sends the record under a key.
    ///
    /// # Errors
    /// If it cannot be read or sent.
    pub fn send_record(&self, key: Digest, from: &Store) -> anyhow::Result<()> {
        let path = from.action_path(key);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        self.put(&record_name(key), bytes)
    }

    /// The address of an object.
    pub fn object_address(&self, output: &Output) -> String {
        format!("{}/{}", self.place, object_name(output.sha256))
    }

    /// The address of a record.
    pub fn record_address(&self, key: Digest) -> String {
        format!("{}/{}", self.place, record_name(key))
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.parts().chain(name.split('/').map(PathPart::from)).collect()
    }

    /// A small file, of at most so many bytes.
    fn bytes(&self, name: &str, most: u64) -> Result<Vec<u8>, Fault> {
        for attempt in 1.. {
            let mut text = Vec::new();
            let received = self.stream(name, most, |bytes| {
                text.extend_from_slice(bytes);
                Ok(())
            });
            match received {
                Err(Cut::Cut(error)) if attempt == MOST_TRIES => return Err(Fault::Failed(error)),
                Err(Cut::Cut(_)) => {}
                Err(Cut::Fault(fault)) => return Err(fault),
                Ok(()) => return Ok(text),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Hands over a file piece by piece; refuses one of more than so many bytes.
    fn stream(&self, name: &str, most: u64, mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> Result<(), Cut> {
        let failed = |ended| self.failed("read", name, ended);
        let too_large = |found: u64| Cut::Fault(Fault::Wrong(format!("it has {found} bytes, expected at most {most}")));
        let path = self.path(name);
        let answer = match self.wait(self.store.get(&path)) {
            Ok(answer) => answer,
            Err(Ended::Error(Error::NotFound { .. })) => return Err(Cut::Fault(Fault::Absent)),
            Err(ended) => return Err(Cut::Fault(Fault::Failed(failed(ended)))),
        };
        if answer.meta.size > most {
            return Err(too_large(answer.meta.size));
        }
        let (expected, mut length) = (answer.meta.size, 0);
        let mut pieces = answer.into_stream();
        loop {
            match self.wait(async { Ok(pieces.next().await) }) {
                Ok(Some(Ok(bytes))) => {
                    length += bytes.len() as u64;
                    if length > most {
                        return Err(too_large(length));
                    }
                    take(&bytes).map_err(|error| Cut::Fault(Fault::Failed(error)))?;
                }
                Ok(None) if length < expected => {
                    let cause = format!("the connection was cut after {length} of {expected} bytes");
                    return Err(Cut::Cut(anyhow::anyhow!("cannot read {}/{name}: {cause}", self.place)));
                }
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => return Err(Cut::Cut(failed(Ended::Error(error)))),
                Err(ended) => return Err(Cut::Fault(Fault::Failed(failed(ended)))),
            }
        }
    }

    /// Writes a file, which appears when it is complete.
    fn put(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let path = self.path(name);
        let put = self.wait(self.store.put(&path, bytes.into()));
        put.map(drop).map_err(|ended| self.failed("write", name, ended))
    }

    /// As [`Remote::put`], for a large file.
    fn put_parts(&self, name: &str, file: &FilePath, progress: &dyn Progress) -> anyhow::Result<()> {
        let context = || format!("cannot read {}", file.display());
        let failed = |ended| self.failed("write", name, ended);
        let path = self.path(name);
        let mut upload = self.wait(self.store.put_multipart(&path)).map_err(failed)?;
        let mut send = || -> anyhow::Result<()> {
            let file = File::open(file).with_context(context)?;
            loop {
                let mut part = Vec::with_capacity(PART);
                let length = (&file).take(PART as u64).read_to_end(&mut part).with_context(context)?;
                if length == 0 {
                    break;
                }
                self.wait(upload.put_part(PutPayload::from(part))).map_err(failed)?;
                progress.advance(length as u64);
            }
            self.wait(upload.complete()).map(drop).map_err(failed)
        };
        let sent = send();
        if sent.is_err() {
            // The server forgets the parts by itself if this fails, or is told to in its settings.
            let _ = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), upload.abort()).await });
        }
        sent
    }

    /// Waits for an answer, or a request to stop.
    fn wait<T>(&self, answer: impl Future<Output = object_store::Result<T>>) -> Result<T, Ended> {
        self.runtime.block_on(async {
            let mut answer = std::pin::pin!(answer);
            loop {
                self.interrupt.check().map_err(Ended::Stopped)?;
                if let Ok(answer) = tokio::time::timeout(Duration::from_millis(100), answer.as_mut()).await {
                    return answer.map_err(Ended::Error);
                }
            }
        })
    }

    fn failed(&self, verb: &str, name: &str, ended: Ended) -> anyhow::Error {
        match ended {
            Ended::Stopped(error) => error,
            Ended::Error(error) => {
                let (cause, hint) = connect::said(&error);
                errors::failed(format!("cannot {verb} {}/{name}: {cause}", self.place), hint)
            }
        }
    }
}

/// Why a request gave no answer.
enum Ended {
    Error(Error),
    Stopped(anyhow::Error),
}

/// Why a file did not arrive.
enum Cut {
    /// Worth another try.
    Cut(anyhow::Error),
    Fault(Fault),
}

/// Does some work for each item, a few at the same time. After a failure no more is begun; the first one is returned.
///
/// # Errors
/// Those of `work`.
pub fn for_each<T: Sync>(items: &[T], work: impl Fn(&T) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || -> anyhow::Result<()> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    let ends: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..MOST_TRANSFERS.min(items.len())).map(|_| scope.spawn(worker)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    // A stop that was requested is the reason for what failed since.
    let (stopped, other): (Vec<_>, Vec<_>) =
        ends.into_iter().filter_map(Result::err).partition(|error| errors::class_of(error) == Class::Interrupted);
    stopped.into_iter().chain(other).next().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
