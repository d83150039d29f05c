//! Scores the predictions of a method's trainings on resampled test samples.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use safetensors::{Dtype, SafeTensors};

use super::prepare::About;
use super::{Cost, Describe, Job, Outputs};
use crate::datasets::{Sample, Unit};
use crate::evaluation::statistics::tally::{Tally, Truth};
use crate::report::replicates::{self, CellReplicates, Level};
use crate::store::Ingredients;
use crate::terms::TaskKind;

/// Resamples the test samples for all trainings of a method on a dataset. The resamples depend on their number and on
/// the number of groups alone, so that those of different methods belong together.
///
/// | input | content |
/// |---|---|
/// | `about` | [`About`] |
/// | `samples` | the test samples, a list of [`Sample`] |
/// | `predictions CONDITION SEED` | the predictions of [`super::evaluate::Evaluate`], for each condition and seed |
///
/// | output | content |
/// |---|---|
/// | `replicates` | [`replicates::write`]; seeds of which some predictions are absent are left out |
#[derive(Clone, Debug)]
pub struct Resample {
    pub dataset: String,
    /// The method's name in the suite.
    pub name: String,
    pub seeds: Vec<u64>,
    /// The missing ratios that are evaluated.
    pub ratios: Vec<f64>,
    /// What is drawn.
    pub unit: Unit,
    /// How many resamples.
    pub resamples: u32,
}

/// As many resamples as intervals of 95 % need to be known to about a twentieth of their width.
pub const RESAMPLES: u32 = 1000;

/// The conditions under which a training is evaluated.
const CONDITIONS: [&str; 3] = ["full", "missing", "noisy"];

/// The role of the predictions of a training under a condition.
pub fn role(condition: &str, seed: u64) -> String {
    format!("predictions {condition} {seed}")
}

impl Describe for Resample {
    fn label(&self) -> String {
        format!("resample {} {}", self.dataset, self.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The dataset and the method count by the content of their labels and predictions.
        let Resample { dataset: _, name: _, seeds, ratios, unit, resamples } = self;
        list.options("seeds", seeds);
        list.options("ratios", ratios);
        list.options("unit", unit);
        list.natural("resamples", u64::from(*resamples));
    }

    fn cost(&self) -> Cost {
        Cost::AllCores
    }

    fn tolerates_absent_inputs(&self) -> bool {
        true
    }
}

impl Resample {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let complete =
            |seed: &&u64| CONDITIONS.iter().all(|condition| job.inputs.contains_key(&role(condition, **seed)));
        let seeds: Vec<u64> = self.seeds.iter().filter(complete).copied().collect();
        let scored = if seeds.is_empty() { BTreeMap::new() } else { self.scores(job, &seeds)? };
        let file = job.write("replicates", &replicates::write(&scored)?)?;
        Ok(BTreeMap::from([("replicates".to_owned(), file)]))
    }
}

impl Resample {
    fn scores(&self, job: &Job, seeds: &[u64]) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
        let about: About = job.read_json("about")?;
        let samples: Vec<Sample> = job.read_json("samples")?;
        let labels = samples.iter().map(|sample| sample.labels.clone()).collect();
        let truth = Truth::new(about.metric(), about.classes.len(), labels)?
            .grouped(samples.iter().map(|sample| self.unit.of(sample)));
        let levels = Level::all(&self.ratios);
        let mut tallies: Vec<Tally> = Vec::new();
        for &seed in seeds {
            job.interrupt.check()?;
            tallies.extend(tallies_of(job, &truth, about.task, &levels, seed)?);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build().context("cannot start threads")?;
        let mut scores = pool.install(|| truth.scores(&tallies, self.resamples, &job.interrupt))?.into_iter();
        let mut cell = || levels.iter().map(ToString::to_string).zip(&mut scores).collect();
        Ok(seeds.iter().map(|&seed| (seed, cell())).collect())
    }
}

/// The predictions of a training at each level, in this order.
fn tallies_of(job: &Job, truth: &Truth, task: TaskKind, levels: &[Level], seed: u64) -> anyhow::Result<Vec<Tally>> {
    let mut files = Vec::new();
    for condition in CONDITIONS {
        let role = role(condition, seed);
        let path = &job.input(&role)?.path;
        files.push((role, read(path)?, path));
    }
    let mut tallies = Vec::new();
    for level in levels {
        let of = CONDITIONS.iter().position(|known| *known == level.condition());
        let (role, bytes, path) = &files[of.unwrap_or(0)];
        let told = || format!("the input `{role}` ({}) is malformed", path.display());
        let file = SafeTensors::deserialize(bytes).with_context(told)?;
        let predictions = predictions(&file, &level.to_string(), task).with_context(told)?;
        tallies.push(truth.tally(&predictions).with_context(told)?);
    }
    Ok(tallies)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The predicted class, or labels, of each sample: from a vector of class numbers, or from a matrix of 0 and 1.
fn predictions(file: &SafeTensors<'_>, level: &str, task: TaskKind) -> anyhow::Result<Vec<Vec<u32>>> {
    let view = file.tensor(level).with_context(|| format!("there are no predictions `{level}`"))?;
    let numbers: Vec<u32> = match view.dtype() {
        Dtype::U8 => view.data().iter().map(|&byte| u32::from(byte)).collect(),
        Dtype::I32 => view.data().as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect(),
        other => bail!("`{level}`: expected predictions of uint8 or int32, found {other:?}"),
    };
    match (task, view.shape()) {
        (TaskKind::Multiclass | TaskKind::Binary, [_]) => Ok(numbers.into_iter().map(|class| vec![class]).collect()),
        (TaskKind::Multilabel, [_, labels]) if *labels > 0 => {
            ensure!(numbers.iter().all(|&number| number < 2), "`{level}`: expected 0 or 1 for each label");
            let set =
                |row: &[u32]| (0u32..).zip(row).filter(|(_, is_set)| **is_set == 1).map(|(label, _)| label).collect();
            Ok(numbers.chunks_exact(*labels).map(set).collect())
        }
        (_, shape) => bail!("`{level}`: the shape {shape:?} does not fit a {task:?} task"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::manifests::fetch::FetchPlaces;
    use crate::steps::{Absence, InputFile};
    use safetensors::tensor::TensorView;

    /// A job whose inputs are these files.
    fn job(folder: &Path, files: &[(String, Vec<u8>)]) -> Job {
        let mut inputs = BTreeMap::new();
        for (role, bytes) in files {
            let path = folder.join(role);
            std::fs::write(&path, bytes).unwrap();
            inputs.insert(role.clone(), InputFile { path, sha256: String::new(), key: String::new() });
        }
        Job {
            inputs,
            absent: BTreeMap::from([(role("noisy", 2), Absence::not_run("lost"))]),
            folder: folder.to_owned(),
            interrupt: Interrupt::default(),
            progress: std::sync::Arc::new(crate::progress::Silent),
            threads: 2,
            device: tch::Device::Cpu,
            downloads: FetchPlaces::new(folder.to_owned(), folder.to_owned(), Vec::new()),
        }
    }

    fn file(levels: &[(&str, &[u8])], shape: &[usize]) -> Vec<u8> {
        let view = |&(name, data): &(&'static str, &'static [u8])| {
            (name, TensorView::new(Dtype::U8, shape.to_vec(), data).unwrap())
        };
        let leaked: Vec<(&'static str, &'static [u8])> =
            levels.iter().map(|(name, data)| (&*name.to_string().leak(), &*data.to_vec().leak())).collect();
        safetensors::serialize(leaked.iter().map(view), None).unwrap()
    }

    fn dataset(task: &str, labels: &[&[u32]]) -> Vec<(String, Vec<u8>)> {
        let about = format!(r#"{{"task": "{task}", "classes": ["a", "b"], "samples": {{}}, "dropped": {{}}}}"#);
        let sample = |(at, labels): (usize, &&[u32])| Sample {
            id: at.to_string(),
            picture: 0,
            text: 0,
            labels: labels.to_vec(),
        };
        let samples: Vec<Sample> = labels.iter().enumerate().map(sample).collect();
        vec![("about".into(), about.into_bytes()), ("samples".into(), serde_json::to_vec(&samples).unwrap())]
    }

    fn resampled(files: &[(String, Vec<u8>)]) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
        let folder = tempfile::tempdir().unwrap();
        let step = Resample {
            dataset: "d".into(),
            name: "m".into(),
            seeds: vec![1, 2],
            ratios: vec![1.0],
            unit: Unit::Sample,
            resamples: 50,
        };
        let outputs = step.compute(&job(folder.path(), files))?;
        replicates::read(&std::fs::read(&outputs["replicates"]).unwrap())
    }

    /// The scores of the split as it is come first, level by level; a seed without all its predictions is left out.
    #[test]
    fn every_level_is_scored() {
        let mut files = dataset("binary", &[&[0], &[1], &[1], &[0]]);
        files.push((role("full", 1), file(&[("full", &[0, 1, 1, 0])], &[4])));
        let missing = [
            ("missing image 0.5", &[9, 9, 9, 9][..]),
            ("missing image 1", &[0, 0, 1, 0]),
            ("missing text 1", &[1, 1, 1, 1]),
        ];
        files.push((role("missing", 1), file(&missing, &[4])));
        files.push((role("noisy", 1), file(&[("noisy image", &[1, 0, 0, 0]), ("noisy text", &[1, 0, 0, 1])], &[4])));
        files.push((role("full", 2), file(&[("full", &[0, 1, 1, 0])], &[4])));
        let scores = resampled(&files).unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), [&1]);
        let expected = [
            ("full", 100.0),
            ("missing image 1", 75.0),
            ("missing text 1", 50.0),
            ("noisy image", 25.0),
            ("noisy text", 0.0),
        ];
        assert_eq!(scores[&1].len(), 5);
        for (level, score) in expected {
            let found = &scores[&1][level];
            assert_eq!((found[0], found.len()), (score, 51), "{level}");
        }
        assert!(scores[&1]["missing text 1"].iter().any(|score| *score != 50.0));
        let nothing = resampled(&[]).unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn labels_are_read_from_rows() {
        let mut files = dataset("multilabel", &[&[0, 1], &[]]);
        let all = |levels: &[&'static str]| {
            let levels: Vec<(&str, &[u8])> = levels.iter().map(|level| (*level, &[1, 0, 0, 0][..])).collect();
            file(&levels, &[2, 2])
        };
        files.push((role("full", 1), all(&["full"])));
        files.push((role("missing", 1), all(&["missing image 1", "missing text 1"])));
        files.push((role("noisy", 1), all(&["noisy image", "noisy text"])));
        // Label 0 is perfect, label 1 is missed.
        assert_eq!(resampled(&files).unwrap()[&1]["noisy image"][0], 50.0);
    }

    #[test]
    fn malformed_predictions_are_told() {
        let told = |bytes: Vec<u8>| {
            let mut files = dataset("binary", &[&[0], &[1]]);
            files.push((role("full", 1), bytes));
            files.push((role("missing", 1), file(&[("missing image 1", &[0, 1])], &[2])));
            files.push((role("noisy", 1), file(&[("noisy image", &[0, 1])], &[2])));
            format!("{:#}", resampled(&files).unwrap_err())
        };
        assert!(told(b"none".to_vec()).contains("the input `predictions full 1`"));
        assert!(told(file(&[("half", &[0, 1])], &[2])).contains("there are no predictions `full`"));
        assert!(told(file(&[("full", &[0, 1])], &[2, 1])).contains("does not fit a Binary task"));
        assert!(told(file(&[("full", &[0, 2])], &[2])).contains("expected a label below 2, found 2"));
        assert!(told(file(&[("full", &[0])], &[1])).contains("expected predictions for 2 test samples, found 1"));
        assert!(told(file(&[("full", &[0, 1])], &[2])).contains("there are no predictions `missing text 1`"));
    }
}
