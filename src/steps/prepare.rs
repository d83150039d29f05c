//! Reads a dataset's archives into samples and splits.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Cost, Describe, Job, Outputs, StepResult};
use crate::datasets::check::{Looking, check_pictures};
use crate::datasets::{Archives, Dataset, DatasetOptions, Pictures, Reader, Reading, SUBSET_RECIPE};
use crate::errors::{self, Class};
use crate::pictures::PictureItem;
use crate::store::Ingredients;
use crate::terms::{Metric, Split, TaskKind};

/// Prepares a dataset.
///
/// | output | content |
/// |---|---|
/// | `about` | [`About`] |
/// | `samples.SPLIT` | a list of [`crate::datasets::Sample`] |
/// | `pictures.SPLIT` | the distinct pictures, a list of [`PictureItem`] |
/// | `texts.SPLIT` | the distinct texts, a list of strings |
/// | `pack` | a zip of the pictures that cannot be read where they are (only where pictures come from the wild) |
#[derive(Clone, Debug)]
pub struct Prepare {
    /// What its samples are called.
    pub name: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    /// So many samples of each split; none: all.
    pub subset: Option<u32>,
    /// What is counted → how many, as the manifest expects them.
    pub counts: BTreeMap<String, u64>,
    /// The manifest, if no public source states what each of its archives must be: a person may bring others then.
    pub open: Option<String>,
}

/// The output that holds copied pictures.
pub const PACK: &str = "pack";

/// What a dataset is, without its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub task: TaskKind,
    /// Only where it is another one than the task's kind has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    pub classes: Vec<String>,
    /// Samples per split.
    pub samples: BTreeMap<String, usize>,
    /// What was left out, counted by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What was counted before anything was left out, where that is more than the samples.
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
    format!("archive {name}")
}

impl Describe for Prepare {
    fn label(&self) -> String {
        format!("prepare {}", self.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // What is expected decides whether a result is accepted, and not what it is.
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
            // Which pictures are good depends on how they are decoded.
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

    /// Holds what was counted against what the manifest expects.
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
        self.prepare(job).map_err(|error| self.or_anew(error))
    }
}

impl Prepare {
    fn prepare(&self, job: &Job) -> anyhow::Result<Outputs> {
        let archives = archives(job)?;
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
        anyhow::ensure!(task == self.reader.task, "the task should be {:?}, is {task:?}", self.reader.task);
        for split in [Split::Train, Split::Test] {
            anyhow::ensure!(
                samples[split.name()] > 0,
                "{} has no {} samples; dropped: {dropped:?}",
                self.reader.name,
                split.name()
            );
        }
        let found = if self.reader.pictures == Pictures::InTheWild { found } else { BTreeMap::new() };
        let metric = (self.reader.metric != Metric::of(task)).then_some(self.reader.metric);
        let about = About { task, metric, classes, samples, dropped, found };
        outputs.insert("about".to_owned(), job.write_json("about", &about)?);
        for (split, data) in splits {
            job.interrupt.check()?;
            let pictures: Vec<PictureItem> = data.pictures.into_iter().map(PictureItem::clean).collect();
            let name = |what: &str| format!("{what}.{}", split.name());
            outputs.insert(name("samples"), job.write_json(&name("samples"), &data.samples)?);
            outputs.insert(name("pictures"), job.write_json(&name("pictures"), &pictures)?);
            outputs.insert(name("texts"), job.write_json(&name("texts"), &data.texts)?);
        }
        Ok(outputs)
    }

    fn compare(&self, about: &About) -> anyhow::Result<()> {
        let differs = |(what, found, expected): (&String, u64, u64)| {
            (found != expected).then(|| format!("{what}: expected {expected}, found {found}"))
        };
        let differences: Vec<String> = match self.reader.pictures {
            Pictures::InTheWild => {
                let both = about.found.iter().filter_map(|(what, found)| Some((what, *found, *self.counts.get(what)?)));
                both.filter_map(differs).collect()
            }
            // Nothing is left out of these after it was counted, but for a subset's rest.
            Pictures::InPlace(_) => {
                let most = self.subset.map_or(u64::MAX, u64::from);
                let both = about
                    .samples
                    .iter()
                    .filter_map(|(what, found)| Some((what, *found as u64, *self.counts.get(what)?.min(&most))));
                both.filter_map(differs).collect()
            }
        };
        if differences.is_empty() {
            return Ok(());
        }
        Err(self.or_anew(errors::failed(
            format!(
                "the archives of {} do not hold what its manifest expects: {}; left out: {:?}",
                self.reader.name,
                differences.join("; "),
                about.dropped
            ),
            "the copy may be incomplete or another version; to use it all the same, set `counts = \"report\"` for this \
             dataset in the experiment file",
        )))
    }

    /// Adds to an error that the archives are to blame for how to begin with others, where that is possible: the lock file
    /// holds on to these.
    fn or_anew(&self, error: anyhow::Error) -> anyhow::Error {
        let Some(manifest) = &self.open else { return error };
        if errors::class_of(&error) != Class::Failed || errors::is_of_the_system(&error) {
            return error;
        }
        let anew = format!(
            "to begin anew with another file or folder in downloads/, run `seesaw fetch --relock {manifest}`, which records \
             that one"
        );
        let hint = errors::hint_of(&error).map_or_else(|| anew.clone(), |hint| format!("{hint}; or {anew}"));
        errors::failed(format!("{error:#}"), hint)
    }
}

/// The archives among a job's inputs, by their names.
pub(super) fn archives(job: &Job) -> anyhow::Result<Archives> {
    let named = job.inputs.iter().filter_map(|(role, file)| Some((role.strip_prefix("archive ")?, file)));
    Ok(Archives(named.map(|(name, file)| (name.to_owned(), file.path.clone())).collect()))
}

#[cfg(test)]
mod tests;
