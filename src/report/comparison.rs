//! Comparisons: differences between methods, and between the full score and an impaired one, over the same seeds and test
//! samples.
//!
//! Every two methods of the results are compared on every dataset in every quantity, and every method's full score with
//! its impaired ones. A difference is formed per seed. Its error is that over seeds and test samples where predictions
//! were resampled ([`crate::evaluation::statistics::bootstrap`]), else that over seeds.
//!
//! Holm's correction covers the comparisons of the proposed method with each other one in the results, all datasets and
//! quantities together. A table has results of its own methods, datasets and quantities, so its family is what it shows.

use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use crate::evaluation::statistics::bootstrap::{Estimate, Interval, over_seeds};
use crate::evaluation::statistics::holm::holm;
use crate::evaluation::statistics::paired::{effect_size, p_value};

/// The paper's method, which the others are compared with.
pub const PROPOSED: &str = "balgrad";

/// The level of significance.
pub const ALPHA: f64 = 0.05;

/// All comparisons of the results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparisons {
    /// The comparisons that `p_corrected` is corrected over, in words; none without the proposed method.
    pub family: Option<String>,
    pub pairs: Vec<Comparison>,
}

/// A difference between two means on a dataset, at missing ratio 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub dataset: String,
    pub method: String,
    pub quantity: Quantity,
    /// What is subtracted: another method, or the same one.
    pub other: String,
    /// In which quantity, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other_quantity: Option<Quantity>,
    /// The number of seeds that both sides have.
    pub n: usize,
    /// The mean of the differences, in percentage points.
    pub difference: f64,
    /// Their sample standard deviation over the seeds.
    pub std: Option<f64>,
    pub interval: Option<Interval>,
    /// The standard error that p is computed from.
    pub error: Option<f64>,
    /// Its degrees of freedom.
    #[serde(default)]
    pub df: Option<f64>,
    /// The part of it that is due to the choice of test samples.
    pub sample_error: Option<f64>,
    /// Two-sided; none for fewer than three seeds.
    pub p: Option<f64>,
    /// Holm's correction of it, for comparisons of the family.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p_corrected: Option<f64>,
    /// Cohen's d_z over the seeds, corrected for few of them.
    pub effect: Option<f64>,
}

impl Comparison {
    /// The same comparison with its sides exchanged.
    pub fn reversed(&self) -> Comparison {
        let turned = |interval: Interval| Interval { low: -interval.high, high: -interval.low, how: interval.how };
        Comparison {
            method: self.other.clone(),
            quantity: self.other_quantity.unwrap_or(self.quantity),
            other: self.method.clone(),
            other_quantity: self.other_quantity.map(|_| self.quantity),
            difference: -self.difference,
            interval: self.interval.map(turned),
            effect: self.effect.map(|effect| -effect),
            ..self.clone()
        }
    }

    /// The estimate behind the comparison.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            n: self.n,
            mean: self.difference,
            std: self.std,
            error: self.error,
            df: self.df,
            sample_error: self.sample_error,
            interval: self.interval,
        }
    }

    pub(super) fn of(dataset: &str, [one, other]: [Side<'_>; 2], difference: &Estimate) -> Comparison {
        Comparison {
            dataset: dataset.to_owned(),
            method: one.0.to_owned(),
            quantity: one.1,
            other: other.0.to_owned(),
            other_quantity: (one.1 != other.1).then_some(other.1),
            n: difference.n,
            difference: difference.mean,
            std: difference.std,
            interval: difference.interval,
            error: difference.error,
            df: difference.df,
            sample_error: difference.sample_error,
            p: p_value(difference),
            p_corrected: None,
            effect: effect_size(difference),
        }
    }
}

/// A method and a quantity.
pub(super) type Side<'a> = (&'a str, Quantity);

/// The value of a quantity per seed.
pub(super) type Values = Vec<(u64, f64)>;

/// The mean of values over their seeds.
pub(super) fn estimate(values: &Values) -> Option<Estimate> {
    over_seeds(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())
}

/// The differences of values over the seeds that both have.
pub(super) fn differences(one: &Values, other: &Values) -> Values {
    let pair = |(seed, value): &(u64, f64)| {
        let (_, subtracted) = other.iter().find(|(known, _)| known == seed)?;
        Some((*seed, value - subtracted))
    };
    one.iter().filter_map(pair).collect()
}

impl Comparisons {
    /// Those of any two methods on a dataset in the same quantity, and of a method's full score with its impaired ones.
    pub(super) fn of(pairs: Vec<Comparison>) -> Self {
        let mut comparisons = Comparisons { family: None, pairs };
        comparisons.correct();
        comparisons
    }

    /// Corrects the comparisons of the proposed method with the others, all together.
    pub fn correct(&mut self) {
        let is_of = |one: &Comparison| {
            one.other_quantity.is_none() && one.method != one.other && (one.method == PROPOSED || one.other == PROPOSED)
        };
        self.pairs.iter_mut().for_each(|one| one.p_corrected = None);
        let mut family: Vec<&mut Comparison> =
            self.pairs.iter_mut().filter(|one| is_of(one) && one.p.is_some()).collect();
        let corrected = holm(&family.iter().filter_map(|one| one.p).collect::<Vec<_>>());
        family.iter_mut().zip(&corrected).for_each(|(one, p)| one.p_corrected = Some(*p));
        self.family = (!corrected.is_empty()).then(|| {
            format!("Holm's correction over the {} comparisons of {PROPOSED} with the other methods", corrected.len())
        });
    }

    /// Keeps the comparisons in these quantities, and corrects them again.
    pub fn restrict(&mut self, quantities: &[Quantity]) {
        let shown = |one: &Comparison| {
            quantities.contains(&one.quantity) && one.other_quantity.is_none_or(|other| quantities.contains(&other))
        };
        self.pairs.retain(shown);
        self.correct();
    }

    /// The comparison of two sides, in either direction.
    pub fn find(&self, dataset: &str, one: (&str, Quantity), other: (&str, Quantity)) -> Option<Comparison> {
        self.pairs.iter().filter(|pair| pair.dataset == dataset).find_map(|pair| {
            let of = |side: (&str, Quantity), method: &str, quantity| side.0 == method && side.1 == quantity;
            let subtracted = pair.other_quantity.unwrap_or(pair.quantity);
            if of(one, &pair.method, pair.quantity) && of(other, &pair.other, subtracted) {
                Some(pair.clone())
            } else if of(other, &pair.method, pair.quantity) && of(one, &pair.other, subtracted) {
                Some(pair.reversed())
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests;
