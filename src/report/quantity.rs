//! The quantities that a suite measures: the rows of Table 1, and those of traces.

use serde::{Deserialize, Serialize};

use super::replicates::Level;
use crate::evaluation::robustness::{average, gap};
use crate::terms::Modality;

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    #[default]
    Full,
    MissingImage,
    MissingText,
    MissingAvg,
    MissingGap,
    NoisyImage,
    NoisyText,
    NoisyAvg,
    NoisyGap,
    MissingGapGrowth,
    Conflict,
}

impl Quantity {
    pub const ALL: [Quantity; 11] = [
        Quantity::Full,
        Quantity::MissingImage,
        Quantity::MissingText,
        Quantity::MissingAvg,
        Quantity::MissingGap,
        Quantity::NoisyImage,
        Quantity::NoisyText,
        Quantity::NoisyAvg,
        Quantity::NoisyGap,
        Quantity::MissingGapGrowth,
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
            Quantity::MissingGapGrowth => "missing-gap-growth",
            Quantity::Conflict => "conflict",
        }
    }

    pub fn higher_is_better(self) -> bool {
        use Quantity::{Conflict, MissingGap, MissingGapGrowth, NoisyGap};
        !matches!(self, MissingGap | NoisyGap | MissingGapGrowth | Conflict)
    }

    /// Whether it is measured at each missing ratio.
    pub fn is_missing(self) -> bool {
        use Quantity::{MissingAvg, MissingGap, MissingImage, MissingText};
        matches!(self, MissingImage | MissingText | MissingAvg | MissingGap)
    }

    /// Whether it is a score with an impaired modality, which can exceed the full score.
    pub(in crate::report) fn can_be_negative_transfer(self) -> bool {
        matches!(self, Quantity::MissingImage | Quantity::MissingText | Quantity::NoisyImage | Quantity::NoisyText)
    }

    /// Describes what is measured.
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
            Quantity::MissingGapGrowth => {
                "how missing-gap grows with the share r: the slope of the least-squares line through it at all missing \
                 ratios, formed per seed"
            }
            Quantity::Conflict => {
                "the share of training steps in which the task gradient and the KL gradient conflict, ⟨g_T, g_kl⟩ < 0 \
                 before any projection; only of methods that have a KL gradient"
            }
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Quantity::MissingGap | Quantity::NoisyGap => "percentage points",
            Quantity::MissingGapGrowth => "percentage points per 1 of the missing ratio",
            _ => "percent",
        }
    }

    /// The scores that it is computed from, at a missing ratio if it depends on one. `None` if it is not computed from
    /// scores, or if there are too few ratios.
    pub(super) fn levels(self, ratio: f64, ratios: &[f64]) -> Option<Vec<Level>> {
        use Modality::{Image, Text};
        let missing = |ratio| Modality::ALL.map(|modality| Level::Missing(modality, ratio));
        Some(match self {
            Quantity::Full => vec![Level::Full],
            Quantity::MissingImage => vec![Level::Missing(Image, ratio)],
            Quantity::MissingText => vec![Level::Missing(Text, ratio)],
            Quantity::MissingAvg | Quantity::MissingGap => missing(ratio).into(),
            Quantity::NoisyImage => vec![Level::Noisy(Image)],
            Quantity::NoisyText => vec![Level::Noisy(Text)],
            Quantity::NoisyAvg | Quantity::NoisyGap => Modality::ALL.map(Level::Noisy).into(),
            Quantity::MissingGapGrowth if ratios.len() > 1 => ratios.iter().flat_map(|&ratio| missing(ratio)).collect(),
            Quantity::MissingGapGrowth | Quantity::Conflict => return None,
        })
    }

    /// Computes it from the scores at [`Quantity::levels`].
    pub(super) fn from(self, scores: &[f64], ratios: &[f64]) -> f64 {
        match self {
            Quantity::MissingAvg | Quantity::NoisyAvg => average(scores[0], scores[1]),
            Quantity::MissingGap | Quantity::NoisyGap => gap(scores[0], scores[1]),
            Quantity::MissingGapGrowth => {
                let gaps: Vec<f64> = scores.chunks_exact(2).map(|both| gap(both[0], both[1])).collect();
                slope(ratios, &gaps)
            }
            _ => scores[0],
        }
    }

    /// Why a cell that has scores may have no value of it.
    pub(super) fn absence(self) -> &'static str {
        match self {
            Quantity::Conflict => "the trace of this training has no `conflict`",
            Quantity::MissingGapGrowth => "a slope needs two or more missing ratios",
            _ => "this missing ratio was not evaluated",
        }
    }
}

/// The slope of the least-squares line.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let middle = x.iter().sum::<f64>() / x.len() as f64;
    let squares: f64 = x.iter().map(|x| (x - middle).powi(2)).sum();
    x.iter().zip(y).map(|(x, y)| (x - middle) * y).sum::<f64>() / squares
}

/// Describes a quantity to readers of `results.json`.
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

    /// Gaps of 0, 2 and 10 at 0, ½ and 1: a slope of 10.
    #[test]
    fn slopes_by_hand() {
        let scores = [50.0, 50.0, 40.0, 42.0, 30.0, 40.0];
        let ratios = [0.0, 0.5, 1.0];
        assert!((Quantity::MissingGapGrowth.from(&scores, &ratios) - 10.0).abs() < 1e-12);
        assert_eq!(Quantity::MissingGapGrowth.levels(1.0, &ratios).unwrap().len(), 6);
        assert_eq!(Quantity::MissingGapGrowth.levels(1.0, &[1.0]), None);
    }

    /// The names in CSV files are those in `results.json`.
    #[test]
    fn a_quantity_has_one_name() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_value(quantity).unwrap(), quantity.name());
        }
    }
}
