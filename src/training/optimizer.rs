//! SGD and Adam, as PyTorch's `torch.optim` defines them. The optimiser adds weight decay to the gradient after the method
//! has formed it, so no method modulates it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::adam;
use crate::errors::positive;
use crate::model::gradient::inner;
use crate::model::{Gradients, Model, ParameterId, Role};

/// The optimiser of a suite and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum OptimizerOptions {
    /// p ← p − η g, with momentum as in PyTorch (no dampening, not Nesterov).
    Sgd {
        /// η
        learning_rate: f64,
        #[serde(default)]
        momentum: f64,
        /// λ: λ p is added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Kingma & Ba, ICLR 2015, with bias correction; weight decay in its L2 form.
    Adam {
        /// η
        learning_rate: f64,
        #[serde(default = "beta1")]
        beta1: f64,
        #[serde(default = "beta2")]
        beta2: f64,
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// λ: λ p is added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.999
}

fn epsilon() -> f64 {
    1e-8
}

impl OptimizerOptions {
    /// In words, for captions: `Adam, learning rate 0.001`.
    pub fn description(&self) -> String {
        let decay = |λ: f64| if λ == 0.0 { String::new() } else { format!(", weight decay {λ}") };
        match *self {
            OptimizerOptions::Sgd { learning_rate, momentum, weight_decay } => {
                format!("SGD, learning rate {learning_rate}, momentum {momentum}{}", decay(weight_decay))
            }
            OptimizerOptions::Adam { learning_rate, weight_decay, .. } => {
                format!("Adam, learning rate {learning_rate}{}", decay(weight_decay))
            }
        }
    }

    /// # Errors
    /// If a setting is out of range; the message names it.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, x: f64, end: f64| match (0.0..end).contains(&x) {
            true => Ok(()),
            false => Err(format!("`{name}` should be at least 0 and below {end}, found {x}")),
        };
        match *self {
            OptimizerOptions::Sgd { learning_rate, momentum, weight_decay } => {
                positive("learning-rate", learning_rate)?;
                within("momentum", momentum, 1.0)?;
                within("weight-decay", weight_decay, f64::INFINITY)
            }
            OptimizerOptions::Adam { learning_rate, beta1, beta2, epsilon, weight_decay } => {
                positive("learning-rate", learning_rate)?;
                within("beta1", beta1, 1.0)?;
                within("beta2", beta2, 1.0)?;
                positive("epsilon", epsilon)?;
                within("weight-decay", weight_decay, f64::INFINITY)
            }
        }
    }
}

/// An optimiser with its state: one entry per parameter that ever had a gradient.
#[derive(Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    state: BTreeMap<ParameterId, State>,
}

#[derive(Debug)]
struct State {
    /// Momentum buffer, or Adam's first moment.
    first: Tensor,
    /// Adam's second moment.
    second: Tensor,
    steps: i32,
}

impl Optimizer {
    pub fn new(options: OptimizerOptions) -> Self {
        Optimizer { options, state: BTreeMap::new() }
    }

    /// One step with the combined gradient. A parameter without gradient does not move and gets no state. `factor`
    /// multiplies the learning rate of parameters by role. Returns ‖g‖² of each parameter's gradient, without weight
    /// decay: tensors without dimensions.
    ///
    /// # Panics
    /// If the model does not have a gradient's parameter.
    pub fn step(&mut self, model: &mut Model, gradients: &Gradients, factor: impl Fn(Role) -> f64) -> Gradients {
        let update = |(&id, gradient): (&ParameterId, &Tensor)| {
            let value = model.parameters.get_mut(&id).unwrap_or_else(|| panic!("a gradient for a missing `{id}`"));
            let state = self.state.entry(id).or_insert_with(|| State {
                first: value.zeros_like(),
                second: value.zeros_like(),
                steps: 0,
            });
            (id, update(&self.options, factor(id.role()), value, gradient, state))
        };
        gradients.iter().map(update).collect()
    }
}

fn update(options: &OptimizerOptions, factor: f64, value: &mut Tensor, gradient: &Tensor, state: &mut State) -> Tensor {
    match *options {
        OptimizerOptions::Sgd { learning_rate, momentum, weight_decay } => {
            let square = inner(gradient, gradient);
            let gradient = match weight_decay {
                0.0 => gradient.shallow_clone(),
                decay => gradient + &*value * decay,
            };
            let direction = if momentum == 0.0 {
                gradient
            } else {
                let _ = state.first.g_mul_scalar_(momentum).g_add_(&gradient);
                state.first.shallow_clone()
            };
            let _ = value.g_sub_(&(direction * (learning_rate * factor)));
            square
        }
        OptimizerOptions::Adam { learning_rate, beta1, beta2, epsilon, weight_decay } => {
            state.steps += 1;
            let (correction1, correction2) = (1.0 - beta1.powi(state.steps), 1.0 - beta2.powi(state.steps));
            let factors = adam::Factors {
                weight_decay,
                first: 1.0 - beta1,
                second: 1.0 - beta2,
                rate: learning_rate * factor * correction2.sqrt() / correction1,
                epsilon: epsilon * correction2.sqrt(),
            };
            adam::update(value, gradient, [&mut state.first, &mut state.second], &factors)
        }
    }
}
