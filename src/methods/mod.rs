//! Training methods: one file each, whose step reads like the paper's equations.
//!
//! A method turns a batch into one combined gradient per parameter. It knows tensors, its own options and its own small
//! state. The optimiser, the schedule, logging and files belong to the training loop.
//!
//! To add a method, write a file with its options ([`Options`]) and its step ([`Method`]), and list it in `registry.rs`.
//! docs/extending.md walks through an example.

mod agm;
mod balgrad;
mod baseline;
mod mslr;
mod ogm_ge;
mod registry;

use tch::Tensor;

use crate::model::{Activations, Batch, Gradients, Model, Role};
use crate::terms::Modality;

pub use agm::{Agm, Scope, ZeroAt};
pub use balgrad::{BalGrad, KlScale, KlWeights, ProjectionScope};
pub use baseline::Baseline;
pub use mslr::{Accumulation, Application, Mslr, Strategy};
pub use ogm_ge::{Argument, Draw, Modulated, Modulation, MultilabelScore, Noise, OgmGe};
pub use registry::{MethodOptions, NAMES, Named, OptionDescription, named};

/// The result of a method's step.
#[derive(Debug)]
pub struct Step {
    /// The combined gradient. A parameter without an entry is not updated.
    pub gradients: Gradients,
    /// ∂L_T/∂z_v and ∂L_T/∂z_l, both [B, d], up to one positive factor. The loop takes their cosine.
    pub d_z: [Tensor; 2],
    /// What the trace records, by name: tensors without dimensions, so that nothing has to leave the device. All must be
    /// finite, except that a cosine, whose name starts with `cos_`, may be NaN.
    pub scalars: Vec<(&'static str, Tensor)>,
}

/// A training method with its state.
pub trait Method: Send {
    /// The combined gradient of one batch at the model's current parameters.
    fn step(&mut self, model: &Model, batch: &Batch) -> Step;

    /// The factor on the learning rate of parameters with this role.
    fn learning_rate_factor(&self, _role: Role) -> f64 {
        1.0
    }

    /// Called before the first step of each epoch, counted from 1.
    fn begin_epoch(&mut self, _epoch: u32) {}

    /// Whether [`Method::end_epoch`] needs unimodal scores.
    fn wants_unimodal_scores(&self) -> bool {
        false
    }

    /// Called after the last step of each epoch, with the validation scores, in percent, of the mono-modal responses u_v
    /// and u_l (blank at the embedding) if the method needs them.
    fn end_epoch(&mut self, _unimodal_scores: Option<[f64; 2]>) {}
}

/// A method's options, as an experiment file sets them.
pub trait Options: std::fmt::Debug {
    /// Whether the model needs the unimodal heads f_v and f_l.
    fn needs_heads(&self) -> bool;

    /// # Errors
    /// If an option is out of range; the message names it.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// A new method with these options. All its random numbers depend on the seed alone.
    fn build(&self, seed: u64) -> Box<dyn Method>;
}

/// Adds the gradients of unimodal heads whose losses do not reach the embeddings. This gives unimodal loss curves (Kwon et
/// al., NAACL 2025, Figures 2b and 6) and leaves the training itself unchanged.
fn probes(model: &Model, a: &Activations, batch: &Batch, mut step: Step) -> Step {
    for (name, modality, z) in [("loss_v", Modality::Image, &a.z_v), ("loss_l", Modality::Text, &a.z_l)] {
        let (loss, d_o) = model.shape.task.loss(&model.head(modality, z), &batch.y);
        step.gradients.extend(model.head_gradient(modality, a, &d_o));
        step.scalars.push((name, loss));
    }
    step
}

/// Whether an epoch lies in first..=last; without a last epoch, in first and later.
fn within(epoch: u32, first: u32, last: Option<u32>) -> bool {
    epoch >= first && last.is_none_or(|last| epoch <= last)
}

#[cfg(test)]
mod tests;
