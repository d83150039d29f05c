//! Reads a dataset's archives into samples by split.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::job::{Job, Outputs};
use super::kind::{Cost, Describe, StepResult};
use crate::datasets::check::{Looking, check_pictures};
use crate::datasets::{Archives, Dataset, DatasetOptions, Pictures, Reader, Reading, SUBSET_RECIPE};
use crate::errors::{self, Class};
use crate::pictures::PictureItem;
use crate::store::Ingredients;
use crate::terms::{Metric, Split, TaskKind};

/// Prepares a dataset. Inputs: its archives, `archive NAME` each.
///
/// | output | content |
/// |---|---|
/// | `about` | [`About`] |
/// | `samples.SPLIT` | a list of [`crate::datasets::Sample`] |
/// | `pictures.SPLIT` | the distinct pictures, a list of [`PictureItem`] |
/// | `texts.SPLIT` | the distinct texts, a list of strings |
/// | `pack` | a zip of the pictures that cannot be read in place (only if the reader's pictures are [`Pictures::InTheWild`]) |
#[derive(Clone, Debug)]
pub struct Prepare {
    /// The name of its samples in the suite.
    pub name: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    /// The number of samples used of each split; none for all.
    pub subset: Option<u32>,
    /// The counts that the manifest expects; none of them checked if empty.
    pub counts: BTreeMap<String, u64>,
    /// The manifest, if it has an archive without a public checksum: the user may replace that archive.
    pub open: Option<String>,
}

impl Prepare {
    /// The preparation of a dataset, whatever its manifest says.
    pub fn new(name: &str, reader: &'static Reader, options: DatasetOptions, subset: Option<u32>) -> Self {
        Prepare { name: name.to_owned(), reader, options, subset, counts: BTreeMap::new(), open: None }
    }
}

/// The output that holds copied pictures.
pub const PACK: &str = "pack";

/// A dataset without its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub task: TaskKind,
    /// Set only if it differs from the usual metric of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    pub classes: Vec<String>,
    /// Samples per split.
    pub samples: BTreeMap<String, usize>,
    /// Samples left out, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What the archives contain before anything is left out, if that is more than the samples.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub found: BTreeMap<String, u64>,
}

impl About {
    /// How predictions are scored.
    pub fn metric(&self) -> Metric {
        self.metric.unwrap_or(Metric::of(self.task))
    }
}

/// The role of an archive as an input.
pub fn archive_role(name: &str) -> String {
    format!("{ARCHIVE_ROLE}{name}")
}

const ARCHIVE_ROLE: &str = "archive ";

impl Describe for Prepare {
    fn label(&self) -> String {
        format!("prepare {}", self.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Expected counts decide whether a result is accepted, and do not change it.
        let Prepare { name: _, reader, options, subset, counts: _, open: _ } = self;
        let Reader {
            name,
            recipe,
            manifest: _,
            archives: _,
            pictures,
            decoding,
            task,
            metric,
            chance_alone: _,
            unit: _,
            options: _,
            read: _,
        } = reader;
        list.text("dataset", *name);
        list.natural("reader's recipe", *recipe);
        if *options != DatasetOptions::None {
            list.options("options", options);
        }
        if *pictures == Pictures::InTheWild {
            // The decoding decides which pictures are readable.
            list.options("decoding", decoding);
        }
        if let Some(subset) = subset {
            list.natural("subset", u64::from(*subset));
            list.natural("subset's recipe", SUBSET_RECIPE);
        }
        if *metric != Metric::of(*task) {
            list.text("metric", metric.name());
        }
    }

    /// Compares the counts with those that the manifest expects.
    fn accept(&self, result: &StepResult<'_>) -> anyhow::Result<()> {
        if self.counts.is_empty() {
            return Ok(());
        }
        let about: About = serde_json::from_slice(&result("about")?).context("`about` of the prepared dataset")?;
        self.compare(&about)
    }

    fn cost(&self) -> Cost {
        match self.reader.pictures {
            Pictures::InPlace(_) => Cost::OneCore,
            Pictures::InTheWild => Cost::AllCores,
        }
    }
}

impl Prepare {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        self.prepare(job).map_err(|error| self.with_relock_hint(error))
    }

    fn prepare(&self, job: &Job) -> anyhow::Result<Outputs> {
        let archives = archives(job);
        let reading = Reading { archives: &archives, options: &self.options, interrupt: &job.interrupt };
        let mut dataset = self.reader.read(&reading)?;
        let subset = self.subset.map(|subset| subset as usize);
        let mut outputs = Outputs::new();
        if self.reader.pictures == Pictures::InTheWild {
            let pack = job.folder.join(PACK);
            let looking = Looking {
                decoding: self.reader.decoding,
                subset,
                pack: &pack,
                interrupt: &job.interrupt,
                progress: job.progress.as_ref(),
                threads: job.threads,
            };
            check_pictures(&mut dataset, &archives, &looking)?;
            outputs.insert(PACK.to_owned(), pack);
        } else if let Some(subset) = subset {
            dataset.subset(subset);
        }
        let Dataset { task, classes, splits, dropped, found } = dataset;
        let samples: BTreeMap<String, usize> = Split::ALL
            .map(|split| (split.name().to_owned(), splits.get(&split).map_or(0, |data| data.samples.len())))
            .into();
        anyhow::ensure!(task == self.reader.task, "expected a {:?} task, found {task:?}", self.reader.task);
        for split in [Split::Train, Split::Test] {
            anyhow::ensure!(
                samples[split.name()] > 0,
                "{} has no {} samples; left out: {dropped:?}",
                self.reader.name,
                split.name()
            );
        }
        let found = if self.reader.pictures == Pictures::InTheWild { found } else { BTreeMap::new() };
        let metric = (self.reader.metric != Metric::of(task)).then_some(self.reader.metric);
        let about = About { task, metric, classes, samples, dropped, found };
        outputs.extend([job.write_json("about", &about)?]);
        for (split, data) in splits {
            job.interrupt.check()?;
            let pictures: Vec<PictureItem> = data.pictures.into_iter().map(PictureItem::clean).collect();
            let name = |what: &str| format!("{what}.{}", split.name());
            outputs.extend([
                job.write_json(&name("samples"), &data.samples)?,
                job.write_json(&name("pictures"), &pictures)?,
                job.write_json(&name("texts"), &data.texts)?,
            ]);
        }
        Ok(outputs)
    }

    fn compare(&self, about: &About) -> anyhow::Result<()> {
        let differs = |(what, found, expected): (&String, u64, u64)| {
            (found != expected).then(|| format!("{what}: expected {expected}, found {found}"))
        };
        let (counted, most): (Vec<(&String, u64)>, u64) = match self.reader.pictures {
            Pictures::InTheWild => (about.found.iter().map(|(what, found)| (what, *found)).collect(), u64::MAX),
            // Their samples are all counted, up to the size of the subset.
            Pictures::InPlace(_) => (
                about.samples.iter().map(|(split, samples)| (split, *samples as u64)).collect(),
                self.subset.map_or(u64::MAX, u64::from),
            ),
        };
        let both = counted.into_iter().filter_map(|(what, n)| Some((what, n, *self.counts.get(what)?.min(&most))));
        let differences: Vec<String> = both.filter_map(differs).collect();
        if differences.is_empty() {
            return Ok(());
        }
        Err(self.with_relock_hint(errors::failed(
            format!(
                "the archives of {} do not hold what its manifest expects: {}; left out: {:?}",
                self.reader.name,
                differences.join("; "),
                about.dropped
            ),
            "the copy may be incomplete or another version; to use it anyway, set `counts = \"report\"` for this dataset in \
             the experiment file",
        )))
    }

    /// Adds how to replace archives that the lock file pins to an error that they may have caused.
    fn with_relock_hint(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(manifest) = &self.open else { return error };
        if errors::class_of(&error) != Class::Failed || errors::is_of_the_system(&error) {
            return error;
        }
        let relock = format!(
            "to use another file or folder in downloads/, run `seesaw fetch --relock {manifest}`, which records its checksum"
        );
        let hint = errors::hint_of(&error).map_or_else(|| relock.clone(), |hint| format!("{hint}; or {relock}"));
        errors::failed(format!("{error:#}"), hint)
    }
}

/// The archives among a job's inputs, by name.
pub(super) fn archives(job: &Job) -> Archives {
    let named = job.inputs.iter().filter_map(|(role, file)| Some((role.strip_prefix(ARCHIVE_ROLE)?, file)));
    Archives(named.map(|(name, file)| (name.to_owned(), file.path.clone())).collect())
}

#[cfg(test)]
mod tests;
