//! The quantities that a suite measures: the rows of Table 1, and what traces tell.

use serde::{Deserialize, Serialize};

use super::results::CellScores;
use crate::evaluation::robustness::{average, gap};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    Full,
    MissingImage,
    MissingText,
    MissingAvg,
    MissingGap,
    NoisyImage,
    NoisyText,
    NoisyAvg,
    NoisyGap,
    Conflict,
}

impl Quantity {
    pub const ALL: [Quantity; 10] = [
        Quantity::Full,
        Quantity::MissingImage,
        Quantity::MissingText,
        Quantity::MissingAvg,
        Quantity::MissingGap,
        Quantity::NoisyImage,
        Quantity::NoisyText,
        Quantity::NoisyAvg,
        Quantity::NoisyGap,
        Quantity::Conflict,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Quantity::Full => "full",
            Quantity::MissingImage => "missing-image",
            Quantity::MissingText => "missing-text",
            Quantity::MissingAvg => "missing-avg",
            Quantity::MissingGap => "missing-gap",
            Quantity::NoisyImage => "noisy-image",
            Quantity::NoisyText => "noisy-text",
            Quantity::NoisyAvg => "noisy-avg",
            Quantity::NoisyGap => "noisy-gap",
            Quantity::Conflict => "conflict",
        }
    }

    pub fn higher_is_better(self) -> bool {
        !matches!(self, Quantity::MissingGap | Quantity::NoisyGap | Quantity::Conflict)
    }

    pub fn is_missing(self) -> bool {
        use Quantity::{MissingAvg, MissingGap, MissingImage, MissingText};
        matches!(self, MissingImage | MissingText | MissingAvg | MissingGap)
    }

    /// Whether it is a score under an impairment, which can exceed the full one.
    pub(in crate::report) fn can_be_negative_transfer(self) -> bool {
        matches!(self, Quantity::MissingImage | Quantity::MissingText | Quantity::NoisyImage | Quantity::NoisyText)
    }

    /// What is measured, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Quantity::Full => "the score with both modalities",
            Quantity::MissingImage => "the score when the image is missing in a share r of the test samples",
            Quantity::MissingText => "the score when the text is missing in a share r of the test samples",
            Quantity::MissingAvg => "the mean of missing-image and missing-text, formed per seed",
            Quantity::MissingGap => "the absolute difference of missing-image and missing-text, formed per seed",
            Quantity::NoisyImage => "the score when the image is noisy",
            Quantity::NoisyText => "the score when the text is noisy",
            Quantity::NoisyAvg => "the mean of noisy-image and noisy-text, formed per seed",
            Quantity::NoisyGap => "the absolute difference of noisy-image and noisy-text, formed per seed",
            Quantity::Conflict => {
                "the share of training steps in which the task gradient and the KL gradient conflict, ⟨g_T, g_kl⟩ < 0 \
                 before any projection; only of methods that have a KL gradient"
            }
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Quantity::MissingGap | Quantity::NoisyGap => "percentage points",
            _ => "percent",
        }
    }

    /// The value of one cell, at a missing ratio where there is one.
    pub(super) fn of(self, scores: &CellScores, ratio: f64) -> Option<f64> {
        let level = scores.missing.iter().find(|level| level.ratio == ratio);
        let noisy = &scores.noisy;
        match self {
            Quantity::Full => Some(scores.full),
            Quantity::MissingImage => level.map(|l| l.image),
            Quantity::MissingText => level.map(|l| l.text),
            Quantity::MissingAvg => level.map(|l| average(l.image, l.text)),
            Quantity::MissingGap => level.map(|l| gap(l.image, l.text)),
            Quantity::NoisyImage => Some(noisy.image),
            Quantity::NoisyText => Some(noisy.text),
            Quantity::NoisyAvg => Some(average(noisy.image, noisy.text)),
            Quantity::NoisyGap => Some(gap(noisy.image, noisy.text)),
            Quantity::Conflict => scores.trace.as_ref().and_then(|trace| trace.conflict),
        }
    }

    /// The value that follows from five scores: full, without the image, without the text, noisy image, noisy text.
    pub(super) fn at_levels(self, [full, no_image, no_text, noisy_image, noisy_text]: [f64; 5]) -> Option<f64> {
        match self {
            Quantity::Full => Some(full),
            Quantity::MissingImage => Some(no_image),
            Quantity::MissingText => Some(no_text),
            Quantity::MissingAvg => Some(average(no_image, no_text)),
            Quantity::MissingGap => Some(gap(no_image, no_text)),
            Quantity::NoisyImage => Some(noisy_image),
            Quantity::NoisyText => Some(noisy_text),
            Quantity::NoisyAvg => Some(average(noisy_image, noisy_text)),
            Quantity::NoisyGap => Some(gap(noisy_image, noisy_text)),
            Quantity::Conflict => None,
        }
    }

    /// Why a cell with scores has no value of it.
    pub(super) fn absence(self) -> &'static str {
        match self {
            Quantity::Conflict => "the trace of this training has no `conflict`",
            _ => "this missing ratio was not evaluated",
        }
    }
}

/// What a quantity is, for readers of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantityDescription {
    pub name: Quantity,
    pub meaning: String,
    pub unit: String,
    pub higher_is_better: bool,
}

impl From<Quantity> for QuantityDescription {
    fn from(name: Quantity) -> Self {
        QuantityDescription {
            name,
            meaning: name.meaning().into(),
            unit: name.unit().into(),
            higher_is_better: name.higher_is_better(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in CSV files are those in `results.json`.
    #[test]
    fn a_quantity_has_one_name() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_value(quantity).unwrap(), quantity.name());
        }
    }
}
