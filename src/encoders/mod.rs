//! Frozen encoders: pictures and texts to features.
//!
//! One file per architecture ([`vit`], [`resnet`], [`efficientnet_lite`], [`bert`], [`distilbert`], [`clip`], [`blip`]),
//! made of the parts in [`layers`]; `checkpoints` holds the published weights that experiments can name, each a row of
//! [`IMAGE_ENCODERS`] or [`TEXT_ENCODERS`]; [`weights`] reads files of weights, [`tokenize`] texts (pictures:
//! [`crate::encoders::preprocess`]); the pipeline runs an encoder over a list of any length.
//!
//! To add an encoder: a file for its architecture if there is none yet, a row for its weights, and a manifest that says
//! where these come from.

pub mod bert;
pub mod blip;
mod checkpoints;
pub mod clip;
pub mod distilbert;
pub mod efficientnet_lite;
mod features;
pub mod layers;
mod options;
mod pipeline;
mod precision;
pub mod preprocess;
pub mod resnet;
pub mod tokenize;
pub mod vit;
pub mod weights;

use tch::{Device, Tensor};

use checkpoints::rows;
pub use checkpoints::{load_image, load_text};
pub use options::{ImageEncoderOptions, Pooling, Precision, TextEncoderOptions};
pub use pipeline::{Run, encode_pictures, encode_texts};
pub use precision::plain as plain_numerics;

use crate::datasets::Archives;
use crate::encoders::preprocess::Preprocess;

/// A frozen network that turns pictures into features.
pub trait ImageEncoder: Send {
    /// How a picture becomes the network's input.
    fn preprocess(&self) -> Preprocess;

    /// Features, float32 [B, d], of preprocessed pictures [B, 3, H, W], which lie in channels-last memory.
    ///
    /// # Errors
    /// If the pictures are of a size that the network cannot take.
    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor>;

    /// Another handle on the same weights, for another thread: a tensor can be sent to a thread, but not shared with it.
    fn replicate(&self) -> Box<dyn ImageEncoder>;
}

/// A frozen network that turns texts into features.
pub trait TextEncoder: Send {
    /// The ids of a text's tokens, special ones included, cut at the encoder's length.
    ///
    /// # Errors
    /// If the tokenizer cannot take the text.
    fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>>;

    /// Features, float32 [B, d], of texts given by their ids. Padding to a common length is the encoder's affair.
    ///
    /// # Errors
    /// If a text has more tokens than the network has positions.
    fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor>;

    /// Another handle on the same weights, for another thread.
    fn replicate(&self) -> Box<dyn TextEncoder>;
}

/// Published weights of an encoder, and how they may be used: `Options` are those of pictures or of texts. How they are
/// loaded stands beside it in `checkpoints`, in a list of its own, so that a program that only plans needs no libtorch.
pub struct Published<Options> {
    /// The name that experiment files use.
    pub name: &'static str,
    /// The manifest of the weights, and the archives of it that are read.
    pub manifest: &'static str,
    pub archives: &'static [&'static str],
    /// The version of the computation, part of the key: raised when the same weights would give other features.
    pub recipe: u64,
    /// Fills in the defaults of these weights, or names the option that they cannot be used with.
    pub(crate) resolve: fn(&mut Options) -> Result<(), String>,
}

/// Loads an encoder's weights onto a device.
type Load<Options, Encoder> = fn(&Options, &Archives, Device) -> anyhow::Result<Box<Encoder>>;

/// Every image encoder.
pub const IMAGE_ENCODERS: &[Published<ImageEncoderOptions>] = &[
    rows::EFFICIENTNET_LITE0,
    rows::VIT_B16_IN21K,
    rows::RESNET_50,
    rows::RESNET_50_V1,
    rows::RESNET_50_V2,
    rows::CLIP_VIT_B32_IMAGE,
    rows::BLIP_ITM_BASE_IMAGE,
];

/// Every text encoder.
pub const TEXT_ENCODERS: &[Published<TextEncoderOptions>] = &[
    rows::ALL_MINILM_L6_V2,
    rows::BERT_BASE_UNCASED,
    rows::DISTILBERT_BASE_UNCASED,
    rows::CLIP_VIT_B32_TEXT,
    rows::BLIP_ITM_BASE_TEXT,
];

/// Rows divided by their Euclidean norm.
fn divided_by_norm(x: &Tensor) -> Tensor {
    x / x.square().sum_dim_intlist([-1].as_slice(), true, None).sqrt()
}

#[cfg(test)]
mod tests;
