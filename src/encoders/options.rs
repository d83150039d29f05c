//! Which encoder, and how it is used: what experiment files say, and what each encoder needs.

use serde::{Deserialize, Serialize};

use super::{IMAGE_ENCODERS, Published, TEXT_ENCODERS};
use crate::errors;

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
        (find(&self.name, IMAGE_ENCODERS)?.check)(self)
    }

    /// For people.
    pub fn label(&self) -> String {
        format!("{} at {}", self.name, self.size)
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
    /// # Errors
    /// Names the option that cannot be used.
    pub fn check(&self) -> Result<(), String> {
        (find(&self.name, TEXT_ENCODERS)?.check)(self)
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
