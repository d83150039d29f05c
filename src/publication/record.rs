//! `provenance.json`: everything that the files in `out/SUITE/` were made from.
//!
//! ```text
//! schema      version of this layout
//! suite       name, title, kind, seeds and whether --seeds replaced the suite's own; for trials: the subset, and whether
//!             archives came from a mirror
//! program     version, SHA-256 of the source it was built from, compiler; commit and changes of the project's folder
//! machine     the machine that wrote this file: system, architecture, device, libtorch, GPU and driver, threads, cores,
//!             variables that were ignored
//! sources     the files of the project that the suite was planned from, with their SHA-256
//! materials   the datasets and weights in use: licence, citation
//! recipes     recipe versions of step kinds, readers, encoders, methods and the report
//! steps       every step of the plan: key, inputs, outputs, when it was computed and how long it took
//! files       the files in out/SUITE/ that are outputs of steps
//! reports     the files in out/SUITE/ that describe the run, made again whenever something in it changes; and the last recheck
//! ```
//!
//! An earlier run may have computed a step on another machine: each step lists its own device and libtorch. The file names
//! no user, no host and no path of a machine; why a step failed, which may name a path, is in `results.json`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::engine::graph::{Graph, NodeId, Publication, Source};
use crate::engine::key::Environment;
use crate::engine::run::NodeOutcome;
use crate::map::Map;
use crate::report::{SuiteKind, words};
use crate::steps::{self, Kind};
use crate::store::{Brief, Output, Processor};

/// The version of the layout of [`Provenance`].
pub const SCHEMA: u32 = 1;

/// The file's name under `out/SUITE/`.
pub const FILE: &str = "provenance.json";

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    pub schema: u32,
    pub suite: Suite,
    pub program: Program,
    pub machine: Machine,
    pub sources: Vec<SourceFile>,
    pub materials: Vec<Material>,
    pub recipes: Recipes,
    pub steps: Vec<Step>,
    pub files: Vec<File>,
    #[serde(default)]
    pub reports: Vec<ReportFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    pub name: String,
    pub title: String,
    pub kind: SuiteKind,
    pub seeds: Vec<u64>,
    /// Whether `--seeds` replaced the suite's own.
    #[serde(default)]
    pub seeds_asked: bool,
    /// Samples of each split; `None`: all.
    pub subset: Option<u32>,
    /// Whether archives came from a mirror with its own manifests.
    pub mirror: bool,
}

/// The program that wrote the file, and the project's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub version: String,
    /// As built: see [`super::source_digest`].
    pub source_sha256: String,
    pub rustc: String,
    pub checkout: Checkout,
}

/// The project's folder when the file was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// `None`: the folder is in no Git repository, or Git is not installed.
    pub commit: Option<String>,
    /// Whether a tracked file differs from the commit.
    pub dirty: Option<bool>,
    /// Whether the program was built from the source in the folder; `None`: the folder has no source.
    pub is_as_built: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`.
    pub system: String,
    pub architecture: String,
    /// Those that can change results on tensors.
    pub vector_instructions: Vec<String>,
    /// `cpu` or `cuda`.
    pub device: String,
    pub libtorch: String,
    /// Whether libtorch was built for CUDA.
    pub libtorch_cuda: bool,
    /// Model and driver version of each GPU that `nvidia-smi` lists, if the device is a GPU.
    pub gpus: Vec<String>,
    /// Cores that the steps shared; the number changes no result.
    pub threads: usize,
    /// Cores of the machine. A container, a batch system or an affinity may have kept the process to fewer.
    #[serde(default)]
    pub cores: usize,
    /// The variables that were set and ignored, since libraries would read them: see [`crate::engine::variables`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ignored: Vec<String>,
}

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the project, `experiments/smoke.toml`.
    pub file: String,
    /// `None`: the file changed during the run, so it is not what the run was planned from.
    pub sha256: Option<Digest>,
}

/// A dataset or pretrained weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// The manifest's name.
    pub name: String,
    pub title: String,
    /// An SPDX identifier, or `other`.
    pub licence: String,
    pub note: String,
    pub url: Option<String>,
    pub citation: String,
}

/// Recipe versions by name, of what the suite uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipes {
    pub steps: BTreeMap<String, u64>,
    pub datasets: BTreeMap<String, u64>,
    pub encoders: BTreeMap<String, u64>,
    pub methods: BTreeMap<String, u64>,
    pub report: u64,
}

/// The outcome of a step: `done`, `failed`, `unavailable` or `not-run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Done,
    #[serde(untagged)]
    Absent(steps::Status),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The step's label, unique in the suite.
    pub step: Arc<str>,
    pub kind: String,
    pub status: Status,
    /// SHA-256 of everything that the result depends on.
    pub key: Option<Digest>,
    /// By role; absent inputs are left out.
    pub inputs: Map<Input, Arc<str>>,
    pub outputs: Map<Output>,
    /// When it was computed (RFC 3339, UTC), in this run or an earlier one.
    pub started: Option<String>,
    pub finished: Option<String>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Where it was computed, for steps on tensors.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub computed_on: Option<Environment>,
    /// What computed it there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub computed_by: Option<Processor>,
}

/// An input: an output of another step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub step: Arc<str>,
    pub output: Arc<str>,
    pub sha256: Digest,
}

/// A file in `out/SUITE/` that describes the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    pub file: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// A file in `out/SUITE/` that is a copy of a step's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub file: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    pub step: String,
    pub output: String,
}

impl Provenance {
    /// Reads `provenance.json`.
    ///
    /// # Errors
    /// If it is malformed or has another layout.
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let provenance: Provenance = serde_json::from_slice(json).context("malformed")?;
        anyhow::ensure!(provenance.schema == SCHEMA, "it has the layout {}, expected {SCHEMA}", provenance.schema);
        Ok(provenance)
    }

    /// The step with this label.
    pub fn step(&self, label: &str) -> Option<&Step> {
        self.steps.iter().find(|step| *step.step == *label)
    }

    /// What the run lacks; none if it is complete.
    pub fn incomplete(&self) -> Option<String> {
        incomplete(self.steps.iter().filter_map(|step| Some((Kind::named(&step.kind)?, step.status != Status::Done))))
    }

    /// When the last step was computed.
    pub fn finished(&self) -> Option<&str> {
        self.steps.iter().filter_map(|step| step.finished.as_deref()).max()
    }
}

/// The outcome of every step of a plan that ran in this environment.
pub fn steps(graph: &Graph, nodes: &[NodeOutcome], environment: &Environment) -> Vec<Step> {
    let labels: Vec<Arc<str>> = graph.labels().map(Into::into).collect();
    let step = |(id, outcome): (NodeId, &NodeOutcome)| step(graph, id, outcome, nodes, &labels, environment);
    graph.ids().zip(nodes).map(step).collect()
}

fn step(
    graph: &Graph,
    id: NodeId,
    outcome: &NodeOutcome,
    nodes: &[NodeOutcome],
    labels: &[Arc<str>],
    environment: &Environment,
) -> Step {
    let node = graph.node(id);
    let mut step = Step {
        step: labels[id.0].clone(),
        kind: node.step.kind().name().to_owned(),
        status: match outcome {
            NodeOutcome::Done(..) => Status::Done,
            NodeOutcome::Absent(absence) => Status::Absent(absence.status),
            NodeOutcome::NotWanted => Status::Absent(steps::Status::NotRun),
        },
        key: None,
        inputs: Map::default(),
        outputs: Map::default(),
        started: None,
        finished: None,
        seconds: None,
        computed_on: None,
        computed_by: None,
    };
    if let NodeOutcome::Done(key, done) = outcome {
        let input = |(role, source): (&Arc<str>, &Source)| {
            let (label, output) = (labels[source.node.0].clone(), source.output.clone());
            let sha256 = action(nodes, source)?.outputs.get(&*output)?.sha256;
            Some((role.clone(), Input { step: label, output, sha256 }))
        };
        step.key = Some(*key);
        step.inputs = node.inputs.iter().filter_map(input).collect();
        step.outputs = done.outputs.clone();
        step.started = Some(rfc3339(done.finished.saturating_sub(done.seconds.max(0.0).round() as u64)));
        step.finished = Some(rfc3339(done.finished));
        step.seconds = Some(done.seconds);
        step.computed_on = node.step.kind().uses_tensors().then(|| environment.clone());
        step.computed_by.clone_from(&done.computed_by);
    }
    step
}

/// What a run lacks, in a few words; none if everything is done.
///
/// # Arguments
/// `steps`: the kind of each step of the plan, and whether it is absent.
pub fn incomplete(steps: impl Iterator<Item = (Kind, bool)>) -> Option<String> {
    let (mut all, mut absent) = (BTreeMap::<Kind, u64>::new(), BTreeMap::<Kind, u64>::new());
    for (kind, is_absent) in steps {
        *all.entry(kind).or_default() += 1;
        if is_absent {
            *absent.entry(kind).or_default() += 1;
        }
    }
    let of = |kind: Kind, what: &str| {
        Some(format!("{} of {} {what}", words::count(*absent.get(&kind)?), words::count(all[&kind])))
    };
    let known = [of(Kind::Fetch, "downloads missing"), of(Kind::Train, "trainings not done")];
    let known: Vec<String> = known.into_iter().flatten().collect();
    let total = |counts: &BTreeMap<Kind, u64>| words::count(counts.values().sum());
    match (absent.is_empty(), known.is_empty()) {
        (true, _) => None,
        (false, true) => Some(format!("{} of {} steps not done", total(&absent), total(&all))),
        (false, false) => Some(known.join(", ")),
    }
}

/// Now, in seconds since 1970 (UTC), for records of when something was made.
#[expect(clippy::disallowed_methods, reason = "says when, and enters no result")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Formats seconds since 1970 (UTC) as in RFC 3339: `2025-04-29T08:15:00Z`.
pub fn rfc3339(seconds: u64) -> String {
    Timestamp::from_second(seconds as i64).unwrap_or(Timestamp::MAX).to_string()
}

/// The published files of a plan whose steps are done.
pub fn files(graph: &Graph, nodes: &[NodeOutcome]) -> Vec<File> {
    let file = |Publication { source, file }: &Publication| {
        let Output { sha256, size } = *action(nodes, source)?.outputs.get(&*source.output)?;
        let step = graph.node(source.node).step.label();
        Some(File { file: file.clone(), sha256, size, step, output: source.output.to_string() })
    };
    graph.publications.iter().filter_map(file).collect()
}

fn action<'a>(nodes: &'a [NodeOutcome], source: &Source) -> Option<&'a Brief> {
    nodes.get(source.node.0)?.action()
}
