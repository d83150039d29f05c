//! F of one modality alone, with a blank in place of the other.
//!
//! F_v = F(z_v, z_l⁰) and F_l = F(z_v⁰, z_l), where the blank z_m⁰, [1, d], is the same for all samples. Where F begins with an
//! affine layer, all three share that layer's products, forward and backward:
//!
//! ```text
//! t_v = z_v W_vᵀ,  t_l = z_l W_lᵀ,  o = t_v + t_l + b
//! o_v = t_v + z_l⁰ W_lᵀ + b,  o_l = o − t_v + z_v⁰ W_vᵀ
//! ∂L/∂z_v = (∂L/∂o + ∂L/∂o_v) W_v,   ∂L/∂z_v⁰ = Σ_i (∂L/∂o_l)_i W_v,   and so for z_l
//! ```

use tch::Tensor;

use super::{First, Fused, Fusion};
use crate::model::gradient::through_relu;
use crate::model::parameters::{Gradients, Layer, Parameters};

/// F_v and F_l, and what their gradients need.
#[derive(Debug)]
pub struct Alone {
    /// F_v and F_l, [B, C].
    pub logits: [Tensor; 2],
    /// z_v⁰ and z_l⁰, [1, d].
    blanks: [Tensor; 2],
    computed: Computed,
}

/// How F_v and F_l were computed.
#[derive(Debug)]
enum Computed {
    /// From F's first layer, with W_v and W_l; `inputs`: of the last layer, [B, d], where that is another one.
    Shared { layer: Layer, weights: [Tensor; 2], inputs: Option<[Tensor; 2]> },
    /// Each by itself.
    Apart(Box<[Fused; 2]>),
}

/// The gradient of a function of F, F_v and F_l.
#[derive(Debug)]
pub(in crate::model) struct AloneGradient {
    /// Through F alone: on z_v and z_l, [B, d].
    pub d_z_of_f: [Tensor; 2],
    /// On z_v and z_l, [B, d].
    pub d_z: [Tensor; 2],
    /// On z_v⁰ and z_l⁰, [1, d].
    pub d_blanks: [Tensor; 2],
    /// On f_T's parameters.
    pub head: Gradients,
}

impl Alone {
    /// Of embeddings [B, d], their F, and blanks [1, d].
    pub(in crate::model) fn new(parameters: &Parameters, z: [&Tensor; 2], f: &Fused, blanks: [Tensor; 2]) -> Self {
        let Some(First { layer, weights: [w_v, w_l], output }) = f.first(parameters) else {
            let [no_v, no_l] = [0, 1].map(|m| blanks[m].expand_as(z[m]));
            let alone = [(z[0], &no_l), (&no_v, z[1])].map(|(v, l)| Fusion::Attention.forward(parameters, v, l));
            let logits = alone.each_ref().map(|alone| alone.logits.shallow_clone());
            return Alone { logits, blanks, computed: Computed::Apart(Box::new(alone)) };
        };
        let t_v = z[0].mm(&w_v.tr());
        let o_l = output - (&t_v - blanks[0].mm(&w_v.tr()));
        let o_v = t_v + parameters[&layer.bias()].addmm(&blanks[1], &w_l.tr());
        let (logits, inputs) = match layer {
            Layer::Fused => ([o_v, o_l], None),
            _ => {
                let inputs = [o_v.relu(), o_l.relu()];
                (inputs.each_ref().map(|input| Layer::Fused.forward(parameters, input)), Some(inputs))
            }
        };
        Alone { logits, blanks, computed: Computed::Shared { layer, weights: [w_v, w_l], inputs } }
    }

    /// u_v and u_l from F, F_v and F_l: the Shapley value of each modality, plus half of F without either.
    pub fn responses(&self, f: &Fused) -> [Tensor; 2] {
        let [f_v, f_l] = &self.logits;
        let u_v = (&f.logits - f_l + f_v) * 0.5;
        let u_l = (&f.logits - f_v + f_l) * 0.5;
        [u_v, u_l]
    }

    /// From the gradients on F, F_v and F_l, [B, C] each; z and F as in [`Alone::new`].
    pub(in crate::model) fn pull_back(
        &self,
        parameters: &Parameters,
        z: [&Tensor; 2],
        f: &Fused,
        d: [Tensor; 3],
    ) -> AloneGradient {
        let sum_of_rows = |d: &Tensor| d.sum_dim_intlist([0].as_slice(), true, None);
        let (layer, [w_v, w_l], inputs) = match &self.computed {
            Computed::Shared { layer, weights, inputs } => (*layer, weights, inputs),
            Computed::Apart(alone) => {
                let [of_f, of_v, of_l] = [(f, &d[0]), (&alone[0], &d[1]), (&alone[1], &d[2])]
                    .map(|(function, d)| function.pull_back(parameters, d));
                let d_blanks = [sum_of_rows(&of_l.0[0]), sum_of_rows(&of_v.0[1])];
                let d_z = [&of_f.0[0] + &of_v.0[0], &of_f.0[1] + &of_l.0[1]];
                let mut head = of_f.1;
                for (id, gradient) in of_v.1.into_iter().chain(of_l.1) {
                    head.entry(id).and_modify(|sum| *sum += gradient);
                }
                return AloneGradient { d_z_of_f: of_f.0, d_z, d_blanks, head };
            }
        };
        let mut head = Gradients::new();
        let [d_o, d_o_v, d_o_l] = match inputs {
            None => d,
            Some([of_v, of_l]) => {
                let (inputs, d) = (Tensor::cat(&[&f.input, of_v, of_l], 0), Tensor::cat(&d, 0));
                head = Layer::Fused.gradient(&inputs, &d);
                let d_inputs = through_relu(&inputs, &d.mm(&parameters[&Layer::Fused.weight()]));
                let b = z[0].size()[0];
                [0, b, 2 * b].map(|start| d_inputs.narrow(0, start, b))
            }
        };
        let d_z_of_f = [d_o.mm(w_v), d_o.mm(w_l)];
        let d_z = [d_z_of_f[0].addmm(&d_o_v, w_v), d_z_of_f[1].addmm(&d_o_l, w_l)];
        let d_rows = [sum_of_rows(&d_o_l), sum_of_rows(&d_o_v)];
        let d_bias = (sum_of_rows(&d_o) + &d_rows[0] + &d_rows[1]).squeeze_dim(0);
        let d_t = [&d_o + d_o_v, d_o + d_o_l];
        let d_weights = [0, 1].map(|m| d_t[m].tr().mm(z[m]).addmm(&d_rows[m].tr(), &self.blanks[m]));
        let d_blanks = [d_rows[0].mm(w_v), d_rows[1].mm(w_l)];
        head.extend([(layer.weight(), f.joined(d_weights)), (layer.bias(), d_bias)]);
        AloneGradient { d_z_of_f, d_z, d_blanks, head }
    }
}
