//! The settings of a training that do not belong to a method.

use serde::{Deserialize, Serialize};

use super::optimizer::OptimizerOptions;
use crate::model::fusion::Fusion;
use crate::model::task::BinaryHead;
use crate::terms::Selection;

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
    /// Other epochs of the same training, evaluated beside it, to see how much the choice moves each number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_selections: Vec<Selection>,
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
    /// The selection and the other ones.
    pub fn selections(&self) -> impl Iterator<Item = Selection> {
        [self.selection].into_iter().chain(self.other_selections.iter().copied())
    }

    /// # Errors
    /// If a setting is out of range; the message names it.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("embedding", self.embedding), ("epochs", self.epochs), ("batch-size", self.batch_size)] {
            if value == 0 {
                return Err(format!("`{name}` should be at least 1, found 0"));
            }
        }
        for (at, other) in self.other_selections.iter().enumerate() {
            let name = other.name();
            if *other == self.selection {
                return Err(format!("`other-selections` should name others than the `selection`, found `{name}`"));
            }
            if self.other_selections[..at].contains(other) {
                return Err(format!("`other-selections` lists `{name}` twice"));
            }
        }
        self.optimizer.check()
    }
}
