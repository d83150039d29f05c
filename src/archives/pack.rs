//! Writes zips whose bytes depend on nothing but their members.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, System};

use super::names;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};
use crate::{errors, files};

/// Writes a zip of stored members with fixed times and attributes, so that the same members in the same order give the
/// same bytes. Uses Zip64 where needed. The file appears under its name only when it is finished.
pub struct PackWriter {
    path: PathBuf,
    zip: ZipWriter<BufWriter<NamedTempFile>>,
}

impl PackWriter {
    /// Begins a zip in the folder where it will appear.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let folder = files::folder_of(path);
        let file = files::temporary_in(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
        Ok(PackWriter { path: path.to_owned(), zip: ZipWriter::new(BufWriter::with_capacity(super::BUFFER, file)) })
    }

    /// Adds a member.
    ///
    /// # Errors
    /// If [`super::ZipReader`] would refuse the name, if the name was added before, or if the zip cannot be written.
    pub fn append(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.start(name, bytes.len() as u64)?;
        self.zip.write_all(bytes).with_context(|| self.cannot_write())
    }

    /// Adds a member whose bytes are read piece by piece. Returns how many there were.
    fn append_from(
        &mut self,
        name: &str,
        size: u64,
        input: &mut dyn Read,
        interrupt: &Interrupt,
    ) -> anyhow::Result<u64> {
        self.start(name, size)?;
        let mut piece = vec![0; super::BUFFER];
        let mut written = 0;
        loop {
            interrupt.check()?;
            let n = input.read(&mut piece).with_context(|| format!("cannot read {name}"))?;
            if n == 0 {
                return Ok(written);
            }
            self.zip.write_all(&piece[..n]).with_context(|| self.cannot_write())?;
            written += n as u64;
        }
    }

    fn start(&mut self, name: &str, size: u64) -> anyhow::Result<()> {
        match names::normalised(name.as_bytes()) {
            Ok(normalised) if normalised == name => {}
            Ok(normalised) => anyhow::bail!("a member should be named {normalised:?}, found {name:?}"),
            Err(why) => anyhow::bail!("the name {name:?} of a member {why}"),
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .unix_permissions(0o644)
            .large_file(size >= u64::from(u32::MAX));
        self.zip.start_file(name, options).with_context(|| format!("cannot add {name} to {}", self.path.display()))
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    /// Writes the directory, syncs the file, and moves it to its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        let cannot_write = self.cannot_write();
        let buffer = self.zip.finish().with_context(|| cannot_write.clone())?;
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error).with_context(|| cannot_write.clone())?;
        files::persist(file, &self.path).context(cannot_write)
    }
}

/// Packs a folder that a person unpacked: its regular files, sorted by name. Leaves out what is no part of the
/// data: see [`names::is_clutter`].
///
/// # Errors
/// If the folder contains a link, a device, a name that is not UTF-8, or no file at all; if it changes while it is read;
/// if something cannot be read or written; on an interrupt.
pub fn pack_folder(
    folder: &Path,
    destination: &Path,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    let mut files = BTreeMap::new();
    list(folder, "", interrupt, &mut files)?;
    if files.is_empty() {
        return Err(errors::failed(
            format!("{} contains no files", folder.display()),
            "unpack the archive into it, or put the archive itself in its place",
        ));
    }
    progress.begin(Some(files.values().sum()), Unit::Bytes);
    let mut pack = PackWriter::create(destination)?;
    for (name, &size) in &files {
        interrupt.check()?;
        let path = folder.join(name);
        let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let found = pack.append_from(name, size, &mut file, interrupt)?;
        if found != size {
            return Err(errors::failed(
                format!("{} was {size} bytes long and is {found} now", path.display()),
                "wait until the program that writes to the folder is done, then try again",
            ));
        }
        progress.advance(size);
    }
    pack.finish()
}

/// Adds the regular files of a folder and their sizes, by their names relative to the packed folder.
fn list(folder: &Path, below: &str, interrupt: &Interrupt, files: &mut BTreeMap<String, u64>) -> anyhow::Result<()> {
    interrupt.check()?;
    let place = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(place)? {
        let path = entry.with_context(place)?.path();
        let refuse = |why: &str| {
            let hint = "the folder should contain only what the archive contains: unpack it again, or remove this";
            errors::failed(format!("{} {why}", path.display()), hint)
        };
        let name = path.file_name().unwrap_or_default();
        if names::is_clutter(&name.to_string_lossy()) {
            continue;
        }
        let name = name.to_str().ok_or_else(|| refuse("has a name that is not UTF-8"))?;
        let name = format!("{below}{name}");
        let metadata = fs::symlink_metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            list(&path, &format!("{name}/"), interrupt, files)?;
        } else if metadata.is_file() {
            files.insert(name, metadata.len());
        } else {
            let what = if metadata.is_symlink() { "is a link" } else { "is neither a file nor a folder" };
            return Err(refuse(what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archives::{Archive, ZipReader};
    use crate::digest::Digest;
    use crate::progress::Silent;

    /// The bytes depend on the members alone, and later runs compare them. If this fails because a library writes zips in
    /// another way, every folder that a person unpacked is packed and read again.
    #[test]
    fn same_members_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let write = || {
            let mut pack = PackWriter::create(&path).unwrap();
            pack.append("b/two.txt", b"22").unwrap();
            pack.append("a", b"").unwrap();
            assert!(!path.exists(), "it appears when it is finished");
            pack.finish().unwrap();
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            Digest::of(&bytes).to_string()
        };
        assert_eq!(write(), "07c487d6775299dc8035ed5edafbf7f2a0d6368aa19425088906ca8f1cb69ffe");
        assert_eq!(write(), write());
    }

    #[test]
    fn members_that_could_not_be_read_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut pack = PackWriter::create(&folder.path().join("a.zip")).unwrap();
        pack.append("a/b", b"1").unwrap();
        for name in ["", "/a", "../a", "a/", "./a", "a//b", "a\\b", "a/b"] {
            assert!(pack.append(name, b"2").is_err(), "{name:?}");
        }
        drop(pack);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "an abandoned pack leaves nothing");
    }

    /// More members than 16 bits count.
    #[test]
    fn large_packs_are_zip64() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.zip");
        let mut pack = PackWriter::create(&path).unwrap();
        (0..70_000).for_each(|n| pack.append(&format!("{n:05}"), b"").unwrap());
        pack.finish().unwrap();
        assert_eq!(ZipReader::open(&path).unwrap().names().len(), 70_000);
    }

    #[test]
    fn a_folder_is_packed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        for (name, content) in [
            ("train.jsonl", "{}"),
            ("img/02.png", "two"),
            ("img/01.png", "one"),
            ("img-more/x", ""),
            (".DS_Store", "hidden"),
            ("img/.hidden/x", "hidden"),
            ("__MACOSX/img/x", "hidden"),
        ] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), content).unwrap();
        }
        let (first, second) = (folder.path().join("1.zip"), folder.path().join("2.zip"));
        pack_folder(&root, &first, &Interrupt::default(), &Silent).unwrap();
        let mut members = Vec::new();
        let archive = Archive::open(&first).unwrap();
        archive
            .walk(&Interrupt::default(), &mut |entry, content| {
                members.push((entry.name.clone(), String::from_utf8(content.read_all(9)?)?));
                Ok(())
            })
            .unwrap();
        let expected = [("img-more/x", ""), ("img/01.png", "one"), ("img/02.png", "two"), ("train.jsonl", "{}")];
        assert!(members.iter().map(|(name, content)| (name.as_str(), content.as_str())).eq(expected), "{members:?}");
        fs::write(root.join("img/01.png"), "one").unwrap();
        pack_folder(&root, &second, &Interrupt::default(), &Silent).unwrap();
        assert_eq!(fs::read(&first).unwrap(), fs::read(&second).unwrap());
        let interrupt = Interrupt::default();
        interrupt.raise();
        assert!(pack_folder(&root, &folder.path().join("3.zip"), &interrupt, &Silent).is_err());
        assert!(!folder.path().join("3.zip").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_odd_names_are_refused() {
        use std::os::unix::ffi::OsStrExt;
        let refused = |make: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("fine"), "1").unwrap();
            make(folder.path());
            let out = tempfile::tempdir().unwrap();
            let error = pack_folder(folder.path(), &out.path().join("x.zip"), &Interrupt::default(), &Silent);
            error.unwrap_err().to_string()
        };
        let message = refused(&|folder| std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap());
        assert!(message.ends_with("link is a link"), "{message}");
        let message = refused(&|folder| {
            let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        });
        assert!(message.ends_with("socket is neither a file nor a folder"), "{message}");
        let message = refused(&|folder| fs::write(folder.join(std::ffi::OsStr::from_bytes(b"caf\xE9")), "").unwrap());
        assert!(message.contains("not UTF-8"), "{message}");
        let message = refused(&|folder| fs::remove_file(folder.join("fine")).unwrap());
        assert!(message.ends_with("contains no files"), "{message}");
    }
}
