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

mod alone;

use serde::{Deserialize, Serialize};
use tch::Tensor;

pub use self::alone::Alone;
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
    /// The input is relu(`hidden`), [B, d], of `both` = [z_v, z_l], [B, 2d].
    ConcatMlp { both: Tensor, hidden: Tensor },
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
                let hidden = Layer::FusedHidden.forward(parameters, &both);
                (hidden.relu(), Before::ConcatMlp { both, hidden })
            }
            Fusion::Attention => {
                let (r, attention) = Attention::forward(parameters, z_v, z_l);
                (r, Before::Attention(Box::new(attention)))
            }
        };
        Fused { logits: Layer::Fused.forward(parameters, &input), input, before }
    }
}

/// The affine layer that takes [z_v, z_l].
struct First<'a> {
    layer: Layer,
    /// W_v and W_l, the parts of its weight for z_v and z_l.
    weights: [Tensor; 2],
    /// z_v W_vᵀ + z_l W_lᵀ + b
    output: &'a Tensor,
}

impl Fused {
    /// The layer with which F begins; none of attention, which begins with several.
    fn first(&self, parameters: &Parameters) -> Option<First<'_>> {
        let weight = |layer: Layer| &parameters[&layer.weight()];
        let halves = |layer| {
            let d = weight(layer).size()[1] / 2;
            [0, d].map(|start| weight(layer).narrow(1, start, d))
        };
        let (layer, weights, output) = match &self.before {
            Before::Concat => (Layer::Fused, halves(Layer::Fused), &self.logits),
            Before::Addition => (Layer::Fused, [(); 2].map(|()| weight(Layer::Fused).shallow_clone()), &self.logits),
            Before::ConcatMlp { hidden, .. } => (Layer::FusedHidden, halves(Layer::FusedHidden), hidden),
            Before::Attention(_) => return None,
        };
        Some(First { layer, weights, output })
    }

    /// The gradient on the first layer's weight from those on W_v and W_l.
    fn joined(&self, [d_w_v, d_w_l]: [Tensor; 2]) -> Tensor {
        match self.before {
            Before::Addition => d_w_v + d_w_l,
            Before::Concat | Before::ConcatMlp { .. } | Before::Attention(_) => Tensor::cat(&[d_w_v, d_w_l], 1),
        }
    }

    /// The mono-modal responses to embeddings [B, d]: see [`super::Model::responses`].
    pub(super) fn responses(&self, parameters: &Parameters, z: [&Tensor; 2]) -> [Tensor; 2] {
        match self.first(parameters) {
            Some(First { layer: Layer::Fused, weights: [w_v, _], output }) => {
                let u_v = (&parameters[&Layer::Fused.bias()] * 0.5).addmm(z[0], &w_v.tr());
                let u_l = output - &u_v;
                [u_v, u_l]
            }
            _ => {
                let blanks = z.map(|z| z.narrow(0, 0, 1).zeros_like());
                Alone::new(parameters, z, self, blanks).responses(self)
            }
        }
    }

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
            Before::ConcatMlp { both, .. } => {
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
