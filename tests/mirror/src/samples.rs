//! What samples are made from: emoji with their English names, subgroups and frequent words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use seesaw::archives::ZipReader;
use seesaw::datasets::emoji::{self, Benchmark};
use seesaw::datasets::{Archives, Dataset, Sample, SplitData};
use seesaw::pictures::{Rgb, decode_over_white};

/// A vendor's picture of an emoji.
#[derive(Clone, Debug)]
pub(super) struct Emoji {
    /// A member of [`emoji::PICTURES`].
    pub picture: String,
    /// In English.
    pub name: String,
    /// Unicode's subgroup, as `food-fruit`.
    pub subgroup: String,
    /// The numbers of the frequent words in its name, 0 to 22, the most frequent first.
    pub words: Vec<u32>,
}

/// A picture with its own name or that of another emoji.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub picture: String,
    pub name: String,
    pub matches: bool,
}

pub(super) struct Samples {
    pub emoji: Vec<Emoji>,
    pub pairs: Vec<Pair>,
    pictures: Mutex<ZipReader>,
}

impl Samples {
    /// Reads the offline benchmark, without emoji of small subgroups, which have no class there.
    ///
    /// # Errors
    /// If an archive cannot be read.
    pub fn read(archives: &Archives) -> anyhow::Result<Self> {
        let subgroups = emoji::read(archives, Benchmark::Subgroup)?;
        let matches = emoji::read(archives, Benchmark::Match)?;
        let words = emoji::read(archives, Benchmark::Words)?;
        let words: BTreeMap<&str, &[u32]> =
            each(&words).map(|(_, sample)| (sample.id.as_str(), sample.labels.as_slice())).collect();
        let mut pairs = Vec::new();
        let mut names = BTreeMap::new();
        for (data, sample) in each(&matches) {
            let pair = Pair {
                picture: data.pictures[sample.picture].member.clone(),
                name: data.texts[sample.text].clone(),
                matches: sample.labels == [1],
            };
            if pair.matches {
                names.insert(pair.picture.clone(), pair.name.clone());
            }
            pairs.push(pair);
        }
        let mut seen = BTreeSet::new();
        let mut emoji = Vec::new();
        for (data, sample) in each(&subgroups) {
            let picture = data.pictures[sample.picture].member.clone();
            anyhow::ensure!(seen.insert(picture.clone()), "{picture} is the picture of two samples");
            let label = *sample.labels.first().with_context(|| format!("{} has no class", sample.id))?;
            emoji.push(Emoji {
                name: names.get(&picture).with_context(|| format!("{picture} has no name"))?.clone(),
                subgroup: subgroups.classes[label as usize].clone(),
                words: words.get(sample.id.as_str()).copied().unwrap_or_default().to_vec(),
                picture,
            });
        }
        Ok(Samples { emoji, pairs, pictures: Mutex::new(archives.open(emoji::PICTURES)?) })
    }

    /// The file of an emoji's picture, a PNG with transparency.
    pub fn file(&self, picture: &str) -> anyhow::Result<Vec<u8>> {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner).read(picture)
    }

    /// An emoji's picture over white.
    pub fn picture(&self, picture: &str) -> anyhow::Result<Rgb> {
        decode_over_white(&self.file(picture)?).with_context(|| picture.to_owned())
    }
}

/// All samples, split by split.
fn each(dataset: &Dataset) -> impl Iterator<Item = (&SplitData, &Sample)> {
    dataset.splits.values().flat_map(|data| data.samples.iter().map(move |sample| (data, sample)))
}
