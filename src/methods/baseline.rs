//! The joint baseline: the gradient of the fused loss L_T, and nothing else.
//!
//! With `probe`, unimodal heads f_v and f_l are trained beside it on embeddings that pass no gradient back, so that
//! unimodal loss curves exist (Figures 2b and 6 of Kwon et al., NAACL 2025) and the training itself is unchanged.

use serde::{Deserialize, Serialize};

use super::{Method, Step};
use crate::datasets::Modality;
use crate::training::model::{Batch, Model};

/// Options of the baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Baseline {
    /// Train unimodal heads on the side.
    pub probe: bool,
}

impl Method for Baseline {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let task = &model.shape.task;
        let a = model.forward(batch);
        let (loss_t, d_o_t) = task.loss(&a.fused.logits, &batch.y);
        let (g_t, mut gradients) = model.pull_back_fused(&a, &d_o_t);
        gradients.extend(model.embedding_gradient(batch, &g_t));
        let mut scalars = vec![("loss_T", loss_t)];
        if self.probe {
            for (name, modality, z) in [("loss_v", Modality::Image, &a.z_v), ("loss_l", Modality::Text, &a.z_l)] {
                let (loss, d_o) = task.loss(&model.head(modality, z), &batch.y);
                gradients.extend(model.head_gradient(modality, &a, &d_o));
                scalars.push((name, loss));
            }
        }
        Step { gradients, scalars }
    }
}
