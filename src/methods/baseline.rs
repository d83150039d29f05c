//! The joint baseline: the gradient of the fused loss L_T, and nothing else.
//!
//! With `probe`, unimodal heads f_v and f_l are trained beside it on embeddings that pass no gradient back, so that
//! unimodal loss curves exist (Figures 2b and 6 of Kwon et al., NAACL 2025) and the training itself is unchanged.

use serde::{Deserialize, Serialize};

use super::{Method, Options, Step, probes};
use crate::model::{Batch, Model};

/// Options of the baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Baseline {
    /// Train unimodal heads on the side.
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
