//! Members of zip archives (Python wheels are zip files), read in place. An archive is not trusted just because its
//! hash is the expected one: names that leave the archive, and members that are larger than they should be, are refused.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::errors;

/// The largest member that is read, in bytes: the largest weights of this project's encoders fit twice.
const MOST_BYTES: u64 = 2 << 30;
/// A member of more than [`SMALL`] bytes that grows by more than this factor is a bomb.
const MOST_RATIO: u64 = 200;
const SMALL: u64 = 1 << 20;

/// An open zip archive. Clones share the file and its directory, and each thread reads with a clone of its own.
#[derive(Clone)]
pub struct ZipReader {
    path: PathBuf,
    zip: zip::ZipArchive<Positioned>,
    names: Arc<Vec<String>>,
}

impl ZipReader {
    /// Opens an archive and checks the names of all members.
    ///
    /// # Errors
    /// If it is no zip archive, or a member's name is absolute, leads out of the archive, is not UTF-8 or occurs twice.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let length = file.metadata().with_context(|| format!("cannot open {}", path.display()))?.len();
        let reader = Positioned { file: Arc::new(file), length, position: 0, buffer: Vec::new(), start: 0 };
        let zip = zip::ZipArchive::new(reader)
            .with_context(|| format!("{} is not a readable zip archive", path.display()))?;
        if zip.has_duplicate_names() {
            // Which of the two is meant differs from reader to reader.
            return Err(errors::failed(
                format!("{} has two members of one name", path.display()),
                "do not use this archive; fetch it again from its source",
            ));
        }
        let mut names = Vec::new();
        for name in zip.file_names() {
            let name = name.with_context(|| format!("{} has a member whose name is not UTF-8", path.display()))?;
            if !stays_inside(&name) {
                return Err(errors::failed(
                    format!("{} has a member named {name:?}, which leads out of the archive", path.display()),
                    "do not use this archive; fetch it again from its source",
                ));
            }
            names.push(name.into_owned());
        }
        names.sort_unstable();
        Ok(ZipReader { path: path.to_owned(), zip, names: Arc::new(names) })
    }

    /// The names of all members, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The content of a member.
    ///
    /// # Errors
    /// If it is not there, is damaged, or is larger than any honest member.
    pub fn read(&mut self, name: &str) -> anyhow::Result<Vec<u8>> {
        let place = format!("`{name}` in {}", self.path.display());
        let mut member = self.zip.by_name(name).with_context(|| format!("cannot read {place}"))?;
        let (size, packed) = (member.size(), member.compressed_size());
        if size > MOST_BYTES || (size > SMALL && size / MOST_RATIO > packed) {
            return Err(errors::failed(
                format!("{place} unpacks {packed} bytes to {size}, more than any honest member"),
                "do not use this archive; fetch it again from its source",
            ));
        }
        let mut content = Vec::with_capacity(size as usize);
        // One byte more than declared is enough to tell a member that lies about its size.
        member.by_ref().take(size + 1).read_to_end(&mut content).with_context(|| format!("cannot read {place}"))?;
        anyhow::ensure!(content.len() as u64 == size, "{place} is not the {size} bytes long that it declares");
        Ok(content)
    }
}

/// Whether a member's name is relative and without `..`, on every system.
fn stays_inside(name: &str) -> bool {
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    !name.is_empty() && !name.starts_with(['/', '\\']) && !has_drive && name.split(['/', '\\']).all(|part| part != "..")
}

/// A file that several readers share, each with a position and a small buffer of its own.
struct Positioned {
    file: Arc<File>,
    length: u64,
    position: u64,
    buffer: Vec<u8>,
    /// Where the buffer's first byte lies in the file.
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
    fn names_that_lead_out_and_bombs_are_refused() {
        for name in ["../up", "a/../../up", "/etc/passwd", "\\up", "C:up", "a\\..\\up"] {
            assert!(!stays_inside(name), "{name}");
        }
        assert!(stays_inside("a/b..c/..d"));
        let bomb = archive(&[("zeros", &vec![0; 4 << 20])]);
        let error = ZipReader::open(bomb.path()).unwrap().read("zeros").unwrap_err().to_string();
        assert!(error.contains("more than any honest member"), "{error}");
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

    /// Readers differ in which of two members they take, so none is taken.
    #[test]
    fn two_members_of_one_name_are_refused() {
        let file = archive(&[("first", b"1"), ("other", b"2")]);
        assert!(ZipReader::open(file.path()).is_ok());
        patched(&file, b"other", b"first", 2);
        let error = ZipReader::open(file.path()).err().unwrap().to_string();
        assert!(error.contains("two members of one name"), "{error}");
    }

    #[test]
    fn a_name_that_leads_out_is_refused_at_the_door() {
        let file = archive(&[("aa/up", b"1")]);
        patched(&file, b"aa/up", b"../up", 2);
        let error = ZipReader::open(file.path()).err().unwrap().to_string();
        assert!(error.contains("leads out of the archive"), "{error}");
    }

    #[test]
    fn a_damaged_member_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut writer = zip::ZipWriter::new(file.reopen().unwrap());
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file("a", stored).unwrap();
        writer.write_all(b"some content").unwrap();
        writer.finish().unwrap();
        assert_eq!(ZipReader::open(file.path()).unwrap().read("a").unwrap(), b"some content");
        patched(&file, b"some content", b"same content", 1);
        let error = format!("{:#}", ZipReader::open(file.path()).unwrap().read("a").unwrap_err());
        assert!(error.contains("`a` in "), "{error}");
    }

    /// A member may not be longer than its directory says, nor shorter.
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
