//! Reads a dataset's archives into samples and splits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Compute, Job, Kind, Outputs, Step};
use crate::datasets::{Archives, Dataset, Reader, Split, TaskKind};
use crate::impairments::PictureItem;
use crate::store::Ingredients;

/// Prepares a dataset.
///
/// | output | content |
/// |---|---|
/// | `about` | [`About`] |
/// | `samples.SPLIT` | a list of [`crate::datasets::Sample`] |
/// | `pictures.SPLIT` | the distinct pictures, a list of [`PictureItem`] |
/// | `texts.SPLIT` | the distinct texts, a list of strings |
#[derive(Clone, Debug)]
pub struct Prepare {
    pub reader: &'static Reader,
    /// Split → samples, as the manifest expects them.
    pub counts: BTreeMap<String, u64>,
}

/// What a dataset is, without its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub task: TaskKind,
    pub classes: Vec<String>,
    /// Samples per split.
    pub samples: BTreeMap<String, usize>,
    /// What was left out, counted by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// The role of an archive as an input.
pub fn archive_role(name: &str) -> String {
    format!("archive {name}")
}

impl Step for Prepare {
    fn kind(&self) -> Kind {
        Kind::Prepare
    }

    fn label(&self) -> String {
        format!("prepare {}", self.reader.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Expected counts let a step fail; they change no result.
        let Prepare { reader, counts: _ } = self;
        let Reader { name, recipe, manifest: _, archives: _, pictures: _, task: _, read: _ } = reader;
        list.text("dataset", *name);
        list.natural("reader's recipe", *recipe);
    }
}

impl Compute for Prepare {
    fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let archives = archives(job)?;
        let Dataset { task, classes, splits, dropped } = self.reader.read(&archives)?;
        let samples: BTreeMap<String, usize> = Split::ALL
            .map(|split| (split.name().to_owned(), splits.get(&split).map_or(0, |data| data.samples.len())))
            .into();
        anyhow::ensure!(task == self.reader.task, "the task should be {:?}, is {task:?}", self.reader.task);
        for (split, &expected) in &self.counts {
            let found = samples.get(split).copied().unwrap_or(0) as u64;
            anyhow::ensure!(
                found == expected,
                "{} should have {expected} {split} samples according to its manifest, has {found}; dropped: {dropped:?}",
                self.reader.name
            );
        }
        let about = About { task, classes, samples, dropped };
        let mut outputs = Outputs::from([("about".to_owned(), job.write_json("about", &about)?)]);
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
}

/// The archives among a job's inputs, by their names.
pub(super) fn archives(job: &Job) -> anyhow::Result<Archives> {
    let named = job.inputs.iter().filter_map(|(role, file)| Some((role.strip_prefix("archive ")?, file)));
    Ok(Archives(named.map(|(name, file)| (name.to_owned(), file.path.clone())).collect()))
}
