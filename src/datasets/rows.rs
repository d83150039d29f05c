//! Lists of samples. A row that cannot be read is left out and counted, and does not end the run.

use super::collect::Collector;
use crate::errors;

/// The readable rows of a list, in its order, and the number of unreadable ones.
pub(super) struct Rows<T> {
    pub read: Vec<T>,
    unreadable: u64,
    /// The line of the first unreadable row, and why.
    first: Option<(u64, String)>,
}

impl<T> Rows<T> {
    /// From the numbers of lines, and their content or why it cannot be read.
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

    /// Refuses a list whose rows are all unreadable: it is another list than expected.
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

    /// Counts the unreadable rows as left out.
    pub fn count_unreadable(&self, collector: &mut Collector) {
        (0..self.unreadable).for_each(|_| collector.drop("row that cannot be read"));
    }
}

/// The lines of a text that are not blank, with their numbers.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(text.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// Why a line is not valid JSON, without the place, which counts from that line.
pub(super) fn why_not_json(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why).to_owned()
}

/// The line and the fields of a record, or why it cannot be read.
type Record = (u64, Result<Vec<String>, String>);

/// The records of a CSV with their lines, or why a record does not have the expected `columns`. Text that is not UTF-8 is
/// replaced.
///
/// # Errors
/// If it is not a CSV.
pub(super) fn records<R: std::io::Read>(reader: &mut csv::Reader<R>, columns: usize) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for record in reader.byte_records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let fields: Vec<String> = record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        let found = fields.len();
        let row = (found == columns).then_some(fields);
        records.push((line, row.ok_or_else(|| format!("expected {columns} columns, found {found}"))));
    }
    Ok(records)
}
