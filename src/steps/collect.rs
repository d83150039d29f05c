//! Collects the scores of a suite's cells into its results, and why the other cells have none.

use std::sync::Arc;

use anyhow::Context;

use super::Kind;
use super::absence::{Absence, Origin, Status};
use super::condition::Condition;
use super::evaluate::Scores;
use super::job::{InputFile, Job, Outputs};
use super::kind::{Cost, Describe};
use super::train::{self, Summary};
use crate::files;
use crate::report;
use crate::report::agreement::{Agreements, Margin, Published};
use crate::report::choices;
use crate::report::reference::Reference;
use crate::report::replicates::{Level, MethodReplicates, Replicates};
use crate::report::results::{
    Cell, CellScores, OtherSelection, Outcome, Provenance, Quantity, SelectedCell, SuiteDescription, collect_other,
    collect_with,
};
use crate::report::summary::TraceSummary;
use crate::store::Ingredients;
use crate::terms::Selection;

/// Collects a suite. Output `results`: a JSON file of [`report::results::Results`].
#[derive(Clone, Debug)]
pub struct Collect {
    /// `results`, or the table or figure that shows the results.
    pub of: String,
    /// The suite, or the part of it to collect.
    pub suite: Box<SuiteDescription>,
    /// The quantities shown, for whose number p-values are corrected; none for all.
    pub quantities: Option<Vec<Quantity>>,
    /// The paper's numbers, to compare ours with.
    pub paper: Option<Arc<Reference>>,
}

/// The role of the resampled scores of a method's trainings on a dataset.
pub fn replicates_role(dataset: &str, method: &str) -> String {
    format!("replicates {dataset} {method}")
}

/// The role of a cell's scores under a condition (by its name), or of its training's `weights`, `trace`, `summary` or
/// `choice`. Those of another selection are called by [`Selection::named`].
pub fn role(what: &str, dataset: &str, method: &str, seed: u64) -> String {
    format!("{what} {dataset} {method} {seed}")
}

impl Describe for Collect {
    fn label(&self) -> String {
        format!("collect {}", self.of)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Everything that captions say, names and titles included, is in the output.
        let Collect { of: _, suite, quantities, paper } = self;
        list.natural("report's recipe", report::RECIPE);
        list.options("suite", suite);
        list.options("quantities", quantities);
        if let Some(paper) = paper {
            list.digest("the paper's numbers", paper.sha256);
        }
    }

    fn tolerates_absent_inputs(&self) -> bool {
        true
    }

    /// The cells of a large suite fill the memory: one suite's at a time.
    fn cost(&self) -> Cost {
        Cost::AllCores
    }
}

impl Collect {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let mut cells = Vec::new();
        let mut replicates = Replicates::default();
        for dataset in &self.suite.datasets {
            for method in self.suite.methods.iter().filter(|method| dataset.methods.contains(&method.name)) {
                let role = replicates_role(&dataset.name, &method.name);
                // Without them, intervals are over seeds alone.
                if job.inputs.contains_key(&*role) {
                    let scores = job.open(&role, MethodReplicates::open)?;
                    replicates.insert((dataset.name.clone(), method.name.clone()), scores);
                }
                for &seed in &self.suite.seeds {
                    let outcome = outcome(job, &self.suite, (&dataset.name, &method.name, seed), None)?;
                    cells.push(Cell { dataset: dataset.name.clone(), method: method.name.clone(), seed, outcome });
                }
            }
        }
        let mut results = collect_with((*self.suite).clone(), cells, &replicates)?;
        for selection in Selection::ALL {
            if self.suite.datasets.iter().any(|dataset| dataset.has_other(selection)) {
                results.other_selections.push(self.other(job, selection)?);
            }
        }
        if let Some(quantities) = &self.quantities {
            results.comparisons.restrict(quantities);
        }
        let paper = self.paper.as_ref().and_then(|paper| Agreements::of(&results, paper, Margin::default()));
        let published = Published { results: &results, choices: choices::of(&results)?, paper };
        let path = job.folder.join("results");
        files::write_json(&path, &published)?;
        Ok(Outputs::from([("results".to_owned(), path)]))
    }

    /// The cells of another selection, and the epochs that it kept.
    fn other(&self, job: &Job, selection: Selection) -> anyhow::Result<OtherSelection> {
        let suite = SuiteDescription { ratios: vec![1.0], ..(*self.suite).clone() };
        let (mut cells, mut selected) = (Vec::new(), Vec::new());
        for dataset in suite.datasets.iter().filter(|dataset| dataset.has_other(selection)) {
            for (method, seed) in
                dataset.methods.iter().flat_map(|method| suite.seeds.iter().map(move |&seed| (method, seed)))
            {
                let outcome = outcome(job, &suite, (&dataset.name, method, seed), Some(selection))?;
                if let Outcome::Scored(scores) = &outcome {
                    let summary: Summary = job.read_json(&role("summary", &dataset.name, method, seed))?;
                    let is_it = |other: &&train::Selected| other.selection == selection;
                    let kept = summary.others.iter().find(is_it).context("a training kept no such epoch")?;
                    selected.push(SelectedCell {
                        dataset: dataset.name.clone(),
                        method: method.clone(),
                        seed,
                        epoch: kept.epoch,
                        score: kept.score,
                        provenance: scores.provenance.clone(),
                    });
                }
                cells.push(Cell { dataset: dataset.name.clone(), method: method.clone(), seed, outcome });
            }
        }
        collect_other(&suite, selection, &cells, selected)
    }
}

/// The scores of a cell, with the suite's selection of the epoch or another one.
fn outcome(
    job: &Job,
    suite: &SuiteDescription,
    (dataset, method, seed): (&str, &str, u64),
    other: Option<Selection>,
) -> anyhow::Result<Outcome> {
    let of_selection = |what: &str| {
        let what = other.map_or_else(|| what.to_owned(), |other| other.named(what));
        role(&what, dataset, method, seed)
    };
    let roles = Condition::ALL.map(|condition| of_selection(condition.name()));
    if let Some(absence) = roles.iter().find_map(|role| job.absent.get(&**role)) {
        return Ok(failed_or_not_run(absence));
    }
    let [full, missing, noisy] = &roles;
    let full: Scores = job.read_json(full)?;
    let missing: Scores = job.read_json(missing)?;
    let noisy: Scores = job.read_json(noisy)?;
    let score = |level: Level| match level {
        Level::Full => full.find(None, None),
        Level::Missing(modality, ratio) => missing.find(Some(modality), Some(ratio)),
        Level::Noisy(modality) => noisy.find(Some(modality), None),
    };
    let mut provenance = Provenance::default();
    let mut came_from = |role: &str, step: String, content: String| {
        if let Some(InputFile { sha256, key, .. }) = job.inputs.get(role) {
            provenance.keys.insert(step, *key);
            provenance.inputs.insert(content, *sha256);
        }
    };
    for (condition, role) in Condition::ALL.map(Condition::name).into_iter().zip(&roles) {
        came_from(role, format!("evaluate {condition}"), format!("scores {condition}"));
    }
    let weights = of_selection("weights");
    came_from(&weights, "train".into(), "weights".into());
    let levels = Level::all(&suite.ratios).into_iter().map(|level| (level, score(level).unwrap_or(f64::NAN))).collect();
    if other.is_none() {
        came_from(&replicates_role(dataset, method), "resample".into(), "replicates".into());
        came_from(&role("trace", dataset, method, seed), "train".into(), "trace".into());
    }
    // Not those behind replicates, which are of all seeds.
    let behind = roles.iter().chain([&weights]).filter_map(|role| job.inputs.get(&**role));
    provenance.computed_by = behind.flat_map(|input| &input.processors).map(ToString::to_string).collect();
    if other.is_some() {
        return Ok(Outcome::Scored(CellScores { levels, trace: None, provenance }));
    }
    let choice = role("choice", dataset, method, seed);
    if job.inputs.contains_key(&*choice) {
        provenance.choice = Some(Box::new(job.read_json(&choice)?));
    }
    Ok(Outcome::Scored(CellScores {
        levels,
        trace: trace(job, ["trace", "summary"].map(|output| role(output, dataset, method, seed)))?,
        provenance,
    }))
}

/// The summary of a training's trace; none without the trace. The number of epochs is that of the training, since a method
/// may have its own settings.
fn trace(job: &Job, [trace, summary]: [String; 2]) -> anyhow::Result<Option<TraceSummary>> {
    if [&trace, &summary].into_iter().any(|role| job.absent.contains_key(&**role)) {
        return Ok(None);
    }
    let Summary { epochs, .. } = job.read_json(&summary)?;
    job.parse(&trace, |bytes| TraceSummary::of(&report::trace::read(bytes)?, epochs)).map(Some)
}

/// The cell failed if its own training, choice or evaluation did. If anything before them did, it was not run.
fn failed_or_not_run(absence: &Absence) -> Outcome {
    let of_the_cell = |origin: &&Origin| {
        origin.status == Status::Failed && matches!(origin.kind, Kind::Train | Kind::Choose | Kind::Evaluate)
    };
    match absence.origin.as_ref().filter(of_the_cell) {
        Some(_) => Outcome::Failed { cause: absence.cause.clone() },
        None => Outcome::NotRun { cause: absence.in_short() },
    }
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::super::evaluate::Level;
    use super::*;
    use crate::digest::Digest;
    use crate::report::SuiteKind;
    use crate::report::results::{Results, Status};
    use crate::report::samples::description;
    use crate::steps;
    use crate::terms::Modality::{Image, Text};

    #[test]
    fn a_failed_training_is_a_failed_cell() {
        let absence = |kind, status| Absence {
            status: steps::Status::NotRun,
            origin: Some(Origin { step: "its label".into(), kind, status }),
            cause: "why".into(),
            detail: Some("why, here".into()),
            hint: None,
        };
        for kind in [Kind::Train, Kind::Choose, Kind::Evaluate] {
            let failed = failed_or_not_run(&absence(kind, steps::Status::Failed));
            assert_eq!(failed, Outcome::Failed { cause: "why".into() });
        }
        let not_run = |kind, status| failed_or_not_run(&absence(kind, status));
        let encode = Outcome::NotRun { cause: "`its label` failed: why".into() };
        assert_eq!(not_run(Kind::Encode, steps::Status::Failed), encode);
        let fetch = Outcome::NotRun { cause: "why".into() };
        assert_eq!(not_run(Kind::Fetch, steps::Status::Unavailable), fetch);
    }

    /// One cell, whose method has its own settings: its trace has two epochs.
    fn tiny() -> SuiteDescription {
        let part = ["words", "balgrad"].map(|name| vec![name.to_owned()]);
        let suite = description(SuiteKind::Smoke, &[3]).restricted(&part[0], &part[1]).unwrap();
        SuiteDescription { ratios: vec![1.0], ..suite }
    }

    /// A job with the inputs of the only cell, with this trace or none.
    fn job(folder: &std::path::Path, trace: Option<&[u8]>) -> Job {
        let level = |modality, ratio, score| Level { modality, ratio, impaired: 0, score };
        let impaired = |ratio| vec![level(Some(Image), ratio, 20.0), level(Some(Text), ratio, 30.0)];
        let scores = |levels| serde_json::to_vec(&Scores { metric: String::new(), samples: 4, levels }).unwrap();
        let others = Vec::new();
        let summary = Summary {
            selected_epoch: 2,
            epochs: 2,
            validation: vec![1.0, 2.0],
            metric: String::new(),
            parameters: 1,
            others,
        };
        let mut files = vec![
            ("full", scores(vec![level(None, None, 40.0)])),
            ("missing", scores(impaired(Some(1.0)))),
            ("noisy", scores(impaired(None))),
            ("summary", serde_json::to_vec(&summary).unwrap()),
        ];
        files.extend(trace.map(|trace| ("trace", trace.to_vec())));
        let role = |what| role(what, "words", "balgrad", 3);
        let mut job = Job::with_inputs(folder, files.into_iter().map(|(what, bytes)| (role(what), bytes)));
        if trace.is_none() {
            job.absent.insert(role("trace").into(), Absence::not_run("its training failed"));
        }
        job
    }

    fn columns(columns: &[(&str, [f32; 4])]) -> Vec<u8> {
        let bytes = |column: &[f32; 4]| column.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let columns: Vec<_> = columns.iter().map(|(name, column)| (*name, bytes(column))).collect();
        let view = |(name, bytes)| (name, TensorView::new(Dtype::F32, vec![4], bytes).unwrap());
        safetensors::serialize(columns.iter().map(|(name, bytes)| view((*name, bytes.as_slice()))), None).unwrap()
    }

    fn collected(trace: Option<&[u8]>) -> anyhow::Result<Results> {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Collect { of: "results".into(), suite: tiny().into(), quantities: None, paper: None }
            .compute(&job(folder.path(), trace))?;
        Ok(serde_json::from_slice(&std::fs::read(&outputs["results"]).unwrap()).unwrap())
    }

    /// A trace is summarised over the epochs of its training, and the results name its step and content.
    #[test]
    fn a_trace_is_summarised() {
        let trace = columns(&[("loss_v", [4.0, 2.0, 1.0, 1.0]), ("conflict", [0.0, 1.0, 1.0, 1.0])]);
        let results = collected(Some(&trace)).unwrap();
        let conflict = results.number("words", "balgrad", Quantity::Conflict, None).unwrap();
        assert_eq!(conflict.seeds[0].value, Status::Value { value: 75.0 });
        let cell = results.cell("words", "balgrad", 3).unwrap();
        let of = |text: &str| Digest::of(text.as_bytes());
        assert_eq!(cell.trace.as_ref().unwrap().losses["loss_v"], [3.0, 1.0]);
        assert_eq!(
            (cell.provenance.keys.get("train"), cell.provenance.inputs.get("trace")),
            (Some(&of("key of trace words balgrad 3")), Some(&of("content of trace words balgrad 3")))
        );
        assert_eq!(results.number("words", "balgrad", Quantity::MissingGap, None).unwrap().mean, Some(10.0));
    }

    /// Scores do not depend on a trace. A malformed one is an error that names the cell.
    #[test]
    fn a_trace_may_be_absent_but_not_malformed() {
        let results = collected(None).unwrap();
        assert_eq!(results.cell("words", "balgrad", 3).unwrap().trace, None);
        assert_eq!(results.number("words", "balgrad", Quantity::Full, None).unwrap().mean, Some(40.0));
        assert!(results.number("words", "balgrad", Quantity::Conflict, None).is_none());
        let error = format!("{:#}", collected(Some(b"no trace")).unwrap_err());
        assert!(error.contains("the input `trace words balgrad 3`") && error.contains("safetensors"), "{error}");
    }
}
