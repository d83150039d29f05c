//! The trainable part on top of the frozen encoders: embedding layers h_v and h_l, the fused head f_T, and the unimodal
//! heads f_v and f_l of methods that have them. The letters are the paper's (Kwon et al., NAACL 2025).
//!
//! | part | map | parameters |
//! |---|---|---|
//! | h_m | z_m = relu(x_m W_mᵀ + b_m), [B, d] | `h_m.weight` [d, d_m], `h_m.bias` `[d]` |
//! | f_T | o_T = F(z_v, z_l), [B, C] | see [`self::fusion`] |
//! | f_m | o_m = z_m V_mᵀ + c_m, [B, C] | `f_m.weight` [C, d], `f_m.bias` `[C]` |
//!
//! No step builds an autograd graph. The trainable part is small enough that every gradient has a closed form, which
//! costs less and lets a method share what its losses have in common. Tests compare each of them with autograd.

#[cfg(test)]
pub(crate) mod autograd;
pub mod fusion;
pub mod gradient;
pub mod parameters;
pub mod task;

use tch::{Device, Kind, Tensor};

use self::fusion::{Alone, Fused, Fusion};
use self::gradient::{Theta, through_relu};
pub use self::parameters::{Gradients, Layer, ParameterId, Parameters, Part, Role};
use self::task::Task;
use crate::random::Stream;
use crate::terms::Modality::{self, Image, Text};

/// Sizes and parts of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub task: Task,
    pub fusion: Fusion,
    /// d_v, the number of image features.
    pub image_features: i64,
    /// d_l, the number of text features.
    pub text_features: i64,
    /// d, the number of features after an embedding layer.
    pub embedding: i64,
    /// Whether f_v and f_l exist.
    pub heads: bool,
}

impl Shape {
    /// Identity, size and fan-in of every parameter.
    pub fn parameters(&self) -> Vec<(ParameterId, Vec<i64>, i64)> {
        let (d, logits) = (self.embedding, self.task.logits);
        let mut layers =
            vec![(Layer::Embedding(Image), d, self.image_features), (Layer::Embedding(Text), d, self.text_features)];
        if self.heads {
            layers.extend(Modality::ALL.map(|modality| (Layer::Head(modality), logits, d)));
        }
        layers.extend(self.fusion.layers(d, logits));
        let parameters = layers.into_iter().flat_map(|(layer, outputs, inputs)| {
            [(layer.weight(), vec![outputs, inputs], inputs), (layer.bias(), vec![outputs], inputs)]
        });
        // A key's bias would add the same number to all scores of a query, which the softmax cancels.
        parameters.filter(|(id, ..)| *id != Layer::Key.bias()).collect()
    }
}

/// A model: its shape and its parameters.
#[derive(Debug)]
pub struct Model {
    pub shape: Shape,
    pub parameters: Parameters,
}

/// One batch of features and labels.
#[derive(Debug)]
pub struct Batch {
    /// [B, d_v]
    pub x_v: Tensor,
    /// [B, d_l]
    pub x_l: Tensor,
    /// As [`Task::labels`] returns them.
    pub y: Tensor,
}

/// The results of a forward pass that gradients need.
#[derive(Debug)]
pub struct Activations {
    /// [B, d], after the ReLU.
    pub z_v: Tensor,
    /// [B, d], after the ReLU.
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
        let parameters = shape
            .parameters()
            .into_iter()
            .map(|(id, size, fan_in)| (id, uniform(id, &size, fan_in, seed).to_kind(kind).to_device(device)));
        Model { shape, parameters: parameters.collect() }
    }

    /// A model with the weights of a file, by name.
    ///
    /// # Errors
    /// Lists every tensor that is missing, unexpected or of the wrong size.
    pub fn with(shape: Shape, mut weights: Vec<(String, Tensor)>) -> anyhow::Result<Self> {
        let mut wrong = Vec::new();
        let mut parameters = Parameters::new();
        for (id, size, _) in shape.parameters() {
            match weights.iter().position(|(name, _)| *name == id.to_string()) {
                None => wrong.push(format!("`{id}` {size:?} is missing")),
                Some(at) => {
                    let (_, value) = weights.swap_remove(at);
                    if value.size() != size {
                        wrong.push(format!("`{id}` should be {size:?}, found {:?}", value.size()));
                    }
                    parameters.insert(id, value);
                }
            }
        }
        wrong.extend(weights.iter().map(|(name, _)| format!("`{name}` is not a parameter of this model")));
        anyhow::ensure!(wrong.is_empty(), "the weights do not fit the model: {}", wrong.join("; "));
        Ok(Model { shape, parameters })
    }

    /// z_v, z_l and o_T of a batch.
    pub fn forward(&self, batch: &Batch) -> Activations {
        let embed = |modality, x| Layer::Embedding(modality).forward(&self.parameters, x).relu_();
        self.fuse(embed(Image, &batch.x_v), embed(Text, &batch.x_l))
    }

    /// o_T of embeddings [B, d].
    pub fn fuse(&self, z_v: Tensor, z_l: Tensor) -> Activations {
        let fused = self.shape.fusion.forward(&self.parameters, &z_v, &z_l);
        Activations { z_v, z_l, fused }
    }

    /// z_m⁰ = relu(b_m), [1, d]: the embedding of the feature vector 0.
    pub fn blank_embedding(&self, modality: Modality) -> Tensor {
        self.parameters[&Layer::Embedding(modality).bias()].relu().unsqueeze(0)
    }

    /// o_m = f_m(z_m), [B, C].
    pub fn head(&self, modality: Modality, z: &Tensor) -> Tensor {
        Layer::Head(modality).forward(&self.parameters, z)
    }

    /// The mono-modal responses u_v = ½ (F − F_l + F_v) and u_l = ½ (F − F_v + F_l), which sum to F, where F_v = F(z_v, 0)
    /// and F_l = F(0, z_l); [B, C] each. Where F is linear, u_m = z_m W_mᵀ + b/2: half of the classifier with half of its
    /// bias (Peng et al., CVPR 2022; GeWu-Lab/OGM-GE_CVPR2022, main.py).
    pub fn responses(&self, a: &Activations) -> [Tensor; 2] {
        a.fused.responses(&self.parameters, [&a.z_v, &a.z_l])
    }

    /// F_v and F_l with these blanks, [1, d], in place of z_v and z_l.
    pub fn alone(&self, a: &Activations, blanks: [Tensor; 2]) -> Alone {
        Alone::new(&self.parameters, [&a.z_v, &a.z_l], &a.fused, blanks)
    }

    /// From the gradients on F, F_v and F_l: the gradient on θ and on f_T's parameters through all three, that on the
    /// embeddings through F, and those on the blanks, [1, d].
    pub fn pull_back_alone(&self, a: &Activations, alone: &Alone, d: [Tensor; 3]) -> (FusedGradient, [Tensor; 2]) {
        let g = alone.pull_back(&self.parameters, [&a.z_v, &a.z_l], &a.fused, d);
        let theta = Theta::new(through_relu(&a.z_v, &g.d_z[0]), through_relu(&a.z_l, &g.d_z[1]));
        (FusedGradient { d_z: g.d_z_of_f, theta, head: g.head }, g.d_blanks)
    }

    /// From ∂L/∂o_T: the gradients on the embeddings, on θ and on f_T's parameters.
    pub fn pull_back_fused(&self, a: &Activations, d_logits: &Tensor) -> FusedGradient {
        let ([d_v, d_l], head) = a.fused.pull_back(&self.parameters, d_logits);
        let theta = Theta::new(through_relu(&a.z_v, &d_v), through_relu(&a.z_l, &d_l));
        FusedGradient { d_z: [d_v, d_l], theta, head }
    }

    /// From ∂L/∂o_v and ∂L/∂o_l: the gradient on θ.
    pub fn pull_back_heads(&self, a: &Activations, d_v: &Tensor, d_l: &Tensor) -> Theta {
        let [v_v, v_l] = self.head_weights();
        Theta::new(through_relu(&a.z_v, &d_v.mm(v_v)), through_relu(&a.z_l, &d_l.mm(v_l)))
    }

    /// The gradient on θ of L + L′ from ∂L/∂z and from ∂L′/∂o_v and ∂L′/∂o_l. The sum is formed at z.
    pub fn pull_back_with_heads(&self, a: &Activations, d_z: &[Tensor; 2], d_v: &Tensor, d_l: &Tensor) -> Theta {
        let [v_v, v_l] = self.head_weights();
        Theta::new(through_relu(&a.z_v, &d_z[0].addmm(d_v, v_v)), through_relu(&a.z_l, &d_z[1].addmm(d_l, v_l)))
    }

    fn head_weights(&self) -> [&Tensor; 2] {
        Modality::ALL.map(|modality| &self.parameters[&Layer::Head(modality).weight()])
    }

    /// From ∂L/∂o_m: the gradient on f_m's parameters.
    pub fn head_gradient(&self, modality: Modality, a: &Activations, d_logits: &Tensor) -> Gradients {
        let z = match modality {
            Image => &a.z_v,
            Text => &a.z_l,
        };
        Layer::Head(modality).gradient(z, d_logits)
    }

    /// The gradient on the embedding layers' parameters: the one place where [d, d_m] matrices are formed.
    pub fn embedding_gradient(&self, batch: &Batch, theta: &Theta) -> Gradients {
        let mut gradients = Layer::Embedding(Image).gradient(&batch.x_v, &theta.v);
        gradients.extend(Layer::Embedding(Text).gradient(&batch.x_l, &theta.l));
        gradients
    }
}

/// Initial values, PyTorch's default for linear layers: uniform in ±1/√(fan-in), float64, on the CPU. Each parameter has a random stream of its own, so that a model with one
/// more part starts with the same numbers everywhere else.
fn uniform(id: ParameterId, size: &[i64], fan_in: i64, seed: u64) -> Tensor {
    let bound = 1.0 / (fan_in as f64).sqrt();
    let mut stream = Stream::new(seed, &["initial weights", &id.to_string()]);
    let count = size.iter().product::<i64>();
    let values: Vec<f64> = (0..count).map(|_| (2.0 * stream.uniform() - 1.0) * bound).collect();
    Tensor::from_slice(&values).view(size)
}
