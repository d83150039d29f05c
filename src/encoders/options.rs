//! Which encoder, and how it is used: what experiment files say, and what each encoder needs.

use serde::{Deserialize, Serialize};

use super::{IMAGE_ENCODERS, Published, TEXT_ENCODERS};
use crate::errors;

/// An image encoder of an experiment. Options whose default depends on the encoder are filled in when they are resolved;
/// what is not said and what an encoder does not have is no part of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageEncoderOptions {
    /// `efficientnet-lite0`, `vit-b16-in21k`, `resnet-50`, `resnet-50-v1`, `resnet-50-v2`, `clip-vit-b32`,
    /// `blip-itm-base-coco`.
    pub name: String,
    /// Pictures are resized to this many pixels a side. For EfficientNet-Lite a multiple of 32, so that the two flavours
    /// of SAME padding agree [default: 224]; the others take the size of their weights, 224.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// What a picture's feature is: `cls` or `pooler` for ViT, `cls` or `projection` for BLIP [default: cls].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Whether CLIP's embeddings and BLIP's projections are divided by their norm.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Whether a CUDA device may round the factors of products and convolutions to 10 bits (TF32).
    #[serde(default, skip_serializing_if = "is_default")]
    pub tf32: bool,
}

/// What the feature of a sequence of states is.
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
    /// As experiment files write it.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Pooler => "pooler",
            Pooling::Projection => "projection",
        }
    }
}

/// What a network computes in; features are float32 always. Other than float32 is autocast on a CUDA device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Float32,
    Bfloat16,
    Float16,
}

impl Precision {
    /// As experiment files write it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Bfloat16 => "bfloat16",
            Precision::Float16 => "float16",
        }
    }
}

/// A text encoder of an experiment. As for [`ImageEncoderOptions`], some options are filled in when they are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextEncoderOptions {
    /// `all-minilm-l6-v2`, `bert-base-uncased`, `distilbert-base-uncased`, `clip-vit-b32`, `blip-itm-base-coco`.
    pub name: String,
    /// What a text's feature is [default: mean for MiniLM, cls for BERT, DistilBERT and BLIP; CLIP has its own].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens, special ones included; what is longer is cut [default: the model's own, 256 for MiniLM, 512 for BERT,
    /// DistilBERT and BLIP (whose own code cuts at 35), 77 for CLIP].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Whether CLIP's embeddings and BLIP's projections are divided by their norm.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalize: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// As for pictures.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tf32: bool,
}

/// A default that came later than the option's encoder is not written, so that keys of before stay what they are.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl ImageEncoderOptions {
    /// The options with every default filled in; resolving them again changes nothing.
    ///
    /// # Errors
    /// Names the option that cannot be used.
    pub fn resolved(&self) -> Result<Self, String> {
        let mut options = self.clone();
        (find(&self.name, IMAGE_ENCODERS)?.resolve)(&mut options)?;
        Ok(options)
    }

    /// For people.
    pub fn label(&self) -> String {
        match self.size {
            Some(size) => format!("{} at {size}", self.name),
            None => self.name.clone(),
        }
    }

    /// The weights that these options name.
    ///
    /// # Panics
    /// If the options were not checked.
    pub fn published(&self) -> &'static Published<ImageEncoderOptions> {
        find(&self.name, IMAGE_ENCODERS).expect("options are checked when they are read")
    }

    /// The version of the encoder's computation, part of the key; raised when its features change.
    pub fn recipe(&self) -> u64 {
        self.published().recipe
    }

    /// The manifest of the weights, and the archives of it that are read.
    pub fn needs(&self) -> (&'static str, &'static [&'static str]) {
        (self.published().manifest, self.published().archives)
    }
}

impl TextEncoderOptions {
    /// The options with every default filled in; resolving them again changes nothing.
    ///
    /// # Errors
    /// Names the option that cannot be used.
    pub fn resolved(&self) -> Result<Self, String> {
        let mut options = self.clone();
        (find(&self.name, TEXT_ENCODERS)?.resolve)(&mut options)?;
        Ok(options)
    }

    /// For people.
    pub fn label(&self) -> String {
        self.name.clone()
    }

    /// The weights that these options name.
    ///
    /// # Panics
    /// If the options were not checked.
    pub fn published(&self) -> &'static Published<TextEncoderOptions> {
        find(&self.name, TEXT_ENCODERS).expect("options are checked when they are read")
    }

    /// The version of the encoder's computation, part of the key; raised when its features change.
    pub fn recipe(&self) -> u64 {
        self.published().recipe
    }

    /// The manifest of the weights, and the archives of it that are read.
    pub fn needs(&self) -> (&'static str, &'static [&'static str]) {
        (self.published().manifest, self.published().archives)
    }
}

fn find<Options>(name: &str, among: &'static [Published<Options>]) -> Result<&'static Published<Options>, String> {
    if let Some(found) = among.iter().find(|published| published.name == name) {
        return Ok(found);
    }
    let names: Vec<&str> = among.iter().map(|published| published.name).collect();
    let near = errors::nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("there is no encoder `{name}`, only {}{}", names.join(", "), near.unwrap_or_default()))
}
