//! BalGrad (Kwon et al., "See-Saw Modality Balance", NAACL 2025, Figure 3): reweights the KL gradients between
//! the modalities by what each has still to learn, and projects the task gradient so that it does not work against them.
//!
//! The authors published no code. A step, with θ = (h_v, h_l) and sg = stop-gradient:
//!
//! ```text
//! 1  o_T = F(z_v, z_l);  o_v = f_v(z_v);  o_l = f_l(z_l)
//! 2  L_T, L_v, L_l;   K_v = KL(sg p(o_l) ‖ p(o_v)),  K_l = KL(sg p(o_v) ‖ p(o_l))
//! 3  g_T = ∇L_T over (θ, f_T);   g_T^m = ∇L_m,  g_kl^m = ∇K_m over (h_m, f_m)
//! 4  reweight:  w_v = L_v/(L_v + L_l),  w_l = 1 − w_v;   g_kl = w_v g_kl^v ⊕ w_l g_kl^l
//! 5  project:   a = ⟨g_T, g_kl⟩_θ / ‖g_kl‖²_θ  if ⟨g_T, g_kl⟩_θ < 0, else 0
//!               g_T⊥ = g_T − a g_kl  on θ;  g_T⊥ = g_T  on f_T
//! 6  update:    f_T: g_T;   h_m: g_T⊥ + g_T^m + w_m g_kl^m;   f_m: g_T^m + w_m g_kl^m
//! ```
//!
//! Where the paper leaves a choice, it is an option:
//!
//! - the weighting rule: `loss-ratio` gives more of the KL gradient to the modality that has learned less;
//! - the scope of the projection: one inner product over θ by default;
//! - the size of the KL gradient: the weights sum to 1, and `kl-scale` multiplies them. In multilabel tasks the divergence
//!   is summed over labels while the losses are averaged, as their definitions say;
//! - ∇L_v and ∇L_l are not projected; whether the KL gradients train the heads too is `kl-heads`.
//!
//! Figure 3 updates f_T with g_T⊥, which equals g_T there: the KL losses do not reach f_T.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Method, Options, Step};
use crate::model::gradient::{Entries, Gram, Theta, cosine, head_norm_squared, largest};
use crate::model::task::Task;
use crate::model::{Activations, Batch, FusedGradient, Model, Part};
use crate::terms::Modality::{Image, Text};
use crate::terms::TaskKind;

/// How w_v and w_l follow from the losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlWeights {
    /// w_v = L_v/(L_v + L_l), w_l = L_l/(L_v + L_l); ½ each if the sum is 0.
    #[default]
    LossRatio,
    /// ½ each.
    Uniform,
    /// The loss ratio, swapped.
    InverseLoss,
}

/// The parameters that the inner product of a projection runs over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectionScope {
    /// One projection over θ = (h_v, h_l).
    #[default]
    Joint,
    /// One for h_v, one for h_l, each with its own test.
    PerModality,
    /// One for each weight and each bias, as implementations of gradient surgery often have it.
    PerTensor,
    /// One over (θ, f_v, f_l): the same inner product as joint, a larger norm, and the heads get −a g_kl in addition.
    WithHeads,
}

/// Options of BalGrad. The ablation "reweighting only" is `project = false`, "projection only" is
/// `weights = "uniform"`. Both together are the control that shows the effect of L_v, L_l and the KL losses alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BalGrad {
    /// The rule for w_v and w_l.
    pub weights: KlWeights,
    /// Whether g_T is projected.
    pub project: bool,
    /// The parameters that are projected together.
    pub projection_scope: ProjectionScope,
    /// λ, the factor on both weights, which sum to 1.
    pub kl_scale: KlScale,
    /// Whether the KL gradients train the heads f_v and f_l too, or the embedding layers alone.
    pub kl_heads: bool,
}

/// λ: a number, or a rule that depends on the task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KlScale {
    Factor(f64),
    Named(NamedScale),
}

/// A λ that depends on the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamedScale {
    /// 1/C in multilabel tasks of C labels, which makes the divergence a mean over labels, as the losses are; else 1.
    #[serde(rename = "1/C")]
    OverLabels,
}

impl KlScale {
    fn of(self, task: &Task) -> f64 {
        match self {
            KlScale::Factor(factor) => factor,
            KlScale::Named(NamedScale::OverLabels) if task.kind == TaskKind::Multilabel => 1.0 / task.logits as f64,
            KlScale::Named(NamedScale::OverLabels) => 1.0,
        }
    }
}

impl Default for BalGrad {
    fn default() -> Self {
        BalGrad {
            weights: KlWeights::default(),
            project: true,
            projection_scope: ProjectionScope::default(),
            kl_scale: KlScale::Factor(1.0),
            kl_heads: true,
        }
    }
}

impl BalGrad {
    /// Whether it has both of its parts, reweighting and projection, as the paper proposes it.
    pub fn is_whole(&self) -> bool {
        self.project && self.weights != KlWeights::Uniform
    }
}

impl Options for BalGrad {
    fn needs_heads(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), String> {
        if self.project && self.projection_scope == ProjectionScope::WithHeads && !self.kl_heads {
            return Err("`projection-scope = \"with-heads\"` projects what `kl-heads = false` leaves out".to_owned());
        }
        match self.kl_scale {
            KlScale::Factor(factor) if !(factor.is_finite() && factor >= 0.0) => {
                Err(format!("`kl-scale` should be a non-negative number or \"1/C\", found {factor}"))
            }
            _ => Ok(()),
        }
    }

    fn build(&self, _seed: u64) -> Box<dyn Method> {
        Box::new(self.clone())
    }
}

impl BalGrad {
    /// w_v and w_l, which sum to 1; numbers, no gradient flows through them.
    fn kl_weights(&self, loss_v: &Tensor, loss_l: &Tensor) -> (Tensor, Tensor) {
        let half = loss_v.full_like(0.5);
        let sum = loss_v + loss_l;
        let ratio = |loss: &Tensor| (loss / &sum).where_self(&sum.gt(0.0), &half);
        match self.weights {
            KlWeights::LossRatio => (ratio(loss_v), ratio(loss_l)),
            KlWeights::InverseLoss => (ratio(loss_l), ratio(loss_v)),
            KlWeights::Uniform => (half.shallow_clone(), half),
        }
    }
}

impl Method for BalGrad {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let task = &model.shape.task;

        // 1, 2: predictions, losses and divergences.
        let a = model.forward(batch);
        let (o_v, o_l) = (model.head(Image, &a.z_v), model.head(Text, &a.z_l));
        let (loss_t, d_o_t) = task.loss(&a.fused.logits, &batch.y);
        let (loss_v, d_o_v) = task.loss(&o_v, &batch.y);
        let (loss_l, d_o_l) = task.loss(&o_l, &batch.y);
        let (kl_v, kl_l, d_kl_v) = task.mutual_kl(&o_v, &o_l);
        let d_kl_l = -&d_kl_v;

        // 4, reweight: λ w_m ∂K_m/∂o_m.
        let (w_v, w_l) = self.kl_weights(&loss_v, &loss_l);
        let λ = self.kl_scale.of(task);
        let (d_kl_v, d_kl_l) = (d_kl_v * (&w_v * λ), d_kl_l * (&w_l * λ));

        // 3: g_T on θ and f_T, and g_kl on θ as size × direction: the square of a direction neither vanishes nor overflows.
        let FusedGradient { d_z, theta: g_t, head: g_t_fused } = model.pull_back_fused(&a, &d_o_t);
        let size = largest(&d_kl_v).maximum(&largest(&d_kl_l));
        let direction = model.pull_back_heads(&a, &(&d_kl_v / &size), &(&d_kl_l / &size));

        // 5, project.
        let gram = Gram::new(&batch.x_v, &batch.x_l);
        let [(dot_v, square_v), (dot_l, square_l)] =
            [Image, Text].map(|m| gram.inner_and_square(m, Entries::Both, &g_t, &direction));
        let (dot, square) = (dot_v + dot_l, square_v + square_l);
        let square_t = gram.square(Image, &g_t) + gram.square(Text, &g_t);
        let mut scalars = vec![
            ("loss_T", loss_t),
            ("loss_v", loss_v),
            ("loss_l", loss_l),
            ("loss_kl_v", kl_v),
            ("loss_kl_l", kl_l),
            ("coefficient_v", w_v),
            ("coefficient_l", w_l),
            ("dot_T_kl", &dot * &size),
            ("norm_g_kl_theta", square.sqrt() * &size),
            ("norm_g_T_theta", square_t.sqrt()),
            ("cos_T_kl", cosine(&dot, &square_t, &square)),
            ("conflict", dot.lt(0.0).to_kind(dot.kind())),
        ];
        let g_kl = WeightedKl { direction, size, d_kl_v, d_kl_l };
        let projection = self.project(&a, &gram, &g_t, &g_kl, &dot, &square);
        scalars.extend(projection.coefficients);

        // 6, update: on h_m, g_T + g_T^m + g_kl minus the projection of g_T on g_kl.
        let g_t_and_g_t_m = model.pull_back_with_heads(&a, &d_z, &d_o_v, &d_o_l);
        let mut gradients = g_t_fused;
        match projection.on_theta {
            OnTheta::Multiple(a) => {
                let theta = g_t_and_g_t_m.plus(&(&g_kl.size - a), &g_kl.direction);
                gradients.extend(model.embedding_gradient(batch, &theta));
            }
            OnTheta::ByPart { weight, bias } => {
                let all = g_t_and_g_t_m.plus(&g_kl.size, &g_kl.direction);
                gradients.extend(model.embedding_gradient(batch, &(&all - &weight)));
                let biases = model.embedding_gradient(batch, &(&all - &bias));
                gradients.extend(biases.into_iter().filter(|(id, _)| id.part == Part::Bias));
            }
        }
        let [d_o_v, d_o_l] = match projection.kl_on_heads {
            _ if !self.kl_heads => [d_o_v, d_o_l],
            None => [d_o_v + g_kl.d_kl_v, d_o_l + g_kl.d_kl_l],
            Some(factor) => [d_o_v + g_kl.d_kl_v * &factor, d_o_l + g_kl.d_kl_l * factor],
        };
        gradients.extend(model.head_gradient(Image, &a, &d_o_v));
        gradients.extend(model.head_gradient(Text, &a, &d_o_l));
        Step { gradients, d_z, scalars }
    }
}

/// g_kl: on θ, its direction and size; for the heads, λ w_m ∂K_m/∂o_m, [B, C].
struct WeightedKl {
    direction: Theta,
    size: Tensor,
    d_kl_v: Tensor,
    d_kl_l: Tensor,
}

/// The projection of g_T on g_kl.
struct Projection {
    on_theta: OnTheta,
    /// The factor 1 − a on the heads' part of g_kl; none: 1.
    kl_on_heads: Option<Tensor>,
    coefficients: Vec<(&'static str, Tensor)>,
}

/// a g_kl on θ.
enum OnTheta {
    /// This multiple of g_kl's direction.
    Multiple(Tensor),
    /// Multiples that differ between modalities, or between weights and biases.
    ByPart { weight: Theta, bias: Theta },
}

/// ⟨g_T, g⟩/‖g‖² if the inner product is negative, else 0. A negative inner product implies a positive norm, unless both
/// are the rounding error of 0.
fn coefficient(dot: &Tensor, square: &Tensor) -> Tensor {
    (dot / square).where_self(&dot.lt(0.0).logical_and(&square.gt(0.0)), &dot.zeros_like())
}

/// The factor on a gradient, from the factor on its direction. If the gradient is so small that float32 cannot represent
/// the factor, the most negative float32.
fn unscaled(coefficient: &Tensor, size: &Tensor) -> Tensor {
    (coefficient / size).clamp_min(f64::from(f32::MIN))
}

impl BalGrad {
    /// Step 5, from ⟨g_T, direction⟩ and ‖direction‖² over θ.
    fn project(
        &self,
        activations: &Activations,
        gram: &Gram,
        g_t: &Theta,
        g_kl: &WeightedKl,
        dot: &Tensor,
        square: &Tensor,
    ) -> Projection {
        let WeightedKl { direction, size, d_kl_v, d_kl_l } = g_kl;
        let multiple = |a: Tensor| Projection {
            coefficients: vec![("projection_coefficient", unscaled(&a, size))],
            on_theta: OnTheta::Multiple(a),
            kl_on_heads: None,
        };
        if !self.project {
            return multiple(dot.zeros_like());
        }
        match self.projection_scope {
            ProjectionScope::Joint => multiple(coefficient(dot, square)),
            ProjectionScope::PerModality => {
                let (directions, [size_v, size_l]) = direction.directions();
                let [a_v, a_l] = coefficients(gram, Entries::Both, g_t, &directions);
                let both = || directions.weighted(&a_v, &a_l);
                Projection {
                    on_theta: OnTheta::ByPart { weight: both(), bias: both() },
                    kl_on_heads: None,
                    coefficients: vec![
                        ("projection_coefficient_v", unscaled(&unscaled(&a_v, &size_v), size)),
                        ("projection_coefficient_l", unscaled(&unscaled(&a_l, &size_l), size)),
                    ],
                }
            }
            ProjectionScope::PerTensor => {
                let (directions, _) = direction.directions();
                let [weight, bias] = [Entries::Weight, Entries::Bias].map(|entries| {
                    let [a_v, a_l] = coefficients(gram, entries, g_t, &directions);
                    directions.weighted(&a_v, &a_l)
                });
                Projection { on_theta: OnTheta::ByPart { weight, bias }, kl_on_heads: None, coefficients: vec![] }
            }
            ProjectionScope::WithHeads => {
                let square_of_heads = head_norm_squared(&(d_kl_v / size), &activations.z_v)
                    + head_norm_squared(&(d_kl_l / size), &activations.z_l);
                let a = coefficient(dot, &(square + square_of_heads));
                let kl_on_heads = Some(1.0 - unscaled(&a, size));
                Projection { kl_on_heads, ..multiple(a) }
            }
        }
    }
}

/// One coefficient for h_v and one for h_l.
fn coefficients(gram: &Gram, entries: Entries, g_t: &Theta, directions: &Theta) -> [Tensor; 2] {
    [Image, Text].map(|m| {
        let (dot, square) = gram.inner_and_square(m, entries, g_t, directions);
        coefficient(&dot, &square)
    })
}

#[cfg(test)]
pub(super) mod tests;
