//! Gets an archive from the first of its sources that has it, and verifies it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;

use super::https::{self, Access};
use super::{Address, Archive, GitBlob, Source, kaggle, manual, python_package};
use crate::archives;
use crate::digest::Digest;
use crate::errors::{self, Class, Problem};
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::settings::variable;

/// The model hub, unless `HF_ENDPOINT` names another one.
const HUB: &str = "https://huggingface.co";

pub(super) fn hub() -> Address {
    Address::from(variable("HF_ENDPOINT").as_deref().unwrap_or(HUB))
}

/// How and where to fetch archives.
#[derive(Clone)]
pub struct FetchContext {
    pub interrupt: Interrupt,
    pub progress: Arc<dyn Progress>,
    /// The folder of incomplete downloads, named by the hashes of the complete ones.
    pub partial: PathBuf,
    /// The folder of files with a wrong hash.
    pub quarantine: PathBuf,
    /// Folders where a person may have put files.
    pub manual: Vec<PathBuf>,
    pub network: Network,
    pub patience: Patience,
    /// The words that call pip. None means the first one found.
    pub pip: Option<Vec<String>>,
    /// The address of the model hub.
    pub hub: Address,
    /// The mirror, if there is one.
    pub mirror: Option<Address>,
    pub kaggle: kaggle::Kaggle,
}

/// How long to wait for a server, and how often to retry.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// After this long without a byte, a download counts as cut.
    pub stall: Duration,
    /// In each period of this length, at least [`LEAST`] bytes have to arrive. Otherwise a download counts as cut.
    pub period: Duration,
    /// The number of tries per server.
    pub tries: u32,
    /// The first pause between tries. It doubles with each try.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            period: Duration::from_secs(120),
            tries: 6,
            pause: Duration::from_secs(1),
        }
    }
}

impl FetchContext {
    /// The defaults, with the pip that `SEESAW_PIP` names, the hub that `HF_ENDPOINT` names, and the user's key for Kaggle.
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
            hub: hub(),
            mirror: places.mirror,
            kaggle: kaggle::Kaggle::of_this_user(),
        }
    }
}

/// The folders that downloads use.
#[derive(Clone, Debug)]
pub struct FetchPlaces {
    pub partial: PathBuf,
    pub quarantine: PathBuf,
    /// Folders where a person may have put files.
    pub manual: Vec<PathBuf>,
    /// What the downloads of a run know about the network.
    pub network: Network,
    /// The mirror, whose user and password are sent to it.
    pub mirror: Option<Address>,
}

impl FetchPlaces {
    /// For a run that knows nothing about the network yet.
    pub fn new(partial: PathBuf, quarantine: PathBuf, manual: Vec<PathBuf>) -> Self {
        FetchPlaces { partial, quarantine, manual, network: Network::default(), mirror: None }
    }
}

/// Whether any server has answered yet, shared by all clones. Before the first answer, a failed connection most likely means
/// that there is no network, and retries do not help.
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

/// Writes the verified archive to `destination`, which must be on the filesystem of `partial` and `quarantine`.
///
/// # Errors
/// If no source has the archive, with the answer of each; on an interrupt.
pub fn fetch_archive(archive: &Archive, destination: &Path, context: &FetchContext) -> anyhow::Result<()> {
    if take_up(archive, destination, context)? {
        return Ok(());
    }
    // A link that leads nowhere stands for a file that is there: nothing is downloaded in its place.
    for source in &archive.sources {
        if let Source::Manual { file, folder, .. } = source {
            manual::look(&context.manual, [Some(file.as_str()), folder.as_deref()])
                .with_context(|| format!("cannot fetch {}", archive.name))?;
        }
    }
    let mut answers = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    let mut classes = Vec::new();
    for (i, source) in archive.sources.iter().enumerate() {
        // The name of the file in messages.
        let mut called = archive.name.clone();
        let result = match source {
            Source::Https { urls } => https::fetch(archive, urls, &Access::Open, destination, context),
            Source::Hub { repository, revision, file } => {
                let url = format!("{}/{repository}/resolve/{revision}/{file}", context.hub);
                let hub = context.hub.url().context("HF_ENDPOINT");
                hub.and_then(|_| https::fetch(archive, &[url], &Access::Open, destination, context))
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
                // Note a wrong file before trying the next source; the final error lists unavailable ones.
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
    Err(Problem::new(errors::class_of_all(classes), message, hint).into())
}

/// The path of a complete download whose inspection was interrupted, so that it need not be downloaded again.
fn waiting(archive: &Archive, context: &FetchContext) -> PathBuf {
    context.partial.join(format!("whole-{}", Digest::of(archive.name.as_bytes())))
}

fn put_by(archive: &Archive, file: &Path, context: &FetchContext) -> anyhow::Result<()> {
    let waiting = waiting(archive, context);
    match std::fs::rename(file, &waiting) {
        // The interrupt came during the download.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        moved => moved.with_context(|| format!("cannot keep {}", waiting.display())),
    }
}

/// Resumes with a complete download of an earlier run, if there is one and it is the wanted file.
fn take_up(archive: &Archive, destination: &Path, context: &FetchContext) -> anyhow::Result<bool> {
    let waiting = waiting(archive, context);
    if !waiting.is_file() {
        return Ok(false);
    }
    match std::fs::rename(&waiting, destination) {
        // Another run took it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        moved => moved.with_context(|| format!("cannot move {}", waiting.display()))?,
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
            context.progress.note(&format!("{error:#}; downloading it again"));
            Ok(false)
        }
    }
}

/// The extensions of files that readers open as archives.
const ARCHIVES: [&str; 6] = [".zip", ".tar", ".tar.gz", ".tgz", ".whl", ".gz"];

/// Looks at a file without a known hash: an archive has to be readable to its end, and no file may be a web page. After
/// this, its hash is recorded and required from then on.
///
/// # Errors
/// If it is not such a file, after removing it; on an interrupt.
fn inspect(archive: &Archive, file: &Path, called: &str, context: &FetchContext) -> anyhow::Result<()> {
    if is_pinned(archive, file)? {
        return Ok(());
    }
    let looked = match ARCHIVES.iter().any(|ending| archive.name.ends_with(ending)) {
        true => archives::Archive::open_as(file, called)
            .and_then(|opened| opened.inspect(&context.interrupt, context.progress.as_ref())),
        false => archives::check_no_page(file, called),
    };
    let Err(error) = looked else { return Ok(()) };
    if errors::class_of(&error) == Class::Interrupted {
        return Err(error);
    }
    std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    let hint = errors::hint_of(&error).unwrap_or("get the file again from its source");
    let hint = format!("{hint}; nothing was recorded");
    Err(errors::failed(format!("{error:#}"), hint))
}

/// Whether the manifest or the lock file states a hash that this file has.
fn is_pinned(archive: &Archive, file: &Path) -> anyhow::Result<bool> {
    match archive.locked {
        // The file may be a known version other than the recorded one.
        Some(locked) if !archive.known.is_empty() => {
            let (sha256, _) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
            Ok(sha256 == locked.sha256)
        }
        locked => Ok(locked.is_some() || !archive.needs_lock() || archive.git_blob.is_some()),
    }
}

/// Whether a file is the wanted one, by its stated or recorded hash, or by its name in Git. A known version is right
/// whatever the lock file records, which may be another form of the same data.
///
/// # Errors
/// If the file cannot be read.
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

/// Compares a file with the manifest, and sets it aside if it differs.
///
/// # Errors
/// If the file differs: the expected and found size and hash, its source and its new path.
pub(super) fn verify(archive: &Archive, file: &Path, context: &FetchContext, from: &str) -> anyhow::Result<()> {
    let (sha256, size) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
    match is_right(archive, file, sha256, size)? {
        true => Ok(()),
        false => Err(reject(archive, file, sha256, size, from, context)),
    }
}

/// Sets a wrong file aside, under its name and hash, and returns the error that describes it.
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
        Ok(()) => format!("it was moved to {}", aside.display()),
        // Nothing uses it where it is, but a later run must not resume from it.
        Err(error) => match std::fs::remove_file(file) {
            Ok(()) => format!("it was removed, because it could not be set aside ({error})"),
            Err(_) => format!("{} could not be set aside ({error}): remove it", file.display()),
        },
    };
    errors::failed(
        difference(archive, sha256, size, from),
        format!("{place} and is not used; {}", another_version(archive)),
    )
}

/// The hint if a source has another file than the expected one.
pub(super) fn another_version(archive: &Archive) -> &'static str {
    match archive.needs_lock() && archive.locked.is_some() {
        true => {
            "the lock file may record another form of the same data (an unpacked folder, or another zip): provide that one \
             again, or run `seesaw fetch --relock NAME` with the name of the manifest to accept the new one"
        }
        false => "try again later, or check whether the source has a new version",
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
