//! The grammar of `experiments/*.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::report::SuiteKind;

/// The file of a suite.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SuiteFile {
    /// The version of this grammar: 1.
    pub version: u32,
    /// What its results show: `smoke` or `paper`.
    pub kind: SuiteKind,
    /// One line for captions.
    pub title: String,
    /// Each dataset and method is trained with each seed.
    pub seeds: Vec<u64>,
    /// Pairs of frozen encoders by name.
    pub encoders: BTreeMap<String, EncoderPair>,
    /// Settings of all trainings, with the fields of [`crate::training::config::TrainConfig`]. Those of datasets and methods
    /// override them.
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

/// A dataset of the suite, with its encoders and the settings of its trainings. A suite may have the same dataset several
/// times under different names.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dataset {
    /// Unique in the suite.
    pub name: String,
    /// The dataset [default: the name].
    pub dataset: Option<String>,
    /// The name in tables [default: the name].
    pub title: Option<String>,
    /// The name of a pair of encoders.
    pub encoders: String,
    /// Options of the dataset that differ from its defaults.
    #[serde(default)]
    pub options: toml::Table,
    #[serde(default)]
    pub counts: Counts,
    /// Settings of its trainings that differ from those of the suite.
    #[serde(default)]
    pub training: toml::Table,
    /// The names of the methods trained on it [default: all of the suite].
    pub methods: Option<Vec<String>>,
}

/// What to do if an archive does not hold what its manifest expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// Fail.
    #[default]
    Exact,
    /// Use it; `seesaw data show` shows what was found.
    Report,
}

/// A method of the suite.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Method {
    /// Unique in the suite.
    pub name: String,
    /// The method [default: the name].
    pub method: Option<String>,
    /// The name in tables [default: the method's].
    pub title: Option<String>,
    /// Options of the method that differ from its defaults.
    #[serde(default)]
    pub options: toml::Table,
    /// Options with several values to try. On each dataset, the combination with the best validation score, averaged over the
    /// seeds, is evaluated.
    #[serde(default)]
    pub sweep: BTreeMap<String, Vec<toml::Value>>,
    /// Settings of its trainings that differ from those of the suite and the dataset.
    #[serde(default)]
    pub training: toml::Table,
}

/// The impairments of test samples.
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
    /// One of [`crate::report::target::TARGETS`]; the files under `out/` have its name.
    pub target: String,
    /// The names of the methods shown, in this order [default: all of the suite, in its order].
    pub methods: Option<Vec<String>>,
    /// The names of the datasets shown, in this order [default: all of the suite, in its order].
    pub datasets: Option<Vec<String>>,
}
