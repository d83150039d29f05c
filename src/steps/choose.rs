//! Chooses among the candidates of a sweep by their scores on the validation split; the test split is not used.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::job::{Job, Outputs};
use super::kind::Describe;
use super::train::Summary;
use crate::errors;
use crate::methods::MethodOptions;
use crate::store::Ingredients;
use crate::terms::Selection;

/// Chooses the candidate with the highest mean validation score over all seeds, the first one in case of a tie, and
/// passes on its training with one of the seeds. A candidate without results for some seed is never chosen.
///
/// | input | content |
/// |---|---|
/// | `summary I SEED` | the [`Summary`] of candidate I, for each candidate and seed |
/// | `weights I`, `weights.SELECTION I`, `trace I` | candidate I's training with this seed |
///
/// | output | content |
/// |---|---|
/// | `weights`, `weights.SELECTION`, `trace`, `summary` | those of the chosen candidate with this seed |
/// | `choice` | a [`Choice`] |
#[derive(Clone, Debug)]
pub struct Choose {
    /// The dataset's name in the suite.
    pub dataset: String,
    /// The method's name in the suite.
    pub name: String,
    pub candidates: Vec<MethodOptions>,
    pub seeds: Vec<u64>,
    pub seed: u64,
    /// The other selections, whose weights it passes on. They do not choose.
    pub others: Vec<Selection>,
}

/// The result of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The criterion, for people.
    pub by: String,
    pub chosen: MethodOptions,
    pub candidates: Vec<Candidate>,
}

/// A combination of the values swept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub options: MethodOptions,
    /// The validation score of the selected epoch in percent, averaged over the seeds; none if a training has no results.
    pub validation: Option<f64>,
    /// Why there is no validation score.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

/// The role of a candidate's summary.
pub fn summary_role(candidate: usize, seed: u64) -> String {
    format!("summary {candidate} {seed}")
}

/// The role of another output of a candidate's training with this seed.
pub fn role(output: &str, candidate: usize) -> String {
    format!("{output} {candidate}")
}

/// The outputs of the chosen training that are copied.
pub fn passed_on(others: &[Selection]) -> Vec<String> {
    let others = others.iter().map(|selection| selection.named("weights"));
    ["weights", "trace"].map(str::to_owned).into_iter().chain(others).collect()
}

impl Describe for Choose {
    fn label(&self) -> String {
        format!("choose {} {} seed {}", self.dataset, self.name, self.seed)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        let Choose { dataset: _, name: _, candidates, seeds, seed, others } = self;
        list.options("candidates", candidates);
        list.options("seeds", seeds);
        list.natural("seed", *seed);
        if !others.is_empty() {
            list.options("other selections", others);
        }
    }

    fn tolerates_absent_inputs(&self) -> bool {
        true
    }
}

impl Choose {
    fn candidate(&self, job: &Job, at: usize, options: &MethodOptions) -> anyhow::Result<Candidate> {
        let mut sum = 0.0;
        for &seed in &self.seeds {
            let role = summary_role(at, seed);
            if let Some(absence) = job.absent.get(&*role) {
                let cause = Some(format!("seed {seed}: {absence}"));
                return Ok(Candidate { options: options.clone(), validation: None, cause });
            }
            let summary: Summary = job.read_json(&role)?;
            let epoch = (summary.selected_epoch as usize).checked_sub(1);
            let score = epoch.and_then(|epoch| summary.validation.get(epoch));
            sum +=
                score.with_context(|| format!("the input `{role}` has no validation score of its selected epoch"))?;
        }
        let validation = Some(sum / self.seeds.len() as f64);
        Ok(Candidate { options: options.clone(), validation, cause: None })
    }

    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let candidates: Vec<Candidate> = self
            .candidates
            .iter()
            .enumerate()
            .map(|(at, options)| self.candidate(job, at, options))
            .collect::<anyhow::Result<_>>()?;
        let chosen = first_highest(candidates.iter().map(|candidate| candidate.validation)).ok_or_else(|| {
            let causes: Vec<&str> = candidates.iter().filter_map(|candidate| candidate.cause.as_deref()).collect();
            errors::failed(
                format!("no candidate of {} was trained with every seed: {}", self.name, causes.join("; ")),
                "fix what made these trainings fail, and run the same command again",
            )
        })?;
        let mut outputs = Outputs::new();
        for output in passed_on(&self.others) {
            let path = job.folder.join(&output);
            let source = &job.input(&role(&output, chosen))?.path;
            std::fs::copy(source, &path).with_context(|| format!("cannot copy {}", source.display()))?;
            outputs.insert(output, path);
        }
        let summary: Summary = job.read_json(&summary_role(chosen, self.seed))?;
        let choice = Choice {
            by: format!("mean {} on the validation split over {} seeds", summary.metric, self.seeds.len()),
            chosen: self.candidates[chosen].clone(),
            candidates,
        };
        outputs.extend([job.write_json("summary", &summary)?, job.write_json("choice", &choice)?]);
        Ok(outputs)
    }
}

/// The index of the highest finite number, the first one in case of a tie.
fn first_highest(scores: impl Iterator<Item = Option<f64>>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, score) in scores.enumerate() {
        if let Some(score) = score.filter(|score| score.is_finite() && best.is_none_or(|(_, most)| *score > most)) {
            best = Some((at, score));
        }
    }
    best.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_best_is_chosen() {
        let chosen = |scores: &[Option<f64>]| first_highest(scores.iter().copied());
        assert_eq!(chosen(&[Some(1.0), Some(3.0), Some(3.0), None]), Some(1));
        assert_eq!(chosen(&[None, Some(f64::NAN), Some(2.0)]), Some(2));
        assert_eq!(chosen(&[None, None]), None);
    }
}
