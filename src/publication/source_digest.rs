//! The digest of the program's source: provenance names the source with or without Git. The build script includes this
//! file and records the digest at build time.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What a build depends on, except compiler and libtorch.
pub const PARTS: [&str; 4] = ["Cargo.toml", "Cargo.lock", "build.rs", "src"];

/// SHA-256, in lower-case hexadecimal digits, of all files of [`PARTS`] in `root`. The files are sorted by name; the hash
/// covers for each one the name with `/` between parts, a zero, the length in decimal digits, a zero, the content.
///
/// # Errors
/// If one of them is missing or cannot be read.
pub fn source_digest(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    PARTS.iter().try_for_each(|part| list(&root.join(part), (*part).to_owned(), &mut files))?;
    files.sort();
    let mut hash = Sha256::new();
    for (name, path) in files {
        let bytes = std::fs::read(path)?;
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(bytes);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn list(path: &Path, name: String, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push((name, path.to_owned()));
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let part = entry.file_name().into_string().unwrap_or_default();
        // Files that editors and desktops leave behind are no source.
        if !part.starts_with('.') && !part.ends_with('~') {
            list(&entry.path(), format!("{name}/{part}"), files)?;
        }
    }
    Ok(())
}
