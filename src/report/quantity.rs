//! The quantities that a suite measures: the rows of Table 1, and those of traces.

use serde::{Deserialize, Serialize};

use super::replicates::Level;
use crate::evaluation::robustness::{average, gap};
use crate::terms::{Modality, named};

named! {
    /// What is measured.
    #[derive(Default)]
    pub enum Quantity {
        #[default]
        Full = "full",
        MissingImage = "missing-image",
        MissingText = "missing-text",
        MissingAvg = "missing-avg",
        MissingGap = "missing-gap",
        NoisyImage = "noisy-image",
        NoisyText = "noisy-text",
        NoisyAvg = "noisy-avg",
        NoisyGap = "noisy-gap",
        MissingGapGrowth = "missing-gap-growth",
        MissingGapTrend = "missing-gap-trend",
        Conflict = "conflict",
    }
}

impl Quantity {
    /// As sentences call it.
    pub fn title(self) -> &'static str {
        match self {
            Quantity::Full => "full score",
            Quantity::MissingImage => "score without the image",
            Quantity::MissingText => "score without the text",
            Quantity::MissingAvg => "mean score with a modality missing",
            Quantity::MissingGap => "ΔGap with a modality missing",
            Quantity::NoisyImage => "score with a noisy image",
            Quantity::NoisyText => "score with a noisy text",
            Quantity::NoisyAvg => "mean score with a noisy modality",
            Quantity::NoisyGap => "ΔGap with a noisy modality",
            Quantity::MissingGapGrowth => "growth of ΔGap",
            Quantity::MissingGapTrend => "trend of ΔGap",
            Quantity::Conflict => "share of conflicting steps",
        }
    }

    pub fn higher_is_better(self) -> bool {
        use Quantity::{Conflict, MissingGap, MissingGapGrowth, MissingGapTrend, NoisyGap};
        !matches!(self, MissingGap | NoisyGap | MissingGapGrowth | MissingGapTrend | Conflict)
    }

    /// Whether it is measured at each missing ratio.
    pub fn is_missing(self) -> bool {
        use Quantity::{MissingAvg, MissingGap, MissingImage, MissingText};
        matches!(self, MissingImage | MissingText | MissingAvg | MissingGap)
    }

    /// Whether it is a percentage, which lies between 0 and 100.
    pub(super) fn is_percentage(self) -> bool {
        !matches!(self, Quantity::MissingGapGrowth | Quantity::MissingGapTrend)
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
                "missing-gap at the last missing ratio minus that at the first one above 0, formed per seed; at ratio 0 \
                 nothing is missing, so the gap is 0 by definition"
            }
            Quantity::MissingGapTrend => {
                "the slope of the least-squares line through missing-gap at all missing ratios above 0, formed per seed"
            }
            Quantity::Conflict => {
                "the share of training steps in which the task gradient and the KL gradient conflict, ⟨g_T, g_kl⟩ < 0 \
                 before any projection; only of methods that have a KL gradient"
            }
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Quantity::MissingGap | Quantity::NoisyGap | Quantity::MissingGapGrowth => "percentage points",
            Quantity::MissingGapTrend => "percentage points per 1 of the missing ratio",
            _ => "percent",
        }
    }

    /// The scores that it is computed from, at a missing ratio if it depends on one. `None` if it is not computed from
    /// scores, or if there are too few ratios.
    pub(super) fn levels(self, ratio: f64, ratios: &[f64]) -> Option<Vec<Level>> {
        use Modality::{Image, Text};
        let missing = |ratio| Modality::ALL.map(|modality| Level::Missing(modality, ratio));
        let impaired = impaired(ratios);
        Some(match self {
            Quantity::Full => vec![Level::Full],
            Quantity::MissingImage => vec![Level::Missing(Image, ratio)],
            Quantity::MissingText => vec![Level::Missing(Text, ratio)],
            Quantity::MissingAvg | Quantity::MissingGap => missing(ratio).into(),
            Quantity::NoisyImage => vec![Level::Noisy(Image)],
            Quantity::NoisyText => vec![Level::Noisy(Text)],
            Quantity::NoisyAvg | Quantity::NoisyGap => Modality::ALL.map(Level::Noisy).into(),
            Quantity::MissingGapGrowth | Quantity::MissingGapTrend if impaired.len() > 1 => {
                impaired.into_iter().flat_map(missing).collect()
            }
            Quantity::MissingGapGrowth | Quantity::MissingGapTrend | Quantity::Conflict => return None,
        })
    }

    /// Computes it from the scores at [`Quantity::levels`].
    pub(super) fn from(self, scores: &[f64], ratios: &[f64]) -> f64 {
        match self {
            Quantity::MissingAvg | Quantity::NoisyAvg => average(scores[0], scores[1]),
            Quantity::MissingGap | Quantity::NoisyGap => gap(scores[0], scores[1]),
            Quantity::MissingGapGrowth => {
                gap(scores[scores.len() - 2], scores[scores.len() - 1]) - gap(scores[0], scores[1])
            }
            Quantity::MissingGapTrend => {
                let gaps: Vec<f64> = scores.chunks_exact(2).map(|both| gap(both[0], both[1])).collect();
                slope(&impaired(ratios), &gaps)
            }
            _ => scores[0],
        }
    }

    /// Why a cell that has scores may have no value of it.
    pub(super) fn absence(self) -> &'static str {
        match self {
            Quantity::Conflict => "the trace of this training has no `conflict`",
            Quantity::MissingGapGrowth | Quantity::MissingGapTrend => "it needs two or more missing ratios above 0",
            _ => "this missing ratio was not evaluated",
        }
    }
}

/// The ratios at which something is missing.
fn impaired(ratios: &[f64]) -> Vec<f64> {
    ratios.iter().copied().filter(|&ratio| ratio > 0.0).collect()
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

    /// Gaps per missing ratio above 0 → growth and trend.
    fn grown(gaps: &[f64]) -> [f64; 2] {
        let ratios: Vec<f64> = (0..=gaps.len()).map(|at| at as f64 / gaps.len() as f64).collect();
        let scores: Vec<f64> = gaps.iter().flat_map(|gap| [40.0, 40.0 + gap]).collect();
        [Quantity::MissingGapGrowth, Quantity::MissingGapTrend].map(|quantity| {
            assert_eq!(quantity.levels(1.0, &ratios).unwrap().len(), scores.len(), "ratio 0 does not count");
            assert_eq!(quantity.levels(1.0, &[0.0, 1.0]), None);
            quantity.from(&scores, &ratios)
        })
    }

    /// Gaps of 2, 4 and 9 at ⅓, ⅔ and 1: they grow by 7, along a line with a slope of 10½.
    #[test]
    fn slopes_by_hand() {
        let [growth, trend] = grown(&[2.0, 4.0, 9.0]);
        assert!((growth - 7.0).abs() < 1e-12 && (trend - 10.5).abs() < 1e-12, "{growth} {trend}");
    }

    /// A gap grows if it ends above where it begins and its trend is upwards: neither a fall after the first point, nor a
    /// bump in the middle of one, is growth.
    #[test]
    fn growth_needs_both_ends_and_the_trend() {
        for (gaps, grows) in [
            (&[1.0, 2.0, 3.0, 4.0, 5.0][..], true),
            (&[1.0, 3.0, 2.0, 4.0, 5.0], true),
            // Falls from 6 to 2 after its first point: a line through 0 at ratio 0 would rise.
            (&[6.0, 5.0, 5.0, 4.0, 2.0], false),
            (&[6.0, 2.0, 3.0, 5.0, 5.9], false),
            (&[2.0, 8.0, 6.0, 4.0, 3.0], false),
            (&[3.0, 3.0, 3.0, 3.0, 3.0], false),
        ] {
            assert_eq!(grown(gaps).iter().all(|measured| *measured > 1e-12), grows, "{gaps:?}: {:?}", grown(gaps));
        }
    }
}
