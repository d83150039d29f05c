//! `provenance.json`: everything that the files of a suite under `out/` came from.
//!
//! ```text
//! schema      the version of this layout
//! suite       name, title, kind, seeds and whether they were asked for in place of its own; the subset and
//!             whether a mirror was used, for trials
//! program     version, SHA-256 of the source it was built from, compiler; of the project's folder: commit, changes
//! machine     of the run that wrote this: system, architecture, device, libtorch, GPU and driver, threads
//! sources     the files of the project that the suite was planned from, each with its SHA-256
//! materials   datasets and weights that it uses: licence, citation
//! recipes     versions of how things are computed: step kinds, readers, encoders, methods, the report
//! steps       every step of the plan: key, inputs, outputs, when it was done and how long it took
//! files       the files under out/ that are outputs of steps
//! reports     the files under out/ that tell of all of it, made anew whenever something of it changes
//! ```
//!
//! A step may have been done by an earlier run, on another machine: its own device and libtorch stand beside it. No user,
//! no host and no path of a machine is in it; why a step failed, which may name a path, stands in `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::digest::Digest;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::NodeOutcome;
use crate::report::SuiteKind;
use crate::steps;
use crate::store::{Action, Ingredients, Output, Value};

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
    /// Whether they were asked for in place of the suite's own.
    #[serde(default)]
    pub seeds_asked: bool,
    /// So many samples of each split; none: all.
    pub subset: Option<u32>,
    /// Whether archives came from a mirror with manifests of its own.
    pub mirror: bool,
}

/// The program that wrote this, and the folder that it worked in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    pub version: String,
    /// As built: see [`super::source_digest`].
    pub source_sha256: String,
    pub rustc: String,
    pub checkout: Checkout,
}

/// The project's folder when this was written, as Git and its files tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// None: unknown; the folder is in no repository, or there is no Git.
    pub commit: Option<String>,
    /// Whether a tracked file differs from the commit.
    pub dirty: Option<bool>,
    /// Whether the source in it is what the program was built from; none: it holds no source.
    pub is_as_built: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`.
    pub system: String,
    pub architecture: String,
    /// Those that make a difference to tensors.
    pub vector_instructions: Vec<String>,
    /// `cpu` or `cuda`.
    pub device: String,
    pub libtorch: String,
    /// Whether libtorch was built for CUDA.
    pub libtorch_cuda: bool,
    /// Model and driver's version of each GPU that the driver's own tool lists, where the device is one.
    pub gpus: Vec<String>,
    /// Cores that the steps shared; they change no result.
    pub threads: usize,
}

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the project, `experiments/smoke.toml`.
    pub file: String,
    /// None: it was changed while the run went on, so that its content is not what the run was planned from.
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

/// Recipe versions by name; of what the suite uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipes {
    pub steps: BTreeMap<String, u64>,
    pub datasets: BTreeMap<String, u64>,
    pub encoders: BTreeMap<String, u64>,
    pub methods: BTreeMap<String, u64>,
    pub report: u64,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Done,
    Failed,
    /// It wants what only a person can get.
    Unavailable,
    NotRun,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The step's label, unique in the suite.
    pub step: String,
    pub kind: String,
    pub status: Status,
    /// SHA-256 of everything that the result depends on.
    pub key: Option<Digest>,
    /// By role; of those that are there.
    pub inputs: BTreeMap<String, Input>,
    pub outputs: BTreeMap<String, Output>,
    /// When it was computed (RFC 3339, UTC), by whichever run did it.
    pub started: Option<String>,
    pub finished: Option<String>,
    /// How long that took.
    pub seconds: Option<f64>,
    /// What it was computed on, for steps on tensors.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub computed_on: Option<Environment>,
}

/// An input: an output of another step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub step: String,
    pub output: String,
    pub sha256: Digest,
}

/// What of a machine can change a tensor's last bits; part of the keys of steps on tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub device: String,
    pub architecture: String,
    pub libtorch: String,
}

/// A file under `out/SUITE/` that tells of the results: made of all of them when the run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    pub file: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// A file under `out/SUITE/` that is a copy of a step's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub file: String,
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
    pub step: String,
    pub output: String,
}

impl Environment {
    /// The one that a step's key holds; none if the step does not depend on it.
    pub fn of(ingredients: &Ingredients) -> Option<Self> {
        let text = |name: &str| {
            ingredients.0.iter().find(|ingredient| ingredient.name == name).and_then(|ingredient| {
                match &ingredient.value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                }
            })
        };
        Some(Environment { device: text("device")?, architecture: text("architecture")?, libtorch: text("libtorch")? })
    }
}

impl Provenance {
    /// The step with this label.
    pub fn step(&self, label: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.step == label)
    }

    /// When the last of the steps was done.
    pub fn finished(&self) -> Option<&str> {
        self.steps.iter().filter_map(|step| step.finished.as_deref()).max()
    }

    /// The file's bytes: one step, one file a line, so that it stays readable and short.
    pub fn to_json(&self) -> Vec<u8> {
        let Provenance { schema, suite, program, machine, sources, materials, recipes, steps, files, reports } = self;
        let mut text = format!("{{\n  \"schema\": {schema},\n");
        for (name, value) in [
            ("suite", serde_json::to_value(suite)),
            ("program", serde_json::to_value(program)),
            ("machine", serde_json::to_value(machine)),
            ("recipes", serde_json::to_value(recipes)),
        ] {
            text += &format!("  \"{name}\": {},\n", value.expect("provenance is plain data"));
        }
        text += &lines("sources", sources);
        text += &lines("materials", materials);
        text += &lines("steps", steps);
        text += &lines("files", files);
        text += lines("reports", reports).trim_end_matches(",\n");
        text += "\n}\n";
        text.into_bytes()
    }
}

fn lines<T: Serialize>(name: &str, values: &[T]) -> String {
    let line = |value| format!("    {}", serde_json::to_string(value).expect("provenance is plain data"));
    let lines: Vec<String> = values.iter().map(line).collect();
    match lines.is_empty() {
        true => format!("  \"{name}\": [],\n"),
        false => format!("  \"{name}\": [\n{}\n  ],\n", lines.join(",\n")),
    }
}

/// What became of every step of a plan.
pub fn steps(graph: &Graph, nodes: &[NodeOutcome]) -> Vec<Step> {
    graph.ids().zip(nodes).map(|(id, outcome)| step(graph, id, outcome, |from| action(nodes, from))).collect()
}

fn action(nodes: &[NodeOutcome], id: NodeId) -> Option<&Action> {
    match nodes.get(id.0) {
        Some(NodeOutcome::Done(_, action)) => Some(action),
        _ => None,
    }
}

fn step<'a>(graph: &Graph, id: NodeId, outcome: &NodeOutcome, action: impl Fn(NodeId) -> Option<&'a Action>) -> Step {
    let node = graph.node(id);
    let label = |id| graph.node(id).step.label();
    let mut step = Step {
        step: node.step.label(),
        kind: node.step.kind().name().to_owned(),
        status: match outcome {
            NodeOutcome::Done(..) => Status::Done,
            NodeOutcome::Absent(absence) => match absence.status {
                steps::Status::Failed => Status::Failed,
                steps::Status::Unavailable => Status::Unavailable,
                steps::Status::NotRun => Status::NotRun,
            },
            NodeOutcome::NotWanted => Status::NotRun,
        },
        key: None,
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        started: None,
        finished: None,
        seconds: None,
        computed_on: None,
    };
    if let NodeOutcome::Done(key, done) = outcome {
        let input = |(role, source): (&String, &crate::engine::graph::Source)| {
            let output = action(source.node)?.outputs.get(&source.output)?;
            let input = Input { step: label(source.node), output: source.output.clone(), sha256: output.sha256 };
            Some((role.clone(), input))
        };
        step.key = Some(*key);
        step.inputs = node.inputs.iter().filter_map(input).collect();
        step.outputs = done.outputs.clone();
        step.started = Some(rfc3339(done.finished.saturating_sub(done.seconds.max(0.0).round() as u64)));
        step.finished = Some(rfc3339(done.finished));
        step.seconds = Some(done.seconds);
        step.computed_on = Environment::of(&done.ingredients);
    }
    step
}

/// The published files of a plan whose steps are done.
pub fn files(graph: &Graph, nodes: &[NodeOutcome]) -> Vec<File> {
    let file = |publication: &crate::engine::graph::Publication| {
        let source = &publication.source;
        let Output { sha256, size } = *action(nodes, source.node)?.outputs.get(&source.output)?;
        let step = graph.node(source.node).step.label();
        Some(File { file: publication.file.clone(), sha256, size, step, output: source.output.clone() })
    };
    graph.publications.iter().filter_map(file).collect()
}
