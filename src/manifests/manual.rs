//! Files and folders that a person puts into `downloads/`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::fetch::{FetchContext, another_version, difference, is_right};
use crate::digest::Digest;
use crate::progress::Unit;
use crate::{archives, errors};

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
    let look = |name: &str| context.manual.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    let found = look(file).or_else(|| look(folder?));
    let Some(found) = found else {
        let downloads = context.manual.first().map_or_else(|| PathBuf::from("downloads"), Clone::clone);
        let or_folder = folder.map_or_else(String::new, |folder| format!(", or the unpacked folder {folder},"));
        // Footnotes of tables show this, so it has no path of this machine.
        let what = match archive.sources.len() {
            1 => format!("{} has to be downloaded by hand", archive.name),
            _ => format!("{file} is not in downloads/"),
        };
        return Err(errors::unavailable(
            format!("{what} (see {url})"),
            format!(
                "{accept} at {url}, then put the file {file}{or_folder} into {} and run this again",
                downloads.display()
            ),
        ));
    };
    let (sha256, size) = match found.is_dir() {
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
        false => format!("get the file again: {accept} at {url}, then replace {} with it", found.display()),
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
    if length > archive.most() {
        let (from_, most, name) = (from.display(), archive.most(), &archive.name);
        let message = format!("{from_} has {length} bytes, more than the {most} that {name} may have");
        return Err(errors::failed(message, remedy(archive, place, from)));
    }
    context.progress.begin(Some(length), Unit::Bytes);
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
