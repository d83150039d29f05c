//! The key of a step: everything that can change its result, and nothing that cannot.
//!
//! | in the key | why |
//! |---|---|
//! | the kind of step and its recipe version | another way of computing gives another result |
//! | every parameter of the step ([`Step::ingredients`]) | options, hyperparameters, seeds, recipe versions of readers, encoders and methods |
//! | role and SHA-256 of every input | data, masks, features and weights count by content, however they were made |
//! | role and reason of every absent input | a table shows why a number is missing |
//! | for steps on tensors: kind of device, processor architecture, libtorch's version | float sums differ between them |
//!
//! | not in the key | why |
//! |---|---|
//! | paths, names of hosts and users, file times | moving the project, the store or the data changes no result |
//! | number of threads, number of the GPU | work is divided by the data alone |
//! | URLs, mirrors, pip | a download counts by its verified content |
//! | the suite's name, the labels, the order of steps | the same training in two suites is one training |
//! | the version of this program | recipe versions stand for what matters in it |

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::steps::{Absence, Step};
use crate::store::Ingredients;

/// What of the machine can change a tensor's last bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `cpu` or `cuda`.
    pub device: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// `2.13.0`.
    pub libtorch: String,
}

impl Environment {
    /// This machine with this device.
    pub fn here(device: tch::Device) -> Self {
        Environment {
            device: if device.is_cuda() { "cuda" } else { "cpu" }.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            libtorch: env!("SEESAW_LIBTORCH_VERSION").to_owned(),
        }
    }
}

/// The inputs of a step by role: the content's digest, or why there is none.
pub type Inputs = BTreeMap<String, Result<Digest, Absence>>;

/// The ingredient that stands for an absent input: [`Absence::to_json`].
pub fn absent_input(role: &str) -> String {
    format!("absent input {role}")
}

/// The complete list of ingredients of a step; its key is [`Ingredients::key`].
pub fn ingredients(step: &Step, inputs: &Inputs, environment: &Environment) -> Ingredients {
    let mut list = Ingredients::default();
    list.text("step", step.kind().name());
    list.natural("recipe", step.kind().recipe());
    step.ingredients(&mut list);
    for (role, input) in inputs {
        match input {
            Ok(digest) => list.digest(&format!("input {role}"), *digest),
            Err(absence) => list.text(&absent_input(role), absence.to_json()),
        }
    }
    if step.kind().uses_tensors() {
        let Environment { device, architecture, libtorch } = environment;
        list.text("device", device);
        list.text("architecture", architecture);
        list.text("libtorch", libtorch);
    }
    list
}
