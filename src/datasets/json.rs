//! JSON as other programs write it, read as Python's `json` reads it, and a little beyond: a byte order mark is passed over,
//! bytes that are no text and halves of surrogate pairs become U+FFFD, `NaN` and `Infinity` become null, the last of several
//! equal keys counts, and 1.0 is 1.

use std::iter::Peekable;
use std::str::Chars;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::files::decoded;

/// Reads a value.
///
/// # Errors
/// What is wrong with the text or with a field of the value.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let value: Value = serde_json::from_str(&strict(&decoded(bytes)))?;
    serde_json::from_value(whole_numbers(value))
}

/// The same text without what JSON does not allow and Python's writer gives.
fn strict(text: &str) -> String {
    let (mut out, mut rest, mut quoted) = (String::with_capacity(text.len()), text.chars().peekable(), false);
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            '\\' if quoted => escape(&mut rest, &mut out),
            'N' if !quoted && takes(&mut rest, "aN") => out.push_str("null"),
            '-' if !quoted && takes(&mut rest, "Infinity") => out.push_str("null"),
            'I' if !quoted && takes(&mut rest, "nfinity") => out.push_str("null"),
            c => out.push(c),
        }
    }
    out
}

/// Copies what follows a backslash. Half of a surrogate pair becomes U+FFFD.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let Some(c) = rest.next() else { return out.push('\\') };
    if c != 'u' {
        out.extend(['\\', c]);
        return;
    }
    let unit = |rest: &mut Peekable<Chars<'_>>| {
        let digits: String = rest.clone().take(4).collect();
        let unit = (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()?;
        rest.nth(3);
        Some(unit)
    };
    match unit(rest) {
        None => out.push_str("\\u"),
        Some(high @ 0xD800..=0xDBFF) => {
            let mut ahead = rest.clone();
            let low = (ahead.next() == Some('\\') && ahead.next() == Some('u')).then(|| unit(&mut ahead)).flatten();
            match low.filter(|low| (0xDC00..=0xDFFF).contains(low)) {
                Some(low) => {
                    *rest = ahead;
                    out.push_str(&format!("\\u{high:04x}\\u{low:04x}"));
                }
                None => out.push_str("\\ufffd"),
            }
        }
        Some(0xDC00..=0xDFFF) => out.push_str("\\ufffd"),
        Some(unit) => out.push_str(&format!("\\u{unit:04x}")),
    }
}

/// Goes on behind `word` if it is next.
fn takes(rest: &mut Peekable<Chars<'_>>, word: &str) -> bool {
    let mut ahead = rest.clone();
    let found = word.chars().all(|c| ahead.next() == Some(c));
    if found {
        *rest = ahead;
    }
    found
}

/// Integers in the place of numbers such as 1.0, which pandas writes for the integers of a column with gaps.
fn whole_numbers(value: Value) -> Value {
    /// Beyond this, not every integer is a float.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(real) if real.fract() == 0.0 && real.abs() <= MOST => Value::from(real as i64),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Value {
        parse(bytes).unwrap()
    }

    /// As Python 3.11 reads it, with U+FFFD for halves of pairs.
    #[test]
    fn what_others_write_is_read() {
        let utf16: Vec<u8> = "\u{FEFF}{\"a\": \"é\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            (&b"\xEF\xBB\xBF{\"a\": 1}"[..], json!({"a": 1})),
            (&utf16, json!({"a": "é"})),
            (br#"{"a": NaN, "b": [Infinity, -Infinity, -1]}"#, json!({"a": null, "b": [null, null, -1]})),
            (br#"{"a": "NaN", "b": "a \" NaN"}"#, json!({"a": "NaN", "b": "a \" NaN"})),
            (br#"{"a": 1.0, "b": 1.5, "c": 1e2, "d": -0.0}"#, json!({"a": 1, "b": 1.5, "c": 100, "d": 0})),
            (br#"{"a": 1, "a": 2}"#, json!({"a": 2})),
            (br#""cut \ud83d""#, json!("cut \u{FFFD}")),
            (br#""\ude00 \uD83D\uDE00 \ud83d\ud83d\ude00""#, json!("\u{FFFD} 😀 \u{FFFD}😀")),
            (br#""\\ud83d \u00e9""#, json!("\\ud83d é")),
            (b"\"caf\xE9\"", json!("caf\u{FFFD}")),
        ] {
            assert_eq!(read(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
        for bad in [&b"{"[..], b"\"\\", b"\"\\u12", b"Nan", b"\"a\nb\"", b"{\"a\": 01}", b""] {
            assert!(parse::<Value>(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        /// Whatever is JSON already stays what it is.
        #[test]
        fn json_stays_as_it_is(text in ".{0,20}", key in "[a-z\"\\\\]{0,4}", number in any::<i64>()) {
            let value = json!({ key: [text, number, null, true] });
            prop_assert_eq!(read(&serde_json::to_vec(&value).unwrap()), value);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[\\\\u\"dDcC0-9a]{0,24}") {
            let _ = parse::<Value>(&bytes);
            let _ = parse::<Value>(format!("\"{text}").as_bytes());
        }
    }
}
