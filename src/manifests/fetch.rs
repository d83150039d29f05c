//! Gets an archive from the first of its sources that has it, and verifies it.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::context::FetchContext;
use super::expected::verify;
use super::{Archive, Source, https, python_package};
use crate::archives;
use crate::digest::Digest;
use crate::errors::{self, Class, Problem};
use crate::network::Access;

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
        if let Source::Manual(manual) = source {
            manual.look(&context.places.manual).with_context(|| format!("cannot fetch {}", archive.name))?;
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
            Source::Kaggle { dataset, version } => from_kaggle(archive, dataset, *version, destination, context),
            Source::PythonPackage { package, version } => {
                python_package::fetch(archive, package, version, destination, context)
            }
            Source::Manual(manual) => manual.fetch(archive, destination, context).map(|found| called = found),
        };
        match result.and_then(|()| inspect(archive, destination, &called, context)) {
            Ok(()) => return Ok(()),
            Err(error) if errors::class_of(&error) == Class::Interrupted => {
                if !matches!(source, Source::Manual(_)) {
                    put_by(archive, destination, context)?;
                }
                return Err(error);
            }
            Err(error) => {
                // Note a wrong file before trying the next source; the final error lists unavailable ones. That there is no
                // network is no news of this source.
                let is_news = errors::class_of(&error) == Class::Failed && !context.places.network.is_down();
                if is_news && i + 1 < archive.sources.len() {
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

/// Downloads a version of a dataset as one zip. Tries without a key if there is none, which Kaggle may refuse.
fn from_kaggle(
    archive: &Archive,
    dataset: &str,
    version: u32,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let access = context.kaggle.access()?;
    let open = matches!(access, Access::Open);
    let url = format!("{}/api/v1/datasets/download/{dataset}?datasetVersionNumber={version}", context.kaggle.address);
    https::fetch(archive, &[url], &access, to, context).map_err(|error| {
        let class = errors::class_of(&error);
        // A key does not help against a broken network or another version of the file.
        if class != errors::Class::Unavailable && errors::hint_of(&error) != Some(https::REFUSED) {
            return error;
        }
        let hint = match open {
            true => format!(
                "no key for Kaggle was found: create one in your settings on Kaggle (API, Create New Token), then set \
                 KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, or put kaggle.json into ~/.kaggle/; you may also \
                 have to accept the terms of {dataset} in a browser"
            ),
            false => format!(
                "check that your key for Kaggle is valid and that you have accepted the terms of \
                 https://www.kaggle.com/datasets/{dataset} in a browser"
            ),
        };
        errors::of_class(class, format!("{error:#}"), hint)
    })
}

/// The path of a complete download whose inspection was interrupted, so that it need not be downloaded again.
fn waiting(archive: &Archive, context: &FetchContext) -> PathBuf {
    context.places.partial.join(format!("whole-{}", Digest::of(archive.name.as_bytes())))
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
