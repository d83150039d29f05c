//! The trainable part: embedding layers h_v and h_l, the fused head f_T, and the unimodal heads f_v and f_l of methods
//! that have them (methods.md §1 of the design's sources; the letters are the paper's).
//!
//! | part | map | parameters |
//! |---|---|---|
//! | h_m | z_m = relu(x_m W_mᵀ + b_m), [B, d] | `h_m.weight` [d, d_m], `h_m.bias` [d] |
//! | f_T | o_T = F(z_v, z_l), [B, C] | see [`self::fusion`] |
//! | f_m | o_m = z_m V_mᵀ + c_m, [B, C] | `f_m.weight` [C, d], `f_m.bias` [C] |

#[cfg(test)]
pub(crate) mod autograd;
pub mod fusion;
pub mod gradient;
pub mod initial;
pub mod task;

use tch::{Device, Kind, Tensor};

use self::fusion::{Fused, Fusion};
use self::gradient::Theta;
use self::task::Task;
use crate::terms::Modality;

/// What a parameter belongs to. Methods choose parameters by role, never by a piece of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// h_m: "the modality's parameters" θ_m.
    Embedding(Modality),
    /// f_T, with the projections of attention: "the classifier".
    FusedHead,
    /// f_m.
    Head(Modality),
}

/// One trainable tensor.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub role: Role,
    pub value: Tensor,
}

/// Sizes and parts of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub task: Task,
    pub fusion: Fusion,
    /// d_v, the number of picture features.
    pub image_features: i64,
    /// d_l, the number of text features.
    pub text_features: i64,
    /// d, the number of features after an embedding layer.
    pub embedding: i64,
    /// Whether f_v and f_l exist.
    pub heads: bool,
}

impl Shape {
    /// Name, role, size and fan-in of every parameter, in the order of creation.
    pub fn parameters(&self) -> Vec<(String, Role, Vec<i64>, i64)> {
        let (d, logits) = (self.embedding, self.task.logits);
        let mut list = Vec::new();
        let mut linear = |prefix: String, role: Role, outputs: i64, inputs: i64| {
            list.push((format!("{prefix}.weight"), role, vec![outputs, inputs], inputs));
            list.push((format!("{prefix}.bias"), role, vec![outputs], inputs));
        };
        for (modality, inputs) in [(Modality::Image, self.image_features), (Modality::Text, self.text_features)] {
            linear(format!("h_{}", modality.letter()), Role::Embedding(modality), d, inputs);
        }
        if self.heads {
            for modality in Modality::ALL {
                linear(format!("f_{}", modality.letter()), Role::Head(modality), logits, d);
            }
        }
        let fused = self.fusion.parameters(d, logits);
        list.extend(fused.into_iter().map(|(name, size, fan_in)| (name, Role::FusedHead, size, fan_in)));
        list
    }
}

/// A model: its shape and its parameters in the order of creation.
#[derive(Debug)]
pub struct Model {
    pub shape: Shape,
    pub parameters: Vec<Parameter>,
}

/// One batch: features and labels, and what follows from them alone.
#[derive(Debug)]
pub struct Batch {
    /// [B, d_v]
    pub x_v: Tensor,
    /// [B, d_l]
    pub x_l: Tensor,
    /// As [`Task::labels`] gives them.
    pub y: Tensor,
}

/// What the forward pass leaves behind.
#[derive(Debug)]
pub struct Activations {
    /// [B, d], after the ReLU.
    pub z_v: Tensor,
    pub z_l: Tensor,
    /// o_T and what its gradient needs.
    pub fused: Fused,
}

/// The gradient of a loss of the fused logits.
#[derive(Debug)]
pub struct FusedGradient {
    /// ∂L/∂z_v and ∂L/∂z_l, both [B, d].
    pub d_z: [Tensor; 2],
    /// On θ.
    pub theta: Theta,
    /// On f_T's parameters.
    pub head: Gradients,
}

impl Model {
    /// A model with PyTorch's default initialisation, drawn on the CPU from the seed.
    pub fn new(shape: Shape, seed: u64, kind: Kind, device: Device) -> Self {
        let parameters = shape.parameters().into_iter().map(|(name, role, size, fan_in)| {
            let value = initial::uniform(&name, &size, fan_in, seed).to_kind(kind).to_device(device);
            Parameter { name, role, value }
        });
        Model { shape, parameters: parameters.collect() }
    }

    /// A model with given parameters.
    ///
    /// # Errors
    /// Names every tensor that is missing, left over or of another size.
    pub fn with(shape: Shape, mut weights: Vec<(String, Tensor)>) -> anyhow::Result<Self> {
        let mut wrong = Vec::new();
        let mut parameters = Vec::new();
        for (name, role, size, _) in shape.parameters() {
            match weights.iter().position(|(given, _)| *given == name) {
                None => wrong.push(format!("`{name}` {size:?} is missing")),
                Some(at) => {
                    let (name, value) = weights.swap_remove(at);
                    if value.size() == size {
                        parameters.push(Parameter { name, role, value });
                    } else {
                        wrong.push(format!("`{name}` should be {size:?}, is {:?}", value.size()));
                    }
                }
            }
        }
        wrong.extend(weights.iter().map(|(name, _)| format!("`{name}` is not a parameter of this model")));
        anyhow::ensure!(wrong.is_empty(), "the weights do not fit the model: {}", wrong.join("; "));
        Ok(Model { shape, parameters })
    }

    /// The parameter with this name.
    ///
    /// # Panics
    /// If there is none: a mistake in a method.
    pub fn get(&self, name: &str) -> &Tensor {
        let found = self.parameters.iter().find(|parameter| parameter.name == name);
        &found.unwrap_or_else(|| panic!("the model has no parameter `{name}`")).value
    }

    /// z_v, z_l and o_T of a batch.
    pub fn forward(&self, batch: &Batch) -> Activations {
        self.fuse(self.embed(Modality::Image, &batch.x_v), self.embed(Modality::Text, &batch.x_l))
    }

    /// o_T of embeddings [B, d].
    pub fn fuse(&self, z_v: Tensor, z_l: Tensor) -> Activations {
        let fused = self.shape.fusion.forward(self, &z_v, &z_l);
        Activations { z_v, z_l, fused }
    }

    /// z_m⁰ = relu(b_m), [1, d]: the embedding of the feature vector 0.
    pub fn blank_embedding(&self, modality: Modality) -> Tensor {
        self.get(&format!("h_{}.bias", modality.letter())).relu().unsqueeze(0)
    }

    /// z_m = relu(h_m(x_m)).
    fn embed(&self, modality: Modality, x: &Tensor) -> Tensor {
        let m = modality.letter();
        x.linear(self.get(&format!("h_{m}.weight")), Some(self.get(&format!("h_{m}.bias")))).relu_()
    }

    /// o_m = f_m(z_m).
    pub fn head(&self, modality: Modality, z: &Tensor) -> Tensor {
        let m = modality.letter();
        z.linear(self.get(&format!("f_{m}.weight")), Some(self.get(&format!("f_{m}.bias"))))
    }

    /// The pull-back of ∂L/∂o_T to the embeddings and to θ, and its gradient on f_T's parameters.
    pub fn pull_back_fused(&self, a: &Activations, d_logits: &Tensor) -> FusedGradient {
        let (d_v, d_l, head) = self.shape.fusion.pull_back(self, a, d_logits);
        let theta = Theta::new(through_relu(&a.z_v, &d_v), through_relu(&a.z_l, &d_l));
        FusedGradient { d_z: [d_v, d_l], theta, head }
    }

    /// The pull-back of ∂L/∂o_v and ∂L/∂o_l to θ.
    pub fn pull_back_heads(&self, a: &Activations, d_v: &Tensor, d_l: &Tensor) -> Theta {
        let (d_z_v, d_z_l) = (d_v.mm(self.get("f_v.weight")), d_l.mm(self.get("f_l.weight")));
        Theta::new(through_relu(&a.z_v, &d_z_v), through_relu(&a.z_l, &d_z_l))
    }

    /// The sum of a gradient that enters through ∂L/∂z_v and ∂L/∂z_l and one that enters through ∂L′/∂o_v and ∂L′/∂o_l, on
    /// θ: the sum is formed at z.
    pub fn pull_back_with_heads(&self, a: &Activations, d_z: &[Tensor; 2], d_v: &Tensor, d_l: &Tensor) -> Theta {
        let d_z_v = d_z[0].addmm(d_v, self.get("f_v.weight"));
        let d_z_l = d_z[1].addmm(d_l, self.get("f_l.weight"));
        Theta::new(through_relu(&a.z_v, &d_z_v), through_relu(&a.z_l, &d_z_l))
    }

    /// The gradient on f_m's parameters that follows from ∂L/∂o_m.
    pub fn head_gradient(&self, modality: Modality, a: &Activations, d_logits: &Tensor) -> Gradients {
        let z = match modality {
            Modality::Image => &a.z_v,
            Modality::Text => &a.z_l,
        };
        linear_gradient(&format!("f_{}", modality.letter()), z, d_logits)
    }

    /// The gradient on the embedding layers' parameters: the one place where [d, d_m] matrices are formed.
    pub fn embedding_gradient(&self, batch: &Batch, theta: &Theta) -> Gradients {
        let mut gradients = linear_gradient("h_v", &batch.x_v, &theta.v);
        gradients.extend(linear_gradient("h_l", &batch.x_l, &theta.l));
        gradients
    }
}

/// Parameter name → gradient. A parameter that is not in the list is not updated.
pub type Gradients = Vec<(String, Tensor)>;

/// ∂L/∂(pre-activation) of z = relu(pre-activation) and ∂L/∂z: the gradient passes where z > 0; relu'(0) = 0.
pub fn through_relu(z: &Tensor, d_z: &Tensor) -> Tensor {
    z.threshold_backward(d_z, 0.0)
}

/// For o = z Vᵀ + c and G = ∂L/∂o: ∂V = Gᵀ z, ∂c = Σ_i G_i.
pub fn linear_gradient(prefix: &str, z: &Tensor, d_output: &Tensor) -> Gradients {
    vec![
        (format!("{prefix}.weight"), d_output.tr().mm(z)),
        (format!("{prefix}.bias"), d_output.sum_dim_intlist([0].as_slice(), false, None)),
    ]
}
