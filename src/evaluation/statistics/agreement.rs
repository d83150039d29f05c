//! Whether a number of ours agrees with a printed one.
//!
//! A paper's table prints a number without its spread. It is taken as the mean of `draws` trainings whose spread over seeds is
//! ours, on the same test samples. Then the difference of the two has the error s · √(1/n + 1/draws), for n seeds with the
//! sample standard deviation s, and n − 1 degrees of freedom.
//!
//! Agreement is equivalence within a margin, by two one-sided t tests (Schuirmann 1987; Lakens 2017, "Equivalence Tests"): it
//! has to be shown, and is not what is left when no difference is found.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Estimate, MOST_DF};
use super::paired::{LEAST_SEEDS, ROUNDING, SeedsNeeded, fewest};
use super::student::two_sided_t;

/// The level of each test.
pub const ALPHA: f64 = 0.05;

/// How far apart two numbers may be and still agree: the larger one of a number of percentage points and a multiple of our
/// standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Margin {
    pub points: f64,
    pub deviations: f64,
}

impl Default for Margin {
    /// One percentage point or one standard deviation.
    fn default() -> Self {
        Margin { points: 1.0, deviations: 1.0 }
    }
}

impl Margin {
    /// In percentage points, for a number with this standard deviation.
    pub fn of(self, std: f64) -> f64 {
        self.points.max(self.deviations * std)
    }
}

/// What a comparison with a printed number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// The difference is within the margin: both one-sided tests are significant.
    Agrees,
    /// The 95 % interval of the difference lies outside of the margin.
    Differs,
    /// Neither is shown.
    CannotTell,
    /// We have no number.
    NotRun,
}

impl Agreement {
    pub const ALL: [Agreement; 4] = [Agreement::Agrees, Agreement::Differs, Agreement::CannotTell, Agreement::NotRun];

    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Agreement::Agrees => "agrees",
            Agreement::Differs => "differs",
            Agreement::CannotTell => "cannot tell",
            Agreement::NotRun => "not run",
        }
    }
}

/// Ours minus a printed number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// In percentage points.
    pub difference: f64,
    /// The ends of its 95 % interval; none for fewer than three seeds.
    pub interval: Option<(f64, f64)>,
    /// In percentage points.
    pub margin: f64,
    pub agreement: Agreement,
    /// If it cannot be told: the number of seeds that would tell, if mean and spread stay what they are. None for fewer than
    /// three seeds.
    pub seeds_needed: Option<SeedsNeeded>,
}

/// Compares a number of ours with a printed one that is taken as the mean of `draws` trainings.
pub fn compare(ours: &Estimate, printed: f64, draws: usize, margin: Margin) -> Difference {
    let difference = ours.mean - printed;
    let Some(std) = ours.std.filter(|_| ours.n >= LEAST_SEEDS) else {
        let (margin, agreement) = (margin.of(0.0), Agreement::CannotTell);
        return Difference { difference, interval: None, margin, agreement, seeds_needed: None };
    };
    let margin = margin.of(std);
    let decide_with = |n: usize| decide(difference, error(std, n as f64, draws), critical((n - 1) as f64), margin);
    let agreement = decide_with(ours.n);
    let seeds_needed = (agreement == Agreement::CannotTell).then(|| {
        // With any number of seeds, the printed number remains uncertain.
        match decide(difference, error(std, f64::INFINITY, draws), critical(MOST_DF), margin) {
            Agreement::CannotTell => SeedsNeeded::NoNumber,
            _ => fewest(|n| decide_with(n) != Agreement::CannotTell),
        }
    });
    let half = critical((ours.n - 1) as f64).two_sided * error(std, ours.n as f64, draws);
    Difference { difference, interval: Some((difference - half, difference + half)), margin, agreement, seeds_needed }
}

/// The standard error of the difference.
fn error(std: f64, n: f64, draws: usize) -> f64 {
    std * (1.0 / n + 1.0 / draws.max(1) as f64).sqrt()
}

/// Quantiles of t.
#[derive(Clone, Copy)]
struct Critical {
    one_sided: f64,
    two_sided: f64,
}

fn critical(df: f64) -> Critical {
    // A one-sided test at a level is a two-sided one at twice the level.
    Critical { one_sided: two_sided_t(2.0 * ALPHA, df), two_sided: two_sided_t(ALPHA, df) }
}

fn decide(difference: f64, error: f64, critical: Critical, margin: f64) -> Agreement {
    let away = difference.abs();
    if away + critical.one_sided * error <= margin + ROUNDING {
        Agreement::Agrees
    } else if away - critical.two_sided * error > margin {
        Agreement::Differs
    } else {
        Agreement::CannotTell
    }
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap::over_seeds;
    use super::super::{mean, sample_std};
    use super::*;
    use crate::random::Stream;

    fn of(values: &[f64], printed: f64) -> Difference {
        compare(&over_seeds(values).unwrap(), printed, 1, Margin::default())
    }

    /// Mean 60, s = 0.2, n = 4 and one draw: error = 0.2 · √1.25 = 0.2236; t(3) = 2.3534 (one-sided), 3.1824 (two-sided).
    #[test]
    fn by_hand() {
        let ours = [59.8, 60.0, 60.0, 60.2];
        let std = over_seeds(&ours).unwrap().std.unwrap();
        let error = std * 1.25f64.sqrt();
        // Equivalent up to 1 − 2.3534 · error, different from 1 + 3.1824 · error on.
        let [within, beyond] = [1.0 - 2.353_363 * error, 1.0 + 3.182_446 * error];
        for (away, expected) in [
            (0.0, Agreement::Agrees),
            (within - 1e-4, Agreement::Agrees),
            (within + 1e-4, Agreement::CannotTell),
            (beyond - 1e-4, Agreement::CannotTell),
            (beyond + 1e-4, Agreement::Differs),
        ] {
            for sign in [1.0, -1.0] {
                assert_eq!(of(&ours, 60.0 + sign * away).agreement, expected, "{away}");
            }
        }
        let (low, high) = of(&ours, 59.0).interval.unwrap();
        assert!((low - (1.0 - 3.182_446 * error)).abs() < 1e-5 && (high - (1.0 + 3.182_446 * error)).abs() < 1e-5);
    }

    #[test]
    fn what_too_few_seeds_and_no_spread_say() {
        assert_eq!(of(&[60.0, 60.1], 60.0).agreement, Agreement::CannotTell);
        assert_eq!(of(&[60.0], 60.0).seeds_needed, None);
        assert_eq!(of(&[60.0; 3], 61.0).agreement, Agreement::Agrees);
        assert_eq!(of(&[60.0; 3], 61.5).agreement, Agreement::Differs);
    }

    /// With more seeds, only the paper's own draw stays uncertain: a wide spread hides agreement for good, a narrow one does
    /// not. As a mean of five, the paper's number is known better.
    #[test]
    fn seeds_that_would_tell() {
        let spread =
            |std: f64| over_seeds(&[-1.0, -0.5, 0.0, 0.5, 1.0].map(|x| 60.0 + x * std / 0.625f64.sqrt())).unwrap();
        let needed = |std, printed, draws| compare(&spread(std), printed, draws, Margin::default()).seeds_needed;
        assert_eq!(needed(3.0, 60.0, 1), Some(SeedsNeeded::NoNumber));
        let Some(SeedsNeeded::About(five)) = needed(3.0, 60.0, 5) else { panic!() };
        let Some(SeedsNeeded::About(narrow)) = needed(0.5, 60.0, 1) else { panic!() };
        assert!(five > 5 && narrow > 5, "{five} {narrow}");
        // It is the first number that tells.
        let tells =
            |n: usize| decide(0.0, error(3.0, n as f64, 5), critical((n - 1) as f64), 3.0) != Agreement::CannotTell;
        assert!(tells(five) && !tells(five - 1));
    }

    /// Numbers whose true means are apart by 0, 1 and 3 points, 20,000 times each: at most 5 % are said to agree that are apart
    /// by the margin, and at most 5 % to differ that are not farther apart.
    #[test]
    fn error_rates_are_as_stated() {
        const TIMES: usize = 20_000;
        let mut stream = Stream::new(1, &["agreement"]);
        let mut rates = |std: f64, n: usize, draws: usize, apart: f64, margin: Margin| {
            let (mut counts, critical) = ([0usize; 4], critical((n - 1) as f64));
            for _ in 0..TIMES {
                let ours: Vec<f64> = (0..n).map(|_| std * stream.normal()).collect();
                let difference = mean(&ours).unwrap() - apart - std * stream.normal() / (draws as f64).sqrt();
                let found = sample_std(&ours).unwrap();
                let word = decide(difference, error(found, n as f64, draws), critical, margin.of(found));
                counts[Agreement::ALL.iter().position(|known| *known == word).unwrap()] += 1;
            }
            counts.map(|count| count as f64 / TIMES as f64)
        };
        println!("margin spread seeds draws apart  agrees differs cannot-tell");
        let point = Margin { points: 1.0, deviations: 0.0 };
        for std in [0.1, 0.3, 1.0, 3.0] {
            for (n, draws) in [(3, 1), (5, 1), (5, 3), (10, 5)] {
                for (apart, margin) in [(0.0, point), (1.0, point), (3.0, point), (0.0, Margin::default())] {
                    let [agrees, differs, cannot_tell, _] = rates(std, n, draws, apart, margin);
                    println!(
                        "{:6} {std:6} {n:5} {draws:5} {apart:5}  {agrees:.3}  {differs:.3}   {cannot_tell:.3}",
                        margin.of(std)
                    );
                    // Both within three standard errors of the simulation.
                    let most = ALPHA + 0.005;
                    assert!(apart < margin.points || agrees <= most, "{std} {n} {draws} {apart}: agrees {agrees}");
                    assert!(apart > margin.points || differs <= most, "{std} {n} {draws} {apart}: differs {differs}");
                }
            }
        }
    }
}
