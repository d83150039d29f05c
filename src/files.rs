//! Files that are written whole or not at all, and locks that are files.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::interrupt::Interrupt;

/// Writes `bytes` to `path` by way of a temporary file in `temporary`, which must be on the same filesystem. After a
/// crash `path` holds either the old file or the new one.
pub fn write_atomically(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(temporary)?;
    file.write_all(bytes)?;
    std::fs::create_dir_all(folder_of(path))?;
    persist(file, path)
}

/// Moves a finished temporary file to `path`, readable by everybody and durable.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    set_mode(file.path(), 0o644)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// The folder of a file, `.` for a plain name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes a rename in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Sets the permissions of a file on systems that have them.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

/// Opens a file, creates it if it does not exist, and locks it. If another process holds the lock, calls `waiting` once
/// and waits. The kernel releases the lock when the file is closed, however the process ends.
///
/// # Errors
/// If the file cannot be opened or locked, or on an interrupt while waiting.
pub fn lock(path: &Path, interrupt: &Interrupt, waiting: impl FnOnce()) -> anyhow::Result<File> {
    let context = || format!("cannot lock {}", path.display());
    let (began, mut waiting) = (Instant::now(), Some(waiting));
    let mut pause = Duration::from_millis(5);
    loop {
        let options = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = options.with_context(context)?;
        match file.try_lock() {
            Ok(()) if is_still_at(&file, path) => return Ok(file),
            // The holder moved or removed the file after we opened it: try again with the new one.
            Ok(()) => continue,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        if began.elapsed() > Duration::from_millis(50)
            && let Some(waiting) = waiting.take()
        {
            waiting();
        }
        interrupt.check()?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}
