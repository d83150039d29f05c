//! BalGrad (Kwon et al., "See-Saw Modality Balance", NAACL 2025): reweights the KL gradients between the modalities by
//! what each has still to learn, and projects the task gradient so that it does not work against them.
//!
//! The authors published no code. What follows is the step of the method as its paper's abstract and the caption of its
//! Figure 3 give it; where they leave a choice, it is an option here:
//!
//! - the weighting rule: `loss-ratio` gives more of the KL gradient to the modality that has learned less;
//! - the scope of the projection: one inner product over θ = (h_v, h_l);
//! - the size of the KL gradient: the weights sum to 1, and `kl-scale` multiplies them. In multilabel tasks the divergence
//!   is summed over classes while the losses are averaged, as the definition of both says;
//! - f_T is updated with g_T, which is the same as g_T⊥ there: the KL losses do not reach f_T;
//! - ∇L_v and ∇L_l are not projected; whether the KL gradients train the heads too is `kl-heads`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Method, Options, Step};
use crate::model::gradient::{Entries, Gram, Theta, cosine, head_norm_squared, largest};
use crate::model::task::Task;
use crate::model::{Activations, Batch, FusedGradient, Gradients, Model};
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

/// Over what the inner product of a projection runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectionScope {
    /// One projection over θ = (h_v, h_l).
    #[default]
    Joint,
    /// One for h_v, one for h_l, each with its own test.
    PerModality,
    /// One for each weight and each bias, as code for gradient surgery often has it.
    PerTensor,
    /// One over (θ, f_v, f_l): the same inner product as joint, a larger norm, and the heads get −a g_kl in addition.
    WithHeads,
}

/// Options of BalGrad. The ablation "reweighting only" is `project = false`, "projection only" is
/// `weights = "uniform"`, and both together are the control that shows what L_v, L_l and the KL losses bring alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BalGrad {
    /// The rule for w_v and w_l.
    pub weights: KlWeights,
    /// Whether g_T is projected.
    pub project: bool,
    /// Over what.
    pub projection_scope: ProjectionScope,
    /// λ: multiplies both weights, which sum to 1.
    pub kl_scale: KlScale,
    /// Whether the KL gradients train the heads f_v and f_l too, or the embedding layers alone.
    pub kl_heads: bool,
}

/// λ.
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
        let ratio = |loss: &Tensor| {
            let sum = loss_v + loss_l;
            (loss / &sum).where_self(&sum.gt(0.0), &half)
        };
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

        // 1, 2: predictions and losses; K_v = KL(p(o_l) ‖ p(o_v)) and K_l = KL(p(o_v) ‖ p(o_l)), the first constant.
        let a = model.forward(batch);
        let (o_v, o_l) = (model.head(Image, &a.z_v), model.head(Text, &a.z_l));
        let (loss_t, d_t) = task.loss(&a.fused.logits, &batch.y);
        let (loss_v, d_v) = task.loss(&o_v, &batch.y);
        let (loss_l, d_l) = task.loss(&o_l, &batch.y);
        let (kl_v, kl_l, d_kl_v) = task.mutual_kl(&o_v, &o_l);
        let d_kl_l = -&d_kl_v;

        // 4, reweight: g_kl = w_v g_kl^v ⊕ w_l g_kl^l, times λ. A projection needs its direction alone, whose squares
        // neither vanish nor overflow; `size` is what was divided by.
        let (w_v, w_l) = self.kl_weights(&loss_v, &loss_l);
        let λ = self.kl_scale.of(task);
        let (d_kl_v, d_kl_l) = (d_kl_v * (&w_v * λ), d_kl_l * (&w_l * λ));
        let size = largest(&d_kl_v).maximum(&largest(&d_kl_l));

        // 3: g_T = ∇L_T on θ and f_T, and g_kl on θ.
        let FusedGradient { d_z, theta: g_t, head: g_t_fused } = model.pull_back_fused(&a, &d_t);
        let direction = model.pull_back_heads(&a, &(&d_kl_v / &size), &(&d_kl_l / &size));

        // 5, project: g_T⊥ = g_T − a g_kl with a = ⟨g_T, g_kl⟩/‖g_kl‖² where ⟨g_T, g_kl⟩ < 0, else g_T.
        let gram = Gram::of(batch);
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
        let kl = Kl { direction, size, d_kl_v, d_kl_l };
        let projected = self.project_away(&a, &gram, &g_t, &kl, &dot, &square);
        scalars.extend(projected.coefficients);

        // 6, update: f_T: g_T;  h_m: g_T⊥ + g_T^m + w_m g_kl^m;  f_m: g_T^m + w_m g_kl^m.
        let g_t_and_g_t_m = model.pull_back_with_heads(&a, &d_z, &d_v, &d_l);
        let mut gradients = g_t_fused;
        gradients.extend(match projected.removed {
            Removed::Multiple(a) => {
                model.embedding_gradient(batch, &g_t_and_g_t_m.plus(&(&kl.size - a), &kl.direction))
            }
            Removed::ByPart { weight, bias } => {
                let all = g_t_and_g_t_m.plus(&kl.size, &kl.direction);
                let weights = model.embedding_gradient(batch, &(&all - &weight));
                let biases = model.embedding_gradient(batch, &(&all - &bias));
                join(weights, biases)
            }
        });
        let [on_v, on_l] = match projected.on_heads {
            _ if !self.kl_heads => [d_v, d_l],
            None => [d_v + kl.d_kl_v, d_l + kl.d_kl_l],
            Some(factor) => [d_v + kl.d_kl_v * &factor, d_l + kl.d_kl_l * factor],
        };
        gradients.extend(model.head_gradient(Image, &a, &on_v));
        gradients.extend(model.head_gradient(Text, &a, &on_l));
        Step { gradients, d_z, scalars }
    }
}

/// The weighted KL gradient: on θ, its direction and size, and at the logits of the heads.
struct Kl {
    direction: Theta,
    size: Tensor,
    d_kl_v: Tensor,
    d_kl_l: Tensor,
}

struct Projected {
    removed: Removed,
    /// What the heads get of the weighted KL gradient: all of it, or 1 − a times.
    on_heads: Option<Tensor>,
    coefficients: Vec<(&'static str, Tensor)>,
}

/// What the projection takes away from g_T.
enum Removed {
    /// This multiple of the KL gradient's direction.
    Multiple(Tensor),
    /// Multiples that differ between modalities, or between weights and biases.
    ByPart { weight: Theta, bias: Theta },
}

/// ⟨g_T, g⟩/‖g‖² if the inner product is negative, which implies that the norm is not 0, unless both are what rounding
/// leaves of 0; else 0.
fn coefficient(dot: &Tensor, square: &Tensor) -> Tensor {
    (dot / square).where_self(&dot.lt(0.0).logical_and(&square.gt(0.0)), &dot.zeros_like())
}

/// The factor on a gradient, from the factor on its direction. Where the gradient is so small that no float32 could
/// hold the factor, the largest one.
fn unscaled(coefficient: &Tensor, size: &Tensor) -> Tensor {
    (coefficient / size).clamp_min(f64::from(f32::MIN))
}

impl BalGrad {
    fn project_away(
        &self,
        activations: &Activations,
        gram: &Gram,
        g_t: &Theta,
        kl: &Kl,
        dot: &Tensor,
        square: &Tensor,
    ) -> Projected {
        if !self.project {
            let none = dot.zeros_like();
            let coefficients = vec![("projection_coefficient", none.shallow_clone())];
            return Projected { removed: Removed::Multiple(none), on_heads: None, coefficients };
        }
        match self.projection_scope {
            ProjectionScope::Joint => {
                let a = coefficient(dot, square);
                let coefficients = vec![("projection_coefficient", unscaled(&a, &kl.size))];
                Projected { removed: Removed::Multiple(a), on_heads: None, coefficients }
            }
            ProjectionScope::PerModality => {
                let (directions, [size_v, size_l]) = kl.direction.directions();
                let [a_v, a_l] = coefficients(gram, Entries::Both, g_t, &directions);
                let removed = || directions.weighted(&a_v, &a_l);
                let coefficients = vec![
                    ("projection_coefficient_v", unscaled(&unscaled(&a_v, &size_v), &kl.size)),
                    ("projection_coefficient_l", unscaled(&unscaled(&a_l, &size_l), &kl.size)),
                ];
                let removed = Removed::ByPart { weight: removed(), bias: removed() };
                Projected { removed, on_heads: None, coefficients }
            }
            ProjectionScope::PerTensor => {
                let (directions, _) = kl.direction.directions();
                let [weight, bias] = [Entries::Weight, Entries::Bias].map(|entries| {
                    let [a_v, a_l] = coefficients(gram, entries, g_t, &directions);
                    directions.weighted(&a_v, &a_l)
                });
                Projected { removed: Removed::ByPart { weight, bias }, on_heads: None, coefficients: vec![] }
            }
            ProjectionScope::WithHeads => {
                let on_heads = head_norm_squared(&(&kl.d_kl_v / &kl.size), &activations.z_v)
                    + head_norm_squared(&(&kl.d_kl_l / &kl.size), &activations.z_l);
                let a = coefficient(dot, &(square + on_heads));
                let of_g_kl = unscaled(&a, &kl.size);
                let coefficients = vec![("projection_coefficient", of_g_kl.shallow_clone())];
                Projected { removed: Removed::Multiple(a), on_heads: Some(1.0 - of_g_kl), coefficients }
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

/// The weights of one list with the biases of the other.
fn join(weights: Gradients, biases: Gradients) -> Gradients {
    let is_weight = |name: &str| name.ends_with(".weight");
    let mut joined: Gradients = weights.into_iter().filter(|(name, _)| is_weight(name)).collect();
    joined.extend(biases.into_iter().filter(|(name, _)| !is_weight(name)));
    joined
}

#[cfg(test)]
mod tests;
