//! How two embeddings become the fused logits o_T = F(z_v, z_l).
//!
//! | fusion | F | parameters |
//! |---|---|---|
//! | `concat` | [z_v, z_l] Wᵀ + b | `f_T.weight` [C, 2d], `f_T.bias` [C]; columns 0..d belong to the image |
//! | `addition` | (z_v + z_l) Wᵀ + b | `f_T.weight` [C, d], `f_T.bias` |
//! | `attention` | r Wᵀ + b, r the mean over both tokens of softmax(Q Kᵀ/√d) U | those, and `attn.q.{weight,bias}`, `attn.k.weight`, `attn.v.{weight,bias}`, [d, d] and [d] |
//! | `concat-mlp` | W relu(U [z_v, z_l] + a) + b | `f_T.hidden.weight` [d, 2d], `f_T.hidden.bias` [d], `f_T.weight` [C, d], `f_T.bias` |
//!
//! Attention has one head, no residual, no normalisation, no key bias (it changes no softmax) and no output
//! projection (it would only compose with W); its tokens are z_v and z_l, Q = T W_qᵀ + b_q, K = T W_kᵀ,
//! U = T W_uᵀ + b_u (`attn.v`).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Activations, Gradients, Model, linear_gradient, through_relu};

/// The fusion of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    #[default]
    Concat,
    Addition,
    Attention,
    ConcatMlp,
}

/// The fused logits, and what the pull-back needs of the way to them.
#[derive(Debug)]
pub struct Fused {
    /// o_T, [B, C].
    pub logits: Tensor,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// What went into the last layer.
    Linear {
        input: Tensor,
    },
    /// Concatenation, hidden activations.
    Mlp {
        input: Tensor,
        hidden: Tensor,
    },
    Attention(Box<AttentionWay>),
}

#[derive(Debug)]
struct AttentionWay {
    /// [B, 2, d]
    tokens: Tensor,
    q: Tensor,
    k: Tensor,
    u: Tensor,
    /// [B, 2, 2], rows sum to 1.
    a: Tensor,
    /// [B, d]
    r: Tensor,
}

impl Fusion {
    /// Name, size and fan-in of f_T's parameters.
    pub fn parameters(self, d: i64, logits: i64) -> Vec<(String, Vec<i64>, i64)> {
        let inputs = if self == Fusion::Concat { 2 * d } else { d };
        let mut list: Vec<(&str, Vec<i64>, i64)> = Vec::new();
        if self == Fusion::Attention {
            list.extend([
                ("attn.q.weight", vec![d, d], d),
                ("attn.q.bias", vec![d], d),
                ("attn.k.weight", vec![d, d], d),
                ("attn.v.weight", vec![d, d], d),
                ("attn.v.bias", vec![d], d),
            ]);
        }
        if self == Fusion::ConcatMlp {
            list.extend([("f_T.hidden.weight", vec![d, 2 * d], 2 * d), ("f_T.hidden.bias", vec![d], 2 * d)]);
        }
        list.extend([("f_T.weight", vec![logits, inputs], inputs), ("f_T.bias", vec![logits], inputs)]);
        list.into_iter().map(|(name, size, fan_in)| (name.to_owned(), size, fan_in)).collect()
    }

    /// o_T of embeddings [B, d].
    pub fn forward(self, model: &Model, z_v: &Tensor, z_l: &Tensor) -> Fused {
        let last = |input: &Tensor| input.linear(model.get("f_T.weight"), Some(model.get("f_T.bias")));
        match self {
            Fusion::Concat => {
                let input = Tensor::cat(&[z_v, z_l], 1);
                Fused { logits: last(&input), way: Way::Linear { input } }
            }
            Fusion::Addition => {
                let input = z_v + z_l;
                Fused { logits: last(&input), way: Way::Linear { input } }
            }
            Fusion::ConcatMlp => {
                let input = Tensor::cat(&[z_v, z_l], 1);
                let bias = model.get("f_T.hidden.bias");
                let hidden = input.linear(model.get("f_T.hidden.weight"), Some(bias)).relu_();
                Fused { logits: last(&hidden), way: Way::Mlp { input, hidden } }
            }
            Fusion::Attention => {
                let way = attend(model, z_v, z_l);
                Fused { logits: last(&way.r), way: Way::Attention(Box::new(way)) }
            }
        }
    }

    /// The mono-modal responses u_v = ½ (F − F_l + F_v) and u_l = ½ (F − F_v + F_l), which sum to F, where F_v = F(z_v, 0)
    /// and F_l = F(0, z_l); [B, C] each. Where F is linear, u_m = z_m W_mᵀ + b/2, half of the classifier with half of its
    /// bias (Peng et al., CVPR 2022, main.py).
    pub fn responses(self, model: &Model, a: &Activations) -> [Tensor; 2] {
        let linear = |weight: &Tensor| (model.get("f_T.bias") * 0.5).addmm(&a.z_v, &weight.tr());
        match self {
            Fusion::Concat => {
                let u_v = linear(&model.get("f_T.weight").narrow(1, 0, model.shape.embedding));
                let u_l = &a.fused.logits - &u_v;
                [u_v, u_l]
            }
            Fusion::Addition => {
                let u_v = linear(model.get("f_T.weight"));
                let u_l = &a.fused.logits - &u_v;
                [u_v, u_l]
            }
            Fusion::Attention | Fusion::ConcatMlp => {
                let f_v = self.forward(model, &a.z_v, &a.z_l.zeros_like()).logits;
                let f_l = self.forward(model, &a.z_v.zeros_like(), &a.z_l).logits;
                shares(&a.fused.logits, &f_v, &f_l)
            }
        }
    }

    /// For G = ∂L/∂o_T: ∂L/∂z_v, ∂L/∂z_l, and the gradients of f_T's parameters.
    pub fn pull_back(self, model: &Model, a: &Activations, d_logits: &Tensor) -> (Tensor, Tensor, Gradients) {
        let weight = model.get("f_T.weight");
        let d = model.shape.embedding;
        let halves = |both: Tensor| (both.narrow(1, 0, d), both.narrow(1, d, d));
        match &a.fused.way {
            Way::Linear { input } => {
                let gradients = linear_gradient("f_T", input, d_logits);
                let d_input = d_logits.mm(weight);
                let (d_v, d_l) = match self {
                    Fusion::Concat => halves(d_input),
                    _ => (d_input.shallow_clone(), d_input),
                };
                (d_v, d_l, gradients)
            }
            Way::Mlp { input, hidden } => {
                let mut gradients = linear_gradient("f_T", hidden, d_logits);
                let d_hidden = through_relu(hidden, &d_logits.mm(weight));
                gradients.extend(linear_gradient("f_T.hidden", input, &d_hidden));
                let (d_v, d_l) = halves(d_hidden.mm(model.get("f_T.hidden.weight")));
                (d_v, d_l, gradients)
            }
            Way::Attention(way) => pull_back_attention(model, way, d_logits),
        }
    }
}

/// u_v and u_l of F, F_v and F_l: the Shapley value of each modality, and half of what no modality gives.
pub fn shares(f: &Tensor, f_v: &Tensor, f_l: &Tensor) -> [Tensor; 2] {
    let u_v = (f - f_l + f_v) * 0.5;
    let u_l = (f - f_v + f_l) * 0.5;
    [u_v, u_l]
}

fn attend(model: &Model, z_v: &Tensor, z_l: &Tensor) -> AttentionWay {
    let scale = (model.shape.embedding as f64).sqrt();
    let tokens = Tensor::stack(&[z_v, z_l], 1);
    let q = tokens.linear(model.get("attn.q.weight"), Some(model.get("attn.q.bias")));
    let k = tokens.matmul(&model.get("attn.k.weight").tr());
    let u = tokens.linear(model.get("attn.v.weight"), Some(model.get("attn.v.bias")));
    let a = (q.bmm(&k.transpose(1, 2)) / scale).softmax(-1, None);
    let r = a.bmm(&u).mean_dim([1].as_slice(), false, None);
    AttentionWay { tokens, q, k, u, a, r }
}

fn pull_back_attention(model: &Model, way: &AttentionWay, d_logits: &Tensor) -> (Tensor, Tensor, Gradients) {
    let AttentionWay { tokens, q, k, u, a, r } = way;
    let d = model.shape.embedding;
    let scale = (d as f64).sqrt();
    let mut gradients = linear_gradient("f_T", r, d_logits);
    // Both tokens get half of ∂L/∂r.
    let d_o = (d_logits.mm(model.get("f_T.weight")) * 0.5).unsqueeze(1).expand_as(tokens);
    let d_a = d_o.bmm(&u.transpose(1, 2));
    let d_u = a.transpose(1, 2).bmm(&d_o);
    let d_s = a * (&d_a - (&d_a * a).sum_dim_intlist([-1].as_slice(), true, None));
    let d_q = d_s.bmm(k) / scale;
    let d_k = d_s.transpose(1, 2).bmm(q) / scale;
    let flat = |tensor: &Tensor| tensor.reshape([-1, d]);
    let rows = flat(tokens);
    gradients.extend(linear_gradient("attn.q", &rows, &flat(&d_q)));
    gradients.push(("attn.k.weight".into(), flat(&d_k).tr().mm(&rows)));
    gradients.extend(linear_gradient("attn.v", &rows, &flat(&d_u)));
    let d_tokens = d_q.matmul(model.get("attn.q.weight"))
        + d_k.matmul(model.get("attn.k.weight"))
        + d_u.matmul(model.get("attn.v.weight"));
    (d_tokens.select(1, 0), d_tokens.select(1, 1), gradients)
}

#[cfg(test)]
mod tests;
