//! Files that are written whole or not at all.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::errors;

/// The beginning of the names of temporary files.
pub const HALF: &str = ".half-";

/// Writes `bytes` to `path` by way of a temporary file in `temporary` or, if that is on another filesystem, beside `path`.
/// After a crash `path` holds either the old file or the new one.
///
/// # Errors
/// If the file or its folder cannot be written.
pub fn write_atomically(path: &Path, temporary: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fill_atomically(path, temporary, |file| file.write_all(bytes))
}

/// As [`write_atomically`], with what `fill` writes. It may be called twice.
///
/// # Errors
/// If `fill` fails; if the file or its folder cannot be written.
pub fn fill_atomically(
    path: &Path,
    temporary: &Path,
    fill: impl Fn(&mut File) -> io::Result<()>,
) -> anyhow::Result<()> {
    let by_way_of = |folder: &Path| {
        let mut file = temporary_in(folder)?;
        fill(file.as_file_mut())?;
        persist(file, path)
    };
    create_folder(folder_of(path))?;
    let written = match by_way_of(temporary) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => by_way_of(folder_of(path)),
        written => written,
    };
    written.map_err(|error| match path.is_dir() {
        true => errors::failed(format!("cannot write {}: a folder is in its place", path.display()), "move it away"),
        false => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
    })
}

/// Writes a value as JSON for people, a part at a time: that of a large suite would fill the memory. Not atomic: for files
/// that are moved to their place when they are whole.
///
/// # Errors
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(place)?);
    // What the disk says stays in the chain: an error of serde_json hides it.
    serde_json::to_writer_pretty(&mut file, value).map_err(io::Error::from).with_context(place)?;
    file.write_all(b"\n").and_then(|()| file.flush()).with_context(place)
}

/// Creates a folder and those above it, unless they exist.
///
/// # Errors
/// If that fails: says which link on the way leads nowhere, or which file is in the place of a folder.
pub fn create_folder(folder: &Path) -> anyhow::Result<()> {
    let Err(error) = std::fs::create_dir_all(folder) else { return Ok(()) };
    look(folder)?;
    let message = format!("cannot create the folder {}", folder.display());
    match folder.ancestors().find(|part| part.exists() && !part.is_dir()) {
        Some(file) => Err(errors::failed(format!("{message}: {} is a file", file.display()), "move the file away")),
        None => Err(error).context(message),
    }
}

/// Creates a folder and tries to write in it: better now than after long work.
///
/// # Errors
/// If that fails.
pub fn try_folder(folder: &Path) -> anyhow::Result<()> {
    create_folder(folder)?;
    temporary_in(folder).map(drop).with_context(|| format!("cannot write {}/", folder.display()))
}

/// What lies at `path`, links followed. None if nothing does.
///
/// # Errors
/// If a link on the way leads nowhere, such as to a disk that is not mounted, or the path may not be read.
pub fn look(path: &Path) -> anyhow::Result<Option<Metadata>> {
    let error = match std::fs::metadata(path) {
        Ok(data) => return Ok(Some(data)),
        Err(error) => error,
    };
    if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return Err(error).with_context(|| format!("cannot look at {}", path.display()));
    }
    let mut links = path.ancestors().filter_map(|part| Some((part, std::fs::read_link(part).ok()?)));
    match links.find(|(link, _)| !link.exists()) {
        None => Ok(None),
        Some((link, target)) => Err(errors::failed(
            format!("{} is a link to {}, which does not exist", link.display(), target.display()),
            "mount the disk that it leads to, or remove the link",
        )),
    }
}

/// The absolute path of what need not exist yet, without `..`: where that leads is known to the filesystem alone, since what is
/// before it may be a link.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if !path.components().any(|part| part == Component::ParentDir) {
        return Ok(path);
    }
    let exists = path.ancestors().find(|part| part.exists()).unwrap_or(&path);
    let mut found = exists.canonicalize()?;
    for part in path.strip_prefix(exists).unwrap_or(&path).components() {
        match part {
            // What does not exist is no link.
            Component::ParentDir => drop(found.pop()),
            part => found.push(part),
        }
    }
    Ok(found)
}

/// A temporary file with the permissions that a new file has, which [`persist`] moves to its place.
pub fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Less those that the umask takes away; by itself, a temporary file is for its owner alone.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(HALF).tempfile_in(folder)
}

/// Moves a finished temporary file to `path`, and makes it durable.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    sync(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Text of a file, whose first bytes tell its encoding. What is no text becomes U+FFFD.
pub fn decoded(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|&pair| unit(pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The folder of a file, `.` for a plain name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes the content of a file durable, if the filesystem offers that.
pub fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        // Network shares and FUSE refuse it for folders, some of them for files too.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Makes a rename in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    sync(&File::open(folder)?)
}

/// Protects a file from being edited by mistake. Filesystems without permissions do without.
pub fn make_read_only(file: &Path) {
    if let Ok(data) = std::fs::metadata(file) {
        let mut permissions = data.permissions();
        permissions.set_readonly(true);
        let _ = std::fs::set_permissions(file, permissions);
    }
}

#[cfg(test)]
mod tests {
    /// A full disk is no fault of what is written.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_the_disk_says_is_known() {
        for values in [0, 100_000] {
            let error = super::write_json(std::path::Path::new("/dev/full"), &vec![0; values]).unwrap_err();
            assert!(super::errors::is_of_the_system(&error), "{error:#}");
        }
    }

    /// What is before `..` may be a link, or not there.
    #[cfg(unix)]
    #[test]
    fn dots_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.join("a/b"), folder.join("link")).unwrap();
        for (path, expected) in [("a/../x", "x"), ("link/../x/y", "a/x/y"), ("none/more/../x", "none/x"), ("x", "x")] {
            assert_eq!(super::absolute(&folder.join(path)).unwrap(), folder.join(expected), "{path}");
        }
    }
}
