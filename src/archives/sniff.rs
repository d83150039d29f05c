//! What a file is, by its first bytes; and if it is not an archive, what it looks like and what to do.

use std::fmt::Display;

use crate::errors;

/// The number of first bytes that decide.
pub(super) const HEAD: u64 = 512;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Tar,
    Gzip,
    Other(Other),
}

/// What a file looks like that is not a supported archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    Empty,
    /// An archive of another format.
    Foreign(&'static str),
    /// A pointer to the file, or an answer of a server: what it is, and what to do.
    Instead(&'static str, &'static str),
    Unknown,
}

const FOREIGN: &[(&[u8], &str)] = &[
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"\xFD7zXZ\0", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xB5\x2F\xFD", "a Zstandard file"),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file"),
];

const LOGIN: &str = "the download may need a login or an accepted licence: open its address in a browser, then fetch the \
                     file again";

pub(super) fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Kind::Zip;
    }
    if head.starts_with(b"\x1F\x8B") {
        return Kind::Gzip;
    }
    // Both POSIX and GNU tar; older formats have no magic number.
    if head.get(257..262) == Some(b"ustar") {
        return Kind::Tar;
    }
    Kind::Other(other(head))
}

fn other(head: &[u8]) -> Other {
    if head.is_empty() {
        return Other::Empty;
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Other::Foreign(what);
    }
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
    if text.starts_with("version https://git-lfs") {
        return Other::Instead(
            "a Git LFS pointer in place of the archive",
            "run `git lfs pull` where it came from, or download the file itself",
        );
    }
    if ["<!doctype", "<html", "<head", "<body", "<?xml", "<script"].iter().any(|tag| text.starts_with(tag)) {
        return Other::Instead("a web page", LOGIN);
    }
    if text.starts_with('{') {
        return Other::Instead("a JSON message from a server", LOGIN);
    }
    Other::Unknown
}

impl Other {
    /// The error that says what is at `place` and what to do.
    pub(super) fn refused(self, place: &dyn Display) -> anyhow::Error {
        const WANTED: &str = "neither a zip nor a tar nor a gzipped tar";
        match self {
            Other::Empty => errors::failed(format!("{place} is empty"), "get it again from its source"),
            Other::Foreign(what) => errors::failed(
                format!("{place} is {WANTED}: it looks like {what}"),
                "unpack it with a program that supports this format, and put the folder into `downloads/` in its place",
            ),
            Other::Instead(what, hint) => errors::failed(format!("{place} is {WANTED}: it looks like {what}"), hint),
            Other::Unknown => errors::failed(
                format!("{place} is {WANTED}"),
                "check that it is the right file, or get it again from its source",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(kind(&tar), Kind::Tar);
        assert_eq!(kind(b"PK\x03\x04..."), Kind::Zip);
        assert_eq!(kind(b"\x1F\x8B\x08"), Kind::Gzip);
        let message = |head: &[u8]| match kind(head) {
            Kind::Other(other) => other.refused(&"x.zip").to_string(),
            kind => panic!("{kind:?}"),
        };
        assert_eq!(message(b""), "x.zip is empty");
        for (head, what) in [
            (&b"\n <!DOCTYPE html>"[..], "a web page"),
            (b"\xEF\xBB\xBF<html>", "a web page"),
            (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
            (b"{\"error\": 403}", "a JSON message"),
            (b"Rar!\x1A\x07\x01\0", "a RAR archive"),
            (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
        ] {
            assert!(message(head).contains(what), "{}", message(head));
        }
        assert!(message(b"PK is not enough").ends_with("gzipped tar"));
    }
}
