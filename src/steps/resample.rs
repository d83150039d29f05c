//! Scores the predictions of a method's trainings on resamples of the test split.

use std::fs::File;

use anyhow::{Context, bail, ensure};
use safetensors::{Dtype, SafeTensors};

use super::condition::Condition;
use super::job::{Job, Outputs};
use super::kind::{Cost, Describe};
use super::prepare::About;
use crate::datasets::{Sample, Unit};
use crate::evaluation::statistics::tally::{Tally, Truth};
use crate::report::replicates::{Level, MethodReplicates};
use crate::store::Ingredients;
use crate::terms::TaskKind;

/// Resamples the test split for all trainings of a method on a dataset. The resamples depend only on their number and on the
/// number of groups, so those of all methods are paired.
///
/// | input | content |
/// |---|---|
/// | `about` | [`About`] |
/// | `samples` | the test samples, a list of [`Sample`] |
/// | `predictions CONDITION SEED` | the predictions of [`super::evaluate::Evaluate`], for each condition and seed |
///
/// | output | content |
/// |---|---|
/// | `replicates` | [`MethodReplicates`]; seeds without all their predictions are left out |
#[derive(Clone, Debug)]
pub struct Resample {
    pub dataset: String,
    /// The method's name in the suite.
    pub name: String,
    pub seeds: Vec<u64>,
    /// The missing ratios evaluated.
    pub ratios: Vec<f64>,
    /// The unit drawn: samples, or groups of them.
    pub unit: Unit,
    /// The number of resamples.
    pub resamples: u32,
}

/// With this many resamples, the ends of 95 % intervals are known to about a twentieth of the interval's width.
pub const RESAMPLES: u32 = 1000;

/// The role of the predictions of a training under a condition.
pub fn role(condition: Condition, seed: u64) -> String {
    format!("predictions {} {seed}", condition.name())
}

impl Describe for Resample {
    fn label(&self) -> String {
        format!("resample {} {}", self.dataset, self.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The dataset and the method are in the key by the content of their labels and predictions.
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
            |seed: &&u64| Condition::ALL.iter().all(|condition| job.inputs.contains_key(&*role(*condition, **seed)));
        let seeds: Vec<u64> = self.seeds.iter().filter(complete).copied().collect();
        let path = job.folder.join("replicates");
        let place = || format!("cannot write {}", path.display());
        let file = File::options().read(true).write(true).create_new(true).open(&path).with_context(place)?;
        let levels = Level::all(&self.ratios);
        let scores = MethodReplicates::create(file, &seeds, &levels, self.resamples).with_context(place)?;
        if !seeds.is_empty() {
            self.score(job, &seeds, &scores)?;
        }
        Ok(Outputs::from([("replicates".to_owned(), path)]))
    }

    fn score(&self, job: &Job, seeds: &[u64], written: &MethodReplicates) -> anyhow::Result<()> {
        let about: About = job.read_json("about")?;
        let samples: Vec<Sample> = job.read_json("samples")?;
        let labels = samples.iter().map(|sample| sample.labels.clone()).collect();
        let truth = Truth::new(about.metric(), about.classes.len(), labels)?
            .grouped(samples.iter().map(|sample| self.unit.of(sample)));
        let levels = Level::all(&self.ratios);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build().context("cannot start threads")?;
        for seeds in seeds.chunks(AT_ONCE) {
            let mut tallies: Vec<Tally> = Vec::new();
            for &seed in seeds {
                job.interrupt.check()?;
                tallies.extend(tallies_of(job, &truth, about.task, &levels, seed)?);
            }
            let scores = pool.install(|| truth.scores(&tallies, self.resamples, &job.interrupt))?;
            let places = seeds.iter().flat_map(|seed| levels.iter().map(move |level| (*seed, *level)));
            for ((seed, level), scores) in places.zip(scores) {
                written.write(seed, level, &scores).context("cannot write the resampled scores")?;
            }
        }
        Ok(())
    }
}

/// The number of trainings whose predictions are held at a time. The resamples are drawn again for the next ones.
const AT_ONCE: usize = 64;

/// The predictions of a training at each level, in this order.
fn tallies_of(job: &Job, truth: &Truth, task: TaskKind, levels: &[Level], seed: u64) -> anyhow::Result<Vec<Tally>> {
    let tally = |level: &Level| {
        job.parse(&role(Condition::of(*level), seed), |bytes| {
            let predictions = predictions(&SafeTensors::deserialize(bytes)?, &level.to_string(), task)?;
            truth.tally(&predictions)
        })
    };
    levels.iter().map(tally).collect()
}

/// The predicted class or labels of each sample, from class indices `[samples]` or from 0 and 1 `[samples, labels]`.
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::replicates::CellReplicates;
    use Condition::{Full, Missing, Noisy};
    use safetensors::tensor::TensorView;

    type Files = Vec<(String, Vec<u8>)>;

    /// The predictions at some levels, of one shape.
    fn file(levels: &[(&str, &[u8])], shape: &[usize]) -> Vec<u8> {
        let view = |&(name, data): &(_, _)| (name, TensorView::new(Dtype::U8, shape.to_vec(), data).unwrap());
        safetensors::serialize(levels.iter().map(view), None).unwrap()
    }

    fn dataset(task: &str, labels: &[&[u32]]) -> Files {
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

    fn resampled(files: Files) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
        resampled_of(vec![1, 2], files)
    }

    fn resampled_of(seeds: Vec<u64>, files: Files) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
        let folder = tempfile::tempdir().unwrap();
        let step = Resample {
            dataset: "d".into(),
            name: "m".into(),
            seeds,
            ratios: vec![1.0],
            unit: Unit::Sample,
            resamples: 50,
        };
        let outputs = step.compute(&Job::with_inputs(folder.path(), files))?;
        let scores = MethodReplicates::open(File::open(&outputs["replicates"]).unwrap())?;
        scores.seeds().map(|seed| Ok((seed, scores.read(seed)?))).collect()
    }

    /// The score of the split itself comes first at each level. A seed without all its predictions is left out.
    #[test]
    fn every_level_is_scored() {
        let mut files = dataset("binary", &[&[0], &[1], &[1], &[0]]);
        files.push((role(Full, 1), file(&[("full", &[0, 1, 1, 0])], &[4])));
        let missing = [
            ("missing image 0.5", &[9, 9, 9, 9][..]),
            ("missing image 1", &[0, 0, 1, 0]),
            ("missing text 1", &[1, 1, 1, 1]),
        ];
        files.push((role(Missing, 1), file(&missing, &[4])));
        files.push((role(Noisy, 1), file(&[("noisy image", &[1, 0, 0, 0]), ("noisy text", &[1, 0, 0, 1])], &[4])));
        files.push((role(Full, 2), file(&[("full", &[0, 1, 1, 0])], &[4])));
        let scores = resampled(files).unwrap();
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
        let nothing = resampled(Vec::new()).unwrap();
        assert!(nothing.is_empty());
    }

    /// However many trainings there are, all are scored on the same resamples.
    #[test]
    fn trainings_beyond_those_held_at_a_time_are_scored_alike() {
        let seeds: Vec<u64> = (1..=2 * AT_ONCE as u64 + 1).collect();
        let mut files = dataset("binary", &[&[0], &[1], &[1], &[0]]);
        for &seed in &seeds {
            files.push((role(Full, seed), file(&[("full", &[0, 1, 1, 1])], &[4])));
            let missing = [("missing image 1", &[0, 0, 1, 0][..]), ("missing text 1", &[1, 1, 1, 1])];
            files.push((role(Missing, seed), file(&missing, &[4])));
            let noisy = [("noisy image", &[1, 0, 0, 0][..]), ("noisy text", &[1, 0, 0, 1])];
            files.push((role(Noisy, seed), file(&noisy, &[4])));
        }
        let scores = resampled_of(seeds.clone(), files).unwrap();
        assert_eq!(scores.keys().copied().collect::<Vec<_>>(), seeds);
        assert!(scores.values().all(|cell| *cell == scores[&1]));
    }

    #[test]
    fn labels_are_read_from_rows() {
        let mut files = dataset("multilabel", &[&[0, 1], &[]]);
        let all = |levels: &[&'static str]| {
            let levels: Vec<(&str, &[u8])> = levels.iter().map(|level| (*level, &[1, 0, 0, 0][..])).collect();
            file(&levels, &[2, 2])
        };
        files.push((role(Full, 1), all(&["full"])));
        files.push((role(Missing, 1), all(&["missing image 1", "missing text 1"])));
        files.push((role(Noisy, 1), all(&["noisy image", "noisy text"])));
        // Label 0 is perfect, label 1 is missed.
        assert_eq!(resampled(files).unwrap()[&1]["noisy image"][0], 50.0);
    }

    #[test]
    fn malformed_predictions_are_refused() {
        let error = |bytes: Vec<u8>| {
            let mut files = dataset("binary", &[&[0], &[1]]);
            files.push((role(Full, 1), bytes));
            files.push((role(Missing, 1), file(&[("missing image 1", &[0, 1])], &[2])));
            files.push((role(Noisy, 1), file(&[("noisy image", &[0, 1])], &[2])));
            format!("{:#}", resampled(files).unwrap_err())
        };
        assert!(error(b"none".to_vec()).contains("the input `predictions full 1`"));
        assert!(error(file(&[("half", &[0, 1])], &[2])).contains("there are no predictions `full`"));
        assert!(error(file(&[("full", &[0, 1])], &[2, 1])).contains("does not fit a Binary task"));
        assert!(error(file(&[("full", &[0, 2])], &[2])).contains("expected a label below 2, found 2"));
        assert!(error(file(&[("full", &[0])], &[1])).contains("expected predictions for 2 test samples, found 1"));
        assert!(error(file(&[("full", &[0, 1])], &[2])).contains("there are no predictions `missing text 1`"));
    }
}
