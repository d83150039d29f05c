//! How two embeddings become the fused logits o_T = F(z_v, z_l).
//!
//! | fusion | F | parameters |
//! |---|---|---|
//! | `concat` | [z_v, z_l] Wᵀ + b | `f_T.weight` [C, 2d], `f_T.bias` `[C]`; columns 0..d belong to the image |
//! | `addition` | (z_v + z_l) Wᵀ + b | `f_T.weight` [C, d], `f_T.bias` |
//! | `attention` | r Wᵀ + b, r the mean over both tokens of softmax(Q Kᵀ/√d) U | those, and `attn.q.{weight,bias}`, `attn.k.weight`, `attn.v.{weight,bias}`, [d, d] and `[d]` |
//! | `concat-mlp` | W relu(U [z_v, z_l] + a) + b | `f_T.hidden.weight` [d, 2d], `f_T.hidden.bias` `[d]`, `f_T.weight` [C, d], `f_T.bias` |
//!
//! Attention has one head, no residual, no normalisation, no key bias (it changes no softmax) and no output
//! projection (it would only compose with W); its tokens are z_v and z_l, Q = T W_qᵀ + b_q, K = T W_kᵀ,
//! U = T W_uᵀ + b_u (`attn.v`).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::gradient::through_relu;
use super::parameters::{Gradients, Layer, Parameters};

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

impl Fusion {
    /// What joins the modalities, in words.
    pub fn title(self) -> &'static str {
        match self {
            Fusion::Concat => "concatenation",
            Fusion::Addition => "addition",
            Fusion::Attention => "attention",
            Fusion::ConcatMlp => "concatenation and a hidden layer",
        }
    }
}

/// The fused logits, and the intermediate results that their gradient needs.
#[derive(Debug)]
pub struct Fused {
    /// o_T, [B, C].
    pub logits: Tensor,
    /// Of the last layer, [B, 2d] or [B, d].
    input: Tensor,
    before: Before,
}

/// What comes before the last layer.
#[derive(Debug)]
enum Before {
    /// The input is [z_v, z_l].
    Concat,
    /// The input is z_v + z_l.
    Addition,
    /// The input is the hidden activations of [z_v, z_l], [B, 2d].
    ConcatMlp(Tensor),
    /// The input is r.
    Attention(Box<Attention>),
}

/// Softmax attention over the tokens z_v and z_l.
#[derive(Debug)]
struct Attention {
    /// [B, 2, d]
    tokens: Tensor,
    /// Q, K and U, [B, 2, d]
    q: Tensor,
    k: Tensor,
    u: Tensor,
    /// [B, 2, 2]; rows sum to 1.
    a: Tensor,
}

impl Fusion {
    /// Layer, outputs and inputs of each layer of f_T.
    pub(super) fn layers(self, d: i64, logits: i64) -> Vec<(Layer, i64, i64)> {
        match self {
            Fusion::Concat => vec![(Layer::Fused, logits, 2 * d)],
            Fusion::Addition => vec![(Layer::Fused, logits, d)],
            Fusion::Attention => {
                let projections = [Layer::Query, Layer::Key, Layer::Value].map(|layer| (layer, d, d));
                [&projections[..], &[(Layer::Fused, logits, d)]].concat()
            }
            Fusion::ConcatMlp => vec![(Layer::FusedHidden, d, 2 * d), (Layer::Fused, logits, d)],
        }
    }

    /// o_T of embeddings [B, d].
    pub(super) fn forward(self, parameters: &Parameters, z_v: &Tensor, z_l: &Tensor) -> Fused {
        let both = || Tensor::cat(&[z_v, z_l], 1);
        let (input, before) = match self {
            Fusion::Concat => (both(), Before::Concat),
            Fusion::Addition => (z_v + z_l, Before::Addition),
            Fusion::ConcatMlp => {
                let both = both();
                (Layer::FusedHidden.forward(parameters, &both).relu_(), Before::ConcatMlp(both))
            }
            Fusion::Attention => {
                let (r, attention) = Attention::forward(parameters, z_v, z_l);
                (r, Before::Attention(Box::new(attention)))
            }
        };
        Fused { logits: Layer::Fused.forward(parameters, &input), input, before }
    }

    /// The mono-modal responses of embeddings [B, d] with the fused logits `f`: see [`super::Model::responses`].
    pub(super) fn responses(self, parameters: &Parameters, z_v: &Tensor, z_l: &Tensor, f: &Tensor) -> [Tensor; 2] {
        let linear = |w_v: &Tensor| {
            let u_v = (&parameters[&Layer::Fused.bias()] * 0.5).addmm(z_v, &w_v.tr());
            let u_l = f - &u_v;
            [u_v, u_l]
        };
        let weight = &parameters[&Layer::Fused.weight()];
        match self {
            Fusion::Concat => linear(&weight.narrow(1, 0, z_v.size()[1])),
            Fusion::Addition => linear(weight),
            Fusion::Attention | Fusion::ConcatMlp => {
                let f_v = self.forward(parameters, z_v, &z_l.zeros_like()).logits;
                let f_l = self.forward(parameters, &z_v.zeros_like(), z_l).logits;
                shares(f, &f_v, &f_l)
            }
        }
    }
}

impl Fused {
    /// From G = ∂L/∂o_T: ∂L/∂z_v and ∂L/∂z_l, and the gradients on f_T's parameters.
    pub(super) fn pull_back(&self, parameters: &Parameters, d_logits: &Tensor) -> ([Tensor; 2], Gradients) {
        let d_input = d_logits.mm(&parameters[&Layer::Fused.weight()]);
        let halves = |both: Tensor| {
            let d = both.size()[1] / 2;
            [both.narrow(1, 0, d), both.narrow(1, d, d)]
        };
        let mut gradients = Layer::Fused.gradient(&self.input, d_logits);
        let d_z = match &self.before {
            Before::Concat => halves(d_input),
            Before::Addition => [d_input.shallow_clone(), d_input],
            Before::ConcatMlp(both) => {
                let d_hidden = through_relu(&self.input, &d_input);
                gradients.extend(Layer::FusedHidden.gradient(both, &d_hidden));
                halves(d_hidden.mm(&parameters[&Layer::FusedHidden.weight()]))
            }
            Before::Attention(attention) => {
                let (d_z, projections) = attention.pull_back(parameters, &d_input);
                gradients.extend(projections);
                d_z
            }
        };
        (d_z, gradients)
    }
}

/// u_v and u_l from F, F_v and F_l: the Shapley value of each modality, plus half of F without either.
pub fn shares(f: &Tensor, f_v: &Tensor, f_l: &Tensor) -> [Tensor; 2] {
    let u_v = (f - f_l + f_v) * 0.5;
    let u_l = (f - f_v + f_l) * 0.5;
    [u_v, u_l]
}

impl Attention {
    /// r, [B, d], and what its gradient needs.
    fn forward(parameters: &Parameters, z_v: &Tensor, z_l: &Tensor) -> (Tensor, Self) {
        let tokens = Tensor::stack(&[z_v, z_l], 1);
        let scale = (tokens.size()[2] as f64).sqrt();
        let q = Layer::Query.forward(parameters, &tokens);
        let k = tokens.matmul(&parameters[&Layer::Key.weight()].tr());
        let u = Layer::Value.forward(parameters, &tokens);
        let a = (q.bmm(&k.transpose(1, 2)) / scale).softmax(-1, None);
        let r = a.bmm(&u).mean_dim([1].as_slice(), false, None);
        (r, Attention { tokens, q, k, u, a })
    }

    /// From ∂L/∂r: ∂L/∂z_v and ∂L/∂z_l, and the gradients on the projections.
    fn pull_back(&self, parameters: &Parameters, d_r: &Tensor) -> ([Tensor; 2], Gradients) {
        let Attention { tokens, q, k, u, a } = self;
        let d = tokens.size()[2];
        let scale = (d as f64).sqrt();
        // r is the mean over both tokens.
        let d_o = (d_r * 0.5).unsqueeze(1).expand_as(tokens);
        let d_a = d_o.bmm(&u.transpose(1, 2));
        let d_u = a.transpose(1, 2).bmm(&d_o);
        let d_s = a * (&d_a - (&d_a * a).sum_dim_intlist([-1].as_slice(), true, None));
        let d_q = d_s.bmm(k) / scale;
        let d_k = d_s.transpose(1, 2).bmm(q) / scale;
        let flat = |tensor: &Tensor| tensor.reshape([-1, d]);
        let rows = flat(tokens);
        let mut gradients = Layer::Query.gradient(&rows, &flat(&d_q));
        gradients.insert(Layer::Key.weight(), flat(&d_k).tr().mm(&rows));
        gradients.extend(Layer::Value.gradient(&rows, &flat(&d_u)));
        let back = |d_output: &Tensor, layer: Layer| d_output.matmul(&parameters[&layer.weight()]);
        let d_tokens = back(&d_q, Layer::Query) + back(&d_k, Layer::Key) + back(&d_u, Layer::Value);
        ([d_tokens.select(1, 0), d_tokens.select(1, 1)], gradients)
    }
}

#[cfg(test)]
mod tests;
