//! Datasets: from archives to samples. Knows files and nothing of tensors.
//!
//! One file per dataset: [`food101`], [`hateful_memes`], [`mm_imdb`], [`memotion`], [`cub`], and [`emoji`], the offline
//! benchmark. Each reads straight from the archives of its manifest, counts what it finds and what it leaves out, and has a
//! row in [`READERS`]. `held_out` draws splits that were not published, [`check`] decodes pictures before samples use them,
//! `rows` reads lists that have bad rows, and `subset` takes a part for trials.

pub mod check;
mod collect;
pub mod cub;
pub mod emoji;
pub mod food101;
pub mod hateful_memes;
mod held_out;
mod json;
pub mod memotion;
pub mod mm_imdb;
mod options;
mod quotes;
mod rows;
mod subset;

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

pub use options::DatasetOptions;
pub use subset::RECIPE as SUBSET_RECIPE;

pub use crate::archives::Archives;
use crate::archives::{Visit, is_clutter};
use crate::interrupt::Interrupt;
use crate::pictures::Decoding;
pub use crate::pictures::Picture;
use crate::terms::{Metric, Modality, Split, TaskKind};

/// One sample of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique in the dataset.
    pub id: String,
    /// Index into [`SplitData::pictures`].
    pub picture: usize,
    /// Index into [`SplitData::texts`].
    pub text: usize,
    /// The class (one number) for multiclass and binary tasks, the ascending label numbers (possibly none) for
    /// multilabel ones.
    pub labels: Vec<u32>,
}

/// What is in the same split together, and is drawn together when test samples are resampled: several samples of one thing
/// are not independent evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Each sample by itself.
    Sample,
    /// Samples whose ids agree between their first and second `/`.
    SecondPartOfId,
}

impl Unit {
    /// The name of a sample's group.
    pub fn of(self, sample: &Sample) -> &str {
        match self {
            Unit::Sample => &sample.id,
            Unit::SecondPartOfId => sample.id.split('/').nth(1).unwrap_or(&sample.id),
        }
    }
}

/// One split: its samples in order, and the distinct pictures and texts that they use, in order of first use, so that each
/// is encoded once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitData {
    pub samples: Vec<Sample>,
    pub pictures: Vec<Picture>,
    pub texts: Vec<String>,
}

#[cfg(test)]
impl SplitData {
    fn ids(&self) -> Vec<&str> {
        self.samples.iter().map(|sample| sample.id.as_str()).collect()
    }
}

/// A dataset as its reader found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    pub task: TaskKind,
    /// Names of the classes or labels, by number.
    pub classes: Vec<String>,
    pub splits: BTreeMap<Split, SplitData>,
    /// What was left out, counted by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What was counted in the archives before anything was left out, by the names of the manifest's counts.
    pub found: BTreeMap<String, u64>,
}

/// Where a dataset's pictures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pictures {
    /// In these zips, whose content is known to the bit: all of them are good.
    InPlace(&'static [&'static str]),
    /// In the archives that the reader opens, and of any quality: they are checked first, see [`check`].
    InTheWild,
}

/// The input of a reader.
pub struct Reading<'a> {
    pub archives: &'a Archives,
    pub options: &'a DatasetOptions,
    pub interrupt: &'a Interrupt,
}

impl Reading<'_> {
    /// Visits the members of an archive one after the other, without litter.
    ///
    /// # Errors
    /// If the archive cannot be read, or the visit fails; names the archive.
    fn walk(&self, archive: &str, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let walked = self.archives.archive(archive)?.walk(self.interrupt, &mut |entry, content| {
            if is_clutter(&entry.name) { Ok(()) } else { visit(entry, content) }
        });
        walked.with_context(|| archive.to_owned())
    }
}

/// A dataset that this program can read.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The name that experiment files use.
    pub name: &'static str,
    /// The manifest that lists its archives.
    pub manifest: &'static str,
    /// The archives that it always reads. Some options need more.
    pub archives: &'static [&'static str],
    pub pictures: Pictures,
    pub decoding: Decoding,
    pub task: TaskKind,
    /// The metric by which models are selected and compared.
    pub metric: Metric,
    /// The modalities that alone say nothing about the labels, by construction: no model scores above chance on them.
    pub chance_alone: &'static [Modality],
    /// The unit of resampling.
    pub unit: Unit,
    /// The version of the reader, part of the key. Raise it when the same archives give other samples.
    pub recipe: u64,
    pub(crate) options: fn(toml::Table) -> Result<DatasetOptions, String>,
    pub(crate) read: fn(&Reading<'_>) -> anyhow::Result<Dataset>,
}

/// Readers are equal if their names are.
impl PartialEq for Reader {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Reader {
    /// Reads the dataset.
    ///
    /// # Errors
    /// If an archive is not what the reader expects.
    pub fn read(&self, reading: &Reading<'_>) -> anyhow::Result<Dataset> {
        (self.read)(reading)
    }

    /// The options of an experiment file, with defaults for those that are not set.
    ///
    /// # Errors
    /// Names an unknown option, or one whose value is not valid.
    pub fn options(&self, given: toml::Table) -> Result<DatasetOptions, String> {
        let options = (self.options)(given)?;
        options.check()?;
        Ok(options)
    }

    /// The archives that it reads with these options.
    pub fn needs(&self, options: &DatasetOptions) -> Vec<&'static str> {
        self.archives.iter().copied().chain(options.archives()).collect()
    }
}

/// Every dataset.
pub const READERS: &[Reader] = &[
    food101::READER,
    hateful_memes::READER,
    mm_imdb::READER,
    memotion::READER,
    cub::READER,
    emoji::reader("emoji-subgroup", TaskKind::Multiclass, |reading| {
        emoji::read(reading.archives, emoji::Benchmark::Subgroup)
    }),
    // Every picture occurs once with each label.
    Reader {
        chance_alone: &[Modality::Image],
        ..emoji::reader("emoji-match", TaskKind::Binary, |reading| {
            emoji::read(reading.archives, emoji::Benchmark::Match)
        })
    },
    emoji::reader("emoji-words", TaskKind::Multilabel, |reading| {
        emoji::read(reading.archives, emoji::Benchmark::Words)
    }),
];

/// The reader of a dataset.
pub fn reader(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.name == name)
}
