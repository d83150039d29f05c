//! The directory of a zip as it is written: of two members of one name the `zip` crate keeps one, and does not say which
//! name that is.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use super::names;

/// The fixed part of a record. Source: PKWARE's APPNOTE.TXT 6.3.10, section 4.3.12.
const RECORD: usize = 46;

/// The first name that occurs twice, to follow "two members of one name". Empty if the directory cannot be read.
pub(super) fn name_of_two(mut zip: impl Read + Seek, directory: u64) -> String {
    let found = zip.seek(SeekFrom::Start(directory)).and_then(|_| second(&mut zip)).ok().flatten();
    let shown = |raw: Vec<u8>| names::normalised(&raw).map_or_else(|_| names::shown(&raw), |name| format!("`{name}`"));
    found.map_or_else(String::new, |raw| format!(", {}", shown(raw)))
}

fn second(records: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut seen = HashSet::new();
    let mut record = [0; RECORD];
    loop {
        records.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x01\x02") {
            return Ok(None);
        }
        let length = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let mut name = vec![0; length(28).into()];
        records.read_exact(&mut name)?;
        if seen.contains(&name) {
            return Ok(Some(name));
        }
        seen.insert(name);
        // An extra field and a comment.
        let rest = u64::from(length(30)) + u64::from(length(32));
        io::copy(&mut records.take(rest), &mut io::sink())?;
    }
}
