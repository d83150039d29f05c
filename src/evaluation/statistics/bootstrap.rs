//! Means over seeds and their errors.
//!
//! The score of a training varies with the seed, with the choice of the test samples, and with their interaction, seed ×
//! sample. With n seeds on one test split
//!
//! > Var(mean) = (σ²_seed + σ²_seed×sample)/n + σ²_sample.
//!
//! The spread over the seeds on the original split estimates the first two together. The last is what all seeds share when
//! the test samples are resampled (bootstrap): the mean covariance of two seeds' scores over the resamples. The error is
//! the root of the sum. Its degrees of freedom are Satterthwaite's (1946): n − 1 for the seeds, and so many for the samples
//! that they do not matter. The interval is mean ± t · error. (Resampling seeds and samples together, Owen 2007, "The
//! pigeonhole bootstrap", counts σ²_seed×sample twice, and its intervals are too narrow for few seeds.)
//!
//! Without predictions per sample, error and interval are Student's t over the seeds, on this test split alone.

use serde::{Deserialize, Serialize};

use super::student::two_sided_t;
use super::{mean, sample_std};

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    pub how: How,
}

/// How an interval, and the error of a test, were computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Over seeds, and over test samples by resampling them.
    Bootstrap,
    /// Student's t over the seeds, without the error of the test samples.
    TOverSeeds,
}

/// A mean over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The number of seeds.
    pub n: usize,
    pub mean: f64,
    /// The sample standard deviation over the seeds; none for fewer than two.
    pub std: Option<f64>,
    /// The standard error of the mean; none for fewer than two.
    pub error: Option<f64>,
    /// Its degrees of freedom.
    pub df: Option<f64>,
    /// The part of it that more seeds do not reduce: σ_sample, from the choice of test samples.
    pub sample_error: Option<f64>,
    /// None for fewer than two seeds.
    pub interval: Option<Interval>,
}

/// More degrees of freedom make no difference.
pub const MOST_DF: f64 = 1e5;

/// An estimate from one value per seed.
pub fn over_seeds(values: &[f64]) -> Option<Estimate> {
    let (n, mean, std) = (values.len(), mean(values)?, sample_std(values));
    let error = std.map(|std| std / (n as f64).sqrt());
    let df = std.map(|_| (n - 1) as f64);
    let interval = error.zip(df).map(|(error, df)| around(mean, error, df, How::TOverSeeds));
    Some(Estimate { n, mean, std, error, df, sample_error: None, interval })
}

/// The error of a mean over n seeds whose scores spread by `std`, and its degrees of freedom (Satterthwaite's).
pub fn combined(std: f64, n: usize, sample_error: f64) -> (f64, f64) {
    let (of_seeds, of_samples) = (std.powi(2) / n as f64, sample_error.powi(2));
    let df = (n - 1) as f64 * (1.0 + of_samples / of_seeds).powi(2);
    ((of_seeds + of_samples).sqrt(), if df.is_nan() { (n - 1) as f64 } else { df.min(MOST_DF) })
}

fn around(mean: f64, error: f64, df: f64, how: How) -> Interval {
    let half = two_sided_t(0.05, df) * error;
    Interval { low: mean - half, high: mean + half, how }
}

/// The values of seeds, added one seed at a time: what an estimate needs of them, without the resamples of every seed.
#[derive(Clone, Debug, Default)]
pub struct Seeds {
    /// On the original test samples.
    as_it_is: Vec<f64>,
    /// The variance of each seed's resampled values; none for fewer than two resamples.
    variances: Vec<Option<f64>>,
    /// The sum over the seeds for each resample.
    sums: Vec<f64>,
}

impl Seeds {
    /// Adds the values of a seed: on the original test samples, then on resamples that are the same for all seeds, if any.
    ///
    /// # Panics
    /// If it has other resamples than the seeds before, or no value.
    pub fn add(&mut self, values: &[f64]) {
        let (as_it_is, resampled) = values.split_first().expect("a seed has a value");
        if self.as_it_is.is_empty() {
            self.sums = vec![0.0; resampled.len()];
        }
        assert_eq!(resampled.len(), self.sums.len(), "seeds have the same resamples");
        self.as_it_is.push(*as_it_is);
        self.variances.push(variance(resampled));
        self.sums.iter_mut().zip(resampled).for_each(|(sum, value)| *sum += value);
    }

    /// The mean over the seeds. None without seeds.
    pub fn estimate(&self) -> Option<Estimate> {
        let plain = over_seeds(&self.as_it_is)?;
        let (n, Some(std)) = (plain.n, plain.std) else { return Some(plain) };
        let Some(shared) = self.covariance() else { return Some(plain) };
        let sample_error = shared.max(0.0).sqrt();
        let (error, df) = combined(std, n, sample_error);
        Some(Estimate {
            error: Some(error),
            df: Some(df),
            sample_error: Some(sample_error),
            interval: Some(around(plain.mean, error, df, How::Bootstrap)),
            ..plain
        })
    }

    /// The mean covariance of two seeds' resampled values: (n · Var(mean over seeds) − mean over seeds of Var)/(n − 1). None
    /// for fewer than two seeds or resamples.
    fn covariance(&self) -> Option<f64> {
        let n = self.as_it_is.len() as f64;
        let each: Vec<f64> = self.variances.iter().copied().collect::<Option<_>>()?;
        let together: Vec<f64> = self.sums.iter().map(|sum| sum / n).collect();
        let covariance = (n * variance(&together)? - mean(&each)?) / (n - 1.0);
        covariance.is_finite().then_some(covariance)
    }
}

fn variance(values: &[f64]) -> Option<f64> {
    sample_std(values).map(|std| std.powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use proptest::prelude::*;

    fn seeds(values: &[Vec<f64>]) -> Seeds {
        let mut seeds = Seeds::default();
        values.iter().for_each(|values| seeds.add(values));
        seeds
    }

    fn two_levels(values: &[Vec<f64>]) -> Option<Estimate> {
        seeds(values).estimate()
    }

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

    /// By hand: two seeds whose resamples are (1, 3) and (2, 6) covary by ((1 − 2)(2 − 4) + (3 − 2)(6 − 4))/1 = 4.
    #[test]
    fn covariances_by_hand() {
        let near = |values: &[Vec<f64>], expected: f64| (seeds(values).covariance().unwrap() - expected).abs() < 1e-12;
        assert!(near(&[vec![0.0, 1.0, 3.0], vec![9.0, 2.0, 6.0]], 4.0));
        // Three seeds: covariances 4, 2 and 4.
        assert!(near(&[vec![0.0, 1.0, 3.0], vec![9.0, 2.0, 6.0], vec![0.0, 0.0, 2.0]], 10.0 / 3.0));
        assert_eq!(seeds(&[vec![0.0, 1.0, 3.0]]).covariance(), None);
        assert_eq!(seeds(&[vec![0.0, 1.0], vec![0.0, 1.0]]).covariance(), None);
    }

    /// Without noise of the samples it is Student's t; what all seeds share adds to the error and the degrees of freedom.
    #[test]
    fn errors_add_up() {
        let still = |value: f64| vec![value; 4];
        let found = two_levels(&[still(1.0), still(2.0), still(3.0)]).unwrap();
        let plain = over_seeds(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((found.df, found.sample_error), (Some(2.0), Some(0.0)));
        assert!((found.error.unwrap() - plain.error.unwrap()).abs() < 1e-12);
        assert_eq!(found.interval.unwrap().how, How::Bootstrap);
        // Both resampled means lie 1 from the middle: a covariance of 2 and an error of √(1/3 + 2).
        let moving = |value: f64| vec![value, value - 1.0, value + 1.0];
        let found = two_levels(&[moving(1.0), moving(2.0), moving(3.0)]).unwrap();
        assert!((found.error.unwrap() - (1.0f64 / 3.0 + 2.0).sqrt()).abs() < 1e-12);
        assert!((found.df.unwrap() - 2.0 * 49.0).abs() < 1e-9, "{found:?}");
        assert!((found.sample_error.unwrap() - 2f64.sqrt()).abs() < 1e-12);
        // Seeds that move against each other share nothing.
        let against = two_levels(&[vec![1.0, 0.0, 2.0], vec![2.0, 3.0, 1.0]]).unwrap();
        assert_eq!((against.sample_error, against.df), (Some(0.0), Some(1.0)));
        let one = two_levels(&[moving(1.0)]).unwrap();
        assert_eq!((one.n, one.error, one.interval), (1, None, None));
        assert_eq!(combined(0.0, 5, 0.0), (0.0, 4.0));
        assert_eq!(combined(0.0, 5, 2.0), (2.0, MOST_DF));
    }

    /// The interval contains the truth in about 95 of 100 experiments, whatever part of the noise comes from seeds, samples
    /// and their interaction.
    #[test]
    fn intervals_have_their_coverage() {
        for (of_seeds, of_samples, of_both) in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 1.0, 1.0), (1.0, 0.4, 0.2)] {
            let experiments: u64 = 1500;
            let held = (0..experiments).filter(|&experiment| {
                let mut stream = Stream::new(experiment, &["test", "coverage"]);
                // What a bootstrap draws spreads like what nature drew.
                let samples: Vec<f64> = (0..100).map(|_| of_samples * stream.normal()).collect();
                let seed = |stream: &mut Stream| -> Vec<f64> {
                    let it = of_seeds * stream.normal() + samples[0] + of_both * stream.normal();
                    let resampled = samples[1..].iter().map(|sample| it + sample + of_both * stream.normal());
                    [it].into_iter().chain(resampled).collect()
                };
                let seeds: Vec<Vec<f64>> = (0..5).map(|_| seed(&mut stream)).collect();
                let interval = two_levels(&seeds).unwrap().interval.unwrap();
                interval.low <= 0.0 && interval.high >= 0.0
            });
            let share = held.count() as f64 / experiments as f64;
            assert!((0.93..0.985).contains(&share), "{of_seeds} {of_samples} {of_both}: {share}");
        }
    }

    proptest! {
        /// An interval contains its mean, and moves and scales with the values.
        #[test]
        fn an_interval_contains_its_mean(
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
