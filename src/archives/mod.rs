//! Archives as they are found: zips, tars and gzipped tars, read member by member and never unpacked to disk.
//!
//! An archive is hostile until proven otherwise, even if its hash is the expected one. What is refused, always with the
//! member's name:
//!
//! | what | where |
//! |---|---|
//! | names that are absolute, lead out, name a drive, hold `\` or control characters, or are not UTF-8 | `names` |
//! | links, devices, pipes, sparse files | `tar`, [`zip`] |
//! | two members of one name: readers differ in which of them they take | this file, [`zip`] |
//! | bombs: a member, a stream or a whole archive that grows beyond reason; too many members | this file, `gzip`, [`zip`] |
//! | members that are not as long as declared, archives that are cut short or followed by something else | `content`, `tar`, `gzip` |
//!
//! Names that differ in case alone are two names: members are never written to a file system that might fold them.

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
/// What all members of an archive may come to, in bytes: 20 times the largest dataset of this project.
const MOST_TOTAL: u64 = 200 << 30;
/// How many members an archive may have: 20 times as many as the largest dataset of this project.
const MOST_MEMBERS: u64 = 2_000_000;
const BUFFER: usize = 256 << 10;

/// What to do with an archive that no honest person made.
const AGAIN: &str = "do not use this archive; fetch it again from its source";

fn refused(place: impl std::fmt::Display, why: impl std::fmt::Display) -> anyhow::Error {
    errors::failed(format!("{place} {why}"), AGAIN)
}

/// Whether an error of reading a member is the fault of the archive's bytes: not of the disk, which may do better
/// another time, and nothing that a person can set right, such as a password.
pub fn is_damage(error: &anyhow::Error) -> bool {
    let by_us = errors::hint_of(error).is_some_and(|hint| hint != AGAIN);
    !errors::is_of_the_system(error) && !by_us && errors::class_of(error) == errors::Class::Failed
}

/// A file of members: a zip, a tar or a gzipped tar, told apart by its first bytes and never by its name.
pub struct Archive {
    path: PathBuf,
    /// What messages call it.
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

/// What [`Archive::walk`] calls for every member.
pub type Visit<'a> = dyn FnMut(&Entry, &mut Content<'_>) -> anyhow::Result<()> + 'a;

impl Archive {
    /// Opens an archive. The directory of a zip is checked as a whole, that of a tar as it is walked.
    ///
    /// # Errors
    /// If it is no such archive (the error says what it looks like), or a zip that [`ZipReader::open`] refuses.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Archive::open_as(path, path.display().to_string())
    }

    /// As [`Archive::open`], for a file whose own name would tell a person nothing: messages call it by this one.
    ///
    /// # Errors
    /// See [`Archive::open`].
    pub fn open_as(path: &Path, called: impl Into<String>) -> anyhow::Result<Self> {
        let called = called.into();
        let mut head = Vec::new();
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        file.take(sniff::HEAD).read_to_end(&mut head).with_context(|| format!("cannot read {}", path.display()))?;
        let format = match sniff::kind(&head) {
            Kind::Zip => Format::Zip(Box::new(ZipReader::open_as(path, called.as_str())?)),
            Kind::Tar => Format::Tar,
            Kind::Gzip => Format::GzippedTar,
            Kind::Other(other) => return Err(other.refused(&called)),
        };
        Ok(Archive { path: path.to_owned(), called, format })
    }

    /// Visits every regular member once, in the archive's order: a zip's is that of its directory. Members that are
    /// tars or gzipped tars by their names (`.tar`, `.tar.gz`, `.tgz`) are walked too, one level deep, and their members
    /// are named `OUTER/INNER`, where OUTER is the name of the archive inside. What the visitor leaves unread is skipped.
    ///
    /// # Errors
    /// The visitor's own; a stop that was asked for; anything that this module's table lists, as soon as it is met, so
    /// that a result may be used only once the whole walk has succeeded.
    pub fn walk(&self, interrupt: &Interrupt, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let mut walk = Walk::new(&self.called, interrupt, visit);
        let open = || File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()));
        match &self.format {
            Format::Zip(zip) => zip.as_ref().clone().walk(&mut walk),
            Format::Tar => tar::walk(&mut walk, None, &mut BufReader::with_capacity(BUFFER, open()?)),
            Format::GzippedTar => tar::walk(&mut walk, None, &mut gzip::Gunzip::new(open()?)),
        }
    }

    /// Walks over all of it, keeps nothing, and so finds out whether a reader will get through: every name, every byte and
    /// every checksum.
    ///
    /// # Errors
    /// Those of [`Archive::walk`].
    pub fn inspect(&self, interrupt: &Interrupt, progress: &dyn Progress) -> anyhow::Result<()> {
        // How much there is to unpack is seen at the end.
        progress.begin(None, Unit::Bytes);
        let mut piece = vec![0; BUFFER];
        self.walk(interrupt, &mut |_, content| content.skim(&mut piece, progress))
    }

    /// Random access to the members of a zip, without unpacking; archives inside it are plain members there.
    pub fn zip(&self) -> Option<&ZipReader> {
        match &self.format {
            Format::Zip(zip) => Some(zip),
            Format::Tar | Format::GzippedTar => None,
        }
    }
}

/// One walk over an archive and the archives inside it: what was seen, and what may still come.
struct Walk<'a> {
    called: &'a str,
    interrupt: &'a Interrupt,
    visit: &'a mut Visit<'a>,
    /// Halves of the names' SHA-256: two million long names need not fit into memory.
    seen: HashSet<[u8; 16]>,
    bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(called: &'a str, interrupt: &'a Interrupt, visit: &'a mut Visit<'_>) -> Self {
        // The visitor outlives the walk; its lifetime is shortened to that of the borrow.
        Walk { called, interrupt, visit, seen: HashSet::new(), bytes: 0 }
    }

    /// Where a member lies, for messages.
    fn place(&self, name: &str) -> String {
        format!("`{name}` in {}", self.called)
    }

    /// The archive that is being walked, for messages.
    fn whole(&self, outer: Option<&str>) -> String {
        outer.map_or_else(|| self.called.to_owned(), |outer| self.place(outer))
    }

    /// Visits a member whose bytes `input` gives, or walks it if it is an archive itself.
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
            return Err(refused(place, "is there twice; which of the two is meant differs from reader to reader"));
        }
        if self.seen.len() as u64 > MOST_MEMBERS {
            return Err(refused(
                place,
                format_args!("is member {} of the archive, more than any honest one has", self.seen.len()),
            ));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MOST_TOTAL {
            return Err(refused(
                place,
                format_args!(
                    "is {size} bytes long, so that all members are more than {MOST_TOTAL}, as in no honest archive"
                ),
            ));
        }
        Ok(())
    }

    /// Walks an archive inside the archive.
    fn nested(&mut self, name: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let place = self.place(name);
        let mut head = Vec::new();
        content.by_ref().take(sniff::HEAD).read_to_end(&mut head).map_err(|error| content::told(error, &place))?;
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
