//! Training: what is trainable on top of the frozen encoders, and how it is trained.
//!
//! [`task`] has the losses, [`fusion`] and [`model`] the layers with their closed-form gradients, [`gradient`] the
//! gradients of the embedding layers as vectors that can be added, scaled and multiplied, [`optimizer`] the updates,
//! [`initial`] the first weights, [`fit`] the loop and the use of finished weights.
//!
//! No step builds an autograd graph: the trainable part is small enough that every gradient has a closed form, which
//! costs less and lets a method share what its losses have in common. Tests hold each of them against autograd.

mod adam;
pub mod config;
pub mod diagnostics;
pub mod fit;
pub mod impaired;
pub mod optimizer;
