//! Means over seeds with what is known of their error.
//!
//! The error of a mean score has two sources: the seed of the training and the choice of the test samples. Both are
//! resampled: in each resample, as many seeds as there are are drawn with replacement, and each of them is scored on the
//! same resampled test samples (a bootstrap of crossed factors: Owen 2007, "The pigeonhole bootstrap"; it errs on the wide
//! side). Of n seeds the resampled means spread by √((n − 1)/n) too little, and with few seeds the normal quantiles are
//! too small; so the percentile interval is widened by √(n/(n − 1)) · t(n − 1)/z (Hesterberg 2015, "What Teachers Should
//! Know about the Bootstrap", the expanded percentile interval). The widening applies to the share of the test samples
//! too, which it exaggerates.
//!
//! Without predictions per sample, the interval is that of Student's t over the seeds.

use serde::{Deserialize, Serialize};

use super::student::{Z_TWO_SIDED_5_PERCENT, two_sided_t};
use super::{mean, sample_std};
use crate::random::Stream;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    pub how: How,
}

/// How an interval, and the error that a test uses, came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Seeds and test samples resampled; widened for few seeds.
    Bootstrap,
    /// Student's t over the seeds: the error of the test samples is not in it.
    TOverSeeds,
}

/// A mean over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Over so many seeds.
    pub n: usize,
    pub mean: f64,
    /// The sample standard deviation over the seeds; none for fewer than two.
    pub std: Option<f64>,
    /// The standard error of the mean, corrected for few seeds; none for fewer than two.
    pub error: Option<f64>,
    /// The part of it that more seeds do not lower: the spread over resampled test samples with all seeds as they are.
    pub sample_error: Option<f64>,
    /// None for fewer than two seeds.
    pub interval: Option<Interval>,
}

/// An estimate from one value per seed.
pub fn over_seeds(values: &[f64]) -> Option<Estimate> {
    let (n, mean, std) = (values.len(), mean(values)?, sample_std(values));
    let error = std.map(|std| std / (n as f64).sqrt());
    let interval = error.map(|error| {
        let half = two_sided_t(0.05, (n - 1) as f64) * error;
        Interval { low: mean - half, high: mean + half, how: How::TOverSeeds }
    });
    Some(Estimate { n, mean, std, error, sample_error: None, interval })
}

/// An estimate from the values of each seed: first of the test samples as they are, then of the same resamples for all
/// seeds. Which seeds a resample draws depends on its number and on how many seeds there are, so that estimates over the
/// same seeds belong together.
///
/// # Panics
/// If seeds have different numbers of values, or none.
pub fn two_levels(values: &[Vec<f64>]) -> Option<Estimate> {
    let as_it_is: Vec<f64> = values.iter().map(|seed| seed[0]).collect();
    let plain = over_seeds(&as_it_is)?;
    let n = plain.n;
    if n < 2 || values[0].len() < 3 {
        return Some(plain);
    }
    let few = (n as f64 / (n - 1) as f64).sqrt();
    let (mut means, mut same_seeds) = (Vec::new(), Vec::new());
    let mut stream = Stream::new(n as u64, &["bootstrap", "seeds"]);
    for resample in 1..values[0].len() {
        let drawn: f64 = (0..n).map(|_| values[stream.below(n as u64) as usize][resample]).sum();
        means.push(drawn / n as f64);
        same_seeds.push(values.iter().map(|seed| seed[resample]).sum::<f64>() / n as f64);
    }
    means.sort_by(f64::total_cmp);
    let widening = few * two_sided_t(0.05, (n - 1) as f64) / Z_TWO_SIDED_5_PERCENT;
    let mean = plain.mean;
    // An absolute difference is biased upwards under resampling; its interval still holds what it is an interval of.
    let low = mean - widening * (mean - quantile(&means, 0.025)).max(0.0);
    let high = mean + widening * (quantile(&means, 0.975) - mean).max(0.0);
    Some(Estimate {
        error: sample_std(&means).map(|std| few * std),
        sample_error: sample_std(&same_seeds),
        interval: Some(Interval { low, high, how: How::Bootstrap }),
        ..plain
    })
}

/// The quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (below, share) = (at.floor() as usize, at.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + share * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By hand: 1, 2, 3 have the mean 2, the error 1/√3 and t(2) = 4.3027.
    #[test]
    fn t_over_three_seeds() {
        let found = over_seeds(&[1.0, 2.0, 3.0]).unwrap();
        let half = 4.302_652_729_696_14 / 3f64.sqrt();
        let interval = found.interval.unwrap();
        assert_eq!((found.n, found.mean, found.std, interval.how), (3, 2.0, Some(1.0), How::TOverSeeds));
        assert!((interval.low - (2.0 - half)).abs() < 1e-9 && (interval.high - (2.0 + half)).abs() < 1e-9);
        assert_eq!(over_seeds(&[5.0]).unwrap().interval, None);
        assert!(over_seeds(&[]).is_none());
    }

    /// Of two seeds 0 and 1 without noise of samples, a resampled mean is 0, ½ or 1 with probability ¼, ½, ¼: its
    /// standard deviation is √(1/8), and the corrected error √(1/4), that of the mean over seeds.
    #[test]
    fn two_seeds_by_hand() {
        let found = two_levels(&[vec![0.0; 20_001], vec![1.0; 20_001]]).unwrap();
        assert_eq!((found.n, found.mean, found.sample_error), (2, 0.5, Some(0.0)));
        assert!((found.error.unwrap() - 0.5).abs() < 0.005, "{:?}", found.error);
        // The percentiles are 0 and 1: widened by √2 · 12.706/1.96.
        let interval = found.interval.unwrap();
        let half = 0.5 * 2f64.sqrt() * 12.706_204_736_432_1 / Z_TWO_SIDED_5_PERCENT;
        assert!((interval.low - (0.5 - half)).abs() < 1e-6 && (interval.high - (0.5 + half)).abs() < 1e-6);
        assert_eq!(interval.how, How::Bootstrap);
    }

    /// Noise of samples alone is the error of equal seeds, and more seeds do not lower it.
    #[test]
    fn the_samples_share_is_told_apart() {
        let mut stream = Stream::new(1, &["test"]);
        let noise: Vec<f64> = (0..4000).map(|_| stream.normal()).collect();
        let seed: Vec<f64> = [0.0].into_iter().chain(noise).collect();
        let found = two_levels(&vec![seed; 5]).unwrap();
        assert!((found.sample_error.unwrap() - 1.0).abs() < 0.04);
        assert!((found.error.unwrap() - (5.0f64 / 4.0).sqrt()).abs() < 0.05);
        assert_eq!((found.std, found.mean), (Some(0.0), 0.0));
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let sorted = [0.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!([0.0, 0.25, 0.3, 1.0].map(|p| quantile(&sorted, p)), [0.0, 10.0, 12.0, 40.0]);
        assert_eq!(quantile(&[7.0], 0.975), 7.0);
    }

    proptest! {
        /// An interval holds its mean, whatever the values; it moves and grows with them.
        #[test]
        fn an_interval_holds_its_mean(
            values in prop::collection::vec(prop::collection::vec(-1e3..1e3f64, 30), 2..6),
            shift in -100.0..100.0f64,
        ) {
            let found = two_levels(&values).unwrap();
            let interval = found.interval.unwrap();
            prop_assert!(interval.low <= found.mean && found.mean <= interval.high);
            let moved: Vec<Vec<f64>> =
                values.iter().map(|seed| seed.iter().map(|value| 2.0 * value + shift).collect()).collect();
            let moved = two_levels(&moved).unwrap().interval.unwrap();
            prop_assert!((moved.low - (2.0 * interval.low + shift)).abs() < 1e-6);
            prop_assert!((moved.high - (2.0 * interval.high + shift)).abs() < 1e-6);
        }
    }
}
