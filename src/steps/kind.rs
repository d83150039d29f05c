//! The kinds of steps, and what a step says about itself before it runs.

use super::Kind;
use crate::store::Ingredients;

impl Kind {
    /// The version of how steps of this kind are computed; part of every key.
    ///
    /// Raise it when the same inputs and parameters would give other bytes than before: another formula, another order
    /// of random draws, another file layout. Do not raise it for a change of speed or wording. Dataset readers, encoders,
    /// methods and the report have recipe versions of their own, for changes that concern one of them alone.
    pub fn recipe(self) -> u64 {
        match self {
            Kind::Prepare | Kind::Encode | Kind::Resample => 3,
            Kind::Train | Kind::Collect => 2,
            Kind::Fetch | Kind::Impair => 1,
            Kind::Choose | Kind::Evaluate | Kind::Render => 1,
        }
    }

    /// Whether steps of this kind compute with tensors. Then the kind of device and the version of libtorch are part of
    /// their keys.
    pub fn uses_tensors(self) -> bool {
        matches!(self, Kind::Encode | Kind::Train | Kind::Evaluate)
    }

    /// Whether results of this kind name the kinds of processors behind them, if there are several. Then these are part of
    /// their keys.
    pub fn names_processors(self) -> bool {
        matches!(self, Kind::Collect)
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

/// What each kind of step says about itself. None of this needs libtorch, so a run with nothing to do never loads it.
pub trait Describe {
    /// The step's name for people, unique in a suite: `train emoji-words balgrad seed 1`.
    fn label(&self) -> String;

    /// Adds every parameter that can change the result, in a fixed order. The engine adds the inputs, the kind, its recipe
    /// version and the environment.
    fn ingredients(&self, list: &mut Ingredients);

    fn cost(&self) -> Cost {
        Cost::OneCore
    }

    /// Checks a result before anything uses it, whether it was computed just now or long ago under the same key. This is for
    /// expectations that do not change the result and so are not in the key. A result that is not accepted stays in the
    /// store, and the step counts as failed.
    ///
    /// # Errors
    /// What was expected and what was found.
    fn accept(&self, _result: &StepResult<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whether the step runs when some of its inputs could not be computed, and states that in its result.
    fn tolerates_absent_inputs(&self) -> bool {
        false
    }
}
