//! The key of a step: everything that can change its result, and nothing that cannot.
//!
//! | in the key | why |
//! |---|---|
//! | the kind of step and its recipe version | another computation gives another result |
//! | every parameter of the step ([`crate::steps::Describe::ingredients`]) | options, hyperparameters, seeds, recipe versions of readers, encoders and methods |
//! | role and SHA-256 of every input | data, masks, features and weights matter by content, however they were made |
//! | role and cause of every absent input | a table shows why it has no number |
//! | of the results of a suite: the kinds of processors behind each input, if there are several | results and tables name them |
//! | if it computes with tensors: kind of device, processor architecture, version of libtorch | sums of floats differ between them |
//!
//! | not in the key | why |
//! |---|---|
//! | paths, names of hosts and users, file times | moving the project, the store or the data changes no result |
//! | number of threads, index of the GPU | the data alone decides how work is divided |
//! | URLs, mirrors, pip | a download matters by its verified content |
//! | name of the suite, labels, order of steps | the same training in two suites is one training |
//! | version of this program | recipe versions stand for what matters in it |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::devices::Devices;
use crate::digest::Digest;
use crate::steps::{Absence, Step};
use crate::store::{Ingredients, Processor, Value};

/// What can change the last bits of a tensor between machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// `cpu` or `cuda`.
    pub device: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// `2.13.0`.
    pub libtorch: String,
}

impl Environment {
    /// This machine, with these devices.
    pub fn here(devices: &Devices) -> Self {
        Environment {
            device: if devices.are_gpus() { "cuda" } else { "cpu" }.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            libtorch: env!("SEESAW_LIBTORCH_VERSION").to_owned(),
        }
    }

    /// The environment in a step's key; `None` if the step does not depend on it.
    pub fn of(ingredients: &Ingredients) -> Option<Self> {
        let text = |name: &str| match &ingredients.0.iter().find(|ingredient| ingredient.name == name)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        Some(Environment { device: text("device")?, architecture: text("architecture")?, libtorch: text("libtorch")? })
    }
}

/// The inputs of a step by role, or why there is none.
pub type Inputs = BTreeMap<Arc<str>, Result<Input, Absence>>;

/// An input of a step.
#[derive(Clone, Debug)]
pub struct Input {
    /// Of its content.
    pub sha256: Digest,
    /// The kinds of processors behind it, for a step that names them; empty if one kind is behind all inputs of the step.
    pub processors: BTreeSet<Processor>,
}

impl From<Digest> for Input {
    fn from(sha256: Digest) -> Self {
        Input { sha256, processors: BTreeSet::new() }
    }
}

/// The name of the kind of step; none: these are no step's.
pub fn kind(ingredients: &Ingredients) -> Option<&str> {
    match &ingredients.0.first().filter(|first| first.name == "step")?.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

/// The name of the ingredient that stands for an absent input; its value is [`Absence::to_json`].
pub fn absent_input(role: &str) -> String {
    format!("absent input {role}")
}

/// All ingredients of a step; its key is [`Ingredients::key`].
pub fn ingredients(step: &Step, inputs: &Inputs, environment: &Environment) -> Ingredients {
    let mut list = Ingredients::default();
    list.text("step", step.kind().name());
    list.natural("recipe", step.kind().recipe());
    step.ingredients(&mut list);
    for (role, input) in inputs {
        match input {
            Ok(input) => list.digest(&format!("input {role}"), input.sha256),
            Err(absence) => list.text(&absent_input(role), absence.to_json()),
        }
    }
    for (role, input) in inputs {
        if let Ok(Input { processors, .. }) = input
            && !processors.is_empty()
        {
            let names = processors.iter().map(|processor| Value::Text(processor.to_string()));
            list.list(&format!("processors of {role}"), names.collect());
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
