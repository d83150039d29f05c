//! Variants of one emoji (sex, hair, age, presentation) share a base, so that all of them stay on one side of a split.

use super::table::{SELECTOR, key};

const ADULT: char = '\u{1F9D1}';
const CHILD: char = '\u{1F9D2}';
const OLDER: char = '\u{1F9D3}';
const FAMILY: &str = "1F46A";

/// Bases that stand for others once variants are folded: princess and prince, dancers, couples.
const SAME: &[(&str, &str)] = &[
    ("1F478", "1F934"),
    ("1F936", "1F385"),
    ("1F9D1-1F384", "1F385"),
    ("1F483", "1F57A"),
    ("1F46C", "1F46B"),
    ("1F46D", "1F46B"),
    ("1F9D1-1F91D-1F9D1", "1F46B"),
    ("1F9D1-2764-1F48B-1F9D1", "1F48F"),
    ("1F9D1-2764-1F9D1", "1F491"),
];

/// Whether a code point is a skin tone.
pub fn is_skin_tone(c: char) -> bool {
    ('\u{1F3FB}'..='\u{1F3FF}').contains(&c)
}

/// The base key of an emoji without skin tones.
pub fn base(glyph: &str) -> String {
    let dropped = |c: char| matches!(c, SELECTOR | '\u{200D}' | '\u{2640}' | '\u{2642}');
    let folded: Vec<char> = glyph
        .chars()
        .filter(|c| !dropped(*c))
        .map(|c| match c {
            '\u{1F468}' | '\u{1F469}' => ADULT,
            '\u{1F466}' | '\u{1F467}' => CHILD,
            '\u{1F474}' | '\u{1F475}' => OLDER,
            c => c,
        })
        .collect();
    if folded.is_empty() {
        return key(glyph.chars());
    }
    if folded.len() >= 2 && folded.iter().all(|c| matches!(*c, ADULT | CHILD)) {
        return FAMILY.to_owned();
    }
    let base = key(folded.into_iter());
    SAME.iter().find(|(from, _)| *from == base).map_or(base, |(_, to)| (*to).to_owned())
}
