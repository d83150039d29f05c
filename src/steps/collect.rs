//! Collects the scores of all cells of a suite into its results. Cells without scores are part of it, with the cause.

use std::collections::BTreeMap;

use anyhow::Context;

use super::evaluate::Scores;
use super::{Absence, Compute, InputFile, Job, Kind, Outputs, Step};
use crate::datasets::Modality;
use crate::report::results::{
    Cell, CellScores, DatasetDescription, MissingLevel, NoisyScores, Outcome, Provenance, SuiteDescription, collect,
};
use crate::report::summary::TraceSummary;
use crate::report::{self, trace};
use crate::store::Ingredients;

/// Collects a suite. Output `results`: a JSON file of [`report::results::Results`].
#[derive(Clone, Debug)]
pub struct Collect {
    pub suite: SuiteDescription,
}

/// The conditions of each cell.
const CONDITIONS: [&str; 3] = ["full", "missing", "noisy"];

/// The role of a cell's scores under a condition, of its `weights` or of its `trace`.
pub fn role(condition: &str, dataset: &str, method: &str, seed: u64) -> String {
    format!("{condition} {dataset} {method} {seed}")
}

impl Step for Collect {
    fn kind(&self) -> Kind {
        Kind::Collect
    }

    fn label(&self) -> String {
        "collect results".to_owned()
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Everything that captions say, names and titles included: they are in the output.
        let Collect { suite } = self;
        list.natural("report's recipe", report::RECIPE);
        list.options("suite", suite);
    }

    fn tolerates_absent_inputs(&self) -> bool {
        true
    }
}

impl Compute for Collect {
    fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let mut cells = Vec::new();
        for dataset in &self.suite.datasets {
            for method in &self.suite.methods {
                for &seed in &self.suite.seeds {
                    let outcome = outcome(job, &self.suite, dataset, &method.name, seed)?;
                    cells.push(Cell { dataset: dataset.name.clone(), method: method.name.clone(), seed, outcome });
                }
            }
        }
        let results = collect(self.suite.clone(), &cells)?;
        let mut text = serde_json::to_vec_pretty(&results)?;
        text.push(b'\n');
        Ok(BTreeMap::from([("results".to_owned(), job.write("results.json", &text)?)]))
    }
}

fn outcome(
    job: &Job,
    suite: &SuiteDescription,
    described: &DatasetDescription,
    method: &str,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let dataset = &described.name;
    let roles = CONDITIONS.map(|condition| role(condition, dataset, method, seed));
    if let Some(absence) = roles.iter().find_map(|role| job.absent.get(role)) {
        return Ok(match absence {
            Absence::Failed(cause) => Outcome::Failed { cause: cause.clone() },
            Absence::NotRun(cause) => failed_or_not_run(cause),
        });
    }
    let [full, missing, noisy] = &roles;
    let full: Scores = job.read_json(full)?;
    let missing: Scores = job.read_json(missing)?;
    let noisy: Scores = job.read_json(noisy)?;
    let number = |scores: &Scores, modality, ratio| scores.find(modality, ratio).unwrap_or(f64::NAN);
    let level = |&ratio: &f64| MissingLevel {
        ratio,
        image: number(&missing, Some(Modality::Image), Some(ratio)),
        text: number(&missing, Some(Modality::Text), Some(ratio)),
    };
    let mut provenance = Provenance::default();
    for (condition, role) in CONDITIONS.iter().zip(&roles) {
        let InputFile { sha256, key, path: _ } = job.input(role)?;
        provenance.keys.insert(format!("evaluate {condition}"), key.clone());
        provenance.inputs.insert(format!("scores {condition}"), sha256.clone());
    }
    for output in ["weights", "trace"] {
        if let Ok(InputFile { sha256, key, path: _ }) = job.input(&role(output, dataset, method, seed)) {
            provenance.keys.insert("train".to_owned(), key.clone());
            provenance.inputs.insert(output.to_owned(), sha256.clone());
        }
    }
    Ok(Outcome::Scored(CellScores {
        full: number(&full, None, None),
        missing: suite.ratios.iter().map(level).collect(),
        noisy: NoisyScores {
            image: number(&noisy, Some(Modality::Image), None),
            text: number(&noisy, Some(Modality::Text), None),
        },
        trace: summary(job, &role("trace", dataset, method, seed), described.epochs)?,
        provenance,
    }))
}

/// What a training's trace comes to; none if it could not be made.
fn summary(job: &Job, role: &str, epochs: u32) -> anyhow::Result<Option<TraceSummary>> {
    if job.absent.contains_key(role) {
        return Ok(None);
    }
    let path = &job.input(role)?.path;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary = trace::read(&bytes).and_then(|columns| TraceSummary::of(&columns, epochs));
    summary.map(Some).with_context(|| format!("the input `{role}` ({}) is malformed", path.display()))
}

/// An evaluation did not run because its own training failed: the cell failed. Because of anything else (a download):
/// the cell did not run.
fn failed_or_not_run(cause: &str) -> Outcome {
    match cause.strip_prefix("`train ").and_then(|rest| rest.split_once("` failed: ")) {
        Some((_, cause)) => Outcome::Failed { cause: cause.to_owned() },
        None => Outcome::NotRun { cause: cause.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_training_is_a_failed_cell() {
        let failed = failed_or_not_run("`train emoji-words balgrad seed 1` failed: loss_T is NaN");
        assert_eq!(failed, Outcome::Failed { cause: "loss_T is NaN".into() });
        let cause = "`fetch emoji.whl` failed: no pip";
        assert_eq!(failed_or_not_run(cause), Outcome::NotRun { cause: cause.into() });
    }
}
