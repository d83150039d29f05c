//! Zips, tars and gzipped tars, read member by member and never unpacked to disk.
//!
//! An archive is hostile until proven otherwise, even if its hash is the expected one. These are refused, with an error
//! that names the member:
//!
//! | what | where |
//! |---|---|
//! | names that are absolute, lead out, name a drive, contain `\` or control characters, or are not UTF-8 | `names` |
//! | links, devices, pipes, sparse files | `tar`, [`zip`] |
//! | two members of one name: readers differ in which of them they use | this file, [`zip`] |
//! | bombs: a member, a stream or a whole archive that grows beyond reason; too many members | this file, `gzip`, [`zip`] |
//! | members of another length than declared, archives that are truncated or followed by other data | `content`, `tar`, `gzip` |
//!
//! Names that differ only in case are two names, since members are never written to a file system that might fold them.

mod content;
mod directory;
mod gzip;
mod names;
mod pack;
mod set;
mod sniff;
mod tar;
pub mod zip;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

pub use self::zip::ZipReader;
pub use content::Content;
pub use names::is_clutter;
pub use pack::{PackWriter, pack_folder};
pub use set::Archives;

use crate::errors;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};
use sniff::Kind;

/// A member, a gzip stream or an archive of more than [`SMALL`] bytes that grows by more than this factor is a bomb:
/// deflate reaches 1032 on zeros, text and pictures stay below 20.
const MOST_RATIO: u64 = 200;
const SMALL: u64 = 1 << 20;
/// The most bytes that all members of an archive may have: 20 times the largest dataset of this project.
const MOST_TOTAL: u64 = 200 << 30;
/// The most members that an archive may have: 20 times as many as the largest dataset of this project.
const MOST_MEMBERS: u64 = 2_000_000;
const BUFFER: usize = 256 << 10;

/// The hint for an archive that is damaged or malicious.
const AGAIN: &str = "do not use this archive; fetch it again from its source";

fn refused(place: impl std::fmt::Display, why: impl std::fmt::Display) -> anyhow::Error {
    errors::failed(format!("{place} {why}"), AGAIN)
}

/// Whether the bytes of the archive are the cause of an error of reading. They are not if the disk fails, or if a person
/// can fix it, as with a password.
pub fn is_damage(error: &anyhow::Error) -> bool {
    let by_us = errors::hint_of(error).is_some_and(|hint| hint != AGAIN);
    !errors::is_of_the_system(error) && !by_us && errors::class_of(error) == errors::Class::Failed
}

/// A zip, a tar or a gzipped tar. Its first bytes decide which, never its name.
pub struct Archive {
    path: PathBuf,
    /// Its name in messages.
    called: String,
    format: Format,
}

enum Format {
    Zip(Box<ZipReader>),
    Tar,
    GzippedTar,
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative, with `/` between its parts, without `.` and `..`.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

/// The visitor that [`Archive::walk`] calls for every member.
pub type Visit<'a> = dyn FnMut(&Entry, &mut Content<'_>) -> anyhow::Result<()> + 'a;

impl Archive {
    /// Opens an archive. The directory of a zip is checked now, the headers of a tar are checked as it is walked.
    ///
    /// # Errors
    /// If the file is not an archive (the error says what it looks like), or is a zip that [`ZipReader::open`] refuses.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Archive::open_as(path, path.display().to_string())
    }

    /// Like [`Archive::open`], with another name for messages, for a file that is named after its hash.
    ///
    /// # Errors
    /// See [`Archive::open`].
    pub fn open_as(path: &Path, called: impl Into<String>) -> anyhow::Result<Self> {
        let called = called.into();
        let format = match kind_of(path)? {
            Kind::Zip => Format::Zip(Box::new(ZipReader::open_as(path, called.as_str())?)),
            Kind::Tar => Format::Tar,
            Kind::Gzip => Format::GzippedTar,
            Kind::Other(other) => return Err(other.refused(&called)),
        };
        Ok(Archive { path: path.to_owned(), called, format })
    }

    /// Visits every regular member once, in the order of the archive (for a zip, that of its directory). Members named
    /// `.tar`, `.tar.gz` or `.tgz` are walked too, one level deep, and their members are named `OUTER/INNER`, where OUTER
    /// is the name of the inner archive. What the visitor does not read is skipped.
    ///
    /// # Errors
    /// Those of the visitor; on an interrupt; anything in the table of this module, as soon as the walk reaches it. Use
    /// results only after the whole walk has succeeded.
    pub fn walk(&self, interrupt: &Interrupt, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let mut walk = Walk::new(&self.called, interrupt, visit);
        let open = || File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()));
        match &self.format {
            Format::Zip(zip) => zip.as_ref().clone().walk(&mut walk),
            Format::Tar => tar::walk(&mut walk, None, &mut BufReader::with_capacity(BUFFER, open()?)),
            Format::GzippedTar => tar::walk(&mut walk, None, &mut gzip::Gunzip::new(open()?)),
        }
    }

    /// Reads the whole archive to check every name, every byte and every checksum.
    ///
    /// # Errors
    /// Those of [`Archive::walk`].
    pub fn inspect(&self, interrupt: &Interrupt, progress: &dyn Progress) -> anyhow::Result<()> {
        // The unpacked size is known only at the end.
        progress.begin(None, Unit::Bytes);
        self.walk(interrupt, &mut |_, content| content.skip(progress))
    }

    /// Random access to the members of a zip, without unpacking; archives inside it are plain members there.
    pub fn zip(&self) -> Option<&ZipReader> {
        match &self.format {
            Format::Zip(zip) => Some(zip),
            Format::Tar | Format::GzippedTar => None,
        }
    }
}

fn kind_of(path: &Path) -> anyhow::Result<Kind> {
    let mut head = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    file.take(sniff::HEAD).read_to_end(&mut head).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(sniff::kind(&head))
}

/// Refuses a file of any kind that is a web page, a Git LFS pointer or empty.
///
/// # Errors
/// If it is, or cannot be read.
pub fn check_no_page(path: &Path, called: &str) -> anyhow::Result<()> {
    match kind_of(path)? {
        Kind::Other(other) => other.check(called),
        Kind::Zip | Kind::Tar | Kind::Gzip => Ok(()),
    }
}

/// One walk over an archive and the archives inside it: what was seen, and what may still come.
struct Walk<'a> {
    called: &'a str,
    interrupt: &'a Interrupt,
    visit: &'a mut Visit<'a>,
    /// Half of the SHA-256 of each name, since two million long names may not fit into memory.
    seen: HashSet<[u8; 16]>,
    bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(called: &'a str, interrupt: &'a Interrupt, visit: &'a mut Visit<'_>) -> Self {
        Walk { called, interrupt, visit, seen: HashSet::new(), bytes: 0 }
    }

    /// A member, for messages.
    fn place(&self, name: &str) -> String {
        format!("`{name}` in {}", self.called)
    }

    /// The archive that is walked, for messages.
    fn whole(&self, outer: Option<&str>) -> String {
        outer.map_or_else(|| self.called.to_owned(), |outer| self.place(outer))
    }

    /// Visits a member whose bytes are `input`, or walks it if it is an archive itself.
    fn member(&mut self, outer: Option<&str>, name: &str, size: u64, input: &mut dyn Read) -> anyhow::Result<()> {
        self.interrupt.check()?;
        let name = outer.map_or_else(|| name.to_owned(), |outer| format!("{outer}/{name}"));
        let place = self.place(&name);
        self.admit(&name, &place, size)?;
        let mut content = Content::new(input, size, &place, self.interrupt);
        if outer.is_none() && is_archive(&name) {
            self.nested(&name, &mut content)?;
        } else {
            (self.visit)(&Entry { name, size }, &mut content)?;
        }
        Ok(())
    }

    fn admit(&mut self, name: &str, place: &str, size: u64) -> anyhow::Result<()> {
        let digest = Sha256::digest(name.as_bytes());
        let half = digest.first_chunk().expect("a SHA-256 has 32 bytes");
        if !self.seen.insert(*half) {
            return Err(refused(place, "occurs twice, and readers differ in which of the two they use"));
        }
        if self.seen.len() as u64 > MOST_MEMBERS {
            return Err(refused(
                place,
                format_args!("is member {} of the archive, more than any honest archive has", self.seen.len()),
            ));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MOST_TOTAL {
            return Err(refused(
                place,
                format_args!(
                    "is {size} bytes long, which makes all members longer than the {MOST_TOTAL} bytes of any honest archive"
                ),
            ));
        }
        Ok(())
    }

    /// Walks an archive inside the archive.
    fn nested(&mut self, name: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let place = self.place(name);
        let mut head = Vec::new();
        content.by_ref().take(sniff::HEAD).read_to_end(&mut head).map_err(|error| content::explained(error, &place))?;
        let kind = sniff::kind(&head);
        let mut whole = head.as_slice().chain(content);
        match kind {
            Kind::Tar => tar::walk(self, Some(name), &mut whole),
            Kind::Gzip => tar::walk(self, Some(name), &mut gzip::Gunzip::new(whole)),
            Kind::Zip => Err(refused(place, "is a zip named like a tar")),
            Kind::Other(other) => Err(other.refused(&place)),
        }
    }
}

/// Whether a member is walked as an archive.
fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests;
