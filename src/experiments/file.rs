//! The grammar of `experiments/*.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::report::SuiteKind;

/// A suite as its file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SuiteFile {
    /// The version of this grammar: 1.
    pub version: u32,
    /// What the results may be called: `smoke` or `paper`.
    pub kind: SuiteKind,
    /// One line for people.
    pub title: String,
    /// One training per dataset, method and seed.
    pub seeds: Vec<u64>,
    /// Pairs of frozen encoders by name.
    pub encoders: BTreeMap<String, EncoderPair>,
    /// Settings of all trainings; a dataset's own go before. The fields are those of a training
    /// ([`crate::training::config::TrainConfig`]).
    #[serde(default)]
    pub training: toml::Table,
    pub datasets: Vec<Dataset>,
    pub methods: Vec<Method>,
    pub impairments: Impairments,
    /// Tables and figures.
    #[serde(default)]
    pub outputs: Vec<Output>,
}

/// One encoder per modality.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EncoderPair {
    pub image: ImageEncoderOptions,
    pub text: TextEncoderOptions,
}

/// A dataset of the suite, with the encoders and the settings that it is trained with. One dataset may be there several
/// times, under several names.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dataset {
    /// Unique in the suite.
    pub name: String,
    /// The dataset that it is a setting of [default: the name].
    pub dataset: Option<String>,
    /// As tables write it [default: the name].
    pub title: Option<String>,
    /// The name of a pair of encoders.
    pub encoders: String,
    /// How it is read, where that differs from its defaults.
    #[serde(default)]
    pub options: toml::Table,
    #[serde(default)]
    pub counts: Counts,
    /// Settings of its trainings that differ from those of the suite.
    #[serde(default)]
    pub training: toml::Table,
    /// The names of the methods that are trained on it [default: all of the suite].
    pub methods: Option<Vec<String>>,
}

/// What to do about an archive that does not hold as much as its manifest says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// It is an error.
    #[default]
    Exact,
    /// It is used; `seesaw data show` tells what was found.
    Report,
}

/// A method of the suite.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Method {
    /// Unique in the suite.
    pub name: String,
    /// The method that it is a setting of [default: the name].
    pub method: Option<String>,
    /// As tables write it [default: the method's].
    pub title: Option<String>,
    /// Options of the method that differ from its defaults.
    #[serde(default)]
    pub options: toml::Table,
    /// Options of which several values are tried: of all combinations, the one with the best mean score over the seeds
    /// on the validation split is evaluated, on each dataset by itself.
    #[serde(default)]
    pub sweep: BTreeMap<String, Vec<toml::Value>>,
    /// Settings of its trainings that differ from those of the suite and the dataset.
    #[serde(default)]
    pub training: toml::Table,
}

/// What is done to test samples.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Impairments {
    pub missing: MissingOptions,
    pub noisy: NoisyOptions,
}

/// A table or figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Output {
    /// What is rendered, one of [`crate::report::target::TARGETS`]; the files under `out/` have this name.
    pub target: String,
    /// The names of the methods shown, in this order [default: all of the suite, in its order].
    pub methods: Option<Vec<String>>,
    /// The names of the datasets shown, in this order [default: all of the suite, in its order].
    pub datasets: Option<Vec<String>>,
}
