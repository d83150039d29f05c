//! Progress of long computations, and lines for the user.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{Style, Styles};

/// Receives the progress of a step, to draw a bar or write lines.
pub trait Progress: Send + Sync {
    /// The work begins. `total` is the number of units, if known.
    fn begin(&self, total: Option<u64>, unit: Unit);
    /// `n` more units are done.
    fn advance(&self, n: u64);
    /// A message that the user should see now, about a retry, another mirror or a wait.
    fn note(&self, message: &str);
}

/// The unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Pictures,
    Texts,
    Epochs,
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _n: u64) {}
    fn note(&self, _message: &str) {}
}

/// The word that begins a message, and says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Error,
    Warning,
    Hint,
    Unavailable,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Word::Error => "error",
            Word::Warning => "warning",
            Word::Hint => "hint",
            Word::Unavailable => "unavailable",
        }
    }

    /// The style of clap, whose messages stand beside ours: a hint is a tip.
    fn style(self) -> Style {
        let styles = Styles::styled();
        match self {
            Word::Error => *styles.get_error(),
            Word::Warning | Word::Unavailable => styles.get_invalid().bold(),
            Word::Hint => *styles.get_valid(),
        }
    }
}

/// Whether messages on standard error have colours: on a terminal, unless `NO_COLOR`, `TERM=dumb` or the like says otherwise.
pub fn has_colours() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// A message for standard error: `error: …`.
pub fn message(word: Word, text: impl Display) -> String {
    let (name, style, text) = (word.text(), word.style(), text.to_string());
    let text = plain(&text);
    if has_colours() { format!("{style}{name}:{style:#} {text}") } else { format!("{name}: {text}") }
}

/// Writes a message to standard error, as [`say`] does.
pub fn tell(word: Word, text: impl Display) {
    write(&message(word, text));
}

/// Writes a line to standard error. If nobody reads it any more (a closed terminal, a full disk), the work goes on.
pub fn say(line: impl Display) {
    write(&plain(&line.to_string()));
}

fn write(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// A text as a terminal shows it. Control characters other than the ends of lines and tabs are escaped: in a name or a
/// title from elsewhere they could erase or recolour what was shown before.
pub fn plain(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if odd(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(plain("a title\n\twith ä"), "a title\n\twith ä");
        assert_eq!(plain("\u{1b}[2J gone\r\u{9b}1m"), "\\u{1b}[2J gone\\r\\u{9b}1m");
    }
}
