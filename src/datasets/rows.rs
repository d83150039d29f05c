//! Lists of samples as they are found: a row that cannot be read is left out and counted, and ends nothing.

use super::collect::Collector;
use crate::errors;

/// The rows of a list that can be read, in its order, and how many cannot.
pub(super) struct Rows<T> {
    pub read: Vec<T>,
    unreadable: u64,
    /// The line of the first that cannot be read, and why.
    first: Option<(u64, String)>,
}

impl<T> Rows<T> {
    /// Numbers of lines, and what they hold or why they cannot be read.
    pub fn of(rows: impl IntoIterator<Item = (u64, Result<T, String>)>) -> Self {
        let mut all = Rows { read: Vec::new(), unreadable: 0, first: None };
        for (line, row) in rows {
            match row {
                Ok(row) => all.read.push(row),
                Err(why) => {
                    all.unreadable += 1;
                    all.first.get_or_insert((line, why));
                }
            }
        }
        all
    }

    /// Refuses a list that has rows, of which none can be read: it is another list than it should be.
    ///
    /// # Errors
    /// Names the list and the first line, with a hint.
    pub fn check(&self, list: &str, hint: &str) -> anyhow::Result<()> {
        match &self.first {
            Some((line, why)) if self.read.is_empty() => {
                Err(errors::failed(format!("{list}: none of its rows can be read; line {line}: {why}"), hint))
            }
            _ => Ok(()),
        }
    }

    /// Counts what cannot be read as left out.
    pub fn count_unreadable(&self, collector: &mut Collector) {
        (0..self.unreadable).for_each(|_| collector.drop("row that cannot be read"));
    }
}

/// The lines of a text that are not blank, with their numbers.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(text.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// Why a line is not the JSON it should be, without the place, which would be counted from that line.
pub(super) fn why_not_json(error: &serde_json::Error) -> String {
    let told = error.to_string();
    told.rsplit_once(" at line ").map_or(told.as_str(), |(why, _)| why).to_owned()
}
