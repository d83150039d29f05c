//! The identities of a model's parameters. Each is the weight or the bias of a layer, and each layer has a role.
//!
//! Methods choose parameters by identity or role, never by a piece of a name. Names exist for files and for people alone.

use std::collections::BTreeMap;
use std::fmt;

use tch::Tensor;

use crate::terms::Modality;

/// An affine map with parameters. The order is that in which gradients are listed and noise is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The last layer of f_T.
    Fused,
    /// The hidden layer of f_T in [`super::fusion::Fusion::ConcatMlp`].
    FusedHidden,
    /// The projections of [`super::fusion::Fusion::Attention`]; the key has no bias.
    Query,
    Key,
    Value,
    /// The embedding layer h_m.
    Embedding(Modality),
    /// The unimodal head f_m.
    Head(Modality),
}

/// What a layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// h_m: "the modality's parameters" θ_m.
    Embedding(Modality),
    /// f_T, with the projections of attention: "the classifier".
    FusedHead,
    /// f_m.
    Head(Modality),
}

/// The two tensors of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// [outputs, inputs]
    Weight,
    /// `[outputs]`
    Bias,
}

/// One trainable tensor. Displays as its name in weights files, for example `h_v.weight`; its initial values depend on
/// that name too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterId {
    pub layer: Layer,
    pub part: Part,
}

/// The values of a model's parameters.
pub type Parameters = BTreeMap<ParameterId, Tensor>;

/// A gradient by parameter. A parameter without an entry is not updated.
pub type Gradients = BTreeMap<ParameterId, Tensor>;

impl Layer {
    pub const fn weight(self) -> ParameterId {
        ParameterId { layer: self, part: Part::Weight }
    }

    pub const fn bias(self) -> ParameterId {
        ParameterId { layer: self, part: Part::Bias }
    }

    /// x Wᵀ + b of x [B, inputs].
    ///
    /// # Panics
    /// If the model does not have this layer.
    pub fn forward(self, parameters: &Parameters, x: &Tensor) -> Tensor {
        x.linear(&parameters[&self.weight()], Some(&parameters[&self.bias()]))
    }

    /// The gradient on the layer's parameters from its input x and G = ∂L/∂(x Wᵀ + b): ∂L/∂W = Gᵀ x, ∂L/∂b = Σ_i G_i.
    pub fn gradient(self, x: &Tensor, d_output: &Tensor) -> Gradients {
        let d_bias = d_output.sum_dim_intlist([0].as_slice(), false, None);
        Gradients::from([(self.weight(), d_output.tr().mm(x)), (self.bias(), d_bias)])
    }
}

impl ParameterId {
    pub fn role(self) -> Role {
        match self.layer {
            Layer::Embedding(modality) => Role::Embedding(modality),
            Layer::Head(modality) => Role::Head(modality),
            Layer::Fused | Layer::FusedHidden | Layer::Query | Layer::Key | Layer::Value => Role::FusedHead,
        }
    }
}

impl fmt::Display for ParameterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Layer::Fused => f.write_str("f_T"),
            Layer::FusedHidden => f.write_str("f_T.hidden"),
            Layer::Query => f.write_str("attn.q"),
            Layer::Key => f.write_str("attn.k"),
            Layer::Value => f.write_str("attn.v"),
            Layer::Embedding(modality) => write!(f, "h_{}", modality.letter()),
            Layer::Head(modality) => write!(f, "f_{}", modality.letter()),
        }?;
        f.write_str(match self.part {
            Part::Weight => ".weight",
            Part::Bias => ".bias",
        })
    }
}
