//! Files and folders that a person puts into `downloads/`.

use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest as _, Sha256};

use super::context::FetchContext;
use super::expected::{another_version, difference, is_right};
use super::{Archive, Manual};
use crate::digest::Digest;
use crate::progress::Unit;
use crate::{archives, errors, files};

impl Manual {
    /// What a person has to do.
    pub(super) fn request(&self) -> String {
        let Manual { accept, url, file, folder } = self;
        let or_folder =
            folder.as_ref().map_or_else(String::new, |folder| format!(", or the unpacked folder {folder},"));
        format!("{accept} at {url}, then put the file {file}{or_folder} into downloads/")
    }

    /// The file or the folder, where it lies in one of these folders.
    ///
    /// # Errors
    /// If a link leads nowhere, or what lies there is neither a file nor a folder: to open a device or a pipe may never end.
    pub(super) fn look(&self, folders: &[PathBuf]) -> anyhow::Result<Option<(PathBuf, Metadata)>> {
        let names = [Some(&self.file), self.folder.as_ref()].into_iter().flatten();
        for path in names.flat_map(|name| folders.iter().map(move |folder| folder.join(name))) {
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

    /// Copies the file, or packs the folder, whichever is there. The original stays and is not needed any more. Returns its name
    /// for messages, `downloads/memes.zip`.
    pub(super) fn fetch(
        &self,
        archive: &Archive,
        destination: &Path,
        context: &FetchContext,
    ) -> anyhow::Result<String> {
        let Some((found, kind)) = self.look(&context.places.manual)? else {
            let what = match archive.sources.len() {
                1 => format!("{} has to be downloaded by hand", archive.name),
                _ => format!("{} is not in downloads/", self.file),
            };
            return Err(errors::unavailable(
                format!("{what} (see {})", self.url),
                // Reports show this, so it has no path of this machine.
                format!("{} and run this again", self.request()),
            ));
        };
        let (sha256, size) = match kind.is_dir() {
            true => {
                archives::pack_folder(&found, destination, &context.interrupt, context.progress.as_ref())?;
                Digest::of_file(destination).with_context(|| format!("cannot read {}", destination.display()))?
            }
            false => copy(archive, &self.remedy(archive, &found), &found, destination, context)?,
        };
        if is_right(archive, destination, sha256, size)? {
            return Ok(short(&found));
        }
        std::fs::remove_file(destination).with_context(|| format!("cannot remove {}", destination.display()))?;
        let difference = difference(archive, sha256, size, &found.display().to_string());
        Err(errors::failed(difference, self.remedy(archive, &found)))
    }

    /// The hint for a file that is not the expected one.
    fn remedy(&self, archive: &Archive, found: &Path) -> String {
        match archive.needs_lock() && archive.locked.is_some() {
            true => another_version(archive).to_owned(),
            false => {
                format!("get the file again: {} at {}, then replace {} with it", self.accept, self.url, short(found))
            }
        }
    }
}

/// The last two parts of a path, which name no folder of this machine.
fn short(found: &Path) -> String {
    let mut parts: Vec<_> = found.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    parts.reverse();
    parts.join("/")
}

/// Copies and hashes a file, with progress and interrupts, since it may be large.
fn copy(
    archive: &Archive,
    remedy: &str,
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
        errors::failed(message, remedy)
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
