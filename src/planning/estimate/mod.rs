//! What the rest of a plan will take, from what this machine was measured to do: an estimate of time and disk, before
//! anything runs.

mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::datasets::Pictures;
use crate::engine::Engine;
use crate::engine::graph::Graph;
use crate::engine::survey::State;
use crate::experiments::{DatasetPlan, Suite};
use crate::manifests::Manifest;
use crate::steps::encode::{Encode, Encoder};
use crate::steps::evaluate::Condition;
use crate::steps::fetch::Fetch;
use crate::steps::prepare::About;
use crate::steps::train::Train;
use crate::steps::{Kind, Step};
use crate::terms::Split;

/// What a machine can do, measured in a few seconds; kept beside the store's objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was measured: device, threads, libtorch; another machine is measured anew.
    pub of: String,
    /// Multiply-adds of a transformer's products per second, in thousand millions, with all threads busy.
    pub product: f64,
    /// Those of convolutions.
    pub convolution: f64,
    /// Pictures of 512 × 512 that are decoded and resized per second.
    pub decoded: f64,
    /// Method → seconds per training step on one thread while all are busy, at [`STEP`].
    pub steps: BTreeMap<String, f64>,
}

/// The sizes at which training steps are measured: features of image and text, embedding, batch.
pub const STEP: (u32, u32, u32, u32) = (768, 768, 256, 64);

impl Calibration {
    /// Where a store keeps it.
    pub fn file(engine: &Engine) -> PathBuf {
        engine.store.root().join("calibration.json")
    }

    /// What is measured on this machine.
    pub fn subject(engine: &Engine) -> String {
        let environment = &engine.environment;
        format!(
            "{} {} {} threads {}",
            environment.device, environment.architecture, engine.threads, environment.libtorch
        )
    }

    /// What was measured before on this machine, for these methods.
    pub fn load(engine: &Engine, suite: &Suite) -> Option<Calibration> {
        Self::read(&Self::file(engine), &Self::subject(engine), suite)
    }

    fn read(file: &Path, subject: &str, suite: &Suite) -> Option<Calibration> {
        let known: Calibration = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        let methods = suite.methods.iter().all(|method| known.steps.contains_key(&method.name));
        (known.of == subject && methods).then_some(known)
    }
}

/// What the rest of a plan will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Kind of step → seconds on this machine.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Bytes that are still to be downloaded of files whose size a source says, if only in round numbers.
    pub downloads: u64,
    /// Larger files of which only a bound is known → the bound.
    pub downloads_at_most: BTreeMap<String, u64>,
    /// Bytes that results will take in the store beside the archives.
    pub results: u64,
    /// Whether sizes of datasets were taken from their manifests, since they are not prepared yet.
    pub from_manifests: bool,
}

impl Estimate {
    pub fn total_seconds(&self) -> f64 {
        self.seconds.values().sum()
    }
}

/// The samples of a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sizes {
    train: f64,
    val: f64,
    test: f64,
}

impl Sizes {
    fn of(&self, part: &str) -> f64 {
        match part {
            "train" => self.train,
            "val" => self.val,
            "blank" => 1.0,
            _ => self.test,
        }
    }
}

impl Engine {
    /// Estimates what is not done yet.
    pub fn estimate(&self, suite: &Suite, manifests: &[Manifest], graph: &Graph, machine: &Calibration) -> Estimate {
        let states = self.survey(graph);
        let mut estimate = Estimate::default();
        let mut sizes = BTreeMap::new();
        for dataset in &suite.datasets {
            let (found, prepared) = self.sizes(dataset, suite, manifests, graph, &states);
            estimate.from_manifests |= !prepared;
            sizes.insert(dataset.samples.clone(), found);
            sizes.insert(dataset.name.clone(), found);
        }
        let planned =
            |name: &str| suite.datasets.iter().find(|dataset| dataset.name == name || dataset.samples == name);
        // What was predicted for steps that are done, and what they took.
        let mut experience: BTreeMap<&'static str, (f64, f64)> = BTreeMap::new();
        for id in graph.ids() {
            let step = &graph.node(id).step;
            let kind = step.kind();
            let of = Of { machine, threads: self.threads, sizes: &sizes, planned: &planned };
            let (seconds, bytes) = of.step(step);
            match &states[id.0] {
                State::Blocked(_) => {}
                State::Done(_, action) | State::Refused(_, action, _) => {
                    let (predicted, took) = experience.entry(kind.name()).or_default();
                    *predicted += seconds;
                    // One-core steps share the cores; what is predicted is the machine's time.
                    *took += if matches!(kind, Kind::Train | Kind::Evaluate) {
                        action.seconds / self.threads as f64
                    } else {
                        action.seconds
                    };
                }
                _ => {
                    if let Step::Fetch(Fetch { archive }) = step {
                        let little = Some(archive.most()).filter(|most| *most <= LITTLE);
                        match archive.size().or(archive.about).or(little) {
                            Some(size) => estimate.downloads += size,
                            None => drop(estimate.downloads_at_most.insert(archive.name.clone(), archive.most())),
                        }
                    }
                    *estimate.seconds.entry(kind.name()).or_default() += seconds;
                    estimate.results += bytes;
                }
            }
        }
        for (kind, seconds) in &mut estimate.seconds {
            if let Some((predicted, took)) = experience.get(kind).filter(|(predicted, _)| *predicted > 1.0) {
                *seconds *= took / predicted;
            }
        }
        estimate.seconds.retain(|_, seconds| *seconds > 0.0);
        estimate
    }

    /// The samples of a dataset, and whether that is what was prepared.
    fn sizes(
        &self,
        dataset: &DatasetPlan,
        suite: &Suite,
        manifests: &[Manifest],
        graph: &Graph,
        states: &[State],
    ) -> (Sizes, bool) {
        let prepared = graph.find(&format!("prepare {}", dataset.samples)).and_then(|id| match &states[id.0] {
            State::Done(_, action) | State::Refused(_, action, _) => action.outputs.get("about"),
            _ => None,
        });
        let about = prepared.and_then(|about| self.store.read(about).ok());
        if let Some(about) = about.and_then(|bytes| serde_json::from_slice::<About>(&bytes).ok()) {
            let of = |split: Split| about.samples.get(split.name()).map_or(0.0, |n| *n as f64);
            return (Sizes { train: of(Split::Train), val: of(Split::Val), test: of(Split::Test) }, true);
        }
        let manifest = manifests.iter().find(|manifest| manifest.name == dataset.reader.manifest);
        let counts =
            manifest.and_then(|manifest| manifest.counts.get(dataset.reader.name)).cloned().unwrap_or_default();
        let most = suite.subset.map_or(f64::MAX, f64::from);
        let Sizes { train, val, test } = from_counts(&counts);
        (Sizes { train: train.min(most), val: val.min(most), test: test.min(most) }, false)
    }
}

/// The samples that a manifest's counts tell, whatever its dataset calls its splits; a validation split that is drawn from
/// the training split is taken for a tenth of it.
fn from_counts(counts: &BTreeMap<String, u64>) -> Sizes {
    let first = |names: &[&str]| names.iter().find_map(|name| counts.get(*name)).map(|n| *n as f64);
    let train = first(&["train", "train pictures"]);
    let test = first(&["test", "test pictures", "test_seen"]);
    let val = first(&["val", "dev", "dev_seen"]);
    match (train, test, val) {
        (Some(train), Some(test), Some(val)) => Sizes { train, val, test },
        (Some(train), Some(test), None) => Sizes { train: 0.9 * train, val: 0.1 * train, test },
        _ => {
            let all = counts.values().copied().max().unwrap_or(0) as f64;
            Sizes { train: 0.8 * all, val: 0.1 * all, test: 0.1 * all }
        }
    }
}

struct Of<'a> {
    machine: &'a Calibration,
    threads: usize,
    sizes: &'a BTreeMap<String, Sizes>,
    planned: &'a dyn Fn(&str) -> Option<&'a DatasetPlan>,
}

/// A bound that is no more than this many bytes may as well be the size.
const LITTLE: u64 = 64 << 20;

/// Bytes of a float32.
const FLOAT: f64 = 4.0;

/// Scalars of a step in a trace, about.
const SCALARS: f64 = 24.0;

impl Of<'_> {
    /// Seconds of this machine, with all cores at work, and bytes.
    fn step(&self, step: &Step) -> (f64, u64) {
        match step {
            Step::Prepare(prepare) => {
                let sizes = self.sizes.get(&prepare.name).copied().unwrap_or_default();
                let all = sizes.train + sizes.val + sizes.test;
                let decoded = self.machine.decoded / work::of_decoding(prepare.reader.name);
                let seconds = if prepare.reader.pictures == Pictures::InTheWild { all / decoded } else { 0.0 };
                (seconds, (all * 500.0) as u64)
            }
            Step::Encode(encode) => self.encode(encode),
            Step::Train(train) => self.train(train),
            Step::Evaluate(evaluate) => {
                let test = self.sizes.get(&evaluate.dataset).map_or(0.0, |sizes| sizes.test);
                let levels = match &evaluate.condition {
                    Condition::Full => 1.0,
                    Condition::Missing { ratios } => 2.0 * ratios.len() as f64,
                    Condition::Noisy => 2.0,
                };
                // A forward pass over the head, about a third of a baseline's step per batch.
                let step = self.machine.steps.values().copied().fold(f64::MAX, f64::min) / 3.0;
                let batches = test * levels / f64::from(STEP.3);
                (batches * step / self.threads as f64, (test * levels * 4.0) as u64)
            }
            _ => (0.0, 0),
        }
    }

    fn encode(&self, encode: &Encode) -> (f64, u64) {
        let items = self.sizes.get(&encode.dataset).copied().unwrap_or_default().of(&encode.part);
        let dataset = (self.planned)(&encode.dataset).map_or("", |plan| plan.reader.name);
        let (work, scale) = match &encode.encoder {
            Encoder::Image(options) => (work::of_picture(&options.name, options.size), 1.0),
            Encoder::Text(options) => (work::of_token(&options.name), work::tokens(dataset)),
        };
        let rate = if work.convolution { self.machine.convolution } else { self.machine.product };
        let decoding = match encode.encoder {
            Encoder::Image(_) => items * work::of_decoding(dataset) / self.machine.decoded,
            Encoder::Text(_) => 0.0,
        };
        (items * scale * work.giga / rate + decoding, (items * work.width as f64 * FLOAT) as u64)
    }

    fn train(&self, train: &Train) -> (f64, u64) {
        let Some(plan) = (self.planned)(&train.dataset) else { return (0.0, 0) };
        let sizes = self.sizes.get(&train.dataset).copied().unwrap_or_default();
        let width = |work: work::Work| work.width as f64;
        let inputs =
            width(work::of_picture(&plan.image.name, plan.image.size)) + width(work::of_token(&plan.text.name));
        let config = &train.config;
        let steps = (sizes.train / f64::from(config.batch_size)).ceil() * f64::from(config.epochs);
        let (d_v, d_l, d, batch) = STEP;
        let share = inputs / f64::from(d_v + d_l) * f64::from(config.embedding) / f64::from(d)
            * f64::from(config.batch_size)
            / f64::from(batch);
        let step = self.machine.steps.get(&train.name).copied().unwrap_or_default();
        let weights = inputs * f64::from(config.embedding) * FLOAT;
        (steps * step * share / self.threads as f64, (weights + steps * SCALARS * FLOAT) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn sizes_come_from_whatever_a_manifest_counts() {
        let food = from_counts(&counts(&[("train pictures", 1000), ("test pictures", 300), ("classes", 101)]));
        assert_eq!(food, Sizes { train: 900.0, val: 100.0, test: 300.0 });
        let memes =
            from_counts(&counts(&[("train", 8500), ("dev_seen", 500), ("test_seen", 1000), ("test_unseen", 2000)]));
        assert_eq!(memes, Sizes { train: 8500.0, val: 500.0, test: 1000.0 });
        let memotion = from_counts(&counts(&[("rows", 6992)]));
        assert_eq!(memotion.train + memotion.val + memotion.test, 6992.0);
        assert_eq!(from_counts(&BTreeMap::new()), Sizes::default());
    }

    /// What was measured elsewhere, or lacks a method, is measured again.
    #[test]
    fn a_calibration_is_for_one_machine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("calibration.json");
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/smoke.toml")).unwrap();
        let suite = Suite::parse("smoke", &text).unwrap();
        assert_eq!(Calibration::read(&file, "here", &suite), None);
        let steps = suite.methods.iter().map(|method| (method.name.clone(), 0.01)).collect();
        let mut known = Calibration { of: "here".into(), product: 50.0, convolution: 20.0, decoded: 300.0, steps };
        let write = |known: &Calibration| std::fs::write(&file, serde_json::to_vec(known).unwrap()).unwrap();
        write(&known);
        assert_eq!(Calibration::read(&file, "here", &suite).as_ref(), Some(&known));
        assert_eq!(Calibration::read(&file, "there", &suite), None);
        known.steps.remove("agm");
        write(&known);
        assert_eq!(Calibration::read(&file, "here", &suite), None);
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Calibration::read(&file, "here", &suite), None);
    }
}
