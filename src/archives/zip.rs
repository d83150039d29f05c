//! Zips, Python wheels among them, read in place: any member at any time, from many threads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use ::zip::CompressionMethod;
use anyhow::Context;

use super::{MOST_MEMBERS, MOST_RATIO, MOST_TOTAL, SMALL, Walk, content, directory, names, refused};
use crate::errors;

/// The largest member that is read into memory, in bytes: the largest weights of this project's encoders fit twice.
const MOST_BYTES: u64 = 2 << 30;

/// An open zip archive. Clones share the file and its directory, and each thread reads with a clone of its own.
#[derive(Clone)]
pub struct ZipReader {
    /// Its name in messages.
    called: String,
    zip: ::zip::ZipArchive<Positioned>,
    /// The names of the regular members, sorted.
    names: Arc<Vec<String>>,
    /// The index of each of them in the directory of the archive.
    places: Arc<Vec<usize>>,
}

impl ZipReader {
    /// Opens an archive and checks its directory: the names of all members, and the sum of their sizes.
    ///
    /// # Errors
    /// If it is not a zip archive; if the name of a member is absolute, leads out of the archive, is not UTF-8 or occurs
    /// twice; if a member is a link; if it has more members, or more bytes in them, than any honest archive.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        ZipReader::open_as(path, path.display().to_string())
    }

    /// Like [`ZipReader::open`], with another name for messages.
    ///
    /// # Errors
    /// See [`ZipReader::open`].
    pub fn open_as(path: &Path, called: impl Into<String>) -> anyhow::Result<Self> {
        let called = called.into();
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let length = file.metadata().with_context(|| format!("cannot open {}", path.display()))?.len();
        let reader = Positioned { file: Arc::new(file), length, position: 0, buffer: Vec::new(), start: 0 };
        let zip = ::zip::ZipArchive::new(reader.clone()).map_err(|error| {
            let hint = "it may be an incomplete download; delete it and fetch it again from its source";
            errors::failed(format!("{called} is not a readable zip archive: {error}"), hint)
        })?;
        let directory = directory::read(reader, zip.central_directory_start());
        let directory = directory.with_context(|| format!("cannot read the directory of {called}"))?;
        if zip.has_duplicate_names() {
            let name = directory.twice.map_or_else(String::new, |name| format!(", {name}"));
            return Err(refused(called, format_args!("has two members of one name{name}")));
        }
        if directory.records != zip.len() as u64 {
            let (stated, found) = (zip.len(), directory.records);
            return Err(errors::failed(
                format!(
                    "{called} states {stated} members, and its central directory has {found}: its writer did not use \
                         zip64, which more than 65,535 members need"
                ),
                "unpack it with a program that reads it whole, and put the folder into `downloads/` in its place",
            ));
        }
        let mut members = checked_directory(&zip, &called, length)?;
        members.sort_unstable();
        if let Some(two) = members.windows(2).find(|two| two[0].0 == two[1].0) {
            let name = &two[0].0;
            return Err(refused(called, format_args!("has two members of one name, `{name}`")));
        }
        let (names, places) = members.into_iter().unzip();
        Ok(ZipReader { called, zip, names: Arc::new(names), places: Arc::new(places) })
    }

    /// The names of all regular members, sorted, with `/` between their parts.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The content of a member.
    ///
    /// # Errors
    /// If there is no such member, or it is damaged, larger than any honest member, or compressed with a method that is
    /// not supported.
    pub fn read(&mut self, name: &str) -> anyhow::Result<Vec<u8>> {
        let place = self.place(name);
        self.stream(name, |member, size| {
            // Do not trust a declared size with that much memory before the first bytes are there.
            let mut content = Vec::with_capacity(size.min(64 << 20) as usize);
            member.read_to_end(&mut content).map_err(|error| content::explained(error, &place))?;
            Ok(content)
        })
    }

    /// Reads a member of this size as it is unpacked.
    ///
    /// # Errors
    /// As [`ZipReader::read`]; if `read` fails, or leaves bytes over.
    pub fn stream<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read, u64) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let place = self.place(name);
        let Ok(at) = self.names.binary_search_by(|known| known.as_str().cmp(name)) else {
            anyhow::bail!("there is no {place}");
        };
        let mut member = opened(&mut self.zip, self.places[at], &place)?;
        let (size, packed) = (member.size(), member.compressed_size());
        if size > MOST_BYTES {
            return Err(refused(place, format_args!("unpacks {packed} bytes to {size}, more than any honest member")));
        }
        // One byte more than declared is enough to detect a wrong size.
        let mut member = member.by_ref().take(size + 1);
        let content = read(&mut member, size)?;
        // At the end, the checksum is compared.
        let rest = io::copy(&mut member, &mut io::sink()).map_err(|error| content::explained(error, &place))?;
        if rest > 0 || member.limit() != 1 {
            return Err(refused(place, format_args!("does not have the {size} bytes that it declares")));
        }
        Ok(content)
    }

    fn place(&self, name: &str) -> String {
        format!("`{name}` in {}", self.called)
    }

    /// Visits all regular members in the order of the directory.
    pub(super) fn walk(mut self, walk: &mut Walk<'_>) -> anyhow::Result<()> {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_unstable_by_key(|&member| self.places[member]);
        for member in order {
            let name = &self.names[member];
            let mut file = opened(&mut self.zip, self.places[member], &walk.place(name))?;
            walk.member(None, name, file.size(), &mut file)?;
        }
        Ok(())
    }
}

/// The names of the regular members, and their indices in the directory.
fn checked_directory(
    zip: &::zip::ZipArchive<Positioned>,
    called: &str,
    length: u64,
) -> anyhow::Result<Vec<(String, usize)>> {
    if zip.len() as u64 > MOST_MEMBERS {
        return Err(refused(called, format_args!("has {} members, more than any honest archive", zip.len())));
    }
    let (mut members, mut total) = (Vec::with_capacity(zip.len()), 0u64);
    for place in 0..zip.len() {
        let entry = zip.by_index_data(place).with_context(|| format!("cannot read {called}"))?;
        let raw = entry.name_raw();
        if entry.is_dir() && matches!(raw, b"./" | b".") {
            continue;
        }
        let name = match names::normalised(raw) {
            Ok(name) => name,
            Err(_) if names::is_icon(raw) => continue,
            Err(why) => {
                return Err(refused(called, format_args!("has a member named {} that {why}", names::shown(raw))));
            }
        };
        // Archives made on Unix have mode bits: 0o100000 is a regular file.
        let is_odd = entry.unix_mode().is_some_and(|mode| !matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000));
        if is_odd {
            let what = if entry.is_symlink() { "is a symbolic link" } else { "is a device or a pipe" };
            return Err(refused(format_args!("`{name}` in {called}"), what));
        }
        // Small members that share their packed bytes can be a bomb together.
        total = total.saturating_add(entry.size());
        if total > MOST_TOTAL || (total > SMALL && total / MOST_RATIO > length) {
            return Err(refused(
                format_args!("`{name}` in {called}"),
                format_args!(
                    "and the members before it would unpack the archive's {length} bytes to {total}, more than any honest \
                     archive"
                ),
            ));
        }
        if !entry.is_dir() {
            members.push((name, place));
        }
    }
    Ok(members)
}

/// Opens a member for reading.
fn opened<'a>(
    zip: &'a mut ::zip::ZipArchive<Positioned>,
    index: usize,
    place: &str,
) -> anyhow::Result<::zip::read::ZipFile<'a, Positioned>> {
    let entry = zip.by_index_data(index).with_context(|| format!("cannot read {place}"))?;
    if entry.encrypted() {
        return Err(errors::failed(
            format!("{place} is locked with a password"),
            "unpack the archive with the password that came with the licence, and put the folder into `downloads/` in \
             the archive's place",
        ));
    }
    let (size, packed) = (entry.size(), entry.compressed_size());
    if size > SMALL && size / MOST_RATIO > packed {
        return Err(refused(place, format_args!("unpacks {packed} bytes to {size}, more than any honest member")));
    }
    let method = entry.compression();
    if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(errors::failed(
            format!("{place} is compressed with {}, which is not supported", method_name(method)),
            "unpack the archive with a program that supports the method, and put the folder into `downloads/` in its place",
        ));
    }
    zip.by_index(index).map_err(|error| refused(place, format_args!("cannot be read: {error}")))
}

/// The name of a compression method. Source: PKWARE's APPNOTE.TXT 6.3.10, section 4.4.5.
fn method_name(method: CompressionMethod) -> String {
    #[allow(deprecated, reason = "a method that the library does not know has no other name than its number")]
    let CompressionMethod::Unsupported(number) = method else { return method.to_string() };
    match number {
        9 => "Deflate64".to_owned(),
        12 => "bzip2".to_owned(),
        14 => "LZMA".to_owned(),
        20 | 93 => "Zstandard".to_owned(),
        other => format!("the unknown method {other}"),
    }
}

/// A file that several readers share. Each has its own position and a small buffer.
struct Positioned {
    file: Arc<File>,
    length: u64,
    position: u64,
    buffer: Vec<u8>,
    /// The position of the buffer in the file.
    start: u64,
}

const BUFFER: u64 = 16 << 10;

impl Clone for Positioned {
    fn clone(&self) -> Self {
        Positioned { file: self.file.clone(), length: self.length, position: 0, buffer: Vec::new(), start: 0 }
    }
}

impl Read for Positioned {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let buffered = self.position.checked_sub(self.start).filter(|offset| *offset < self.buffer.len() as u64);
        let offset = match buffered {
            Some(offset) => offset as usize,
            None => {
                if out.len() as u64 >= BUFFER {
                    let n = read_at(&self.file, out, self.position)?;
                    self.position += n as u64;
                    return Ok(n);
                }
                self.buffer.resize(BUFFER as usize, 0);
                let n = read_at(&self.file, &mut self.buffer, self.position)?;
                self.buffer.truncate(n);
                self.start = self.position;
                0
            }
        };
        let n = out.len().min(self.buffer.len() - offset);
        out[..n].copy_from_slice(&self.buffer[offset..offset + n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(unix)]
fn read_at(file: &File, out: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn archive(members: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = zip::ZipWriter::new(file.reopen().unwrap());
        let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, content) in members {
            writer.start_file(*name, packed).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        file
    }

    #[test]
    fn members_are_read_by_many_threads_at_once() {
        let content: Vec<u8> = (0..200_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let file = archive(&[("a/one", b"1"), ("two", &content), ("empty", b"")]);
        let reader = ZipReader::open(file.path()).unwrap();
        assert_eq!(reader.names(), ["a/one", "empty", "two"]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut reader = reader.clone();
                let content = &content;
                scope.spawn(move || {
                    for _ in 0..5 {
                        assert_eq!(reader.read("a/one").unwrap(), b"1");
                        assert_eq!(reader.read("two").unwrap(), *content);
                        assert_eq!(reader.read("empty").unwrap(), b"");
                    }
                });
            }
        });
        let error = format!("{:#}", reader.clone().read("three").unwrap_err());
        assert!(error.contains("`three` in "), "{error}");
    }

    #[test]
    fn bombs_and_cut_archives_are_refused() {
        let bomb = archive(&[("zeros", &vec![0; 4 << 20])]);
        let error = ZipReader::open(bomb.path()).err().unwrap().to_string();
        assert!(error.contains("more than any honest archive"), "{error}");
        let noise: Vec<u8> = (0..40_000u32).flat_map(|i| i.wrapping_mul(i ^ 2_654_435_761).to_le_bytes()).collect();
        let hidden = archive(&[("noise", &noise), ("zeros", &vec![0; 4 << 20])]);
        let mut reader = ZipReader::open(hidden.path()).unwrap();
        assert_eq!(reader.read("noise").unwrap(), noise);
        let error = reader.read("zeros").unwrap_err().to_string();
        assert!(error.contains("`zeros` in ") && error.contains("more than any honest member"), "{error}");
        let mut cut = std::fs::read(archive(&[("two", b"abc")]).path()).unwrap();
        cut.truncate(20);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), cut).unwrap();
        assert!(ZipReader::open(file.path()).is_err());
    }

    /// Changes bytes of an archive wherever they occur.
    fn patched(file: &tempfile::NamedTempFile, from: &[u8], to: &[u8], times: usize) {
        let mut bytes = std::fs::read(file.path()).unwrap();
        let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|i| bytes[*i..].starts_with(from)).collect();
        assert_eq!(places.len(), times);
        places.iter().for_each(|i| bytes[*i..i + to.len()].copy_from_slice(to));
        std::fs::write(file.path(), bytes).unwrap();
    }

    #[test]
    fn a_damaged_member_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = zip::ZipWriter::new(file.reopen().unwrap());
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("a", stored).unwrap();
        writer.write_all(b"some content").unwrap();
        writer.finish().unwrap();
        let mut reader = ZipReader::open(file.path()).unwrap();
        assert_eq!(reader.read("a").unwrap(), b"some content");
        // The checksum is compared at the end, so who reads a part of it has read nothing that holds.
        let part = |member: &mut dyn Read, _: u64| Ok(member.read_exact(&mut [0; 4])?);
        let error = reader.stream("a", part).unwrap_err().to_string();
        assert!(error.contains("does not have the 12 bytes"), "{error}");
        patched(&file, b"some content", b"same content", 1);
        let error = format!("{:#}", ZipReader::open(file.path()).unwrap().read("a").unwrap_err());
        assert!(error.contains("`a` in "), "{error}");
    }

    /// A member must have the length that the directory says.
    #[test]
    fn a_member_that_lies_about_its_size_is_refused() {
        for (name, lie) in [("longer", 100u32), ("shorter", 300)] {
            let file = archive(&[("a", &[7; 200])]);
            patched(&file, &200u32.to_le_bytes(), &lie.to_le_bytes(), 2);
            let error = format!("{:#}", ZipReader::open(file.path()).unwrap().read("a").unwrap_err());
            assert!(error.contains("`a` in "), "{name}: {error}");
        }
    }
}
