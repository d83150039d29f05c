//! Training methods: one file each, whose step reads like the paper's equations.
//!
//! A method turns a batch into one combined gradient per parameter. It knows tensors, its own options and its own small
//! state; the optimiser, the schedule, logging and files belong to the loop in [`crate::training::fit`].
//!
//! To add one: a file with its options ([`Options`]) and its step ([`Method`]), and a line in the list below.
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

/// What a method makes of one batch.
#[derive(Debug)]
pub struct Step {
    /// The combined gradient. A parameter that is not in it is not updated.
    pub gradients: Gradients,
    /// ∂L_T/∂z_v and ∂L_T/∂z_l, both [B, d], up to one positive factor: what the loop compares the modalities by.
    pub d_z: [Tensor; 2],
    /// What happened, by the names of the trace; tensors without dimensions, so that nothing has to leave the device.
    pub scalars: Vec<(&'static str, Tensor)>,
}

/// A training method under way.
pub trait Method: Send {
    /// The combined gradient of one batch at the model's present parameters.
    fn step(&mut self, model: &Model, batch: &Batch) -> Step;

    /// A factor on the learning rate of parameters of this role.
    fn learning_rate_factor(&self, _role: Role) -> f64 {
        1.0
    }

    /// Comes before the first step of each epoch, counted from 1.
    fn begin_epoch(&mut self, _epoch: u32) {}

    /// Whether [`Method::end_epoch`] wants scores.
    fn wants_unimodal_scores(&self) -> bool {
        false
    }

    /// Comes after the last step of each epoch; for a method that wants them, with the validation scores in percent of
    /// the mono-modal responses u_v and u_l, blank at the embedding.
    fn end_epoch(&mut self, _unimodal_scores: Option<[f64; 2]>) {}
}

/// A method's options, as an experiment file sets them.
pub trait Options: std::fmt::Debug {
    /// Whether the model needs the unimodal heads f_v and f_l.
    fn needs_heads(&self) -> bool;

    /// # Errors
    /// Names the option that cannot be used.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// A fresh method with these options. Whatever it draws follows from the seed.
    fn build(&self, seed: u64) -> Box<dyn Method>;
}

/// Trains the unimodal heads on the side, on embeddings that pass no gradient back: unimodal loss curves exist (Figures
/// 2b and 6 of Kwon et al., NAACL 2025), and the training itself is unchanged.
fn probes(model: &Model, a: &Activations, batch: &Batch, mut step: Step) -> Step {
    for (name, modality, z) in [("loss_v", Modality::Image, &a.z_v), ("loss_l", Modality::Text, &a.z_l)] {
        let (loss, d_o) = model.shape.task.loss(&model.head(modality, z), &batch.y);
        step.gradients.extend(model.head_gradient(modality, a, &d_o));
        step.scalars.push((name, loss));
    }
    step
}

/// Whether an epoch lies in a window whose ends belong to it; no last one: to the end.
fn within(epoch: u32, first: u32, last: Option<u32>) -> bool {
    epoch >= first && last.is_none_or(|last| epoch <= last)
}

#[cfg(test)]
mod tests;
