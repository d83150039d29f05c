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

/// A file that is not a supported archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// What it looks like, if that is known.
    looks_like: Option<&'static str>,
    /// Whether it stands in for a file: a page, a pointer, nothing at all.
    stands_in: bool,
    hint: &'static str,
}

const FOREIGN: &[(&[u8], &str)] = &[
    (b"Rar!\x1A\x07", "a RAR archive"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"\xFD7zXZ\0", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xB5\x2F\xFD", "a Zstandard file"),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file"),
];

const AGAIN: &str = "check that it is the right file, or get it again from its source";
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
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        let hint =
            "unpack it with a program that supports this format, and put the folder into `downloads/` in its place";
        return Other { looks_like: Some(what), stands_in: false, hint };
    }
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches(['\u{FEFF}', ' ', '\t', '\r', '\n']).to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    let (looks_like, stands_in, hint) = if head.is_empty() {
        (Some("an empty file"), true, AGAIN)
    } else if begins(&["version https://git-lfs"]) {
        let hint = "run `git lfs pull` where it came from, or download the file itself";
        (Some("a Git LFS pointer"), true, hint)
    } else if begins(&["<!doctype", "<html", "<head", "<body", "<?xml", "<script"]) {
        (Some("a web page"), true, LOGIN)
    } else if begins(&["{"]) {
        (Some("a JSON message from a server"), false, LOGIN)
    } else {
        (None, false, AGAIN)
    };
    Other { looks_like, stands_in, hint }
}

impl Other {
    /// The error that says what is at `place` and what to do.
    pub(super) fn refused(self, place: &dyn Display) -> anyhow::Error {
        let what = self.looks_like.map_or_else(String::new, |what| format!(": it looks like {what}"));
        errors::failed(format!("{place} is neither a zip nor a tar nor a gzipped tar{what}"), self.hint)
    }

    /// Refuses what stands in for a file, whatever the file should be.
    pub(super) fn check(self, place: &str) -> anyhow::Result<()> {
        match self.looks_like.filter(|_| self.stands_in) {
            Some(what) => Err(errors::failed(format!("{place} is not the file: it looks like {what}"), self.hint)),
            None => Ok(()),
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
        for (head, what) in [
            (&b""[..], "an empty file"),
            (b"\n <!DOCTYPE html>", "a web page"),
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
