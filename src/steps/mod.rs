//! Steps: pure functions of their parameters and of the content of their inputs.
//!
//! Each kind is one file: what it takes, what it gives, its recipe version and how it is computed. A step knows files
//! and the rooms that do the work; it knows nothing of keys, plans or of the store beyond the files it is handed.

mod absence;
pub mod choose;
pub mod collect;
pub mod encode;
pub mod evaluate;
#[cfg(test)]
pub(crate) mod fake;
pub mod fetch;
pub mod impair;
pub mod prepare;
pub mod render;
pub mod resample;
pub mod train;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

pub use absence::{Absence, Origin, Status};

use self::choose::Choose;
use self::collect::Collect;
use self::encode::Encode;
use self::evaluate::Evaluate;
use self::fetch::Fetch;
use self::impair::Impair;
use self::prepare::Prepare;
use self::render::Render;
use self::resample::Resample;
use self::train::Train;
use crate::interrupt::Interrupt;
pub use crate::manifests::fetch::FetchPlaces;
use crate::progress::Progress;
use crate::store::Ingredients;

/// The kinds of steps, in the order in which data flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

/// What a step says of itself. Looking at steps needs no libtorch, so that a run with nothing to do never loads it.
trait Describe {
    fn label(&self) -> String;

    fn ingredients(&self, list: &mut Ingredients);

    fn cost(&self) -> Cost {
        Cost::OneCore
    }

    fn accept(&self, _result: &StepResult<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    fn tolerates_absent_inputs(&self) -> bool {
        false
    }
}

/// A step of a plan, as data: what it is, what it depends on, what it costs. [`execute`] computes it.
#[derive(Clone, Debug)]
pub enum Step {
    Fetch(Fetch),
    Prepare(Prepare),
    Impair(Impair),
    Encode(Encode),
    Train(Train),
    Choose(Choose),
    Evaluate(Evaluate),
    Resample(Resample),
    Collect(Collect),
    Render(Render),
    /// A step that a test makes up.
    #[cfg(test)]
    Fake(fake::Fake),
}

impl Step {
    pub fn kind(&self) -> Kind {
        match self {
            Step::Fetch(_) => Kind::Fetch,
            Step::Prepare(_) => Kind::Prepare,
            Step::Impair(_) => Kind::Impair,
            Step::Encode(_) => Kind::Encode,
            Step::Train(_) => Kind::Train,
            Step::Choose(_) => Kind::Choose,
            Step::Evaluate(_) => Kind::Evaluate,
            Step::Resample(_) => Kind::Resample,
            Step::Collect(_) => Kind::Collect,
            Step::Render(_) => Kind::Render,
            #[cfg(test)]
            Step::Fake(step) => step.kind,
        }
    }

    fn describe(&self) -> &dyn Describe {
        match self {
            Step::Fetch(step) => step,
            Step::Prepare(step) => step,
            Step::Impair(step) => step,
            Step::Encode(step) => step,
            Step::Train(step) => step,
            Step::Choose(step) => step,
            Step::Evaluate(step) => step,
            Step::Resample(step) => step,
            Step::Collect(step) => step,
            Step::Render(step) => step,
            #[cfg(test)]
            Step::Fake(step) => step,
        }
    }

    /// The step's name for people, unique in a suite: `train emoji-words balgrad seed 1`.
    pub fn label(&self) -> String {
        self.describe().label()
    }

    /// Adds every parameter that can change the result, in a fixed order. The engine adds the inputs, the kind, its recipe
    /// version and the environment.
    pub fn ingredients(&self, list: &mut Ingredients) {
        self.describe().ingredients(list);
    }

    pub fn cost(&self) -> Cost {
        self.describe().cost()
    }

    /// Checks a result before anything uses it, whether it was computed just now or long ago under the same key. This is for
    /// expectations that do not change the result and so are not in the key. A result that is not accepted stays in the
    /// store, and the step counts as failed.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn accept(&self, result: &StepResult<'_>) -> anyhow::Result<()> {
        self.describe().accept(result)
    }

    /// Whether the step runs without inputs that could not be made, and says so in its result.
    pub fn tolerates_absent_inputs(&self) -> bool {
        self.describe().tolerates_absent_inputs()
    }
}

macro_rules! from_its_kinds {
    ($($kind:ident),*) => {
        $(impl From<$kind> for Step {
            fn from(step: $kind) -> Self {
                Step::$kind(step)
            }
        })*
    };
}

from_its_kinds!(Fetch, Prepare, Impair, Encode, Train, Choose, Evaluate, Resample, Collect, Render);

/// The outputs of a finished step, read by their names.
pub type StepResult<'a> = dyn Fn(&str) -> anyhow::Result<Vec<u8>> + 'a;

/// A way to carry steps out: [`execute`], or [`execute_without_tensors`].
pub type Execute = fn(&Step, &Job) -> anyhow::Result<Outputs>;

/// Computes a step's outputs as files in the job's folder.
///
/// # Errors
/// What went wrong; an error of class interrupted if a stop was asked for.
pub fn execute(step: &Step, job: &Job) -> anyhow::Result<Outputs> {
    if step.kind().uses_tensors() {
        crate::encoders::plain_numerics(job.device)?;
    }
    match step {
        Step::Encode(step) => step.compute(job),
        Step::Train(step) => step.compute(job),
        Step::Evaluate(step) => step.compute(job),
        other => execute_without_tensors(other, job),
    }
}

/// Computes the steps that need no tensors, for the program that does not load libtorch.
///
/// # Errors
/// As [`execute`]; also for a step on tensors.
pub fn execute_without_tensors(step: &Step, job: &Job) -> anyhow::Result<Outputs> {
    match step {
        Step::Fetch(step) => step.compute(job),
        Step::Prepare(step) => step.compute(job),
        Step::Impair(step) => step.compute(job),
        Step::Choose(step) => step.compute(job),
        Step::Resample(step) => step.compute(job),
        Step::Collect(step) => step.compute(job),
        Step::Render(step) => step.compute(job),
        #[cfg(test)]
        Step::Fake(step) => step.compute(job),
        Step::Encode(_) | Step::Train(_) | Step::Evaluate(_) => {
            anyhow::bail!("a step of kind `{}` needs libtorch", step.kind().name())
        }
    }
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
