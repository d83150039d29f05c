//! Tests of paired differences, effect sizes, and the number of seeds that would decide a test.

use super::bootstrap::{Estimate, MOST_DF, combined};
use super::student::{small_sample_correction, t_cdf, two_sided_p, two_sided_t};

/// Values closer to 0 are rounding errors: scores are percentages, cosines at most 1.
pub const ROUNDING: f64 = 1e-9;

/// A test needs at least this many seeds.
pub const LEAST_SEEDS: usize = 3;

/// The two-sided p of a mean difference: t = mean / error with the error's degrees of freedom. With the error over seeds
/// that is the paired t test (Student 1908); with one over seeds and test samples it tests both together (see
/// [`super::bootstrap`]). None for fewer than [`LEAST_SEEDS`], and for differences without spread, unless all are 0: then
/// it is 1.
pub fn p_value(difference: &Estimate) -> Option<f64> {
    let error = difference.error.filter(|_| difference.n >= LEAST_SEEDS)?;
    if error > ROUNDING {
        return Some(two_sided_p(difference.mean / error, difference.df?));
    }
    (difference.mean.abs() <= ROUNDING).then_some(1.0)
}

/// The one-sided p of a mean difference being `least` or more: small if it is certainly smaller (a test of non-superiority
/// by a margin: Lakens 2017, "Equivalence Tests"). The error is that of [`p_value`]. None for fewer than [`LEAST_SEEDS`],
/// and for differences without spread: on a few samples even different models agree in every seed.
pub fn p_below(difference: &Estimate, least: f64) -> Option<f64> {
    let error = difference.error.filter(|_| difference.n >= LEAST_SEEDS)?;
    (error > ROUNDING).then(|| Some(t_cdf((difference.mean - least) / error, difference.df?)))?
}

/// Cohen's d_z over the seeds, the mean difference by its standard deviation, with the correction for few seeds (Hedges
/// 1981; Lakens 2013, "Calculating and reporting effect sizes"). None for fewer than [`LEAST_SEEDS`] or without spread.
pub fn effect_size(difference: &Estimate) -> Option<f64> {
    let std = difference.std.filter(|std| difference.n >= LEAST_SEEDS && *std > ROUNDING)?;
    Some(difference.mean / std * small_sample_correction((difference.n - 1) as f64))
}

/// The number of seeds that would decide a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedsNeeded {
    About(usize),
    MoreThan(usize),
    /// The error of the test samples alone hides a difference as small as this one.
    NoNumber,
}

/// Larger numbers of seeds are not computed.
pub const MOST_SEEDS: usize = 1000;

/// The smallest number of seeds with which a difference as large as this one, with this spread over seeds and this error
/// of the test samples, is significant at level `alpha` (two-sided) with a probability of about 0.8: |mean| ≥ (t + t₀.₈) ·
/// error (the usual approximation of the power of a t test by its shifted distribution). It is a rough guide, because the
/// difference is itself uncertain. None without a spread, or without a difference.
pub fn seeds_needed(difference: &Estimate, alpha: f64) -> Option<SeedsNeeded> {
    let std = difference.std?;
    let sample_error = difference.sample_error.unwrap_or(0.0);
    let mean = difference.mean.abs();
    if mean <= ROUNDING || !alpha.is_finite() || alpha <= 0.0 || std.max(sample_error) <= ROUNDING {
        return None;
    }
    // The 80th percentile of t is what |t| exceeds with probability 0.4.
    let distance = |df: f64| two_sided_t(alpha, df) + two_sided_t(0.4, df);
    let decides = |n: usize| {
        let (error, df) = combined(std, n, sample_error);
        mean >= distance(df) * error
    };
    // With any number of seeds, the error of the samples remains.
    if mean < distance(MOST_DF) * sample_error {
        return Some(SeedsNeeded::NoNumber);
    }
    Some(fewest(decides))
}

/// The fewest seeds that are enough, where more of them are enough, too.
pub(super) fn fewest(are_enough: impl Fn(usize) -> bool) -> SeedsNeeded {
    if !are_enough(MOST_SEEDS) {
        return SeedsNeeded::MoreThan(MOST_SEEDS);
    }
    let (mut too_few, mut enough) = (LEAST_SEEDS - 1, MOST_SEEDS);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if are_enough(middle) { enough = middle } else { too_few = middle }
    }
    SeedsNeeded::About(enough)
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap::over_seeds;
    use super::*;

    /// Student's own example (1908): the additional hours of sleep by the second drug over the first; t = 4.0621 with 9
    /// degrees of freedom, p = 0.00283.
    #[test]
    fn students_sleep() {
        let sleep = over_seeds(&[1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]).unwrap();
        assert!((p_value(&sleep).unwrap() - 0.002_832_89).abs() < 1e-7);
        // d_z = 1.58/1.229995 = 1.28456; corrected by Γ(4.5)/(√4.5 Γ(4)) = 0.91387…
        let d = effect_size(&sleep).unwrap();
        assert!((d - 1.284_558 * small_sample_correction(9.0)).abs() < 1e-5, "{d}");
    }

    /// Against 0, a one-sided p is half of the two-sided one, or the rest of it; against the mean itself it is ½; and it
    /// is that of the differences that are `least` smaller.
    #[test]
    fn certainly_smaller_than_a_margin() {
        let sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let estimate = over_seeds(&sleep).unwrap();
        let two_sided = p_value(&estimate).unwrap();
        assert!((p_below(&estimate, 0.0).unwrap() - (1.0 - two_sided / 2.0)).abs() < 1e-12);
        assert!((p_below(&estimate, 2.0 * 1.58).unwrap() - two_sided / 2.0).abs() < 1e-12);
        assert!((p_below(&estimate, 1.58).unwrap() - 0.5).abs() < 1e-12);
        let moved = over_seeds(&sleep.map(|hours| hours - 0.5)).unwrap();
        assert!((p_below(&estimate, 0.5).unwrap() - p_below(&moved, 0.0).unwrap()).abs() < 1e-12);
        let of = |values: &[f64], least| p_below(&over_seeds(values).unwrap(), least);
        assert_eq!(of(&[0.0, 0.1], 0.5), None);
        assert_eq!(of(&[0.0, 0.0, 0.0], 0.5), None);
        assert_eq!(of(&[0.1, 0.1, 0.1], 0.5), None);
    }

    #[test]
    fn few_seeds_and_no_spread_give_no_test() {
        let p = |values: &[f64]| p_value(&over_seeds(values).unwrap());
        assert_eq!(p(&[5.0, 5.1]), None);
        assert_eq!(p(&[5.0, 5.0, 5.0]), None);
        assert_eq!(p(&[0.0, 0.0, 0.0]), Some(1.0));
        // Rounding errors are no differences.
        assert_eq!(p(&[0.1 + 0.2 - 0.3, 0.0, 0.0]), Some(1.0));
        assert_eq!(p(&[5.0, 5.0 + 1e-15, 5.0]), None);
        assert_eq!(effect_size(&over_seeds(&[5.0, 5.0, 5.0]).unwrap()), None);
        assert_eq!(effect_size(&over_seeds(&[5.0, 6.0]).unwrap()), None);
    }

    /// Tables of power: a paired t test at 5 % needs 34 pairs for d = 0.5, 15 for d = 0.8, 10 for d = 1 with a power of
    /// 0.8 (Cohen 1988).
    #[test]
    fn seeds_are_those_of_power_tables() {
        let needed = |mean: f64, sample_error: f64| {
            let difference = Estimate {
                n: 5,
                mean,
                std: Some(1.0),
                error: Some(1.0),
                df: Some(4.0),
                sample_error: Some(sample_error),
                interval: None,
            };
            seeds_needed(&difference, 0.05)
        };
        for (mean, pairs) in [(0.5, 34), (0.8, 15), (1.0, 10)] {
            let Some(SeedsNeeded::About(found)) = needed(mean, 0.0) else { panic!("{mean}") };
            assert!(found.abs_diff(pairs) <= 1, "{mean}: {found}, expected {pairs}");
            assert_eq!(needed(-mean, 0.0), needed(mean, 0.0));
        }
        assert_eq!(needed(0.01, 0.0), Some(SeedsNeeded::MoreThan(MOST_SEEDS)));
        assert_eq!(needed(0.5, 0.3), Some(SeedsNeeded::NoNumber));
        assert_eq!(needed(0.0, 0.0), None);
        let Some(SeedsNeeded::About(with_samples)) = needed(0.5, 0.1) else { panic!() };
        assert!(with_samples > 34);
    }
}
