//! Evaluates trained weights on the test split under one condition, at all its levels.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tch::Kind as TensorKind;

use super::condition::Condition;
use super::job::{Job, Outputs};
use super::kind::Describe;
use super::train::{blank, feature_set, noisy, task};
use crate::evaluation::metrics;
use crate::impairments::missing;
use crate::model::Model;
use crate::report::replicates::Level as Named;
use crate::store::Ingredients;
use crate::tensors;
use crate::terms::{Modality, Selection, Split};
use crate::training::config::TrainConfig;
use crate::training::fit::{self, FeatureSet};
use crate::training::impaired;

/// Evaluates a cell.
///
/// | input | content |
/// |---|---|
/// | `about`, `weights` | of the dataset and the training |
/// | `test samples`, `test image`, `test text` | the test split and its features |
/// | `ranks` | [`Condition::Missing`]: the order in which samples lose a modality |
/// | `blank image`, `blank text` | [`Condition::Missing`]: the features of a missing one, if they are not the vector 0 |
/// | `noisy image`, `noisy text` | [`Condition::Noisy`]: the noisy features |
///
/// | output | content |
/// |---|---|
/// | `scores` | [`Scores`] |
/// | `predictions` | safetensors: a uint8 or int32 tensor per level, the prediction for each test sample |
#[derive(Clone, Debug)]
pub struct Evaluate {
    /// The dataset's name in the suite.
    pub dataset: Arc<str>,
    pub name: Arc<str>,
    pub seed: u64,
    /// The selection of the weights, if it is another one than the suite's.
    pub selection: Option<Selection>,
    pub condition: Condition,
    /// The missing ratios of [`Condition::Missing`].
    pub ratios: Arc<[f64]>,
    /// The settings of the training. Only those that predictions depend on are in the key.
    pub config: Arc<TrainConfig>,
    /// Whether the model has unimodal heads.
    pub heads: bool,
}

/// The scores of a cell under a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub metric: String,
    /// The number of test samples.
    pub samples: usize,
    pub levels: Vec<Level>,
}

/// The score at one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// The impaired modality; none for the full score.
    pub modality: Option<Modality>,
    /// The missing ratio; none if no modality is missing.
    pub ratio: Option<f64>,
    /// The number of impaired samples.
    pub impaired: usize,
    /// In percent.
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
        let selection = self.selection.map_or_else(String::new, |selection| format!(" {}", selection.name()));
        format!("evaluate {} {} seed {} {}{selection}", self.dataset, self.name, self.seed, self.condition.name())
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Weights are in the key by content, so what led to them is not: the method, the seed, the selection, and the
        // settings that predictions do not depend on.
        let Evaluate { dataset: _, name: _, seed: _, selection: _, condition, ratios, config, heads } = self;
        list.text("condition", condition.name());
        if *condition == Condition::Missing {
            list.options("ratios", &&ratios[..]);
        }
        let TrainConfig {
            embedding,
            fusion,
            binary_head,
            epochs: _,
            batch_size: _,
            optimizer: _,
            selection: _,
            other_selections: _,
            diagnostics: _,
        } = &**config;
        list.natural("embedding", u64::from(*embedding));
        list.options("fusion", fusion);
        list.options("binary head", binary_head);
        list.flag("heads", *heads);
    }
}

impl Evaluate {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        tch::set_num_threads(1);
        let task = task(job, &self.config)?;
        let test = feature_set(job, &task, Split::Test)?;
        let weights = job.parse("weights", tensors::from_safetensors)?;
        let weights = weights.into_iter().map(|(name, value)| (name, value.to_device(job.device))).collect();
        let model = Model::with(test.shape(task, &self.config, self.heads), weights)?;
        let mut levels = Vec::new();
        let mut predictions = Vec::new();
        for (name, modality, ratio, impaired, features) in self.versions(job, &test)? {
            job.interrupt.check()?;
            let predicted = task.predict(&fit::logits(&model, &features)?);
            let score = metrics::score(task.metric, task.classes(), &predicted, &features.y);
            levels.push(Level { modality, ratio, impaired, score });
            // The smallest kind that holds every class index.
            let kind = if task.logits <= 256 { TensorKind::Uint8 } else { TensorKind::Int };
            predictions.push((name, predicted.to_kind(kind)));
        }
        let scores = Scores { metric: task.metric.name().to_owned(), samples: test.len() as usize, levels };
        let predictions = tensors::to_safetensors(predictions.iter().map(|(name, p)| (name.as_str(), p)))?;
        Ok(Outputs::from([job.write_json("scores", &scores)?, job.write("predictions", &predictions)?]))
    }

    /// The test split at each level.
    fn versions(&self, job: &Job, test: &FeatureSet) -> anyhow::Result<Vec<Version>> {
        let mut versions = Vec::new();
        match self.condition {
            Condition::Full => versions.push(("full".to_owned(), None, None, 0, impaired::unchanged(test))),
            Condition::Missing => {
                let ranks: Vec<u32> = job.read_json("ranks")?;
                anyhow::ensure!(
                    ranks.len() as i64 == test.len(),
                    "expected ranks of {} samples, found {}",
                    test.len(),
                    ranks.len()
                );
                for modality in Modality::ALL {
                    let blank = blank(job, modality)?;
                    for &ratio in &*self.ratios {
                        let mask = missing::mask(&ranks, ratio)?;
                        let features = impaired::without(test, modality, &mask, blank.as_ref())?;
                        let name = Named::Missing(modality, ratio).to_string();
                        let impaired = missing::count(ratio, ranks.len());
                        versions.push((name, Some(modality), Some(ratio), impaired, features));
                    }
                }
            }
            Condition::Noisy => {
                for modality in Modality::ALL {
                    let features = impaired::replaced(test, modality, noisy(job, modality)?)?;
                    let name = Named::Noisy(modality).to_string();
                    versions.push((name, Some(modality), None, test.len() as usize, features));
                }
            }
        }
        Ok(versions)
    }
}

/// The test split at one level: its name, the impaired modality, the missing ratio, the number of impaired samples, the
/// features.
type Version = (String, Option<Modality>, Option<f64>, usize, FeatureSet);
