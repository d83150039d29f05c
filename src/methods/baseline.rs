//! The joint baseline of Kwon et al., "See-Saw Modality Balance", NAACL 2025 (no code published): g = ∇L_T, nothing else.
//!
//! With `probe`, unimodal heads f_v and f_l are trained beside it. Their losses do not reach the embeddings, so there are
//! unimodal loss curves (Figures 2b and 6) and the training itself is unchanged.

use serde::{Deserialize, Serialize};

use super::{Method, Options, Step, probes};
use crate::model::{Batch, Model};

/// Options of the baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Baseline {
    /// Whether to train unimodal heads beside the method.
    pub probe: bool,
}

impl Options for Baseline {
    fn needs_heads(&self) -> bool {
        self.probe
    }

    fn build(&self, _seed: u64) -> Box<dyn Method> {
        Box::new(self.clone())
    }
}

impl Method for Baseline {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let a = model.forward(batch);
        let (loss_t, d_o_t) = model.shape.task.loss(&a.fused.logits, &batch.y);
        let g_t = model.pull_back_fused(&a, &d_o_t);
        let mut gradients = g_t.head;
        gradients.extend(model.embedding_gradient(batch, &g_t.theta));
        let step = Step { gradients, d_z: g_t.d_z, scalars: vec![("loss_T", loss_t)] };
        if self.probe { probes(model, &a, batch, step) } else { step }
    }
}
