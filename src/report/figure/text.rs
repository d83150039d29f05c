//! Measures and breaks text in the bundled font. Lengths are multiples of the type size.

use std::sync::LazyLock;

use resvg::usvg::fontdb;
use ttf_parser::Face;

pub const FONT: &[u8] = include_bytes!("../../../templates/fonts/DejaVuSans.ttf");
pub const FAMILY: &str = "DejaVu Sans";
/// For where the font is not installed: one of nearly the same widths, or any other without serifs.
pub const FAMILIES: &str = "DejaVu Sans, Verdana, sans-serif";

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| Face::parse(FONT, 0).expect("the bundled font is valid"));

/// A database that holds only the bundled font.
pub fn fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts
}

/// The width of a text.
pub fn width(text: &str) -> f64 {
    let glyphs = text.chars().map(|c| FACE.glyph_index(c).unwrap_or_default());
    let advances: f64 = glyphs.map(|glyph| f64::from(FACE.glyph_hor_advance(glyph).unwrap_or(0))).sum();
    advances / f64::from(FACE.units_per_em())
}

/// A text as XML. Characters that XML cannot hold become spaces.
pub fn xml(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn clean(text: &str) -> String {
    let is_xml = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_xml(c) { c } else { ' ' }).collect()
}

/// Shortens a text to one line of a width: at the end of a word if at least half of the line remains.
pub fn fit(text: &str, room: f64) -> String {
    let whole = clean(text);
    if width(&whole) <= room {
        return whole;
    }
    let room = room - width("…");
    let mut line = wrap(text, room).into_iter().next().unwrap_or_default();
    if 2.0 * width(&line) < room {
        line = prefix(&whole, room).to_owned();
    }
    format!("{}…", line.trim_end())
}

/// The longest beginning of a text that fits, at least one character.
fn prefix(text: &str, room: f64) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.clone().take_while(|&end| width(&text[..end]) <= room).last();
    &text[..end.or_else(|| ends.clone().next()).unwrap_or(0)]
}

/// Breaks a text into lines of a width: between words, and within a word that is wider than a line.
pub fn wrap(text: &str, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for mut word in clean(text).split_whitespace() {
        if let Some(line) = lines.last_mut().filter(|line| width(&format!("{line} {word}")) <= room) {
            *line += " ";
            *line += word;
            continue;
        }
        while !word.is_empty() {
            let (line, rest) = word.split_at(prefix(word, room).len());
            lines.push(line.to_owned());
            word = rest;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_keep_every_letter() {
        let text = "some words, a loooooooooooooooooooooooooooooooooooong one\u{1}and more words";
        let lines = wrap(text, 9.0);
        assert!(lines.len() > 3 && lines.iter().all(|line| width(line) <= 9.0), "{lines:?}");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(text));
        assert!(wrap(" \n", 9.0).is_empty() && wrap("ab", 0.1) == ["a", "b"]);
    }

    #[test]
    fn a_long_line_is_cut_after_a_word_or_within_a_long_one() {
        assert_eq!(fit("short", 12.0), "short");
        assert_eq!(fit("some more words and more", 12.0), "some more words…");
        let long = fit("train: 001.Black_footed_Albatross", 12.0);
        assert!(long.starts_with("train: 001.Bla") && long.ends_with('…') && width(&long) <= 12.0, "{long}");
    }
}
