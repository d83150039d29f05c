//! OGM-GE (Peng et al., "Balanced Multimodal Learning via On-the-fly Gradient Modulation", CVPR 2022, equation
//! (10); GeWu-Lab/OGM-GE_CVPR2022, main.py): slows the modality that is ahead, and adds noise to both (GE, "generalisation
//! enhancement").
//!
//! ```text
//! s_m = Σ_i p_m,i        p_m,i = softmax(u_m,i)[y_i], the other modality's embedding 0, no gradient
//! ρ_v = s_v / s_l,  ρ_l = 1/ρ_v
//! k_m = 1 − tanh(α ρ_m)  if ρ_m > 1,  else 1
//! for every parameter tensor g of h_m, for both modalities:
//!     g ← k_m · g + ε,   ε ~ N(0, (std(g) + 10⁻⁸)²), independent entries
//! ```
//!
//! f_T is not modulated. The differences from the repository:
//!
//! - at a tie (ρ = 1) its code slows one modality; the equation, and we, slow none;
//! - it changes the gradients of convolutions alone, and there are none here: `parameters = "all"` takes the equation's
//!   θ^u, all of h_m;
//! - in multilabel tasks p_m,i is the mean probability of the labels that sample i has, 0 if none (our choice).

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{Method, Options, Step, probes, within};
use crate::errors::non_negative;
use crate::model::gradient::Theta;
use crate::model::task::Task;
use crate::model::{Batch, Gradients, Layer, Model, ParameterId, Part};
use crate::random::NormalLanes;
use crate::terms::{Modality, TaskKind};

/// What α multiplies inside tanh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// ρ: k jumps from 1 to 1 − tanh α at ρ = 1.
    #[default]
    Ratio,
    /// ρ − 1: k is continuous, as in the group's later methods.
    RatioMinusOne,
}

/// Which parameters of h_m are modulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Modulated {
    /// Weight and bias.
    #[default]
    All,
    /// The weight alone; the bias gets no noise either.
    Weights,
}

/// GE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    #[default]
    Gaussian,
    Off,
}

/// p_m,i of a multilabel task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MultilabelScore {
    /// The mean probability of the labels that the sample has.
    #[default]
    Positives,
    /// The mean over all labels of the probability of the truth; with rare labels ρ stays near 1.
    Likelihood,
}

/// Options of OGM-GE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OgmGe {
    /// α; the authors use 0.1, and 0.8 for CREMA-D.
    pub alpha: f64,
    pub argument: Argument,
    pub parameters: Modulated,
    pub noise: Noise,
    pub multilabel_score: MultilabelScore,
    /// The first modulated epoch, counted from 1.
    pub modulation_start: u32,
    /// The last modulated epoch; none: to the end.
    pub modulation_end: Option<u32>,
    /// Whether to train unimodal heads beside the method.
    pub probe: bool,
}

impl Default for OgmGe {
    fn default() -> Self {
        OgmGe {
            alpha: 0.1,
            argument: Argument::default(),
            parameters: Modulated::default(),
            noise: Noise::default(),
            multilabel_score: MultilabelScore::default(),
            modulation_start: 1,
            modulation_end: None,
            probe: false,
        }
    }
}

impl Options for OgmGe {
    fn needs_heads(&self) -> bool {
        self.probe
    }

    fn check(&self) -> Result<(), String> {
        non_negative("alpha", self.alpha)
    }

    fn build(&self, seed: u64) -> Box<dyn Method> {
        Box::new(Modulation::new(self.clone(), seed))
    }
}

impl OgmGe {
    /// s_m of a response [B, C].
    fn score(&self, task: &Task, response: &Tensor, labels: &Tensor) -> Tensor {
        let p = task.probability_of_truth(response, labels);
        match (task.kind, self.multilabel_score) {
            (TaskKind::Multilabel, MultilabelScore::Positives) => {
                let over_labels = |x: &Tensor| x.sum_dim_intlist([1].as_slice(), false, None);
                (over_labels(&(p * labels)) / over_labels(labels).clamp_min(1.0)).sum(None)
            }
            (TaskKind::Multilabel, MultilabelScore::Likelihood) => p.sum(None) / task.logits as f64,
            (TaskKind::Multiclass | TaskKind::Binary, _) => p.sum(None),
        }
    }

    /// k_m of ρ_m.
    fn coefficient(&self, ratio: &Tensor) -> Tensor {
        let argument = match self.argument {
            Argument::Ratio => ratio * self.alpha,
            Argument::RatioMinusOne => (ratio - 1.0) * self.alpha,
        };
        // ρ is not a number if both scores are 0: a tie.
        let slowed: Tensor = 1.0 - argument.tanh();
        slowed.where_self(&ratio.gt(1.0), &ratio.ones_like())
    }
}

/// Draws standard normal numbers of the size and kind of this parameter's gradient.
pub type Draw = Box<dyn FnMut(ParameterId, &Tensor) -> Tensor + Send>;

enum Source {
    Seed(Box<NormalLanes>),
    Given(Draw),
}

/// OGM-GE with its state.
pub struct Modulation {
    options: OgmGe,
    epoch: u32,
    source: Source,
}

impl Modulation {
    /// With noise from the training's seed.
    pub fn new(options: OgmGe, seed: u64) -> Self {
        Modulation { options, epoch: 1, source: Source::Seed(Box::new(NormalLanes::new(seed, &["ogm-ge noise"]))) }
    }

    /// With noise from `draw`, called for h_v.weight, h_v.bias, h_l.weight and h_l.bias in each step.
    pub fn with_noise(options: OgmGe, draw: Draw) -> Self {
        Modulation { options, epoch: 1, source: Source::Given(draw) }
    }

    /// k_m · g + ε for the gradients of the embedding layers.
    fn modulated(&mut self, model: &Model, batch: &Batch, theta: &Theta, [k_v, k_l]: [&Tensor; 2]) -> Gradients {
        if self.options.noise == Noise::Off && self.options.parameters == Modulated::All {
            return model.embedding_gradient(batch, &theta.weighted(k_v, k_l));
        }
        let modulated = |(id, mut g): (ParameterId, Tensor)| {
            if self.options.parameters == Modulated::Weights && id.part == Part::Bias {
                return (id, g);
            }
            let k = if id.layer == Layer::Embedding(Modality::Image) { k_v } else { k_l };
            if self.options.noise == Noise::Off {
                return (id, g.g_mul_(k));
            }
            let std = standard_deviation(&g) + 1e-8;
            let g = match &mut self.source {
                Source::Given(draw) => g.g_mul_(k).g_add_(&(draw(id, &g) * std)),
                Source::Seed(normal) => with_noise(normal, g, k, &std),
            };
            (id, g)
        };
        model.embedding_gradient(batch, theta).into_iter().map(modulated).collect()
    }
}

/// k · g + std · ξ, ξ ~ N(0, 1) drawn on the CPU, so that all devices see the same noise.
fn with_noise(normal: &mut NormalLanes, g: Tensor, k: &Tensor, std: &Tensor) -> Tensor {
    if g.device() == Device::Cpu && g.kind() == Kind::Float && g.is_contiguous() && g.numel() > 0 {
        // Safety: a contiguous float32 tensor on the CPU, not empty, that was made in this step and has no other owner.
        let values = unsafe { std::slice::from_raw_parts_mut(g.data_ptr().cast::<f32>(), g.numel()) };
        normal.disturb(values, k.double_value(&[]) as f32, std.double_value(&[]) as f32);
        return g;
    }
    let mut values = vec![0f32; g.numel()];
    normal.disturb(&mut values, 0.0, 1.0);
    let noise = Tensor::from_slice(&values).view(g.size().as_slice()).to_kind(g.kind()).to_device(g.device());
    g * k + noise * std
}

impl Method for Modulation {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let task = &model.shape.task;
        let a = model.forward(batch);
        let (loss_t, d_o_t) = task.loss(&a.fused.logits, &batch.y);
        let g_t = model.pull_back_fused(&a, &d_o_t);

        let [u_v, u_l] = model.responses(&a);
        let [score_v, score_l] = [u_v, u_l].map(|u| self.options.score(task, &u, &batch.y));
        let (ratio_v, ratio_l) = (&score_v / &score_l, &score_l / &score_v);
        let active = within(self.epoch, self.options.modulation_start, self.options.modulation_end);
        let [k_v, k_l] = [&ratio_v, &ratio_l].map(|ratio| match active {
            true => self.options.coefficient(ratio),
            false => ratio.ones_like(),
        });

        let mut gradients = g_t.head;
        gradients.extend(match active {
            true => self.modulated(model, batch, &g_t.theta, [&k_v, &k_l]),
            false => model.embedding_gradient(batch, &g_t.theta),
        });
        let finite = |ratio: Tensor| ratio.nan_to_num(1.0, f64::from(f32::MAX), 0.0);
        let scalars = vec![
            ("loss_T", loss_t),
            ("score_v", score_v),
            ("score_l", score_l),
            ("ratio_v", finite(ratio_v)),
            ("ratio_l", finite(ratio_l)),
            ("coefficient_v", k_v),
            ("coefficient_l", k_l),
        ];
        let step = Step { gradients, d_z: g_t.d_z, scalars };
        if self.options.probe { probes(model, &a, batch, step) } else { step }
    }

    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }
}

/// The unbiased standard deviation over a tensor's entries; 0 of a single one.
fn standard_deviation(g: &Tensor) -> Tensor {
    let n = g.numel() as f64;
    if n < 2.0 {
        return g.sum(None).zeros_like();
    }
    // Two products take a fraction of the time of `Tensor::std`, which keeps running moments.
    let flat = g.reshape([-1]);
    let mean = flat.mean(None);
    ((flat.dot(&flat) - &mean * &mean * n).clamp_min(0.0) / (n - 1.0)).sqrt()
}
