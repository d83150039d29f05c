//! Options of experiment files: how a dataset is read.

use serde::Serialize;

use super::{cub, food101, hateful_memes, memotion, mm_imdb};
use crate::settings::from_table;

/// The options of a dataset, all of them part of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum DatasetOptions {
    /// The dataset has no options.
    None,
    Food101(food101::Options),
    HatefulMemes(hateful_memes::Options),
    MmImdb(mm_imdb::Options),
    Memotion(memotion::Options),
    Cub(cub::Options),
}

/// A dataset without options refuses all.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl DatasetOptions {
    pub(super) fn none(given: toml::Table) -> Result<Self, String> {
        let NoOptions {} = from_table(given)?;
        Ok(DatasetOptions::None)
    }

    /// # Errors
    /// Names the option whose value is not valid.
    pub fn check(&self) -> Result<(), String> {
        match self {
            DatasetOptions::None | DatasetOptions::MmImdb(_) => Ok(()),
            DatasetOptions::Food101(options) => options.validation_percent.check("validation-percent"),
            DatasetOptions::HatefulMemes(options) => options.check(),
            DatasetOptions::Memotion(options) => options.check(),
            DatasetOptions::Cub(options) => options.validation_percent.check("validation-percent"),
        }
    }

    /// The archives that these options need beside those that the dataset always needs.
    pub fn archives(&self) -> Vec<&'static str> {
        match self {
            DatasetOptions::Food101(options) => options.validation.archive().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}
