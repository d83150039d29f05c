//! Losses of the three kinds of task, their gradients and the KL divergences between two predictions.
//!
//! Formulas: `p` are the probabilities (softmax or sigmoid) of the logits `o` [B, C], `y` the labels.
//!
//! | | softmax (multiclass, binary with two logits) | Bernoulli (multilabel, binary with one logit) |
//! |---|---|---|
//! | L(o, y) | cross-entropy, mean over the batch | BCE with logits, mean over classes and batch |
//! | ∂L/∂o | (p − y)/B | (p − y)/(BC) |
//! | KL(q ‖ p) | Σ_c q_c (log q_c − log p_c), mean over the batch | Bernoulli KL, summed over classes, mean over the batch |
//! | ∂KL/∂o of p, q constant | (p − q)/B | (p − q)/B |
//!
//! Everything goes through log-softmax and log-sigmoid, never through the logarithm of a probability.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::terms::{Metric, TaskKind};

/// How the model represents a binary task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BinaryHead {
    /// Two logits and a softmax, as in any other multiclass task.
    #[default]
    TwoLogits,
    /// One logit and a sigmoid. The same losses and gradients at the logits (0, o); one row of weights instead of two.
    SingleLogit,
}

/// The probability model of the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likelihood {
    Softmax,
    Bernoulli,
}

/// A task: what the losses and the score need to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    pub kind: TaskKind,
    pub likelihood: Likelihood,
    /// Number of logits C.
    pub logits: i64,
    /// How predictions are scored; the losses do not look at it.
    pub metric: Metric,
}

impl Task {
    /// A task with `classes` classes or labels and the default metric of its kind; `binary_head` matters for binary tasks
    /// alone.
    pub fn new(kind: TaskKind, classes: usize, binary_head: BinaryHead) -> Self {
        let (likelihood, logits) = match (kind, binary_head) {
            (TaskKind::Multiclass, _) | (TaskKind::Binary, BinaryHead::TwoLogits) => {
                (Likelihood::Softmax, classes as i64)
            }
            (TaskKind::Binary, BinaryHead::SingleLogit) => (Likelihood::Bernoulli, 1),
            (TaskKind::Multilabel, _) => (Likelihood::Bernoulli, classes as i64),
        };
        Task { kind, likelihood, logits, metric: Metric::of(kind) }
    }

    /// The same task with another metric.
    pub fn scored_by(self, metric: Metric) -> Self {
        Task { metric, ..self }
    }

    /// Number of classes or labels: one logit stands for two classes.
    pub fn classes(&self) -> usize {
        if self.kind == TaskKind::Binary { 2 } else { self.logits as usize }
    }

    /// Labels in the form that the losses take: class indices, int64 `[n]`, for a softmax; 0/1 of `kind`, [n, C], for Bernoulli.
    pub fn labels(&self, labels: &[Vec<u32>], kind: Kind) -> Tensor {
        match (self.likelihood, self.kind) {
            (Likelihood::Softmax, _) => {
                let classes: Vec<i64> = labels.iter().map(|set| set.first().map_or(0, |&c| i64::from(c))).collect();
                Tensor::from_slice(&classes)
            }
            (Likelihood::Bernoulli, TaskKind::Binary) => {
                let truth: Vec<f64> = labels.iter().map(|set| set.first().map_or(0.0, |&c| f64::from(c))).collect();
                Tensor::from_slice(&truth).view([-1, 1]).to_kind(kind)
            }
            (Likelihood::Bernoulli, _) => {
                let mut truth = vec![0.0f64; labels.len() * self.logits as usize];
                for (row, set) in truth.chunks_exact_mut(self.logits as usize).zip(labels) {
                    set.iter().for_each(|&label| row[label as usize] = 1.0);
                }
                Tensor::from_slice(&truth).view([-1, self.logits]).to_kind(kind)
            }
        }
    }

    /// The loss L and ∂L/∂o of logits [B, C].
    pub fn loss(&self, logits: &Tensor, labels: &Tensor) -> (Tensor, Tensor) {
        let batch = logits.size()[0] as f64;
        match self.likelihood {
            Likelihood::Softmax => {
                let log_p = logits.log_softmax(-1, None);
                let truth = labels.unsqueeze(1);
                let loss = -log_p.gather(1, &truth, false).mean(None);
                let minus_one = Tensor::full(truth.size(), -1.0, (logits.kind(), logits.device()));
                (loss, log_p.exp().scatter_add_(1, &truth, &minus_one).g_div_scalar_(batch))
            }
            Likelihood::Bernoulli => {
                let loss = logits.binary_cross_entropy_with_logits::<Tensor>(labels, None, None, tch::Reduction::Mean);
                (loss, (logits.sigmoid() - labels).g_div_scalar_(batch * self.logits as f64))
            }
        }
    }

    /// For two predictions a and b of the same samples: KL(b ‖ a), KL(a ‖ b), and the gradient of the first with
    /// respect to a's logits (b constant). The gradient of the second with respect to b's logits is its negative.
    pub fn mutual_kl(&self, a: &Tensor, b: &Tensor) -> (Tensor, Tensor, Tensor) {
        let batch = a.size()[0] as f64;
        let divergence = |q_log_q_minus_log_p: Tensor| q_log_q_minus_log_p.sum(None) / batch;
        match self.likelihood {
            Likelihood::Softmax => {
                let (log_a, log_b) = (a.log_softmax(-1, None), b.log_softmax(-1, None));
                let (p_a, p_b) = (log_a.exp(), log_b.exp());
                let difference = log_b - log_a;
                let (b_to_a, a_to_b) = (divergence(&p_b * &difference), divergence(-(&p_a * &difference)));
                (b_to_a, a_to_b, (p_a - p_b) / batch)
            }
            Likelihood::Bernoulli => {
                // log σ(b) − log σ(a) for the label, log σ(−b) − log σ(−a) against it.
                let (p_a, p_b) = (a.sigmoid(), b.sigmoid());
                let on = b.log_sigmoid() - a.log_sigmoid();
                let off = (-b).log_sigmoid() - (-a).log_sigmoid();
                let expected = |p: &Tensor| -> Tensor { p * &on + (1.0 - p) * &off };
                let (b_to_a, a_to_b) = (divergence(expected(&p_b)), divergence(-expected(&p_a)));
                (b_to_a, a_to_b, (p_a - p_b) / batch)
            }
        }
    }

    /// The probability of the truth under logits [B, C]: of the true class, `[B]`, for a softmax; of each label's true value,
    /// [B, C], for Bernoulli.
    pub fn probability_of_truth(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        match self.likelihood {
            Likelihood::Softmax => logits.softmax(-1, None).gather(1, &labels.unsqueeze(1), false).squeeze_dim(1),
            Likelihood::Bernoulli => ((labels * 2.0 - 1.0) * logits).sigmoid(),
        }
    }

    /// Predicted class numbers, or 0/1 per label at threshold 0.5, as int64: `[B]` for a softmax and a single logit,
    /// [B, C] for a multilabel task.
    pub fn predict(&self, logits: &Tensor) -> Tensor {
        match (self.likelihood, self.kind) {
            (Likelihood::Softmax, _) => logits.argmax(-1, false),
            // σ(o) ≥ ½ ⇔ o ≥ 0.
            (Likelihood::Bernoulli, TaskKind::Binary) => logits.ge(0.0).to_kind(Kind::Int64).squeeze_dim(1),
            (Likelihood::Bernoulli, _) => logits.ge(0.0).to_kind(Kind::Int64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::autograd::{batch, normal, tasks};
    use super::*;

    fn logits(task: &Task, scale: f64, purpose: &str) -> Tensor {
        normal(&[7, task.logits], 1, purpose) * scale
    }

    fn labels(task: &Task, kind: Kind) -> Tensor {
        batch(task, 7, 1.0, 1, kind).y
    }

    fn distance(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn gradients_are_those_of_autograd() {
        for task in tasks() {
            let a = logits(&task, 3.0, "a").set_requires_grad(true);
            let b = logits(&task, 3.0, "b");
            let (loss, gradient) = task.loss(&a, &labels(&task, Kind::Double));
            let expected = Tensor::run_backward(&[loss], &[&a], false, false).remove(0);
            assert!(distance(&gradient, &expected) < 1e-14, "loss of {task:?}");
            let (b_to_a, _, gradient) = task.mutual_kl(&a, &b);
            let expected = Tensor::run_backward(&[b_to_a], &[&a], false, false).remove(0);
            assert!(distance(&gradient, &expected) < 1e-14, "KL of {task:?}");
            // The other way round, the two divergences change places and the gradient its sign.
            let (_, a_to_b, _) = task.mutual_kl(&a.detach(), &b);
            let (b_to_a, _, _) = task.mutual_kl(&b, &a.detach());
            assert!(distance(&a_to_b, &b_to_a) < 1e-14);
        }
    }

    /// One logit o is equivalent to two logits (0, o).
    #[test]
    fn one_logit_is_two_logits_with_a_zero() {
        let [_, two, one, _] = tasks();
        let o = logits(&one, 2.0, "o");
        let pair = Tensor::cat(&[o.zeros_like(), o.shallow_clone()], 1);
        let (loss_one, gradient_one) = one.loss(&o, &labels(&one, Kind::Double));
        let (loss_two, gradient_two) = two.loss(&pair, &labels(&two, Kind::Double));
        assert!(distance(&loss_one, &loss_two) < 1e-14);
        assert!(distance(&gradient_one, &gradient_two.narrow(1, 1, 1)) < 1e-14);
        assert_eq!(one.predict(&o), two.predict(&pair));
    }

    /// Logits of hundreds give large losses, never NaN or infinity.
    #[test]
    fn large_logits_stay_finite() {
        for task in tasks() {
            for kind in [Kind::Float, Kind::Double] {
                let a = logits(&task, 500.0, "a").to_kind(kind);
                let b = logits(&task, 500.0, "b").to_kind(kind);
                let y = labels(&task, kind);
                let (loss, gradient) = task.loss(&a, &y);
                let (kl_a, kl_b, kl_gradient) = task.mutual_kl(&a, &b);
                for tensor in [loss, gradient, kl_a, kl_b, kl_gradient] {
                    assert!(bool::try_from(tensor.isfinite().all()).unwrap(), "{task:?} {kind:?}");
                }
            }
        }
    }
}
