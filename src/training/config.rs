//! The settings of a training that do not belong to a method.

use serde::{Deserialize, Serialize};

use super::optimizer::OptimizerOptions;
use crate::model::fusion::Fusion;
use crate::model::task::BinaryHead;

/// Which epoch's weights are evaluated. The test split never chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Those of the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the best metric on the validation split; the earliest of several.
    BestValidation,
}

impl Selection {
    /// In words, for captions.
    pub fn description(self) -> &'static str {
        match self {
            Selection::Last => "last epoch",
            Selection::BestValidation => "best epoch on the validation split",
        }
    }
}

/// How a cell is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainConfig {
    /// d: features after an embedding layer. The paper does not state it.
    #[serde(default = "embedding")]
    pub embedding: u32,
    /// How the embeddings are joined. The paper's tables use `concat` unless they say otherwise.
    #[serde(default)]
    pub fusion: Fusion,
    /// Passes over the training split.
    pub epochs: u32,
    /// Samples per step; a short last batch is kept.
    #[serde(default = "batch_size")]
    pub batch_size: u32,
    /// The optimiser, which sees one combined gradient per parameter.
    pub optimizer: OptimizerOptions,
    /// For binary tasks.
    #[serde(default)]
    pub binary_head: BinaryHead,
    /// Which epoch is evaluated.
    #[serde(default)]
    pub selection: Selection,
    /// Whether the trace contains norms and cosines too ([`super::diagnostics`]).
    #[serde(default = "yes")]
    pub diagnostics: bool,
}

fn yes() -> bool {
    true
}

fn embedding() -> u32 {
    256
}

fn batch_size() -> u32 {
    64
}

impl TrainConfig {
    /// # Errors
    /// If a setting is out of range; the message names it.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("embedding", self.embedding), ("epochs", self.epochs), ("batch-size", self.batch_size)] {
            if value == 0 {
                return Err(format!("`{name}` should be at least 1, found 0"));
            }
        }
        self.optimizer.check()
    }
}
