//! Unicode's `emoji-test.txt`, and the names of emoji in other languages.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;

/// The presentation selector U+FE0F, which files write inconsistently.
pub const SELECTOR: char = '\u{FE0F}';

/// A fully qualified emoji of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emoji {
    /// With its presentation selectors, exactly as in the table.
    pub glyph: String,
    /// Its English name.
    pub name: String,
    pub group: String,
    pub subgroup: String,
    /// Major, minor.
    pub version: (u32, u32),
}

impl Emoji {
    /// Code points without U+FE0F, upper-case hex with at least four digits, joined by `-`: `1F468-200D-2695`.
    pub fn key(&self) -> String {
        key(self.glyph.chars())
    }
}

/// The key of code points.
pub fn key(code_points: impl Iterator<Item = char>) -> String {
    let codes = code_points.filter(|c| *c != SELECTOR).map(|c| format!("{:04X}", c as u32));
    codes.collect::<Vec<_>>().join("-")
}

/// The fully qualified emoji of `emoji-test.txt`, in its order.
///
/// # Errors
/// Names the line that is not of the form `CODEPOINTS ; STATUS # GLYPH Ex.y NAME`, or repeats an emoji.
pub fn parse(text: &str) -> anyhow::Result<Vec<Emoji>> {
    let (mut group, mut subgroup) = (String::new(), String::new());
    let mut emoji = Vec::new();
    let mut keys = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("# group: ") {
            group = name.to_owned();
        } else if let Some(name) = line.strip_prefix("# subgroup: ") {
            subgroup = name.to_owned();
        } else if !line.is_empty() && !line.starts_with('#') {
            let parsed = data_line(line).with_context(|| format!("line {} is not an emoji: {line:?}", number + 1))?;
            if let Some((glyph, version, name)) = parsed {
                anyhow::ensure!(keys.insert(key(glyph.chars())), "line {} repeats an emoji: {line:?}", number + 1);
                emoji.push(Emoji { glyph, name, group: group.clone(), subgroup: subgroup.clone(), version });
            }
        }
    }
    Ok(emoji)
}

/// Glyph, version and name; none for a line that is not fully qualified; an error for one that is malformed.
type Line = (String, (u32, u32), String);

fn data_line(line: &str) -> anyhow::Result<Option<Line>> {
    let (codes, rest) = line.split_once(';').context("no `;`")?;
    // The first `#` ends the status; a name may hold more of them (`keycap: #`).
    let (status, rest) = rest.split_once('#').context("no `#`")?;
    if status.trim() != "fully-qualified" {
        return Ok(None);
    }
    let glyph: String = codes
        .split_whitespace()
        .map(|code| {
            u32::from_str_radix(code, 16)
                .ok()
                .and_then(char::from_u32)
                .with_context(|| format!("no code point: {code}"))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut words = rest.trim_start().splitn(3, ' ').skip(1);
    let version = words.next().and_then(|word| word.strip_prefix('E')).context("no version")?;
    let (major, minor) = version.split_once('.').context("no version")?;
    let name = words.next().context("no name")?;
    Ok(Some((glyph, (major.parse()?, minor.parse()?), name.to_owned())))
}

/// Names by glyph.
pub type Translations = BTreeMap<String, String>;

/// `{"😀": ":cara_sonriendo:", …}` with the colons gone and spaces for underscores.
///
/// # Errors
/// If it is not such a JSON object.
pub fn translations(json: &str) -> anyhow::Result<Translations> {
    let names: BTreeMap<String, String> = serde_json::from_str(json)?;
    Ok(names.into_iter().map(|(glyph, name)| (glyph, name.trim_matches(':').replace('_', " "))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let text = "\
# group: Smileys & Emotion
# subgroup: face-smiling
1F600                                      ; fully-qualified     # 😀 E1.0 grinning face
263A                                       ; unqualified         # ☺ E0.6 smiling face

# group: Symbols
# subgroup: keycap
0023 FE0F 20E3                             ; fully-qualified     # #️⃣ E0.6 keycap: #
";
        let emoji = parse(text).unwrap();
        assert_eq!(emoji.len(), 2);
        assert_eq!(
            (emoji[0].key().as_str(), emoji[0].version, emoji[0].name.as_str()),
            ("1F600", (1, 0), "grinning face")
        );
        assert_eq!(emoji[0].subgroup, "face-smiling");
        assert_eq!((emoji[1].key().as_str(), emoji[1].name.as_str()), ("0023-20E3", "keycap: #"));
        assert_eq!(emoji[1].glyph, "#\u{FE0F}\u{20E3}");
        let error = format!("{:#}", parse("1F600 ; fully-qualified # x Eone grinning").unwrap_err());
        assert!(error.contains("line 1"), "{error}");
        let twice = "263A FE0F ; fully-qualified # x E0.6 face\n263A ; fully-qualified # x E0.6 face";
        let error = parse(twice).unwrap_err().to_string();
        assert!(error.contains("line 2 repeats an emoji"), "{error}");
    }

    #[test]
    fn translated_names_lose_colons_and_underscores() {
        let names = translations(r#"{"😀": ":cara_sonriendo:"}"#).unwrap();
        assert_eq!(names["😀"], "cara sonriendo");
    }
}
