//! Options of experiment files: which encoder, and how it is used.

use serde::{Deserialize, Serialize};

/// An image encoder of an experiment. Resolving fills in the options whose default depends on the encoder. Options that
/// are not set, or that an encoder does not have, are not part of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageEncoderOptions {
    /// One of [`super::published::IMAGE_ENCODERS`].
    pub name: String,
    /// The size of the network's input, in pixels a side. For EfficientNet-Lite a multiple of 32 [default: 224]; the others
    /// take the size of their weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The feature of a picture: `cls` or `pooler` for ViT, `cls` or `projection` for BLIP [default: cls].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Whether to divide CLIP's embeddings and BLIP's projections by their norm.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Whether a CUDA device may round the factors of products and convolutions to 10 bits (TF32).
    #[serde(default, skip_serializing_if = "is_default")]
    pub tf32: bool,
}

/// How a sequence of states becomes one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all tokens, special ones included, not divided by its norm.
    Mean,
    /// The first token's state.
    Cls,
    /// tanh of a trained layer on the first token's state.
    Pooler,
    /// The first token's state, projected into the space where pictures and texts are compared.
    Projection,
}

impl Pooling {
    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Pooler => "pooler",
            Pooling::Projection => "projection",
        }
    }
}

/// What a network computes in. Features are always float32. Half precision is autocast on a CUDA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Float32,
    Bfloat16,
    Float16,
}

impl Precision {
    /// The name in experiment files.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Bfloat16 => "bfloat16",
            Precision::Float16 => "float16",
        }
    }
}

/// A text encoder of an experiment. Resolving fills in options, as for [`ImageEncoderOptions`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextEncoderOptions {
    /// One of [`super::published::TEXT_ENCODERS`].
    pub name: String,
    /// The feature of a text [default: mean for MiniLM, cls for BERT, DistilBERT and BLIP; CLIP has its own].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The most tokens, special ones included; longer texts are cut [default: the model's own, 256 for MiniLM, 512 for
    /// BERT, DistilBERT and BLIP (whose own code cuts at 35), 77 for CLIP].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Whether to divide CLIP's embeddings and BLIP's projections by their norm.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// As for pictures.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tf32: bool,
}

/// Options that were added later are not written at their default, so that older keys stay the same.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ImageEncoderOptions {
    /// The name in labels, with the size if it is an option.
    pub fn label(&self) -> String {
        match self.size {
            Some(size) => format!("{} at {size}", self.name),
            None => self.name.clone(),
        }
    }
}
