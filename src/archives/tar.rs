//! Tars, read as a stream: POSIX (ustar, pax) and GNU, with names and sizes up to a sensible length.
//!
//! The `tar` crate parses the headers. Its iterator over members is not used: it keeps extensions of any length in memory,
//! cannot be interrupted, and accepts an archive that is truncated between two members.

use std::io::{self, Read};

use ::tar::{EntryType, Header};

use super::{Walk, content, names, refused};
use crate::digest::Digest;
use crate::progress::Silent;

const BLOCK: usize = 512;
/// The longest extension of a header, in bytes: names are bounded by 4096, and extended attributes by 64 KiB on Linux.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// What the headers before a member say about it.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Walks a tar. `outer` is its name in the archive that contains it, if any.
pub(super) fn walk(walk: &mut Walk<'_>, outer: Option<&str>, input: &mut dyn Read) -> anyhow::Result<()> {
    let whole = walk.whole(outer);
    let mut extension = Extension::default();
    let mut last = None;
    while let Some(header) = next_header(input, &whole, last.as_deref())? {
        walk.interrupt.check()?;
        let size = header
            .entry_size()
            .map_err(|error| refused(&whole, format_args!("has a header without a size: {error}")))?;
        let kind = header.entry_type();
        if let EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader = kind {
            let text = read_extension(input, size, &behind(&whole, last.as_deref()))?;
            extend(&mut extension, kind, text).map_err(|why| refused(&whole, why))?;
            continue;
        }
        let Extension { name, size: long_size } = std::mem::take(&mut extension);
        let raw = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = match names::normalised(&raw) {
            // A name that stays hidden from readers, since its own could not be shown.
            Err(_) if names::is_icon(&raw) => Ok(format!(".{}", Digest::of(&raw))),
            name => name,
        };
        // Tars of a whole folder begin with the folder itself.
        if kind.is_dir() && size == 0 && matches!(raw.as_slice(), b"." | b"./") {
            continue;
        }
        let name =
            name.map_err(|why| refused(&whole, format_args!("has a member named {} that {why}", names::shown(&raw))))?;
        let place = walk.place(&outer.map_or_else(|| name.clone(), |outer| format!("{outer}/{name}")));
        if long_size.is_some_and(|long| long != size) {
            return Err(refused(place, "has two sizes, and readers differ in which of them they use"));
        }
        // Before POSIX, a folder was a file whose name ends in a slash.
        let is_folder = kind.is_dir() || (kind.is_file() && raw.ends_with(b"/"));
        if is_folder && size == 0 {
            last = Some(name);
            continue;
        }
        if is_folder || !kind.is_file() {
            return Err(refused(place, format_args!("is {}, not a regular file", described(kind))));
        }
        let mut member = input.take(size);
        walk.member(outer, &name, size, &mut member)?;
        if member.limit() > 0 {
            content::skip(&mut member, &place, walk.interrupt, &Silent)?;
        }
        if member.limit() > 0 {
            return Err(refused(place, "is cut short"));
        }
        skip_padding(input, size, &place)?;
        last = Some(name);
    }
    if extension.name.is_some() || extension.size.is_some() {
        return Err(refused(&whole, "ends with a header for a member that does not follow"));
    }
    nothing_follows(walk, &behind(&whole, last.as_deref()), input)
}

/// A place between members, for messages: nothing there has a name, so they name the last member.
fn behind(whole: &str, last: Option<&str>) -> String {
    last.map_or_else(|| whole.to_owned(), |last| format!("{whole}, after its member `{last}`,"))
}

/// The next header, or None at the block of zeros that ends a tar.
fn next_header(input: &mut dyn Read, whole: &str, last: Option<&str>) -> anyhow::Result<Option<Box<Header>>> {
    let mut header = Box::new(Header::new_old());
    let after = || last.map_or_else(|| "at its beginning".to_owned(), |last| format!("after its member `{last}`"));
    input.read_exact(header.as_mut_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => refused(whole, format_args!("is cut short {}", after())),
        _ => content::explained(error, &behind(whole, last)),
    })?;
    let bytes = header.as_bytes();
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    // The checksum counts its own field as blanks.
    let sum: u32 = bytes[..148].iter().chain(&bytes[156..]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
    if header.cksum().ok() != Some(sum) {
        return Err(refused(whole, format_args!("is not a tar, or is damaged: there is no valid header {}", after())));
    }
    Ok(Some(header))
}

fn read_extension(input: &mut dyn Read, size: u64, whole: &str) -> anyhow::Result<Vec<u8>> {
    if size > LONGEST_EXTENSION {
        return Err(refused(whole, format_args!("has an extended header of {size} bytes, more than any honest one")));
    }
    let mut text = vec![0; size as usize];
    input.read_exact(&mut text).map_err(|error| content::explained(error, whole))?;
    skip_padding(input, size, whole)?;
    Ok(text)
}

/// Stores what an extended header says about the member that follows.
fn extend(extension: &mut Extension, kind: EntryType, mut text: Vec<u8>) -> Result<(), String> {
    match kind {
        EntryType::GNULongName => {
            // GNU tar ends it with a zero; others may not.
            text.truncate(text.iter().position(|&byte| byte == 0).unwrap_or(text.len()));
            extension.name = Some(text);
        }
        // Links are refused whatever they point at.
        EntryType::GNULongLink => {}
        _ => {
            for record in records(&text) {
                let (key, value) = record?;
                if key.starts_with(b"GNU.sparse.") {
                    return Err("has a sparse file, which is not a regular one".to_owned());
                }
                match key {
                    b"path" | b"size" if kind.is_pax_global_extensions() => {
                        return Err("gives one name or size to all its members".to_owned());
                    }
                    b"path" => extension.name = Some(value.to_owned()),
                    b"size" => extension.size = Some(number(value).ok_or("has a size that is not a number")?),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// The records `LENGTH KEY=VALUE\n` of a pax header. Values may contain anything, newlines too.
fn records(mut text: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), &'static str>> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let record = split_record(text);
        text = record.map_or(&[], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)).ok_or("has a damaged extended header"))
    })
}

fn split_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = text.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(number(&text[..blank])?).ok()?;
    let (record, rest) = text.split_at_checked(length)?;
    let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn described(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::Directory | EntryType::Regular => "a folder with content",
        _ => "something of an unknown kind",
    }
}

/// Members are padded to whole blocks.
fn skip_padding(input: &mut dyn Read, size: u64, place: &str) -> anyhow::Result<()> {
    let mut padding = [0; BLOCK];
    let length = (size.next_multiple_of(BLOCK as u64) - size) as usize;
    input.read_exact(&mut padding[..length]).map_err(|error| content::explained(error, place))
}

/// After its end, a tar contains only zeros. Reading on also verifies the checksum of a gzip stream.
fn nothing_follows(walk: &Walk<'_>, whole: &str, input: &mut dyn Read) -> anyhow::Result<()> {
    let mut piece = [0; 8 << 10];
    loop {
        walk.interrupt.check()?;
        match input.read(&mut piece).map_err(|error| content::explained(error, whole))? {
            0 => return Ok(()),
            n if piece[..n].iter().all(|&byte| byte == 0) => {}
            _ => return Err(refused(whole, "has data after its end, which some readers skip and others read")),
        }
    }
}
