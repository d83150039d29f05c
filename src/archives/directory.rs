//! The directory of a zip as it is written. Of two members of one name the `zip` crate keeps one, and does not say which name
//! that is; and it reads as many members as the end of the archive states, which may be too few.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::names;

/// The fixed part of a record. Source: PKWARE's APPNOTE.TXT 6.3.10, section 4.3.12.
const RECORD: usize = 46;

/// What a directory holds.
#[derive(Default)]
pub(super) struct Directory {
    /// The number of its records.
    pub records: u64,
    /// The first name that occurs twice, for messages.
    pub twice: Option<String>,
}

/// Reads a directory from its first record to the last one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(mut zip: impl Read + Seek, start: u64) -> io::Result<Directory> {
    zip.seek(SeekFrom::Start(start))?;
    let (mut seen, mut found) = (HashSet::new(), Directory::default());
    let mut record = [0; RECORD];
    loop {
        zip.read_exact(&mut record[..4])?;
        if !record.starts_with(b"PK\x01\x02") {
            return Ok(found);
        }
        zip.read_exact(&mut record[4..])?;
        let length = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let mut name = vec![0; length(28).into()];
        zip.read_exact(&mut name)?;
        found.records += 1;
        if found.twice.is_none() && seen.contains(&name) {
            found.twice =
                Some(names::normalised(&name).map_or_else(|_| names::shown(&name), |name| format!("`{name}`")));
        }
        seen.insert(name);
        // An extra field and a comment.
        let rest = u64::from(length(30)) + u64::from(length(32));
        io::copy(&mut (&mut zip).take(rest), &mut io::sink())?;
    }
}
