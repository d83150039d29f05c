//! Files and folders that a person puts into `downloads/`.

use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::context::FetchContext;
use super::expected::{another_version, difference, is_right};
use crate::digest::Digest;
use crate::progress::Unit;
use crate::{archives, errors, files};

/// What the person has to do.
pub(super) struct Place<'a> {
    /// What to do, as in "Accept the licence".
    pub accept: &'a str,
    /// Where to do it.
    pub url: &'a str,
    pub file: &'a str,
    /// The unpacked folder that may be there in place of the file.
    pub folder: Option<&'a str>,
}

/// Copies the file, or packs the folder, whichever is there. The original stays and is not needed any more. Returns its name
/// for messages, `downloads/memes.zip`.
pub(super) fn fetch(
    archive: &Archive,
    place: &Place<'_>,
    destination: &Path,
    context: &FetchContext,
) -> anyhow::Result<String> {
    let Place { accept, url, file, folder } = *place;
    let Some((found, kind)) = look(&context.manual, [Some(file), folder])? else {
        let or_folder = folder.map_or_else(String::new, |folder| format!(", or the unpacked folder {folder},"));
        let what = match archive.sources.len() {
            1 => format!("{} has to be downloaded by hand", archive.name),
            _ => format!("{file} is not in downloads/"),
        };
        return Err(errors::unavailable(
            format!("{what} (see {url})"),
            // Reports show this, so it has no path of this machine.
            format!("{accept} at {url}, then put the file {file}{or_folder} into downloads/ and run this again"),
        ));
    };
    let (sha256, size) = match kind.is_dir() {
        true => {
            archives::pack_folder(&found, destination, &context.interrupt, context.progress.as_ref())?;
            Digest::of_file(destination).with_context(|| format!("cannot read {}", destination.display()))?
        }
        false => copy(archive, place, &found, destination, context)?,
    };
    if is_right(archive, destination, sha256, size)? {
        return Ok(short(&found));
    }
    std::fs::remove_file(destination).with_context(|| format!("cannot remove {}", destination.display()))?;
    Err(errors::failed(difference(archive, sha256, size, &found.display().to_string()), remedy(archive, place, &found)))
}

/// The first of these names that lies in one of the folders.
///
/// # Errors
/// If a link leads nowhere, or what lies there is neither a file nor a folder: to open a device or a pipe may never end.
pub(super) fn look<'a>(
    folders: &[PathBuf],
    names: impl IntoIterator<Item = Option<&'a str>>,
) -> anyhow::Result<Option<(PathBuf, Metadata)>> {
    for path in names.into_iter().flatten().flat_map(|name| folders.iter().map(move |folder| folder.join(name))) {
        match files::look(&path)? {
            Some(data) if data.is_file() || data.is_dir() => return Ok(Some((path, data))),
            Some(_) => {
                let message = format!("{} is neither a file nor a folder", path.display());
                return Err(errors::failed(message, "put the file itself in its place"));
            }
            None => {}
        }
    }
    Ok(None)
}

/// The last two parts of a path, which name no folder of this machine.
fn short(found: &Path) -> String {
    let mut parts: Vec<_> = found.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}

/// The hint for a file that is not the expected one.
fn remedy(archive: &Archive, Place { accept, url, .. }: &Place<'_>, found: &Path) -> String {
    match archive.needs_lock() && archive.locked.is_some() {
        true => another_version(archive).to_owned(),
        false => format!("get the file again: {accept} at {url}, then replace {} with it", short(found)),
    }
}

/// Copies and hashes a file, with progress and interrupts, since it may be large.
fn copy(
    archive: &Archive,
    place: &Place<'_>,
    from: &Path,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<(Digest, u64)> {
    let reading = || format!("cannot read {}", from.display());
    let writing = || format!("cannot write {}", to.display());
    let mut source = File::open(from).with_context(reading)?;
    let length = source.metadata().with_context(reading)?.len();
    let too_long = |length: &str| {
        let (from_, most, name) = (from.display(), archive.most(), &archive.name);
        let message = format!("{from_} has {length} bytes, more than the {most} that {name} may have");
        errors::failed(message, remedy(archive, place, from))
    };
    if length > archive.most() {
        return Err(too_long(&length.to_string()));
    }
    context.progress.begin(Some(length), Unit::Bytes);
    let mut target = File::create(to).with_context(writing)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 18];
    loop {
        context.interrupt.check()?;
        let n = source.read(&mut buffer).with_context(reading)?;
        if n == 0 {
            files::sync(&target).with_context(writing)?;
            return Ok((Digest(hash.finalize().into()), size));
        }
        hash.update(&buffer[..n]);
        target.write_all(&buffer[..n]).with_context(writing)?;
        size += n as u64;
        // It grows while it is read.
        if size > archive.most() {
            std::fs::remove_file(to).with_context(writing)?;
            return Err(too_long(&format!("at least {size}")));
        }
        context.progress.advance(n as u64);
    }
}
