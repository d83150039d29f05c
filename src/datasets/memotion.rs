//! Memotion 7k (Sharma et al., SemEval-2020 task 8): memes with their texts and what annotators felt about them.
//!
//! `memotion_dataset_7k/labels.csv` has a row for each meme: `image_name` (`image_1.jpg`, `image_3.JPG`, `image_4.png`),
//! `text_ocr`, `text_corrected`, and a column for each question; the pictures are in `images/` beside it. The classes are
//! those of the shared task:
//!
//! | task | column | classes | subtask |
//! |---|---|---|---|
//! | `sentiment` | `overall_sentiment` | negative (with `very_negative`), neutral, positive (with `very_positive`) | A |
//! | `humour` | `humour` | `not_funny` against `funny`, `very_funny`, `hilarious` | B |
//! | `sarcasm` | `sarcasm` | `not_sarcastic` against `general`, `twisted_meaning`, `very_twisted` | B |
//! | `offensive` | `offensive` | `not_offensive` against `slight`, `very_offensive`, `hateful_offensive` | B |
//! | `motivational` | `motivational` | `not_motivational` against `motivational` | B |
//!
//! The score is the macro F1 over classes. The task's test memes are not part of the archive, and it has no splits: they
//! are drawn here, by class. Some memes are near copies of others, and a drawing does not keep these together.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::collect::Collector;
use super::held_out::{self, Percent};
use super::rows::{self, Rows};
use super::{Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::errors;
use crate::pictures::Decoding;
use crate::settings::from_table;
use crate::terms::{Metric, Split, TaskKind};

/// Labels and pictures.
pub const ARCHIVE: &str = "memotion.zip";
/// The longest list of labels, in bytes.
const MOST_LABELS: u64 = 64 << 20;

pub(super) const READER: Reader = Reader {
    name: "memotion",
    manifest: "memotion",
    archives: &[ARCHIVE],
    pictures: Pictures::InTheWild,
    decoding: Decoding::PILLOW,
    task: TaskKind::Multiclass,
    metric: Metric::F1Macro,
    chance_alone: &[],
    unit: Unit::Sample,
    recipe: 3,
    options: |given| from_table(given).map(DatasetOptions::Memotion),
    read,
};

/// How Memotion is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    pub task: Task,
    pub text: Text,
    /// The shares of each class that are for validation and for testing, in percent [default: 10 each], and the seed by
    /// which they are drawn.
    pub validation_percent: Percent,
    pub test_percent: Percent,
    pub split_seed: u64,
}

/// Which question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    #[default]
    Sentiment,
    Humour,
    Sarcasm,
    Offensive,
    Motivational,
}

/// What a meme's text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// As people corrected it; where they left nothing, as the machine read it.
    #[default]
    Corrected,
    /// As the machine read it.
    Ocr,
}

/// A class and the labels that are merged into it.
type Class = (&'static str, &'static [&'static str]);

impl Task {
    fn column(self) -> &'static str {
        match self {
            Task::Sentiment => "overall_sentiment",
            Task::Humour => "humour",
            Task::Sarcasm => "sarcasm",
            Task::Offensive => "offensive",
            Task::Motivational => "motivational",
        }
    }

    fn classes(self) -> &'static [Class] {
        match self {
            Task::Sentiment => &[
                ("negative", &["negative", "very_negative"]),
                ("neutral", &["neutral"]),
                ("positive", &["positive", "very_positive"]),
            ],
            Task::Humour => &[("not funny", &["not_funny"]), ("funny", &["funny", "very_funny", "hilarious"])],
            Task::Sarcasm => {
                &[("not sarcastic", &["not_sarcastic"]), ("sarcastic", &["general", "twisted_meaning", "very_twisted"])]
            }
            Task::Offensive => &[
                ("not offensive", &["not_offensive"]),
                ("offensive", &["slight", "very_offensive", "hateful_offensive"]),
            ],
            Task::Motivational => &[("not motivational", &["not_motivational"]), ("motivational", &["motivational"])],
        }
    }

    /// The number of the class that a label belongs to.
    fn class_of(self, label: &str) -> Option<usize> {
        self.classes().iter().position(|(_, labels)| labels.contains(&label))
    }
}

impl Options {
    /// # Errors
    /// Names the option whose value is not valid.
    pub fn check(&self) -> Result<(), String> {
        self.validation_percent.check("validation-percent")?;
        self.test_percent.check("test-percent")?;
        match self.validation_percent.of(100) + self.test_percent.of(100) {
            100 => Err("`validation-percent` and `test-percent` should leave something for training".to_owned()),
            _ => Ok(()),
        }
    }
}

const AGAIN: &str = "download the archive again; its list should have 6,992 rows";

/// A row of the list.
struct Row {
    image: String,
    ocr: String,
    corrected: String,
    label: String,
}

/// What a walk over the archive finds.
#[derive(Default)]
struct Found {
    /// The folder of the list of labels, with a `/` at its end, and the list.
    labels: Option<(String, Rows<Row>)>,
    /// Members in folders `images`.
    pictures: BTreeSet<String>,
}

/// A sample before its split is known.
struct Candidate<'a> {
    id: &'a str,
    member: &'a str,
    text: &'a str,
    class: usize,
}

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::Memotion(options) = reading.options else { anyhow::bail!("these are not Memotion's options") };
    let found = look(reading, options.task)?;
    let (folder, rows) = found.labels.with_context(|| {
        format!("{ARCHIVE} holds no `labels.csv`; expected Memotion 7k with its folder `memotion_dataset_7k`")
    })?;
    let folder = format!("{folder}images/");
    let pictures: BTreeMap<&str, &str> =
        found.pictures.iter().filter_map(|member| Some((member.strip_prefix(&folder)?, member.as_str()))).collect();
    let mut collector = Collector::default();
    rows.count_unreadable(&mut collector);
    let rows = rows.read;
    collector.count("rows", rows.len() as u64);
    collector.count("image names", rows.iter().map(|row| &row.image).collect::<BTreeSet<_>>().len() as u64);
    collector.count("pictures", pictures.len() as u64);
    for row in rows.iter().filter(|row| options.task.class_of(&row.label).is_some()) {
        collector.count(format!("{} {}", options.task.column(), row.label), 1);
    }
    let candidates = candidates(options, &rows, &pictures, &mut collector);
    let splits = splits(options, &candidates);
    for candidate in candidates {
        let picture = Picture { archive: ARCHIVE.to_owned(), member: candidate.member.to_owned() };
        let split = splits.get(candidate.id).copied().unwrap_or(Split::Train);
        let labels = vec![candidate.class as u32];
        collector.push(split, candidate.id.to_owned(), &picture, candidate.text, labels);
    }
    let classes = options.task.classes().iter().map(|(name, _)| (*name).to_owned()).collect();
    Ok(collector.into_dataset(TaskKind::Multiclass, classes))
}

fn look(reading: &Reading<'_>, task: Task) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(ARCHIVE, &mut |entry, content| {
        let (folder, file) = entry.name.rsplit_once('/').unwrap_or(("", &entry.name));
        if file == "labels.csv" {
            let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let rows = rows(&content.read_all(MOST_LABELS)?, task).with_context(|| entry.name.clone())?;
            rows.check(&entry.name, AGAIN)?;
            anyhow::ensure!(
                found.labels.replace((folder, rows)).is_none(),
                "there are two lists labels.csv; leave one in place"
            );
        } else if folder == "images" || folder.ends_with("/images") {
            found.pictures.insert(entry.name.clone());
        }
        Ok(())
    })?;
    Ok(found)
}

/// The columns of the list: the index that pandas adds or none, picture, two texts, five labels.
const COLUMNS: usize = 8;

/// The rows of the list, whose columns go by their names.
fn rows(csv: &[u8], task: Task) -> anyhow::Result<Rows<Row>> {
    let mut reader = rows::csv(csv, true, |line| rows::names_a_picture(line, COLUMNS));
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let column = |name: &str| {
        let known = || header.join(", ");
        let place = header.iter().position(|known| known == name);
        place.with_context(|| format!("expected a column `{name}`, found: {}", known()))
    };
    let columns = [column("image_name")?, column("text_ocr")?, column("text_corrected")?, column(task.column())?];
    let records = rows::records(&mut reader, header.len())?;
    if records.is_empty() {
        return Err(errors::failed("the list has no rows", AGAIN));
    }
    Ok(Rows::of(records.into_iter().map(|(line, record)| {
        let row = record.map(|mut fields| {
            let [image, ocr, corrected, label] = columns.map(|at| std::mem::take(&mut fields[at]));
            Row { image: image.trim().to_owned(), ocr, corrected, label: label.trim().to_owned() }
        });
        (line, row)
    })))
}

/// The rows that have a picture, a text and a label; what is wrong with the others is counted.
fn candidates<'a>(
    options: &Options,
    rows: &'a [Row],
    pictures: &BTreeMap<&'a str, &'a str>,
    collector: &mut Collector,
) -> Vec<Candidate<'a>> {
    // Where systems fold case, a name may have come to differ in it from its file's.
    let mut folded: BTreeMap<String, Option<&str>> = BTreeMap::new();
    for (file, member) in pictures {
        folded.entry(file.to_lowercase()).and_modify(|several| *several = None).or_insert(Some(member));
    }
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for row in rows {
        let exact = pictures.get(row.image.as_str()).copied();
        let Some(member) = exact.or_else(|| folded.get(&row.image.to_lowercase()).copied().flatten()) else {
            collector.drop("row without a picture");
            continue;
        };
        let Some(class) = options.task.class_of(&row.label) else {
            collector.drop("row without a label");
            continue;
        };
        let texts = match options.text {
            Text::Corrected => [&row.corrected, &row.ocr],
            Text::Ocr => [&row.ocr, &row.ocr],
        };
        let Some(text) = texts.into_iter().find(|text| !text.trim().is_empty()) else {
            collector.drop("blank text");
            continue;
        };
        if !seen.insert(&row.image) {
            collector.drop("second row of a picture");
            continue;
        }
        if options.text == Text::Corrected && row.corrected.trim().is_empty() {
            collector.count("texts as the machine read them", 1);
        }
        candidates.push(Candidate { id: &row.image, member, text, class });
    }
    candidates
}

/// The samples that are not for training: of each class the first ones of a drawn order for testing, the next ones for
/// validation.
fn splits<'a>(options: &Options, candidates: &[Candidate<'a>]) -> BTreeMap<&'a str, Split> {
    let mut classes: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for candidate in candidates {
        classes.entry(options.task.classes()[candidate.class].0).or_default().push(candidate.id);
    }
    // The order of rows is no part of the drawing.
    classes.values_mut().for_each(|ids| ids.sort_unstable());
    let mut splits = BTreeMap::new();
    for ids in held_out::in_drawn_order(classes, options.split_seed, ["memotion", options.task.column()]) {
        let (test, validation) = (options.test_percent.of(ids.len()), options.validation_percent.of(ids.len()));
        let held_out =
            [Split::Test].into_iter().cycle().take(test).chain([Split::Val].into_iter().cycle().take(validation));
        splits.extend(ids.into_iter().zip(held_out));
    }
    splits
}

#[cfg(test)]
mod tests;
