//! Steps: pure functions of their parameters and of the content of their inputs.
//!
//! Each kind is one file: what it takes, what it gives, its recipe version and how it is computed. A step knows files
//! and the rooms that do the work; it knows nothing of keys, plans or of the store beyond the files it is handed.

pub mod choose;
pub mod collect;
pub mod encode;
pub mod evaluate;
pub mod fetch;
pub mod impair;
pub mod prepare;
pub mod render;
pub mod resample;
pub mod train;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupt;
use crate::manifests::fetch::FetchPlaces;
use crate::progress::Progress;
use crate::store::Ingredients;

/// The kinds of steps, in the order in which data flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Fetch,
    Prepare,
    Impair,
    Encode,
    Train,
    Choose,
    Evaluate,
    Resample,
    Collect,
    Render,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Fetch,
        Kind::Prepare,
        Kind::Impair,
        Kind::Encode,
        Kind::Train,
        Kind::Choose,
        Kind::Evaluate,
        Kind::Resample,
        Kind::Collect,
        Kind::Render,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Fetch => "fetch",
            Kind::Prepare => "prepare",
            Kind::Impair => "impair",
            Kind::Encode => "encode",
            Kind::Train => "train",
            Kind::Choose => "choose",
            Kind::Evaluate => "evaluate",
            Kind::Resample => "resample",
            Kind::Collect => "collect",
            Kind::Render => "render",
        }
    }

    /// The version of how steps of this kind are computed: part of every key.
    ///
    /// Raise it when the same inputs and parameters would give other bytes than before (another formula, another order
    /// of random draws, another file layout); not for a change of speed or of words. Readers of datasets, encoders,
    /// methods and the report have recipe versions of their own, for changes that concern one of them alone.
    pub fn recipe(self) -> u64 {
        match self {
            Kind::Fetch => 1,
            Kind::Prepare => 1,
            Kind::Impair => 1,
            Kind::Encode => 1,
            Kind::Train => 2,
            Kind::Choose => 1,
            Kind::Evaluate => 1,
            Kind::Resample => 2,
            Kind::Collect => 2,
            Kind::Render => 1,
        }
    }

    /// Whether steps of this kind compute with tensors, so that the kind of device and libtorch's version are part of
    /// their keys.
    pub fn uses_tensors(self) -> bool {
        matches!(self, Kind::Encode | Kind::Train | Kind::Evaluate)
    }
}

/// What a step occupies while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// It waits for the network.
    Network,
    /// One core.
    OneCore,
    /// It spreads over all cores by itself.
    AllCores,
}

/// A step of a plan, as data: what it is, what it depends on, what it costs. Looking at steps needs no libtorch, so that
/// a run with nothing to do never loads it; carrying one out is [`execute`].
pub trait Step: Any + Send + Sync {
    fn kind(&self) -> Kind;

    /// What a person calls it, unique in a suite: `train emoji-words balgrad seed 1`.
    fn label(&self) -> String;

    /// Every parameter that can change the result, in a fixed order. Inputs, the kind, its recipe version and the
    /// environment are added by the engine.
    fn ingredients(&self, list: &mut Ingredients);

    fn cost(&self) -> Cost {
        Cost::OneCore
    }

    /// Looks at a result before anything may use it, whether it was computed just now or long ago by a step with the same
    /// key: for expectations that do not change the result, and so are not in the key. A result that is not accepted stays
    /// in the store, and the step counts as failed.
    ///
    /// # Errors
    /// What was expected and found, for a person.
    fn accept(&self, _result: &StepResult<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whether the step runs even if some of its inputs could not be made, and says so in its result.
    fn tolerates_absent_inputs(&self) -> bool {
        false
    }
}

/// The outputs of a step that is done, read by their names.
pub type StepResult<'a> = dyn Fn(&str) -> anyhow::Result<Vec<u8>> + 'a;

/// What a kind of step computes.
trait Compute: Step {
    /// Computes the outputs as files in the job's folder.
    ///
    /// # Errors
    /// What went wrong, for a person; an error of class interrupted if a stop was asked for.
    fn compute(&self, job: &Job) -> anyhow::Result<Outputs>;
}

/// Carries a step out.
///
/// # Errors
/// What went wrong, for a person; an error of class interrupted if a stop was asked for.
pub fn execute(step: &dyn Step, job: &Job) -> anyhow::Result<Outputs> {
    if step.kind().uses_tensors() {
        crate::encoders::plain_numerics(job.device)?;
    }
    match step.kind() {
        Kind::Fetch => of::<fetch::Fetch>(step, job),
        Kind::Prepare => of::<prepare::Prepare>(step, job),
        Kind::Impair => of::<impair::Impair>(step, job),
        Kind::Encode => of::<encode::Encode>(step, job),
        Kind::Train => of::<train::Train>(step, job),
        Kind::Choose => of::<choose::Choose>(step, job),
        Kind::Evaluate => of::<evaluate::Evaluate>(step, job),
        Kind::Resample => of::<resample::Resample>(step, job),
        Kind::Collect => of::<collect::Collect>(step, job),
        Kind::Render => of::<render::Render>(step, job),
    }
}

/// Resamples, collects or renders, and nothing else, for a program that does not load libtorch.
///
/// # Errors
/// See [`execute`].
pub fn execute_report(step: &dyn Step, job: &Job) -> anyhow::Result<Outputs> {
    match step.kind() {
        Kind::Resample => of::<resample::Resample>(step, job),
        Kind::Collect => of::<collect::Collect>(step, job),
        Kind::Render => of::<render::Render>(step, job),
        other => anyhow::bail!("a step of kind `{}` is no report", other.name()),
    }
}

fn of<S: Compute>(step: &dyn Step, job: &Job) -> anyhow::Result<Outputs> {
    let step: &dyn Any = step;
    step.downcast_ref::<S>().context("the step is of another kind than it says")?.compute(job)
}

/// Output name → file in the job's folder.
pub type Outputs = BTreeMap<String, PathBuf>;

/// An input as a step finds it.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// Its content, verified.
    pub path: PathBuf,
    /// SHA-256 of the content.
    pub sha256: String,
    /// The key of the step that gave it.
    pub key: String,
}

/// Everything that a step may touch while it runs.
pub struct Job {
    /// Role → file.
    pub inputs: BTreeMap<String, InputFile>,
    /// Role → why that input could not be made; only for steps that tolerate it.
    pub absent: BTreeMap<String, Absence>,
    /// An empty folder of its own, on the store's filesystem.
    pub folder: PathBuf,
    pub interrupt: Interrupt,
    pub progress: Arc<dyn Progress>,
    /// How many threads the step may use; it never changes the result.
    pub threads: usize,
    pub device: tch::Device,
    pub downloads: FetchPlaces,
}

impl Absence {
    /// Why, in words.
    pub fn cause(&self) -> &str {
        match self {
            Absence::Failed(cause) | Absence::Lacking(cause) | Absence::NotRun(cause) => cause,
        }
    }
}

/// Why an input is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// Its step failed, for this reason.
    Failed(String),
    /// Its step wants something that only a person can get: what, and how.
    Lacking(String),
    /// Its step did not run, for this reason.
    NotRun(String),
}

impl Job {
    /// The input with this role.
    ///
    /// # Errors
    /// If the plan did not connect it: a mistake in this program.
    pub fn input(&self, role: &str) -> anyhow::Result<&InputFile> {
        self.inputs.get(role).with_context(|| format!("the step has no input `{role}`"))
    }

    /// Reads a JSON input.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, role: &str) -> anyhow::Result<T> {
        let path = &self.input(role)?.path;
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("the input `{role}` ({}) is malformed", path.display()))
    }

    /// Writes an output file and returns its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Writes a JSON output and returns its path.
    pub fn write_json(&self, name: &str, value: &impl serde::Serialize) -> anyhow::Result<PathBuf> {
        let mut bytes = serde_json::to_vec(value).context("the output cannot be written as JSON")?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }
}
