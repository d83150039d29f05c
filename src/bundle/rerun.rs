//! Trains some cells of a run again on this machine, and compares the outputs with those that are recorded.
//!
//! On the same kind of device, with the same architecture, vector instructions and libtorch, all bytes have to be equal.
//! Elsewhere sums are rounded differently, and training amplifies the differences; then numbers are compared:
//!
//! | output | distance | tolerance |
//! |---|---|---|
//! | features | ‖a − b‖ / ‖a‖ | [`FEATURES`] |
//! | weights | ‖a − b‖ / ‖a‖ | [`WEIGHTS`] |
//! | trace | of the mean of loss_T, relative | [`LOSS`] |
//! | scores, validation scores | the largest difference, in percentage points | [`POINTS`] |
//!
//! The tolerances are a judgement: about as much as another seed changes. They reveal a wrong computation, not a wrong last
//! digit. Outputs of steps without tensors (samples, masks, texts) are equal on all machines.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;

use crate::engine::Engine;
use crate::engine::display::{Display, Style};
use crate::engine::graph::{Graph, NodeId};
use crate::engine::key::Environment;
use crate::engine::processor;
use crate::engine::run::NodeOutcome;
use crate::errors;
use crate::random::Stream;
use crate::report::trace;
use crate::steps::evaluate::Scores;
use crate::steps::train::Summary;
use crate::steps::{self, Content, Execute, Kind};
use crate::store::{Action, Brief, Output, Processor, Store};

/// Of features, relative.
pub const FEATURES: f64 = 1e-3;
/// Of weights, relative.
pub const WEIGHTS: f64 = 0.1;
/// Of the mean loss, relative.
pub const LOSS: f64 = 0.05;
/// Of scores, in percentage points.
pub const POINTS: f64 = 3.0;

/// How an output compares with the recorded one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// All bytes are equal.
    Equal,
    Within {
        distance: f64,
        tolerance: f64,
    },
    Differs {
        how: String,
        /// How far, if it could be measured.
        #[serde(skip_serializing_if = "Option::is_none")]
        distance: Option<f64>,
    },
    NotCompared {
        why: String,
    },
}

#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub step: String,
    pub output: String,
    pub verdict: Verdict,
}

/// The result of training cells again.
#[derive(Clone, Debug, Serialize)]
pub struct Repetition {
    pub cells: Vec<String>,
    /// Whether bytes had to be equal, and why or why not.
    pub demanded: String,
    pub compared: Vec<Compared>,
    /// Steps that could not be computed again.
    pub failed: Vec<String>,
}

impl Repetition {
    /// Whether nothing differs and nothing failed.
    pub fn is_good(&self) -> bool {
        let differs = |compared: &Compared| matches!(compared.verdict, Verdict::Differs { .. });
        self.failed.is_empty() && !self.compared.iter().any(differs)
    }
}

/// Chooses at most `count` cells at random. The same seed chooses the same cells of the same run.
pub fn choose(graph: &Graph, there: &There, count: usize, seed: u64) -> Vec<NodeId> {
    let evaluated = graph.ids().filter(|id| graph.node(*id).step.kind() == Kind::Evaluate);
    let mut cells: Vec<NodeId> = evaluated
        .filter(|id| there.actions.contains_key(id))
        .filter_map(|id| Some(graph.node(id).inputs.get("weights")?.node))
        .collect();
    cells.sort_unstable();
    cells.dedup();
    Stream::new(seed, &["verify", "rerun"]).shuffle(&mut cells);
    cells.truncate(count);
    cells.sort_unstable();
    cells
}

/// The steps that are repeated: the trainings and evaluations of cells.
pub fn wanted(graph: &Graph, cells: &[NodeId]) -> Vec<NodeId> {
    let evaluations = cells.iter().flat_map(|cell| graph.users(*cell));
    let mut wanted: Vec<NodeId> = evaluations.filter(|id| graph.node(*id).step.kind() == Kind::Evaluate).collect();
    wanted.extend(cells);
    wanted
}

/// What was computed before: a bundle, or a run in a store.
pub struct There<'a> {
    /// The records of finished steps.
    pub actions: BTreeMap<NodeId, Action>,
    pub store: &'a Store,
    /// Whether an object may be read. A bundle leaves some out, and others are damaged.
    pub has: &'a dyn Fn(&Output) -> bool,
}

/// A run, and what to train its cells with.
pub struct Rerun<'a> {
    pub there: There<'a>,
    /// The plan on this machine.
    pub graph: &'a Graph,
    /// With a store that has none of the steps to repeat.
    pub engine: &'a Engine,
    /// What computes steps on tensors here.
    pub processor: Processor,
    pub execute: Execute,
}

impl<'a> Rerun<'a> {
    pub fn new(there: There<'a>, graph: &'a Graph, engine: &'a Engine, execute: Execute) -> Self {
        Rerun { there, graph, engine, processor: processor::here(engine.devices.first()), execute }
    }

    /// Trains and evaluates cells.
    ///
    /// # Errors
    /// If data is unavailable, or on interruption.
    pub fn run(&self, cells: &[NodeId], style: Style) -> anyhow::Result<Repetition> {
        let label = |id: NodeId| self.graph.node(id).step.label();
        let wanted = wanted(self.graph, cells);
        let display = Display::new(self.graph, &self.graph.needed_for(&wanted), style);
        let outcome = self.engine.run(self.graph, &wanted, &[], &display, self.execute);
        display.finish();
        if outcome.interrupted {
            return Err(errors::interrupted());
        }
        if let Some((id, absence)) = outcome.absent(steps::Status::Unavailable).next() {
            let hint = absence.hint.as_deref().unwrap_or("see data-manifests/README.md");
            return Err(errors::unavailable(format!("cannot train cells again: `{}`: {absence}", label(id)), hint));
        }
        let (mut compared, mut failed) = (Vec::new(), Vec::new());
        for id in self.graph.needed_for(&wanted) {
            let here = match &outcome.nodes[id.0] {
                NodeOutcome::Done(_, action) => action,
                NodeOutcome::Absent(absence) if absence.status == steps::Status::Failed => {
                    failed.push(format!("`{}`: {absence}", label(id)));
                    continue;
                }
                NodeOutcome::Absent(_) | NodeOutcome::NotWanted => continue,
            };
            match self.there.actions.get(&id) {
                Some(there) => compared.extend(self.compare(id, there, here)),
                None => failed.push(format!("`{}` has no record to compare with", label(id))),
            }
        }
        let cells = cells.iter().map(|cell| label(*cell)).collect();
        Ok(Repetition { cells, demanded: self.demanded(), compared, failed })
    }

    /// What computed the steps on tensors, as their records say.
    fn processors(&self) -> BTreeSet<&Processor> {
        self.there.actions.values().filter_map(|action| action.computed_by.as_ref()).collect()
    }

    fn same_vectors(&self) -> bool {
        self.processors().iter().all(|there| there.vector_instructions == self.processor.vector_instructions)
    }

    fn demanded(&self) -> String {
        let environments = self.there.actions.values().filter_map(|action| Environment::of(&action.ingredients));
        let there: BTreeSet<String> = environments.map(|environment| in_words(&environment)).collect();
        let there = there.into_iter().collect::<Vec<_>>().join(" and on ");
        let here = in_words(&self.engine.environment);
        match there == here && self.same_vectors() {
            true => format!("equal bytes: it was computed on {there}, as here"),
            false => format!(
                "equal bytes where a step needs no tensors or ran on the same kind of machine, similar numbers elsewhere: \
                 it was computed on {there} ({}), this machine is {here} ({})",
                self.processors().iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
                self.processor
            ),
        }
    }

    fn compare(&self, id: NodeId, there: &Action, here: &Brief) -> Vec<Compared> {
        let step = &self.graph.node(id).step;
        let on = Environment::of(&there.ingredients);
        let exact = on.is_none_or(|on| on == self.engine.environment && self.same_vectors());
        let compare = |(name, expected): (&String, &Output)| {
            let verdict = match here.outputs.get(name) {
                None => Verdict::Differs { how: "it was not computed here".to_owned(), distance: None },
                Some(found) if found.sha256 == expected.sha256 => Verdict::Equal,
                Some(found) => self.near(step.kind(), name, (expected, found), exact).unwrap_or_else(|error| {
                    Verdict::Differs { how: format!("it cannot be compared: {error:#}"), distance: None }
                }),
            };
            Compared { step: step.label(), output: name.clone(), verdict }
        };
        there.outputs.iter().map(compare).collect()
    }

    /// Compares two outputs whose bytes differ.
    fn near(&self, kind: Kind, name: &str, outputs: (&Output, &Output), exact: bool) -> anyhow::Result<Verdict> {
        let (expected, found) = outputs;
        let different = || {
            let how = format!("it has the SHA-256 {} instead of {}", found.sha256, expected.sha256);
            Ok(Verdict::Differs { how, distance: None })
        };
        let not_compared = |why: &str| Ok(Verdict::NotCompared { why: why.to_owned() });
        let measure: Option<(Measure, f64)> = match (kind, name) {
            (Kind::Encode, "features") => Some((relative_distance, FEATURES)),
            _ if kind.content(name) == Content::Weights => Some((relative_distance, WEIGHTS)),
            (Kind::Train | Kind::Choose, "trace") => Some((loss_distance, LOSS)),
            (Kind::Train | Kind::Choose, "summary") => Some((validation_distance, POINTS)),
            (Kind::Evaluate, "scores") => Some((score_distance, POINTS)),
            _ => None,
        };
        let Some((measure, tolerance)) = measure else {
            return if exact { different() } else { not_compared("its effect is compared by scores") };
        };
        if !(self.there.has)(expected) {
            return if exact { different() } else { not_compared("it is not there to be read, and its bytes differ") };
        }
        let distance = measure(&self.there.store.read(expected)?, &self.engine.store.read(found)?)?;
        Ok(judged(exact, distance, tolerance))
    }
}

/// The verdict on outputs whose bytes differ.
fn judged(exact: bool, distance: f64, tolerance: f64) -> Verdict {
    match (exact, distance <= tolerance) {
        (false, true) => Verdict::Within { distance, tolerance },
        (true, _) => {
            let how = format!("bytes differ, by {distance:.3e} with a tolerance of {tolerance}");
            Verdict::Differs { how, distance: Some(distance) }
        }
        // NaN is outside of every tolerance.
        (false, false) => {
            let how = format!("by {distance:.3e}, more than the tolerance of {tolerance}");
            Verdict::Differs { how, distance: Some(distance) }
        }
    }
}

fn in_words(environment: &Environment) -> String {
    let Environment { device, architecture, libtorch } = environment;
    format!("{device}, {architecture}, libtorch {libtorch}")
}

/// A distance between two files.
type Measure = fn(&[u8], &[u8]) -> anyhow::Result<f64>;

/// ‖a − b‖ / ‖a‖ over all float32 tensors of two files.
fn relative_distance(a: &[u8], b: &[u8]) -> anyhow::Result<f64> {
    let read = |bytes| SafeTensors::deserialize(bytes).context("not a well-formed safetensors file");
    let (a, b) = (read(a)?, read(b)?);
    let (mut difference, mut size) = (0.0, 0.0);
    let mut names = a.names();
    names.sort_unstable();
    anyhow::ensure!(names.len() == b.len(), "{} tensors and {}", names.len(), b.len());
    for name in names {
        let (one, other) = (a.tensor(name)?, b.tensor(name).with_context(|| format!("`{name}` is missing"))?);
        anyhow::ensure!(one.dtype() == Dtype::F32 && other.dtype() == Dtype::F32, "`{name}` should be float32");
        anyhow::ensure!(one.shape() == other.shape(), "`{name}` is {:?} and {:?}", one.shape(), other.shape());
        for (x, y) in one.data().as_chunks().0.iter().zip(other.data().as_chunks().0) {
            let (x, y) = (f64::from(f32::from_le_bytes(*x)), f64::from(f32::from_le_bytes(*y)));
            difference += (x - y) * (x - y);
            size += x * x;
        }
    }
    anyhow::ensure!(size.is_finite() && difference.is_finite(), "a number is not finite");
    Ok(if difference == 0.0 { 0.0 } else { (difference / size).sqrt() })
}

/// The relative difference of the mean loss of two traces.
fn loss_distance(a: &[u8], b: &[u8]) -> anyhow::Result<f64> {
    let mean = |bytes: &[u8]| -> anyhow::Result<f64> {
        let columns = trace::read(bytes)?;
        let losses = columns.get("loss_T").context("the trace has no `loss_T`")?;
        anyhow::ensure!(!losses.is_empty(), "the trace has no steps");
        Ok(losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64)
    };
    let (a, b) = (mean(a)?, mean(b)?);
    Ok((a - b).abs() / a.abs())
}

fn largest(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn validation_distance(a: &[u8], b: &[u8]) -> anyhow::Result<f64> {
    let (a, b): (Summary, Summary) = (serde_json::from_slice(a)?, serde_json::from_slice(b)?);
    anyhow::ensure!(
        a.validation.len() == b.validation.len(),
        "{} epochs and {}",
        a.validation.len(),
        b.validation.len()
    );
    Ok(largest(a.validation.into_iter().zip(b.validation)))
}

fn score_distance(a: &[u8], b: &[u8]) -> anyhow::Result<f64> {
    let (a, b): (Scores, Scores) = (serde_json::from_slice(a)?, serde_json::from_slice(b)?);
    anyhow::ensure!(a.levels.len() == b.levels.len(), "{} levels and {}", a.levels.len(), b.levels.len());
    Ok(largest(a.levels.iter().map(|level| level.score).zip(b.levels.iter().map(|level| level.score))))
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    fn file(name: &str, numbers: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        safetensors::serialize([(name, TensorView::new(Dtype::F32, vec![numbers.len()], &bytes).unwrap())], None)
            .unwrap()
    }

    #[test]
    fn distances_are_relative() {
        let a = file("w", &[3.0, 4.0]);
        assert_eq!(relative_distance(&a, &a).unwrap(), 0.0);
        assert_eq!(relative_distance(&a, &file("w", &[3.0, 4.5])).unwrap(), 0.1);
        assert!(relative_distance(&a, &file("v", &[3.0, 4.0])).is_err());
        assert!(relative_distance(&a, &file("w", &[3.0])).is_err());
        assert!(relative_distance(&a, &file("w", &[3.0, f32::NAN])).is_err());
        assert!(relative_distance(&a, b"nonsense").is_err());
        let loss = |numbers: &[f32]| file("loss_T", numbers);
        assert_eq!(loss_distance(&loss(&[1.0, 3.0]), &loss(&[1.0, 2.0])).unwrap(), 0.25);
        assert!(loss_distance(&a, &a).is_err());
    }

    /// Where bytes have to be equal, a small distance is not enough.
    #[test]
    fn tolerances_apply_on_other_machines_only() {
        assert_eq!(judged(false, 0.5, 1.0), Verdict::Within { distance: 0.5, tolerance: 1.0 });
        for (exact, distance) in [(true, 0.5), (true, 0.0), (false, 1.5), (false, f64::NAN)] {
            assert!(matches!(judged(exact, distance, 1.0), Verdict::Differs { .. }), "{exact} {distance}");
        }
    }

    #[test]
    fn scores_are_compared_in_points() {
        let scores = |score: f64| {
            let level = serde_json::json!({ "modality": null, "ratio": null, "impaired": 0, "score": score });
            serde_json::json!({ "metric": "accuracy", "samples": 4, "levels": [level] }).to_string().into_bytes()
        };
        assert_eq!(score_distance(&scores(50.0), &scores(52.5)).unwrap(), 2.5);
        assert!(score_distance(&scores(50.0), b"{}").is_err());
    }
}
