//! Frozen encoders: pictures and texts to features.
//!
//! One file per architecture ([`efficientnet_lite`], [`bert`]), [`weights`] for checkpoints, [`tokenize`] for
//! texts (pictures: [`crate::datasets::preprocess`]), [`pipeline`] for running one over a list of any length.

pub mod bert;
pub mod efficientnet_lite;
mod options;
mod pipeline;
pub mod tokenize;
pub mod weights;

pub use options::{ImageEncoderOptions, Pooling, TextEncoderOptions};
pub use pipeline::{Run, encode_pictures, encode_texts};

#[cfg(test)]
mod tests;
