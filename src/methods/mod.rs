//! Training methods: one file each, whose step reads like the paper's equations.
//!
//! A method turns a batch into one combined gradient per parameter. It knows tensors, its own options and its own small
//! state; the optimiser, the schedule, logging and files belong to the loop in [`crate::training::fit`].

mod balgrad;
mod baseline;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::training::model::{Batch, Gradients, Model, Role};

pub use balgrad::{BalGrad, KlWeights, ProjectionScope};
pub use baseline::Baseline;

/// What a method makes of one batch.
#[derive(Debug)]
pub struct Step {
    /// The combined gradient. A parameter that is not in it is not updated.
    pub gradients: Gradients,
    /// What happened, by the names of the trace; tensors without dimensions, so that nothing has to leave the device.
    pub scalars: Vec<(&'static str, Tensor)>,
}

/// A training method.
pub trait Method: Send {
    /// The combined gradient of one batch at the model's present parameters.
    fn step(&mut self, model: &Model, batch: &Batch) -> Step;

    /// A factor on the learning rate of parameters of this role.
    fn learning_rate_factor(&self, _role: Role) -> f64 {
        1.0
    }
}

/// A method and its options, as an experiment file names them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum MethodOptions {
    Baseline(Baseline),
    Balgrad(BalGrad),
}

/// A method's name and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// As experiment files write it.
    pub name: &'static str,
    /// As tables write it.
    pub title: &'static str,
    /// Where it was published.
    pub source: &'static str,
}

/// Every method.
pub const ALL: &[Description] = &[
    Description { name: "baseline", title: "Baseline", source: "joint training with the fused loss alone" },
    Description { name: "balgrad", title: "BalGrad", source: "Kwon et al., NAACL 2025" },
];

impl MethodOptions {
    /// The name that experiment files use.
    pub fn name(&self) -> &'static str {
        match self {
            MethodOptions::Baseline(_) => "baseline",
            MethodOptions::Balgrad(_) => "balgrad",
        }
    }

    /// The version of the method's computation, part of the key of every training with it. Raise it when the same
    /// options and batches would give another gradient than before.
    pub fn recipe(&self) -> u64 {
        match self {
            MethodOptions::Baseline(_) => 1,
            MethodOptions::Balgrad(_) => 1,
        }
    }

    /// Whether the model needs the unimodal heads f_v and f_l.
    pub fn needs_heads(&self) -> bool {
        match self {
            MethodOptions::Baseline(options) => options.probe,
            MethodOptions::Balgrad(_) => true,
        }
    }

    /// A fresh method with these options.
    pub fn build(&self) -> Box<dyn Method> {
        match self {
            MethodOptions::Baseline(options) => Box::new(options.clone()),
            MethodOptions::Balgrad(options) => Box::new(options.clone()),
        }
    }

    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        match self {
            MethodOptions::Baseline(_) => Ok(()),
            MethodOptions::Balgrad(options) => options.check(),
        }
    }
}
