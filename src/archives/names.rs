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
    fn odd_names_are_shown_in_one_short_line() {
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
        assert!(shown(&[b'x'; 5000]).len() < 250);
    }
}
