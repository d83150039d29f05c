//! Names of members, restricted to those that mean the same on every system.

/// The longest name in bytes, which is the longest path on Linux.
pub(super) const LONGEST: usize = 4096;

/// The name of a member with `/` between its parts and without `.` and empty parts: `a/b` for `./a//b`.
///
/// # Errors
/// What is wrong with it, to follow "has a member named … that".
pub(super) fn normalised(raw: &[u8]) -> Result<String, &'static str> {
    if raw.len() > LONGEST {
        return Err("is longer than 4096 bytes");
    }
    let name = std::str::from_utf8(raw).map_err(|_| "is not UTF-8")?;
    if name.contains(char::is_control) {
        return Err("contains a control character");
    }
    if name.contains('\\') {
        return Err("contains a backslash, which separates folders on some systems");
    }
    if name.starts_with('/') {
        return Err("is absolute");
    }
    let mut parts = name.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    let has_drive = |part: &str| part.as_bytes().get(1) == Some(&b':') && part.as_bytes()[0].is_ascii_alphabetic();
    if parts.peek().is_some_and(|part| has_drive(part)) {
        return Err("begins with the name of a drive");
    }
    let mut name = String::with_capacity(name.len());
    for part in parts {
        if part == ".." {
            return Err("leads out of the archive");
        }
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(part);
    }
    if name.is_empty() { Err("is empty") } else { Ok(name) }
}

/// Names of files and folders that operating systems, network storage and synchronising programs add to a folder.
const CLUTTER: [&str; 13] = [
    "__MACOSX",
    "$RECYCLE.BIN",
    "#recycle",
    "@eaDir",
    "@Recycle",
    "@tmp",
    "desktop.ini",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "lost+found",
    "Network Trash Folder",
    "System Volume Information",
    "Thumbs.db",
];

/// Whether a file is no part of the data: it or a folder above it is hidden, or was added by an operating system, network
/// storage or a synchronising program. `name` has `/` between its parts.
pub fn is_clutter(name: &str) -> bool {
    name.split('/').any(|part| {
        part.starts_with('.')
            // The mark of a download, which Windows keeps beside the file where it has no streams.
            || part.ends_with(":Zone.Identifier")
            // The icon of a folder on macOS, and the lock of an open document.
            || part == "Icon\r"
            || part.starts_with("~$")
            || CLUTTER.iter().any(|clutter| part.eq_ignore_ascii_case(clutter))
    })
}

/// Whether a member is the icon of a folder on macOS, whose name ends in a control character: the one such name that an honest
/// archive has.
pub(super) fn is_icon(raw: &[u8]) -> bool {
    raw.strip_suffix(b"\r")
        .is_some_and(|name| normalised(name).is_ok_and(|name| name.rsplit('/').next() == Some("Icon")))
}

/// A raw name for messages: on one line, escaped, and not too long.
pub(super) fn shown(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let cut: String = text.chars().take(200).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_on_every_system() {
        let refused: [&[u8]; 14] = [
            b"../up",
            b"a/../../up",
            b"a/..",
            b"..",
            b"/etc/passwd",
            b"\\up",
            b"a\\..\\up",
            b"C:up",
            b"./c:/up",
            b"",
            b"./.",
            b"a\nb",
            b"a\0b",
            b"caf\xE9",
        ];
        for name in refused {
            assert!(normalised(name).is_err(), "{}", shown(name));
        }
        assert!(normalised(&[b'a'; 4097]).is_err());
        let accepted = [
            ("a/b..c/..d", "a/b..c/..d"),
            ("./a", "a"),
            ("././a//b/./c", "a/b/c"),
            ("a/", "a"),
            ("naïve/日本.jpg", "naïve/日本.jpg"),
            ("a: b", "a: b"),
            ("1:2", "1:2"),
        ];
        for (raw, name) in accepted {
            let expected = if name == "a: b" { None } else { Some(name) };
            assert_eq!(normalised(raw.as_bytes()).ok().as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn what_systems_leave_is_no_data() {
        let clutter = [
            ".DS_Store",
            "._a.jpg",
            "img/Thumbs.db",
            "THUMBS.DB",
            "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg",
            "a.jpg:Zone.Identifier",
            "__MACOSX/img/._a.jpg",
            "Icon\r",
            "$Recycle.Bin/a.jpg",
        ];
        for name in clutter {
            assert!(is_clutter(name), "{name}");
        }
        assert!(is_icon(b"Icon\r") && is_icon(b"./img/Icon\r"));
        for other in [&b"../Icon\r"[..], b"/Icon\r", b"img/icon\r", b"aIcon\r", b"Icon", b"\r"] {
            assert!(!is_icon(other), "{}", shown(other));
        }
        for name in ["img/a.jpg", "thumbs/a.jpg", "Icon.png", "recycle/a.jpg", "lost and found.jpg", "a~$.jpg"] {
            assert!(!is_clutter(name), "{name}");
        }
    }

    #[test]
    fn odd_names_are_shown_in_one_short_line() {
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
        assert!(shown(&[b'x'; 5000]).len() < 250);
    }
}
