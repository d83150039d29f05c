//! Evaluates finished weights on the test split, as it is or under one impairment at all its levels.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tch::Kind as TensorKind;

use super::encode::read_features;
use super::prepare::About;
use super::train::feature_set;
use super::{Describe, Job, Outputs};
use crate::evaluation::metrics;
use crate::impairments::missing;
use crate::model::task::Task;
use crate::model::{Model, Shape};
use crate::report::replicates::Level as Named;
use crate::store::Ingredients;
use crate::tensors;
use crate::terms::{Modality, Split};
use crate::training::config::TrainConfig;
use crate::training::fit::{self, FeatureSet};
use crate::training::impaired;

/// Under what the test split is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// As it is.
    Full,
    /// A modality missing at each of these ratios. A blank feature is an input, `blank image` or `blank text`, where
    /// the definition is not the feature vector 0.
    Missing { ratios: Vec<f64> },
    /// A noisy modality; its features are inputs, `noisy image` and `noisy text`.
    Noisy,
}

impl Condition {
    pub fn name(&self) -> &'static str {
        match self {
            Condition::Full => "full",
            Condition::Missing { .. } => "missing",
            Condition::Noisy => "noisy",
        }
    }
}

/// Evaluates a cell.
///
/// | output | content |
/// |---|---|
/// | `scores` | [`Scores`] |
/// | `predictions` | safetensors: a uint8 or int32 tensor per level, the prediction for each test sample |
#[derive(Clone, Debug)]
pub struct Evaluate {
    /// The dataset's name in the suite.
    pub dataset: String,
    pub name: String,
    pub seed: u64,
    pub condition: Condition,
    /// The settings that the weights were trained with; only those that a prediction needs are in the key.
    pub config: TrainConfig,
    /// Whether the weights have unimodal heads.
    pub heads: bool,
}

/// Scores in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub metric: String,
    /// Test samples.
    pub samples: usize,
    pub levels: Vec<Level>,
}

/// One score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The impaired modality; none for the full score.
    pub modality: Option<Modality>,
    /// The missing ratio, where there is one.
    pub ratio: Option<f64>,
    /// Samples whose modality is impaired.
    pub impaired: usize,
    pub score: f64,
}

impl Scores {
    /// The score at a level.
    pub fn find(&self, modality: Option<Modality>, ratio: Option<f64>) -> Option<f64> {
        self.levels.iter().find(|level| level.modality == modality && level.ratio == ratio).map(|level| level.score)
    }
}

impl Describe for Evaluate {
    fn label(&self) -> String {
        format!("evaluate {} {} seed {} {}", self.dataset, self.name, self.seed, self.condition.name())
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Weights count by content, so everything that led to them is left out: the method, the seed, the settings of
        // the training that a prediction does not need.
        let Evaluate { dataset: _, name: _, seed: _, condition, config, heads } = self;
        list.text("condition", condition.name());
        if let Condition::Missing { ratios } = condition {
            list.options("ratios", ratios);
        }
        let TrainConfig {
            embedding,
            fusion,
            binary_head,
            epochs: _,
            batch_size: _,
            optimizer: _,
            selection: _,
            diagnostics: _,
        } = config;
        list.natural("embedding", u64::from(*embedding));
        list.options("fusion", fusion);
        list.options("binary head", binary_head);
        list.flag("heads", *heads);
    }
}

impl Evaluate {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        tch::set_num_threads(1);
        let about: About = job.read_json("about")?;
        let task = Task::new(about.task, about.classes.len(), self.config.binary_head).scored_by(about.metric());
        let test = feature_set(job, &task, Split::Test)?;
        let model = self.model(job, task, &test)?;
        let mut levels = Vec::new();
        let mut predictions = Vec::new();
        for (name, modality, ratio, impaired, features) in self.versions(job, &test)? {
            job.interrupt.check()?;
            let predicted = task.predict(&fit::logits(&model, &features)?);
            let score = metrics::score(task.metric, task.classes(), &predicted, &features.y);
            levels.push(Level { modality, ratio, impaired, score });
            // The smallest kind that holds every class number.
            let kind = if task.logits <= 256 { TensorKind::Uint8 } else { TensorKind::Int };
            predictions.push((name, predicted.to_kind(kind)));
        }
        let scores = Scores { metric: task.metric.name().to_owned(), samples: test.len() as usize, levels };
        let predictions = tensors::to_safetensors(predictions.iter().map(|(name, p)| (name.as_str(), p)))?;
        Ok(BTreeMap::from([
            ("scores".to_owned(), job.write_json("scores", &scores)?),
            ("predictions".to_owned(), job.write("predictions", &predictions)?),
        ]))
    }
}

/// Name, impaired modality, ratio, number of impaired samples, features.
type Version = (String, Option<Modality>, Option<f64>, usize, FeatureSet);

impl Evaluate {
    fn model(&self, job: &Job, task: Task, test: &FeatureSet) -> anyhow::Result<Model> {
        let path = &job.input("weights")?.path;
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let weights = tensors::from_safetensors(&bytes).context("the weights")?;
        let shape = Shape {
            task,
            fusion: self.config.fusion,
            image_features: test.x_v.size()[1],
            text_features: test.x_l.size()[1],
            embedding: i64::from(self.config.embedding),
            heads: self.heads,
        };
        Model::with(shape, weights.into_iter().map(|(name, value)| (name, value.to_device(job.device))).collect())
    }

    fn versions(&self, job: &Job, test: &FeatureSet) -> anyhow::Result<Vec<Version>> {
        let mut versions = Vec::new();
        match &self.condition {
            Condition::Full => versions.push(("full".to_owned(), None, None, 0, impaired::unchanged(test))),
            Condition::Missing { ratios } => {
                let ranks: Vec<u32> = job.read_json("ranks")?;
                anyhow::ensure!(ranks.len() as i64 == test.len(), "the mask is for {} samples", ranks.len());
                for modality in Modality::ALL {
                    let role = format!("blank {}", modality.name());
                    let blank = match job.inputs.contains_key(&role) {
                        true => Some(read_features(job, &role)?),
                        false => None,
                    };
                    for &ratio in ratios {
                        let mask = missing::mask(&ranks, ratio)?;
                        let features = impaired::without(test, modality, &mask, blank.as_ref())?;
                        let name = Named::Missing(modality.name(), ratio).to_string();
                        versions.push((
                            name,
                            Some(modality),
                            Some(ratio),
                            missing::count(ratio, ranks.len()),
                            features,
                        ));
                    }
                }
            }
            Condition::Noisy => {
                for modality in Modality::ALL {
                    let noisy = read_features(job, &format!("noisy {}", modality.name()))?;
                    let features = impaired::replaced(test, modality, noisy)?;
                    let name = Named::Noisy(modality.name()).to_string();
                    versions.push((name, Some(modality), None, test.len() as usize, features));
                }
            }
        }
        Ok(versions)
    }
}
