//! Collects the samples of a dataset.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dataset, Picture, Sample, SplitData};
use crate::terms::{Split, TaskKind};

/// Collects samples, and gives each distinct picture and text of a split its number.
#[derive(Default)]
pub(super) struct Collector {
    splits: BTreeMap<Split, SplitData>,
    ids: BTreeSet<String>,
    pictures: BTreeMap<(Split, Picture), usize>,
    texts: BTreeMap<(Split, String), usize>,
    dropped: BTreeMap<String, u64>,
    found: BTreeMap<String, u64>,
}

impl Collector {
    /// Adds a sample. A second sample of an id is left out, since ids have to be unique.
    pub fn push(&mut self, split: Split, id: String, picture: &Picture, text: &str, labels: Vec<u32>) {
        if !self.ids.insert(id.clone()) {
            return self.drop("second sample of an id");
        }
        let data = self.splits.entry(split).or_default();
        let picture = *self.pictures.entry((split, picture.clone())).or_insert_with(|| {
            data.pictures.push(picture.clone());
            data.pictures.len() - 1
        });
        let text = *self.texts.entry((split, text.to_owned())).or_insert_with(|| {
            data.texts.push(text.to_owned());
            data.texts.len() - 1
        });
        data.samples.push(Sample { id, picture, text, labels });
    }

    /// Counts something that is left out.
    pub fn drop(&mut self, reason: &str) {
        *self.dropped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Counts what was left out before.
    pub fn drop_all(&mut self, dropped: &BTreeMap<String, u64>) {
        dropped.iter().for_each(|(reason, n)| *self.dropped.entry(reason.clone()).or_default() += n);
    }

    /// Counts something that the manifest may have a number for.
    pub fn count(&mut self, what: impl Into<String>, n: u64) {
        *self.found.entry(what.into()).or_default() += n;
    }

    /// The dataset. If the reader counted nothing, the samples of each split are counted.
    pub fn into_dataset(self, task: TaskKind, classes: Vec<String>) -> Dataset {
        let Collector { splits, dropped, mut found, .. } = self;
        if found.is_empty() {
            found = splits.iter().map(|(split, data)| (split.name().to_owned(), data.samples.len() as u64)).collect();
        }
        Dataset { task, classes, splits, dropped, found }
    }
}

impl SplitData {
    /// Keeps the samples at these places, in their order, and the pictures and texts that they use.
    pub fn keep(self, wanted: impl Fn(usize) -> bool) -> Self {
        let mut kept = SplitData::default();
        let (mut pictures, mut texts) = (BTreeMap::new(), BTreeMap::new());
        for (_, sample) in self.samples.into_iter().enumerate().filter(|(at, _)| wanted(*at)) {
            let picture = *pictures.entry(sample.picture).or_insert_with(|| {
                kept.pictures.push(self.pictures[sample.picture].clone());
                kept.pictures.len() - 1
            });
            let text = *texts.entry(sample.text).or_insert_with(|| {
                kept.texts.push(self.texts[sample.text].clone());
                kept.texts.len() - 1
            });
            kept.samples.push(Sample { picture, text, ..sample });
        }
        kept
    }
}
