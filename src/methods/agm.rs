//! AGM (Li et al., "Boosting Multi-modal Model Performance with Adaptive Gradient Modulation", ICCV 2023;
//! lihong2303/AGM_ICCV2023): scales the gradient that enters each modality's response, by how far ahead the modality is now
//! and was on average.
//!
//! ```text
//! u_v = ½ (F − F_l + F_v),  u_l = ½ (F − F_v + F_l),  blank at the features, with gradients through every term
//! s_m = mean_i −log max(softmax(u_m,i)[y_i], 10⁻⁸)            no gradient
//! r_m = exp(s_m̄ − s_m)            how far ahead m is now
//! τ_m = exp(ŝ_m̄ − ŝ_m)            how far ahead it was on average, this step not included
//! κ_m = exp(α · min(τ_m − r_m, 10))
//! t ← t+1;  ŝ_m ← ŝ_m (t−1)/t + s_m/t
//! backward pass of L(u_v + u_l, y), with the gradient that enters u_m multiplied by κ_m
//! if any |∂/∂f_T.weight| > 1:  g ← g · min(1, 1/(‖g‖ + 10⁻⁶))
//! ```
//!
//! With G = ∂L/∂o, F receives ½(κ_v + κ_l) G, F_v ½(κ_v − κ_l) G and F_l −½(κ_v − κ_l) G. We follow the repository's
//! two-modality case (CREMA-D), which clamps, floors and clips as written here, with these differences:
//!
//! - it blanks the raw input; we blank the features, which is the same statement about the trainable part (`zero-at`);
//! - it keeps the last κ when modulation ends; we return to 1;
//! - in Bernoulli tasks s_m is the mean over samples and labels (our choice).

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::{Method, Options, Step, probes, within};
use crate::errors::non_negative;
use crate::model::fusion::Alone;
use crate::model::gradient::{inner, through_relu};
use crate::model::{Activations, Batch, Gradients, Layer, Model};
use crate::terms::Modality;

/// Where a modality is blanked for the other's response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroAt {
    /// x_m = 0, hence z_m⁰ = relu(b_m); gradients flow into b_m.
    #[default]
    Features,
    /// z_m⁰ = 0.
    Embedding,
}

/// What κ_m scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The gradient that enters each response.
    #[default]
    Response,
    /// The gradient of h_m; f_T is not modulated.
    Embedding,
}

/// Options of AGM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Agm {
    /// α
    pub alpha: f64,
    pub zero_at: ZeroAt,
    pub scope: Scope,
    /// The upper limit of τ − r.
    pub clamp: f64,
    /// The lower limit of a probability in a score.
    pub floor: f64,
    /// The limit of f_T.weight's entries, and the norm to which a gradient beyond it is clipped; 0: no clipping.
    pub clip: f64,
    /// The first modulated epoch, counted from 1.
    pub modulation_start: u32,
    /// The last modulated epoch; none: to the end. Outside, κ = 1.
    pub modulation_end: Option<u32>,
    /// Whether to train unimodal heads beside the method.
    pub probe: bool,
}

impl Default for Agm {
    fn default() -> Self {
        Agm {
            alpha: 1.0,
            zero_at: ZeroAt::default(),
            scope: Scope::default(),
            clamp: 10.0,
            floor: 1e-8,
            clip: 1.0,
            modulation_start: 1,
            modulation_end: None,
            probe: false,
        }
    }
}

impl Options for Agm {
    fn needs_heads(&self) -> bool {
        self.probe
    }

    fn check(&self) -> Result<(), String> {
        non_negative("alpha", self.alpha)?;
        non_negative("clamp", self.clamp)?;
        non_negative("clip", self.clip)?;
        match self.floor > 0.0 && self.floor <= 1.0 {
            true => Ok(()),
            false => Err(format!("`floor` should lie above 0 and not above 1, found {}", self.floor)),
        }
    }

    fn build(&self, _seed: u64) -> Box<dyn Method> {
        Box::new(Adaptive { options: self.clone(), epoch: 1, running: None, steps: 0 })
    }
}

/// AGM with its state.
#[derive(Debug)]
pub struct Adaptive {
    options: Agm,
    epoch: u32,
    /// ŝ_v and ŝ_l after the first step.
    running: Option<[Tensor; 2]>,
    /// t
    steps: u32,
}

impl Adaptive {
    /// z_v⁰ and z_l⁰, [1, d].
    fn blanks(&self, model: &Model) -> [Tensor; 2] {
        Modality::ALL.map(|modality| match self.options.zero_at {
            ZeroAt::Features => model.blank_embedding(modality),
            ZeroAt::Embedding => model.blank_embedding(modality).zeros_like(),
        })
    }

    /// ŝ_m ← ŝ_m (t−1)/t + s_m/t.
    fn average(&mut self, scores: [&Tensor; 2]) -> [Tensor; 2] {
        self.steps += 1;
        let t = f64::from(self.steps);
        let running = match self.running.take() {
            None => scores.map(Tensor::shallow_clone),
            Some([v, l]) => [v * ((t - 1.0) / t) + scores[0] / t, l * ((t - 1.0) / t) + scores[1] / t],
        };
        self.running = Some(running.each_ref().map(Tensor::shallow_clone));
        running
    }

    /// The combined gradient when κ_m multiplies the gradient that enters u_m, and ∂L_T/∂z up to a positive factor.
    fn modulated(
        &self,
        model: &Model,
        batch: &Batch,
        a: &Activations,
        alone: &Alone,
        d_o_t: &Tensor,
        [κ_v, κ_l]: [&Tensor; 2],
    ) -> (Gradients, [Tensor; 2]) {
        if self.options.scope == Scope::Embedding {
            let g_t = model.pull_back_fused(a, d_o_t);
            let mut gradients = g_t.head;
            gradients.extend(model.embedding_gradient(batch, &g_t.theta.weighted(κ_v, κ_l)));
            return (gradients, g_t.d_z);
        }
        let (half_sum, half_difference) = ((κ_v + κ_l) * 0.5, (κ_v - κ_l) * 0.5);
        let d_alone = d_o_t * half_difference;
        let d = [d_o_t * half_sum, d_alone.shallow_clone(), -d_alone];
        let (g, d_blanks) = model.pull_back_alone(a, alone, d);
        let mut gradients = g.head;
        gradients.extend(model.embedding_gradient(batch, &g.theta));
        if self.options.zero_at == ZeroAt::Features {
            // z_m⁰ = relu(b_m)
            for (modality, d_blank) in Modality::ALL.into_iter().zip(&d_blanks) {
                let d_bias = through_relu(&model.blank_embedding(modality), d_blank).squeeze_dim(0);
                gradients.entry(Layer::Embedding(modality).bias()).and_modify(|gradient| *gradient += d_bias);
            }
        }
        (gradients, g.d_z)
    }
}

impl Method for Adaptive {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let task = &model.shape.task;
        let a = model.forward(batch);
        let alone = model.alone(&a, self.blanks(model));
        let (loss_t, d_o_t) = task.loss(&a.fused.logits, &batch.y);

        let score = |u: Tensor| -task.probability_of_truth(&u, &batch.y).clamp_min(self.options.floor).log().mean(None);
        let [s_v, s_l] = alone.responses(&a.fused).map(score);
        let ahead = |s: &Tensor, s_other: &Tensor| (s_other - s).exp();
        let (r_v, r_l) = (ahead(&s_v, &s_l), ahead(&s_l, &s_v));
        let (τ_v, τ_l) = match &self.running {
            None => (s_v.ones_like(), s_l.ones_like()),
            Some([v, l]) => (ahead(v, l), ahead(l, v)),
        };
        let active = within(self.epoch, self.options.modulation_start, self.options.modulation_end);
        let κ = |τ: &Tensor, r: &Tensor| match active {
            true => ((τ - r).clamp_max(self.options.clamp) * self.options.alpha).exp(),
            false => τ.ones_like(),
        };
        let (κ_v, κ_l) = (κ(&τ_v, &r_v), κ(&τ_l, &r_l));
        let (mut gradients, d_z) = self.modulated(model, batch, &a, &alone, &d_o_t, [&κ_v, &κ_l]);
        let [running_v, running_l] = self.average([&s_v, &s_l]);

        let mut scalars = vec![
            ("loss_T", loss_t),
            ("score_v", s_v),
            ("score_l", s_l),
            ("ratio_v", r_v),
            ("ratio_l", r_l),
            ("reference_v", τ_v),
            ("reference_l", τ_l),
            ("running_v", running_v),
            ("running_l", running_l),
            ("coefficient_v", κ_v),
            ("coefficient_l", κ_l),
        ];
        if self.options.clip > 0.0 {
            let (norm, clipped) = clip(&mut gradients, self.options.clip);
            scalars.extend([("norm_before_clip", norm), ("clipped", clipped)]);
        }
        let step = Step { gradients, d_z, scalars };
        if self.options.probe { probes(model, &a, batch, step) } else { step }
    }

    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }
}

/// Clips the norm of the whole gradient if an entry of f_T.weight's exceeds the limit. Returns the norm before, and whether
/// it was clipped, as 0 or 1.
fn clip(gradients: &mut Gradients, limit: f64) -> (Tensor, Tensor) {
    let squares: Vec<Tensor> = gradients.values().map(|g| inner(g, g)).collect();
    let norm = Tensor::stack(&squares, 0).sum(None).sqrt();
    let clipped = gradients[&Layer::Fused.weight()].abs().max().gt(limit);
    let factor = (limit / (&norm + 1e-6)).clamp_max(1.0).where_self(&clipped, &norm.ones_like());
    // A factor of 1 changes nothing, and on the CPU it takes no transfer to find that out.
    if clipped.device() != Device::Cpu || clipped.int64_value(&[]) == 1 {
        gradients.values_mut().for_each(|g| drop(g.g_mul_(&factor)));
    }
    let clipped = clipped.to_kind(norm.kind());
    (norm, clipped)
}
