//! Hateful Memes (Kiela et al., NeurIPS 2020): memes, of which some are hateful.
//!
//! A zip or folder with lists `train.jsonl`, `dev_seen.jsonl`, … and pictures `img/ID.png`, which may lie in an
//! `img.tar.gz` inside. Phase 1 of the challenge called its lists `dev.jsonl` and `test.jsonl`, phase 2 has `_seen` (those)
//! and `_unseen` ones. A line is `{"id": 42953, "img": "img/42953.png", "label": 0, "text": "…"}`; samples are joined with
//! their pictures by `img`. Source: facebookresearch/mmf, `projects/hateful_memes`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::collect::Collector;
use super::json;
use super::rows::{self, Fault, Rows};
use super::{Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::errors;
use crate::pictures::Decoding;
use crate::settings::from_table;
use crate::terms::{Metric, Split, TaskKind};

/// Lists and pictures.
pub const ARCHIVE: &str = "hateful_memes.zip";
/// The longest list, in bytes.
const MOST_LIST: u64 = 64 << 20;

pub(super) const READER: Reader = Reader {
    name: "hateful-memes",
    manifest: "hateful-memes",
    archives: &[ARCHIVE],
    pictures: Pictures::InTheWild,
    decoding: Decoding::PILLOW,
    task: TaskKind::Binary,
    metric: Metric::Accuracy,
    chance_alone: &[],
    unit: Unit::Sample,
    recipe: 3,
    options: |given| from_table(given).map(DatasetOptions::HatefulMemes),
    read,
};

/// How Hateful Memes is read. The defaults are the division of the dataset's paper: 8,500 / 500 / 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    pub validation: List,
    pub test: List,
}

impl Default for Options {
    fn default() -> Self {
        Options { validation: List::DevSeen, test: List::TestSeen }
    }
}

impl Options {
    /// # Errors
    /// Names the option whose value is not valid.
    pub fn check(&self) -> Result<(), String> {
        match self.validation == self.test || (self.validation.is_dev() && self.test.is_dev()) {
            false => Ok(()),
            true => Err(format!(
                "`validation` and `test` should not share samples, and {} and {} do",
                self.validation.names().0,
                self.test.names().0
            )),
        }
    }
}

/// A list of samples other than the training's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// 500 samples; `dev` in phase 1.
    DevSeen,
    /// 540 samples, of which 400 are in `dev_seen` too.
    DevUnseen,
    /// 1,000 samples; `test` in phase 1, without labels there.
    TestSeen,
    /// 2,000 samples.
    TestUnseen,
}

impl List {
    /// What phase 2 calls it, and phase 1.
    fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            List::DevSeen => ("dev_seen", Some("dev")),
            List::DevUnseen => ("dev_unseen", None),
            List::TestSeen => ("test_seen", Some("test")),
            List::TestUnseen => ("test_unseen", None),
        }
    }

    fn is_dev(self) -> bool {
        matches!(self, List::DevSeen | List::DevUnseen)
    }
}

/// A line of a list.
#[derive(Deserialize)]
struct Line {
    id: serde_json::Value,
    img: String,
    #[serde(default)]
    label: Option<u32>,
    text: String,
}

/// A list: the member it is, and its lines.
type Lines = (String, Rows<Line>);

/// What a walk over the archive finds.
#[derive(Default)]
struct Found {
    lists: BTreeMap<String, Lines>,
    /// `img/42953.png` → member.
    pictures: BTreeMap<String, String>,
}

/// What a list should have been.
const LIST_HINT: &str = "each line should be `{\"id\": …, \"img\": \"img/….png\", \"label\": 0 or 1, \"text\": \"…\"}`; \
                         download the archive again, or correct the list";

const LISTS: [&str; 7] = ["train", "dev", "test", "dev_seen", "dev_unseen", "test_seen", "test_unseen"];

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::HatefulMemes(options) = reading.options else {
        anyhow::bail!("these are not Hateful Memes' options")
    };
    let found = look(reading)?;
    let mut collector = Collector::default();
    for (name, (_, lines)) in &found.lists {
        collector.count(name.clone(), lines.read.len() as u64);
    }
    let parts = [
        (Split::Train, list(&found, ("train", None))?),
        (Split::Val, list(&found, options.validation.names())?),
        (Split::Test, list(&found, options.test.names())?),
    ];
    let mut seen = BTreeSet::new();
    for (split, (name, lines)) in parts {
        lines.count_unreadable(&mut collector);
        if lines.read.iter().all(|line| line.label.is_none()) {
            return Err(errors::failed(
                format!("{name}.jsonl in {ARCHIVE} has no labels, as phase 1 of the challenge published it"),
                "use the archive of phase 2, or choose another list with the dataset's options `validation` and `test`",
            ));
        }
        for line in &lines.read {
            let id = match &line.id {
                serde_json::Value::String(id) => id.clone(),
                other => other.to_string(),
            };
            let (Some(label), Some(member)) = (line.label, found.pictures.get(&picture_of(&line.img))) else {
                collector.drop(if line.label.is_none() { "no label" } else { "no picture" });
                continue;
            };
            if label > 1 {
                collector.drop("label other than 0 and 1");
            } else if line.text.trim().is_empty() {
                collector.drop("blank text");
            } else if !seen.insert(id.clone()) {
                collector.drop("second sample of an id");
            } else {
                let picture = Picture { archive: ARCHIVE.to_owned(), member: member.clone() };
                collector.push(split, id, &picture, &line.text, vec![label]);
            }
        }
    }
    Ok(collector.into_dataset(TaskKind::Binary, ["not hateful", "hateful"].map(str::to_owned).to_vec()))
}

/// `img/42953.png`, wherever the folder lies.
fn picture_of(path: &str) -> String {
    let mut parts: Vec<&str> = path.rsplit('/').take(2).collect();
    parts.reverse();
    parts.join("/")
}

fn look(reading: &Reading<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(ARCHIVE, &mut |entry, content| {
        let file = entry.name.rsplit('/').next().unwrap_or_default();
        if let Some(name) = file.strip_suffix(".jsonl").filter(|name| LISTS.contains(name)) {
            let text = content.read_all(MOST_LIST)?;
            let lines = rows::lines(&text).map(|(number, line)| (number, json::parse(line).map_err(Fault::from)));
            let lines = Rows::of(lines);
            anyhow::ensure!(
                found.lists.insert(name.to_owned(), (entry.name.clone(), lines)).is_none(),
                "there are two lists {name}.jsonl; leave one in place"
            );
        } else if picture_of(&entry.name).starts_with("img/") {
            found.pictures.insert(picture_of(&entry.name), entry.name.clone());
        }
        Ok(())
    })?;
    Ok(found)
}

fn list<'a>(found: &'a Found, (name, older): (&str, Option<&str>)) -> anyhow::Result<(String, &'a Rows<Line>)> {
    for name in [Some(name), older].into_iter().flatten() {
        if let Some((member, lines)) = found.lists.get(name) {
            lines.check(&format!("{member} in {ARCHIVE}"), LIST_HINT)?;
            return Ok((name.to_owned(), lines));
        }
    }
    let known: Vec<&str> = found.lists.keys().map(String::as_str).collect();
    Err(errors::failed(
        format!("{ARCHIVE} should hold {name}.jsonl; it holds the lists {}", known.join(", ")),
        "use the archive of phase 2, or choose another list with the dataset's options `validation` and `test`",
    ))
}

#[cfg(test)]
mod tests;
