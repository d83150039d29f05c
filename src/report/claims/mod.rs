//! What the paper claims, checked in a suite's results, with a verdict on each claim.
//!
//! [`grammar`] is the file `experiments/claims.toml`; a claim is a conjunction of comparisons, which are measured in the
//! results ([`measure`]) and looked up in what the paper prints ([`printed`]). The five verdicts are
//! [`verdict::Verdict`]; a trial gets none, nor does a suite whose epochs the test split selects ([`verdict::NotJudged`]).

pub mod grammar;
pub mod measure;
pub mod printed;
pub(in crate::report) mod text;
pub mod verdict;

use std::collections::BTreeMap;

use serde::Serialize;

pub use grammar::Claims;
pub use verdict::{NotJudged, Verdict};

use super::reference::Reference;
use super::results::Results;
use super::{SuiteKind, value_of};
use crate::evaluation::statistics::bootstrap::{Estimate, Interval};
use crate::evaluation::statistics::paired::SeedsNeeded;
use measure::Missing;

/// The verdicts on all claims, or the claims of a suite that gets none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgements {
    pub suite: String,
    #[serde(rename = "type")]
    pub kind: SuiteKind,
    /// What the verdicts are about: the paper's claims, or something less.
    pub about: &'static str,
    /// The paper's dataset → the suite's that stands for it; empty for the paper's own.
    pub standing: BTreeMap<String, String>,
    pub seeds: Vec<u64>,
    pub alpha: f64,
    /// Why there are no verdicts, if there are none.
    #[serde(skip)]
    pub not_judged: Option<NotJudged>,
    /// Over what `p-corrected` is corrected; none where nothing is tested.
    pub family: Option<String>,
    pub smallest_effect: grammar::SmallestEffect,
    pub claims: Vec<Judgement>,
}

impl Judgements {
    /// How many claims have which verdict, without verdicts that none has; empty if there are none.
    pub fn tally(&self) -> Vec<(Verdict, usize)> {
        let count = |verdict| (verdict, self.claims.iter().filter(|claim| claim.verdict == Some(verdict)).count());
        Verdict::ALL.map(count).into_iter().filter(|(_, n)| *n > 0).collect()
    }
}

/// The verdict on a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Judgement {
    pub id: String,
    pub says: String,
    /// Where the paper says or shows it.
    pub at: String,
    /// The tables and figures that show it.
    pub shown: Vec<String>,
    /// What it measures, a sentence each.
    pub defined: Vec<String>,
    /// None where the suite is not judged.
    pub verdict: Option<Verdict>,
    /// Why, in a sentence.
    pub because: String,
    /// See [`verdict`].
    pub p: Option<f64>,
    pub p_corrected: Option<f64>,
    /// For a claim that does not hold: of a meaningful difference after all; see [`verdict`].
    pub p_small: Option<f64>,
    pub p_small_corrected: Option<f64>,
    /// How many seeds might decide an undecided claim.
    pub seeds_needed: Option<SeedsNeeded>,
    /// Whether the paper's own printed numbers satisfy the claim.
    pub paper: printed::Printed,
    /// The comparisons that it is made of; none where nothing is measured.
    pub comparisons: Vec<Check>,
    /// Numbers that are missing, and why.
    pub missing: Vec<String>,
}

impl Judgement {
    /// The verdict, or why there is none.
    pub fn verdict_name(&self) -> &str {
        match self.verdict {
            Some(verdict) => verdict.name(),
            None => &self.because,
        }
    }
}

/// A comparison of a claim, as measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// `missing-gap of agm > missing-gap of balgrad on food101`.
    pub says: String,
    /// The same as a part of a sentence.
    pub words: String,
    pub dataset: String,
    pub holds: bool,
    /// The mean of the side that should be greater, and of the other one.
    pub greater: f64,
    pub smaller: Option<f64>,
    /// The mean difference over common seeds.
    pub excess: f64,
    /// The same difference in the paper's own numbers; none if it does not print both sides, or is about other datasets.
    pub printed: Option<f64>,
    pub interval: Option<Interval>,
    /// Common seeds.
    pub n: usize,
    pub p: Option<f64>,
    /// One-sided, of a meaningful difference. None where equality is enough: then any difference is meaningful.
    pub p_small: Option<f64>,
    /// Cohen's d_z.
    pub effect: Option<f64>,
    #[serde(skip)]
    estimate: Estimate,
    /// The smallest meaningful difference.
    #[serde(skip)]
    pub(in crate::report) smallest_effect: f64,
}

/// Judges every claim. The numbers of a suite that gets no verdicts mean nothing for them, so they are not measured either.
///
/// # Errors
/// A usage error if the suite is not the paper's and has no mapping.
pub fn judge(claims: &Claims, results: &Results, reference: &Reference) -> anyhow::Result<Judgements> {
    let suite = &results.suite;
    let mapping = claims.mapping(&suite.suite, suite.kind)?;
    let not_judged = NotJudged::of(suite);
    let weighed = claims.claims.iter().map(|claim| match not_judged {
        Some(why) => Judgement { because: why.name().to_owned(), ..unjudged(claims, claim, results, reference) },
        None => weigh(claims, claim, results, mapping, reference),
    });
    let mut judged: Vec<Judgement> = weighed.collect();
    let family = not_judged.is_none().then(|| verdict::decide(&mut judged));
    Ok(Judgements {
        suite: suite.suite.clone(),
        kind: suite.kind,
        about: match (not_judged, mapping) {
            (Some(why), _) => why.name(),
            (_, Some(_)) => "generality, not the paper's claims: the paper's method on other datasets",
            (_, None) => "the paper's claims",
        },
        standing: mapping.map(|mapping| mapping.datasets.clone()).unwrap_or_default(),
        seeds: suite.seeds.clone(),
        alpha: super::comparison::ALPHA,
        not_judged,
        family,
        smallest_effect: claims.smallest_effect,
        claims: judged,
    })
}

/// A claim of which nothing was measured.
fn unjudged(claims: &Claims, claim: &grammar::Claim, results: &Results, reference: &Reference) -> Judgement {
    Judgement {
        id: claim.id.clone(),
        says: claim.says.clone(),
        at: claim.at.clone(),
        shown: claim.shown.clone(),
        defined: claim.definitions(&claims.compared),
        paper: printed::check(&claim.assertions(&claims.compared), reference, |one| {
            measure::in_words(results, &one.dataset, one)
        }),
        ..Judgement::default()
    }
}

/// A claim with its comparisons, measured, and without a verdict yet.
fn weigh(
    claims: &Claims,
    claim: &grammar::Claim,
    results: &Results,
    mapping: Option<&grammar::Mapping>,
    reference: &Reference,
) -> Judgement {
    let (mut comparisons, mut missing) = (Vec::new(), Vec::new());
    for assertion in &claim.assertions(&claims.compared) {
        let here = match mapping {
            None => Some(&assertion.dataset),
            Some(mapping) => mapping.datasets.get(&assertion.dataset),
        };
        let unmapped = || Missing::plain(format!("no dataset of the suite stands for `{}`", assertion.dataset));
        match here
            .ok_or_else(unmapped)
            .and_then(|here| measure::check(results, here, assertion, claims.smallest_effect))
        {
            Ok(check) => {
                let printed = mapping.is_none().then(|| printed::difference(assertion, reference)).flatten();
                comparisons.push(Check { printed, ..check });
            }
            Err(cause) => missing.push(cause),
        }
    }
    Judgement { comparisons, missing: grouped(&missing), ..unjudged(claims, claim, results, reference) }
}

/// Missing numbers by the first line of their cause: a single number by its name, several by their datasets.
fn grouped(missing: &[Missing]) -> Vec<String> {
    let first_line = |missing: &Missing| missing.cause.lines().next().unwrap_or_default().to_owned();
    let mut groups: Vec<((String, bool), Vec<&Missing>)> = Vec::new();
    for one in missing {
        value_of(&mut groups, (first_line(one), one.of.is_some())).push(one);
    }
    let line = |((cause, _), mut group): (_, Vec<&Missing>)| {
        group.dedup();
        let mut datasets: Vec<&str> = group.iter().filter_map(|one| Some(one.of.as_ref()?.1.as_str())).collect();
        datasets.dedup();
        match (group.as_slice(), datasets.is_empty()) {
            ([one], _) => Missing { cause, ..(*one).clone() }.to_string(),
            (_, true) => cause,
            (_, false) => format!("{}: {cause}", datasets.join(", ")),
        }
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
