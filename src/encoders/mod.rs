//! Frozen encoders: pictures and texts to features.
//!
//! One file per architecture ([`vit`], [`resnet`], [`efficientnet_lite`], [`bert`], [`distilbert`], [`clip`], [`blip`]),
//! built of [`layers`] and the shared [`transformer`]. `published` is the table of encoders that experiments can name;
//! `image` and `text` load them and define their features. [`weights`] reads checkpoints, [`tokenize`] texts,
//! [`preprocess`] pictures. The pipeline runs an encoder over a list of any length.
//!
//! To add weights of a known architecture, add a row to `published` and a manifest that says where they come from. A new
//! architecture also needs a file of its own and a variant of the table's network, which the compiler then asks for in
//! `image` or `text`.

pub mod bert;
pub mod blip;
pub mod clip;
pub mod distilbert;
pub mod efficientnet_lite;
mod features;
mod files;
mod image;
pub mod layers;
mod options;
mod pipeline;
mod precision;
pub mod preprocess;
mod published;
pub mod resnet;
mod text;
pub mod tokenize;
pub mod transformer;
pub mod vit;
pub mod weights;

use tch::Tensor;

pub use image::{ImageEncoder, load_image};
pub use options::{ImageEncoderOptions, Pooling, Precision, TextEncoderOptions};
pub use pipeline::{Run, encode_pictures, encode_texts};
pub use precision::plain as plain_numerics;
pub use published::{IMAGE_ENCODERS, Image, Published, TEXT_ENCODERS, Text};
pub use text::{TextEncoder, load_text};

/// Rows divided by their Euclidean norm.
fn divided_by_norm(x: &Tensor) -> Tensor {
    x / x.square().sum_dim_intlist([-1].as_slice(), true, None).sqrt()
}

#[cfg(test)]
mod tests;
