//! The five verdicts.
//!
//! A claim is a conjunction of comparisons. If all of them hold in the means, the claim's p is the largest of theirs,
//! since each has to be shown (intersection–union test: Berger 1982, "Multiparameter hypothesis testing and acceptance
//! sampling"). If some fail, its p is that of the strongest evidence against it: the smallest p of the failing ones, times
//! the number of comparisons (Bonferroni). Holm's correction is applied over the claims; p < α is significant.
//!
//! A claim that fails in the means has no verdict yet: noise may hide the difference. Its second p, `p_small`, is the
//! smallest p of a failing comparison's difference being meaningful after all (one-sided, non-superiority), corrected in
//! the same way over the same comparisons and claims. The two kinds of p answer different questions, so they are two
//! families, each with a probability of at most α of a wrong verdict among all claims.

use serde::Serialize;

use super::{Check, Judgement};
use crate::evaluation::statistics::holm::holm;
use crate::evaluation::statistics::paired::{LEAST_SEEDS, MOST_SEEDS, ROUNDING, SeedsNeeded, seeds_needed};
use crate::report::SuiteKind;
use crate::report::comparison::ALPHA;
use crate::report::results::SuiteDescription;
use crate::report::words::{sentence, several};

/// What the results say of a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every comparison holds, and the claim is significant.
    Reproduced,
    /// A comparison does not hold, its difference is significantly below the smallest meaningful one, and the opposite is
    /// not significant or not meaningful.
    NotReproduced,
    /// A comparison is reversed, significantly and by a meaningful difference.
    Contradicted,
    /// Nothing is significant, or there are fewer than three seeds.
    Undecided,
    /// Numbers are missing.
    #[default]
    NotRun,
}

/// Why the claims of a suite get no verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotJudged {
    /// The suite is a trial.
    Trial,
    /// The test split selected the epoch.
    SelectedByTest,
}

impl NotJudged {
    /// None for a suite that is judged.
    pub fn of(suite: &SuiteDescription) -> Option<Self> {
        match suite.kind {
            SuiteKind::Trial => Some(NotJudged::Trial),
            _ => suite.selected_by_test.then_some(NotJudged::SelectedByTest),
        }
    }

    /// What stands in the place of a verdict.
    pub fn name(self) -> &'static str {
        match self {
            NotJudged::Trial => "trial: not judged",
            NotJudged::SelectedByTest => "selected by the test split: not judged",
        }
    }

    /// In a sentence.
    pub fn explained(self) -> &'static str {
        match self {
            NotJudged::Trial => {
                "A run on part of the data, or on imitations of data and weights, says nothing about these claims."
            }
            NotJudged::SelectedByTest => {
                "An epoch that was picked by the test split scores too high on it, so its numbers say nothing about these \
                 claims."
            }
        }
    }
}

impl Verdict {
    /// In the order in which tallies list them.
    pub const ALL: [Verdict; 5] =
        [Verdict::Reproduced, Verdict::NotReproduced, Verdict::Contradicted, Verdict::Undecided, Verdict::NotRun];

    pub fn name(self) -> &'static str {
        match self {
            Verdict::Reproduced => "reproduced",
            Verdict::NotReproduced => "not reproduced",
            Verdict::Contradicted => "contradicted",
            Verdict::Undecided => "undecided",
            Verdict::NotRun => "not run",
        }
    }
}

/// Decides on all claims together.
///
/// # Returns
/// The family of tests, in words.
pub(super) fn decide(claims: &mut [Judgement]) -> String {
    for claim in claims.iter_mut().filter(|claim| claim.missing.is_empty()) {
        claim.p = p_of(&claim.comparisons);
        claim.p_small = p_small_of(&claim.comparisons);
    }
    let corrected = |p: fn(&Judgement) -> Option<f64>| holm(&claims.iter().filter_map(p).collect::<Vec<_>>());
    let mut of_p = corrected(|claim| claim.p).into_iter();
    let tests = of_p.len();
    // A claim that holds is in the family too: which claims fail is known only from the results.
    let mut of_p_small = corrected(|claim| claim.p_small.or(claim.p.map(|_| 1.0))).into_iter();
    for claim in claims.iter_mut() {
        claim.p_corrected = claim.p.and_then(|_| of_p.next());
        let small = (claim.p_small.is_some() || claim.p.is_some()).then(|| of_p_small.next()).flatten();
        claim.p_small_corrected = claim.p_small.and(small);
        let (verdict, because) = verdict(claim);
        (claim.verdict, claim.because) = (Some(verdict), because);
        if verdict == Verdict::Undecided {
            claim.seeds_needed = needed(claim, tests);
            if let Some(needed) = claim.seeds_needed {
                claim.because += &format!(" {}", in_words(needed));
            }
        }
    }
    format!("Holm's correction over the {tests} claims that could be tested")
}

/// The p of a claim: see the module. None if there are too few seeds, or a comparison has no spread.
fn p_of(checks: &[Check]) -> Option<f64> {
    if checks.iter().any(|check| check.n < LEAST_SEEDS) {
        return None;
    }
    let failing: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
    if failing.is_empty() {
        return checks.iter().map(|check| check.p).collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max);
    }
    let strongest = failing.iter().filter_map(|check| check.p).reduce(f64::min)?;
    Some((strongest * checks.len() as f64).min(1.0))
}

/// The p of a failing comparison's difference being meaningful. None if there are too few seeds, or nothing fails.
fn p_small_of(checks: &[Check]) -> Option<f64> {
    if checks.iter().any(|check| check.n < LEAST_SEEDS) {
        return None;
    }
    let smallest = smallest(checks)?.p_small?;
    Some((smallest * checks.len() as f64).min(1.0))
}

/// The failing comparison whose difference is most certainly not meaningful.
fn smallest(checks: &[Check]) -> Option<&Check> {
    let failing = checks.iter().filter(|check| !check.holds && check.p_small.is_some());
    failing.min_by(|a, b| f64::total_cmp(&a.p_small.unwrap_or(1.0), &b.p_small.unwrap_or(1.0)))
}

fn verdict(claim: &Judgement) -> (Verdict, String) {
    let checks = &claim.comparisons;
    if !claim.missing.is_empty() {
        let causes: Vec<String> = claim.missing.iter().map(|cause| sentence(cause)).collect();
        return (Verdict::NotRun, causes.join(" "));
    }
    let fewest = checks.iter().map(|check| check.n).min().unwrap_or(0);
    let failing: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
    let holding = holding(&failing, checks.len());
    if fewest < LEAST_SEEDS {
        let seeds = format!("{} {}", several(fewest as u64, "seed"), if fewest == 1 { "is" } else { "are" });
        return (Verdict::Undecided, format!("{holding}, but {seeds} too few for a test, which needs {LEAST_SEEDS}."));
    }
    let significant = claim.p_corrected.is_some_and(|p| p < ALPHA);
    if failing.is_empty() {
        return match (significant, claim.p_corrected) {
            (true, _) => (Verdict::Reproduced, format!("{holding}, significantly.")),
            (false, Some(_)) => (Verdict::Undecided, format!("{holding}, but not significantly.")),
            (false, None) => (Verdict::Undecided, format!("{holding}, but without variation there is no test.")),
        };
    }
    if significant && let Some(check) = strongest(&failing) {
        let evidence = format!("{holding}, significantly: it is not so that {}; {}", check.words, numbers(check));
        return match check.excess.abs() < check.smallest_effect {
            false => (Verdict::Contradicted, format!("{evidence}.")),
            true => {
                let least = check.smallest_effect;
                (Verdict::NotReproduced, format!("{evidence}, too small to matter (below {least})."))
            }
        };
    }
    match smallest(checks).filter(|_| claim.p_small_corrected.is_some_and(|p| p < ALPHA)) {
        Some(check) => {
            let least = check.smallest_effect;
            let small = format!("a difference is surely too small to matter (below {least}): that {}", check.words);
            (Verdict::NotReproduced, format!("{holding}, none significantly, and {small}; {}.", numbers(check)))
        }
        None => {
            let alone = failing.iter().any(|check| check.p.is_some_and(|p| p < ALPHA));
            let corrected = if alone { " after correction for the number of tests" } else { "" };
            let none = if failing.len() == 1 { "not" } else { "none" };
            (Verdict::Undecided, format!("{holding}, {none} significantly{corrected}."))
        }
    }
}

/// How many comparisons hold: `All 8 comparisons hold`, `2 of 8 comparisons go the other way`.
fn holding(failing: &[&Check], all: usize) -> String {
    let reversed = failing.iter().all(|check| check.excess < -ROUNDING);
    match (failing.len(), all, reversed) {
        (0, 1, _) => "The comparison holds".to_owned(),
        (0, all, _) => format!("All {all} comparisons hold"),
        (_, 1, true) => "The comparison goes the other way".to_owned(),
        (_, 1, false) => "The comparison does not hold".to_owned(),
        (1, all, true) => format!("1 of {all} comparisons goes the other way"),
        (1, all, false) => format!("1 of {all} comparisons does not hold"),
        (n, all, true) => format!("{n} of {all} comparisons go the other way"),
        (n, all, false) => format!("{n} of {all} comparisons do not hold"),
    }
}

/// The failing comparison that is most certainly reversed.
fn strongest<'a>(failing: &[&'a Check]) -> Option<&'a Check> {
    let tested = failing.iter().filter_map(|check| Some((check.p?, *check)));
    tested.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, check)| check)
}

/// A difference with its interval.
fn numbers(check: &Check) -> String {
    let interval = check.interval.map_or(String::new(), |i| format!(" (95 %: {} to {})", short(i.low), short(i.high)));
    format!("the difference is {}{interval}", short(check.excess))
}

/// How many seeds might decide an undecided claim: if it holds, as many as its least certain comparison needs; if it
/// fails, as many as show that a comparison is reversed or its difference not meaningful. The level is α divided by the
/// number of claims (Bonferroni).
fn needed(claim: &Judgement, tests: usize) -> Option<SeedsNeeded> {
    let checks = &claim.comparisons;
    let alpha = ALPHA / tests.max(1) as f64;
    let have = checks.iter().map(|check| check.n).min()?;
    let failing: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
    let needs = |check: &Check| seeds_needed(&check.estimate, alpha);
    let found = match failing.is_empty() {
        true => checks.iter().map(needs).collect::<Option<Vec<_>>>()?.into_iter().max(),
        false => {
            let alpha = alpha / checks.len() as f64;
            let reversed = failing.iter().filter_map(|check| seeds_needed(&check.estimate, alpha));
            let meaningful = failing.iter().filter(|check| check.p_small.is_some());
            let small = meaningful.filter_map(|check| {
                let mut below = check.estimate.clone();
                below.mean -= check.smallest_effect;
                seeds_needed(&below, 2.0 * alpha)
            });
            reversed.chain(small).min()
        }
    };
    // The approximation may say that the present seeds are enough: they were not.
    found.map(|found| match found {
        SeedsNeeded::About(n) => SeedsNeeded::About(n.max(have + 1)),
        other => other,
    })
}

fn in_words(needed: SeedsNeeded) -> String {
    match needed {
        SeedsNeeded::About(n) => format!("About {n} seeds would suffice for differences of this size."),
        SeedsNeeded::MoreThan(_) => format!("Even {MOST_SEEDS} seeds would not settle differences this small."),
        SeedsNeeded::NoNumber => "More seeds cannot settle this: the test set is too small.".to_owned(),
    }
}

/// A p-value, with `=` or `<` in front.
pub(super) fn probability(p: f64) -> String {
    if p < 1e-4 { "< 0.0001".to_owned() } else { format!("= {}", short(p)) }
}

/// A number with as many digits as a reader needs.
pub(super) fn short(number: f64) -> String {
    let number = if number.abs() <= ROUNDING { 0.0 } else { number };
    match number.abs() {
        x if x == 0.0 || x >= 0.1 => format!("{number:.2}"),
        x if x >= 1e-4 => format!("{number:.4}"),
        _ => format!("{number:.1e}"),
    }
}
