//! Lists of samples. A row that cannot be read is left out and counted, and does not end the run.

use std::io;

use super::collect::Collector;
use super::quotes;
use crate::{errors, files};

/// Why a row or a description cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    NotJson(String),
    /// A field is missing or has another type.
    Field(String),
    Columns {
        expected: usize,
        found: usize,
    },
    /// The list has a form of its own.
    Form(String),
    /// A row with this number was there before.
    Twice(u64),
}

impl Fault {
    /// By which it is counted: the same for all rows with this fault.
    pub fn reason(&self) -> &'static str {
        match self {
            Fault::NotJson(_) => "row that is not JSON",
            Fault::Field(_) => "row with a missing or wrong field",
            Fault::Columns { .. } => "row with another number of columns",
            Fault::Form(_) => "row of another form",
            Fault::Twice(_) => "second row of a number",
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        // Without the place, which counts from this line.
        let message = error.to_string();
        let why = message.rsplit_once(" at line ").map_or(message.as_str(), |(why, _)| why).to_owned();
        if error.is_data() { Fault::Field(why) } else { Fault::NotJson(why) }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::NotJson(why) | Fault::Field(why) | Fault::Form(why) => f.write_str(why),
            Fault::Twice(number) => write!(f, "there are two lines of number {number}"),
            Fault::Columns { expected, found } => write!(f, "expected {expected} columns, found {found}"),
        }
    }
}

/// The readable rows of a list, in its order, and what is wrong with the others.
pub(super) struct Rows<T> {
    pub read: Vec<T>,
    /// With their lines.
    unreadable: Vec<(u64, Fault)>,
}

impl<T> Rows<T> {
    /// From the numbers of lines, and their content or why it cannot be read.
    pub fn of(rows: impl IntoIterator<Item = (u64, Result<T, Fault>)>) -> Self {
        let mut all = Rows { read: Vec::new(), unreadable: Vec::new() };
        for (line, row) in rows {
            match row {
                Ok(row) => all.read.push(row),
                Err(fault) => all.unreadable.push((line, fault)),
            }
        }
        all
    }

    /// Refuses a list whose rows are all unreadable: it is another list than expected.
    ///
    /// # Errors
    /// Names the list and the first line, with a hint.
    pub fn check(&self, list: &str, hint: &str) -> anyhow::Result<()> {
        match self.unreadable.first() {
            Some((line, why)) if self.read.is_empty() => {
                Err(errors::failed(format!("{list}: none of its rows can be read; line {line}: {why}"), hint))
            }
            _ => Ok(()),
        }
    }

    /// Counts the unreadable rows as left out.
    pub fn count_unreadable(&self, collector: &mut Collector) {
        self.unreadable.iter().for_each(|(_, fault)| collector.drop(fault.reason()));
    }
}

/// The lines of a text that are not blank, with their numbers.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(text.split(|&byte| byte == b'\n')).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The line and the fields of a record, or why it cannot be read.
type Record = (u64, Result<Vec<String>, Fault>);

/// A reader of a CSV as other programs write it: in another encoding, with quotes that belong to the text.
pub(super) fn csv(bytes: &[u8], headers: bool, is_row: impl Fn(&str) -> bool) -> csv::Reader<io::Cursor<String>> {
    let text = quotes::escaped(&files::decoded(bytes), is_row);
    csv::ReaderBuilder::new().has_headers(headers).flexible(true).from_reader(io::Cursor::new(text))
}

/// The records of a CSV with their lines, or why a record does not have the expected `columns`.
///
/// # Errors
/// If it is not a CSV.
pub(super) fn records<R: io::Read>(reader: &mut csv::Reader<R>, columns: usize) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let fields: Vec<String> = record.iter().map(str::to_owned).collect();
        let found = fields.len();
        let row = (found == columns).then_some(fields);
        records.push((line, row.ok_or(Fault::Columns { expected: columns, found })));
    }
    Ok(records)
}

/// Whether a line of a CSV begins a row of its own: it names a picture, and has at least this many columns.
pub(super) fn names_a_picture(line: &str, columns: usize) -> bool {
    let fields: Vec<&str> = line.split(',').collect();
    let is_picture = |field: &&str| {
        let (_, ending) = field.trim().rsplit_once('.').unwrap_or_default();
        ["jpg", "jpeg", "png", "gif", "bmp", "webp"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    fields.len() >= columns && fields.iter().take(2).any(is_picture)
}
