//! Trains one cell.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tch::{Kind as TensorKind, Tensor};

use super::encode::read_features;
use super::job::{Job, Outputs};
use super::kind::Describe;
use super::prepare::About;
use crate::datasets::Sample;
use crate::evaluation::metrics;
use crate::methods::MethodOptions;
use crate::model::Parameters;
use crate::model::task::Task;
use crate::store::Ingredients;
use crate::tensors;
use crate::terms::{Modality, Selection, Split};
use crate::training::config::TrainConfig;
use crate::training::fit::{self, Cell, FeatureSet, Kept, TestSplit};
use crate::training::impaired;

/// Trains a method on a dataset's features.
///
/// | input | content |
/// |---|---|
/// | `about` | of the dataset |
/// | `train samples`, `train image`, `train text`; the same for `val` | the splits and their features |
/// | `test samples`, `test image`, `test text` | only if a selection looks at the test split |
/// | `noisy image`, `noisy text`, and `blank image`, `blank text` | only for [`Selection::BestTestImpaired`], as those of [`super::evaluate::Evaluate`] |
///
/// | output | content |
/// |---|---|
/// | `weights` | safetensors: the trainable parameters of the selected epoch |
/// | `weights.SELECTION` | the same of another selection, for each |
/// | `trace` | safetensors: a float32 `[steps]` tensor for each quantity traced |
/// | `summary` | [`Summary`] |
#[derive(Clone, Debug)]
pub struct Train {
    /// The dataset's name in the suite.
    pub dataset: Arc<str>,
    /// The method's name in the suite.
    pub name: Arc<str>,
    /// The candidate of a sweep, counted from 0.
    pub candidate: Option<usize>,
    pub method: MethodOptions,
    pub config: Arc<TrainConfig>,
    pub seed: u64,
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The epoch whose weights are kept, counted from 1.
    pub selected_epoch: u32,
    pub epochs: u32,
    /// Score on the validation split after each epoch, in percent.
    pub validation: Vec<f64>,
    pub metric: String,
    /// The number of trainable scalars.
    pub parameters: u64,
    /// The epochs of other selections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Selected>,
}

/// The epoch of another selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    pub selection: Selection,
    /// Counted from 1.
    pub epoch: u32,
    /// The score in percent by which it was selected; none for the last epoch.
    pub score: Option<f64>,
}

/// The role of a split's features or samples.
pub fn role(split: Split, what: &str) -> String {
    format!("{} {what}", split.name())
}

impl Describe for Train {
    fn label(&self) -> String {
        let Train { dataset, name, candidate, seed, .. } = self;
        let candidate = candidate.map_or_else(String::new, |number| format!(" candidate {}", number + 1));
        format!("train {dataset} {name}{candidate} seed {seed}")
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The dataset is in the key by its samples and features, the method by its options. Names are labels.
        let Train { dataset: _, name: _, candidate: _, method, config, seed } = self;
        list.natural("method's recipe", method.recipe());
        list.options("method", method);
        list.options("training", &**config);
        list.natural("seed", *seed);
    }
}

impl Train {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        tch::set_num_threads(1);
        let task = task(job, &self.config)?;
        let (train, val) = (feature_set(job, &task, Split::Train)?, feature_set(job, &task, Split::Val)?);
        let method = self.method.options();
        let score = |task: &Task, logits: &Tensor, labels: &Tensor| {
            metrics::score(task.metric, task.classes(), &task.predict(logits), labels)
        };
        let cell = Cell { task, config: &self.config, name: &self.name, method, seed: self.seed, score };
        let test = self.test_split(job, &task)?;
        let trained = fit::train(&cell, &train, &val, test.as_ref(), &job.interrupt, job.progress.as_ref())?;

        let parameters = &trained.model.parameters;
        let mut outputs = Outputs::from([job.write("weights", &safetensors(parameters)?)?]);
        for Kept { selection, parameters, .. } in &trained.others {
            outputs.extend([job.write(&selection.named("weights"), &safetensors(parameters)?)?]);
        }
        let columns: Vec<(&str, Tensor)> =
            trained.trace.steps.iter().map(|(name, values)| (*name, Tensor::from_slice(values))).collect();
        let trace = tensors::to_safetensors(columns.iter().map(|(name, column)| (*name, column)))?;
        let summary = Summary {
            selected_epoch: trained.selected_epoch,
            epochs: self.config.epochs,
            validation: trained.trace.validation,
            metric: task.metric.name().to_owned(),
            parameters: parameters.values().map(|value| value.numel() as u64).sum(),
            others: trained
                .others
                .iter()
                .map(|&Kept { selection, epoch, score, .. }| Selected { selection, epoch, score })
                .collect(),
        };
        outputs.extend([job.write("trace", &trace)?, job.write_json("summary", &summary)?]);
        Ok(outputs)
    }

    /// The test split, if a selection looks at it.
    fn test_split(&self, job: &Job, task: &Task) -> anyhow::Result<Option<TestSplit>> {
        let asked: Vec<Selection> = self.config.selections().filter(|selection| selection.uses_test()).collect();
        if asked.is_empty() {
            return Ok(None);
        }
        let full = feature_set(job, task, Split::Test)?;
        let mut impaired = Vec::new();
        if asked.contains(&Selection::BestTestImpaired) {
            for modality in Modality::ALL {
                let all = vec![true; full.len() as usize];
                impaired.push(impaired::without(&full, modality, &all, blank(job, modality)?.as_ref())?);
                impaired.push(impaired::replaced(&full, modality, noisy(job, modality)?)?);
            }
        }
        Ok(Some(TestSplit { full, impaired }))
    }
}

/// The file of weights.
fn safetensors(parameters: &Parameters) -> anyhow::Result<Vec<u8>> {
    let named: Vec<(String, &Tensor)> = parameters.iter().map(|(id, value)| (id.to_string(), value)).collect();
    tensors::to_safetensors(named.iter().map(|(name, value)| (name.as_str(), *value)))
}

/// The features that stand for a missing modality, if they are not the vector 0.
pub(super) fn blank(job: &Job, modality: Modality) -> anyhow::Result<Option<Tensor>> {
    let role = format!("blank {}", modality.name());
    job.inputs.contains_key(&*role).then(|| read_features(job, &role)).transpose()
}

/// The features of a noisy modality of the test split.
pub(super) fn noisy(job: &Job, modality: Modality) -> anyhow::Result<Tensor> {
    read_features(job, &format!("noisy {}", modality.name()))
}

/// The dataset's task, for a model with these settings.
pub(super) fn task(job: &Job, config: &TrainConfig) -> anyhow::Result<Task> {
    let about: About = job.read_json("about")?;
    Ok(Task::new(about.task, about.classes.len(), config.binary_head).scored_by(about.metric()))
}

/// A split's features and labels on the job's device, with the row of features of each sample.
pub(super) fn feature_set(job: &Job, task: &Task, split: Split) -> anyhow::Result<FeatureSet> {
    let samples: Vec<Sample> = job.read_json(&role(split, "samples"))?;
    let x_v = read_features(job, &role(split, Modality::Image.name()))?;
    let x_l = read_features(job, &role(split, Modality::Text.name()))?;
    let index = |of: fn(&Sample) -> usize, rows: i64, what: &str| -> anyhow::Result<Tensor> {
        let numbers: Vec<i64> = samples.iter().map(|sample| of(sample) as i64).collect();
        anyhow::ensure!(
            numbers.iter().all(|&number| number < rows),
            "a {} sample refers to a {what} beyond the {rows} encoded ones",
            split.name()
        );
        Ok(Tensor::from_slice(&numbers).to_device(job.device))
    };
    let labels: Vec<Vec<u32>> = samples.iter().map(|sample| sample.labels.clone()).collect();
    Ok(FeatureSet {
        picture: index(|sample| sample.picture, x_v.size()[0], "picture")?,
        text: index(|sample| sample.text, x_l.size()[0], "text")?,
        y: task.labels(&labels, TensorKind::Float).to_device(job.device),
        x_v,
        x_l,
    })
}
