//! UPMC Food-101 (Wang et al., ICME Workshops 2015): pictures of dishes found on the web, with the titles or the texts of
//! their pages, in 101 classes. (Not the Food-101 of ETHZ, which has no texts.)
//!
//! Two layouts are known, recognized by their files:
//!
//! | | pictures | texts |
//! |---|---|---|
//! | Kaggle's copy | `images/{train,test}/CLASS/CLASS_N.jpg` | titles in `texts/{train,test}_titles.csv`: file, title, class, without a header |
//! | official | the same | whole pages in `texts_txt/CLASS/CLASS_N.txt` |
//!
//! The folders are the official division into training and test; there is no official validation split, so it is an
//! option. Sources: artelab/Image-and-Text-fusion-for-UPMC-Food-101-using-BERT-and-CNNs (the CSV files),
//! facebookresearch/mmbt `scripts/food_101.py` (the official layout), YiLunLee/missing_aware_prompts and QingyangZhang/QMF
//! (validation splits that they committed).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::collect::Collector;
use super::held_out::{self, Percent};
use super::json;
use super::rows::{self, Rows};
use super::{Archives, Dataset, DatasetOptions, Picture, Pictures, Reader, Reading, Unit};
use crate::errors;
use crate::pictures::Decoding;
use crate::settings::from_table;
use crate::terms::{Metric, TaskKind};

/// The pictures and texts, in whichever layout.
pub const ARCHIVE: &str = "upmcfood101.zip";
const MAP_SPLIT: &str = "food101.map.split.json";
const QMF_DEV: &str = "food101.qmf.dev.jsonl";

pub(super) const READER: Reader = Reader {
    name: "food101",
    manifest: "food101",
    archives: &[ARCHIVE],
    pictures: Pictures::InTheWild,
    decoding: Decoding::PILLOW,
    task: TaskKind::Multiclass,
    metric: Metric::Accuracy,
    chance_alone: &[],
    unit: Unit::Sample,
    recipe: 4,
    options: |given| from_table(given).map(DatasetOptions::Food101),
    read,
};

/// How Food-101 is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    pub text: Text,
    pub validation: Validation,
    /// With `validation = "seeded"`: the share of each class's training samples in percent [default: 10], and the seed.
    pub validation_percent: Percent,
    pub validation_seed: u64,
}

/// What a sample's text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// The title of the page (Kaggle's copy).
    #[default]
    Title,
    /// The page itself (official archive), its first `MOST_CHARACTERS`.
    Page,
}

/// Which training samples are for validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// A share of each class, drawn here.
    #[default]
    Seeded,
    /// Those of YiLunLee/missing_aware_prompts: 61,142 for training, 6,846 for validation.
    Map,
    /// Those of QingyangZhang/QMF: 5,000, drawn by MMBT's recipe.
    Qmf,
}

impl Validation {
    /// The archive that lists them.
    pub(super) fn archive(self) -> Option<&'static str> {
        match self {
            Validation::Seeded => None,
            Validation::Map => Some(MAP_SPLIT),
            Validation::Qmf => Some(QMF_DEV),
        }
    }
}

/// A page's text is cut here: the longest that an encoder of the paper takes is 512 tokens.
const MOST_CHARACTERS: usize = 8192;
/// The longest list of titles, and the longest page, in bytes.
const MOST_TITLES: u64 = 256 << 20;
const MOST_PAGE: u64 = 16 << 20;

const LIST_HINT: &str = "each row should have a file, a title and a class; download the archive again, or correct the \
                         list (see data-manifests/food101.json)";

/// A row of a list of titles: file name, text, class.
type Row = Vec<String>;

/// What a walk over the archive finds. `train` is false for the test folder.
#[derive(Default)]
struct Found {
    /// (train, file name) → (class, member).
    pictures: BTreeMap<(bool, String), (String, String)>,
    /// (train, rows), in the lists' order.
    titles: Vec<(bool, Rows<Row>)>,
    /// (class, file name without ending) → text.
    pages: BTreeMap<(String, String), String>,
}

impl Found {
    /// The rows that can be read, each with whether it is the training's.
    fn rows(&self) -> impl Iterator<Item = (bool, &Row)> {
        self.titles.iter().flat_map(|(train, rows)| rows.read.iter().map(move |row| (*train, row)))
    }
}

fn read(reading: &Reading<'_>) -> anyhow::Result<Dataset> {
    let DatasetOptions::Food101(options) = reading.options else { anyhow::bail!("these are not Food-101's options") };
    let found = look(reading, options.text)?;
    anyhow::ensure!(
        !found.pictures.is_empty(),
        "{ARCHIVE} holds no `images/train/CLASS/FILE`; expected UPMC Food-101 in the layout of Kaggle's copy or of the \
         official archive"
    );
    let classes: BTreeSet<&str> = found.pictures.values().map(|(class, _)| class.as_str()).collect();
    let number: BTreeMap<&str, u32> = classes.iter().zip(0..).map(|(class, i)| (*class, i)).collect();
    let mut collector = Collector::default();
    let official = !found.pages.is_empty() && found.titles.is_empty();
    for (train, part) in [(true, "train"), (false, "test")] {
        let pictures = found.pictures.keys().filter(|(of, _)| *of == train).count() as u64;
        // The public numbers are those of Kaggle's copy.
        let name = if official { format!("official {part} pictures") } else { format!("{part} pictures") };
        collector.count(name, pictures);
        if !official {
            collector.count(format!("{part} rows"), found.rows().filter(|row| row.0 == train).count() as u64);
        }
    }
    found.titles.iter().for_each(|(_, rows)| rows.count_unreadable(&mut collector));
    collector.count("classes", classes.len() as u64);
    if !official {
        count_of_classes(&found, &mut collector);
    }
    let texts = texts(&found, options.text, &mut collector)?;
    let in_validation = validation(options, &found, reading.archives)?;
    for ((train, file), (class, member)) in &found.pictures {
        let Some(text) = texts.get(&(*train, file.as_str())) else {
            collector.drop("picture without a text");
            continue;
        };
        if text.trim().is_empty() {
            collector.drop("blank text");
            continue;
        }
        let split = held_out::split(*train, in_validation.contains(file.as_str()));
        let picture = Picture { archive: ARCHIVE.to_owned(), member: member.clone() };
        collector.push(split, file.clone(), &picture, text, vec![number[class.as_str()]]);
    }
    Ok(collector.into_dataset(TaskKind::Multiclass, classes.into_iter().map(str::to_owned).collect()))
}

/// Counts the pictures of the smallest and the largest class, in each part and in both. An archive that was cut short or
/// rebuilt has other counts.
fn count_of_classes(found: &Found, collector: &mut Collector) {
    for (name, parts) in [("train pictures", &[true][..]), ("test pictures", &[false]), ("pictures", &[true, false])] {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for ((train, _), (class, _)) in &found.pictures {
            *counts.entry(class).or_default() += u64::from(parts.contains(train));
        }
        for (which, count) in [("smallest", counts.values().min()), ("largest", counts.values().max())] {
            collector.count(format!("{name} of the {which} class"), count.copied().unwrap_or(0));
        }
    }
}

/// Walks the archive once: names of pictures, and the texts that are asked for.
fn look(reading: &Reading<'_>, text: Text) -> anyhow::Result<Found> {
    let mut found = Found::default();
    reading.walk(ARCHIVE, &mut |entry, content| {
        let parts: Vec<&str> = entry.name.split('/').collect();
        match parts.as_slice() {
            [.., "images", part @ ("train" | "test"), class, file] => {
                let key = (*part == "train", (*file).to_owned());
                found.pictures.insert(key, ((*class).to_owned(), entry.name.clone()));
            }
            [.., file @ ("train_titles.csv" | "test_titles.csv")] if text == Text::Title => {
                let rows = rows(&content.read_all(MOST_TITLES)?).with_context(|| entry.name.clone())?;
                rows.check(&entry.name, LIST_HINT)?;
                found.titles.push((*file == "train_titles.csv", rows));
            }
            [.., "texts_txt", class, file] => {
                let name = file.rsplit_once('.').map_or(*file, |(name, _)| name);
                // The names tell the layout, even where the pages are not wanted.
                let page = if text == Text::Page { content.read_all(MOST_PAGE)? } else { Vec::new() };
                let page: String = String::from_utf8_lossy(&page).chars().take(MOST_CHARACTERS).collect();
                found.pages.insert(((*class).to_owned(), name.to_owned()), page);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Rows of file name, title and class. Some users added a header line to files that have none.
fn rows(csv: &[u8]) -> anyhow::Result<Rows<Row>> {
    let mut reader = rows::csv(csv, false, |line| rows::names_a_picture(line, 3));
    let mut records = rows::records(&mut reader, 3)?;
    let is_header = |row: &Vec<String>| row[1] == "text" && row[2] == "label";
    if records.first().is_some_and(|(_, row)| row.as_ref().is_ok_and(is_header)) {
        drop(records.remove(0));
    }
    Ok(Rows::of(records))
}

type Texts<'a> = BTreeMap<(bool, &'a str), &'a str>;

/// The text of each picture, by its place and file name.
fn texts<'a>(found: &'a Found, text: Text, collector: &mut Collector) -> anyhow::Result<Texts<'a>> {
    let mut texts = Texts::new();
    if text == Text::Page {
        let layout = "official layout (`texts_txt/CLASS/FILE.txt`)";
        anyhow::ensure!(!found.pages.is_empty(), no_texts("page", layout, "title"));
        for ((train, file), (class, _)) in &found.pictures {
            let name = file.rsplit_once('.').map_or(file.as_str(), |(name, _)| name);
            if let Some(page) = found.pages.get(&(class.clone(), name.to_owned())) {
                texts.insert((*train, file.as_str()), page.as_str());
            }
        }
        return Ok(texts);
    }
    anyhow::ensure!(!found.titles.is_empty(), no_texts("title", "Kaggle's layout (`texts/train_titles.csv`)", "page"));
    for (train, row) in found.rows() {
        let [file, title, class] = row.as_slice() else { continue };
        match found.pictures.get(&(train, file.clone())) {
            None => collector.drop("row without a picture"),
            Some((folder, _)) if folder != class => collector.drop("row whose class is not its picture's"),
            Some(_) if texts.contains_key(&(train, file.as_str())) => collector.drop("second row of a picture"),
            Some(_) => drop(texts.insert((train, file.as_str()), title.as_str())),
        }
    }
    Ok(texts)
}

fn no_texts(text: &str, layout: &str, other: &str) -> anyhow::Error {
    errors::failed(
        format!("{ARCHIVE} has no texts of the kind `{text}`, which need the {layout}"),
        format!(
            "set the dataset's option `text = \"{other}\"`, or use the other archive; see data-manifests/food101.json"
        ),
    )
}

/// The file names of training pictures that are for validation.
fn validation(options: &Options, found: &Found, archives: &Archives) -> anyhow::Result<BTreeSet<String>> {
    let listed = |name: &str| std::fs::read(archives.path(name)?).with_context(|| format!("cannot read {name}"));
    match options.validation {
        Validation::Seeded => {
            let training = found.pictures.iter().filter(|((train, _), _)| *train);
            let training = training.map(|((_, file), (class, _))| (class.as_str(), file.clone()));
            Ok(held_out::validation(training, options.validation_percent, options.validation_seed, "food101"))
        }
        Validation::Map => {
            #[derive(Deserialize)]
            struct Splits {
                val: Vec<String>,
            }
            let splits: Splits = json::parse(&listed(MAP_SPLIT)?).context(MAP_SPLIT)?;
            Ok(splits.val.iter().map(|path| file_name(path)).collect())
        }
        Validation::Qmf => {
            #[derive(Deserialize)]
            struct Line {
                img: String,
            }
            let text = listed(QMF_DEV)?;
            let lines = rows::lines(&text).map(|(_, line)| json::parse::<Line>(line));
            lines.map(|line| Ok(file_name(&line.context(QMF_DEV)?.img))).collect()
        }
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests;
