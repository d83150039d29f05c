//! The kinds of steps, and what a step says about itself before it runs.

use serde::{Deserialize, Serialize};

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

    /// The first word of the step's label; part of every key.
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

    /// The version of how steps of this kind are computed; part of every key.
    ///
    /// Raise it when the same inputs and parameters would give other bytes than before: another formula, another order
    /// of random draws, another file layout. Do not raise it for a change of speed or wording. Dataset readers, encoders,
    /// methods and the report have recipe versions of their own, for changes that concern one of them alone.
    pub fn recipe(self) -> u64 {
        match self {
            Kind::Prepare | Kind::Encode | Kind::Train | Kind::Resample | Kind::Collect => 2,
            Kind::Fetch | Kind::Impair => 1,
            Kind::Choose | Kind::Evaluate | Kind::Render => 1,
        }
    }

    /// Whether steps of this kind compute with tensors. Then the kind of device and the version of libtorch are part of
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
    /// All cores; the step divides the work itself.
    AllCores,
}

/// Reads an output of a finished step by its name.
pub type StepResult<'a> = dyn Fn(&str) -> anyhow::Result<Vec<u8>> + 'a;

/// What each kind of step says about itself; [`super::Step`] explains the methods. None of them needs libtorch, so a run
/// with nothing to do never loads it.
pub(super) trait Describe {
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
