//! Gradients over θ = (h_v, h_l) as vectors.
//!
//! The gradient of a loss on an embedding layer is (δᵀ x, Σ_i δ_i), where δ = ∂L/∂(pre-activation) is [B, d] and x is
//! [B, d_m]. It is linear in δ, so sums and multiples of gradients are sums and multiples of δ, and inner products
//! follow from matrices of the batch's size alone:
//!
//! ```text
//! ⟨g, g′⟩_{h_m} = Σ_ij (δ δ′ᵀ)_ij (x_m x_mᵀ + 1)_ij = Σ_ij δ_ij ((x_m x_mᵀ + 1) δ′)_ij        (+1 for the bias)
//! ```
//!
//! So a method adds, scales, projects and compares gradients as the paper's equations do, while only one weight gradient
//! per layer is ever formed ([`super::Model::embedding_gradient`]).

use std::ops::{Add, Sub};

use tch::Tensor;

use crate::terms::Modality;

/// A gradient over θ, represented by δ_v and δ_l, both [B, d].
#[derive(Debug)]
pub struct Theta {
    pub v: Tensor,
    pub l: Tensor,
}

impl Theta {
    pub fn new(v: Tensor, l: Tensor) -> Self {
        Theta { v, l }
    }

    /// The part on h_m.
    pub fn part(&self, modality: Modality) -> &Tensor {
        match modality {
            Modality::Image => &self.v,
            Modality::Text => &self.l,
        }
    }

    /// w_v g_v ⊕ w_l g_l. The factors are tensors without dimensions, so that nothing has to leave the device.
    pub fn weighted(&self, w_v: &Tensor, w_l: &Tensor) -> Theta {
        Theta::new(&self.v * w_v, &self.l * w_l)
    }

    /// This plus a multiple of another gradient; the factor has no dimensions.
    pub fn plus(&self, factor: &Tensor, other: &Theta) -> Theta {
        Theta::new(self.v.addcmul(&other.v, factor), self.l.addcmul(&other.l, factor))
    }

    /// The direction of each modality's part, which is the part divided by its largest |δ|, and that divisor. Zero stays
    /// zero.
    ///
    /// A projection depends on the direction alone, and the square of a direction neither vanishes nor overflows. In
    /// float32 the square of a gradient below 1e-23 is 0, and dividing by it would turn the whole model into NaN. Two
    /// heads that agree on every sample with great confidence have KL gradients as small as that.
    pub fn directions(&self) -> (Theta, [Tensor; 2]) {
        let (size_v, size_l) = (largest(&self.v), largest(&self.l));
        (Theta::new(&self.v / &size_v, &self.l / &size_l), [size_v, size_l])
    }
}

impl Add for &Theta {
    type Output = Theta;

    fn add(self, other: &Theta) -> Theta {
        Theta::new(&self.v + &other.v, &self.l + &other.l)
    }
}

impl Sub for &Theta {
    type Output = Theta;

    fn sub(self, other: &Theta) -> Theta {
        Theta::new(&self.v - &other.v, &self.l - &other.l)
    }
}

/// The Gram matrices x_m x_mᵀ of a batch, [B, B].
#[derive(Debug)]
pub struct Gram {
    v: Tensor,
    l: Tensor,
}

/// Which entries of an embedding layer an inner product runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    Weight,
    Bias,
    Both,
}

impl Gram {
    /// Of features [B, d_v] and [B, d_l].
    pub fn new(x_v: &Tensor, x_l: &Tensor) -> Self {
        Gram { v: x_v.mm(&x_v.tr()), l: x_l.mm(&x_l.tr()) }
    }

    /// D with ⟨g′, g⟩ = Σ_ij δ′_ij D_ij for every g′, over the given entries of h_m; [B, d].
    fn dual(&self, modality: Modality, entries: Entries, g: &Theta) -> Tensor {
        let gram = match modality {
            Modality::Image => &self.v,
            Modality::Text => &self.l,
        };
        let delta = g.part(modality);
        let column_sums = || delta.sum_dim_intlist([0].as_slice(), true, None);
        match entries {
            Entries::Weight => gram.mm(delta),
            Entries::Bias => column_sums().expand_as(delta),
            Entries::Both => column_sums().addmm(gram, delta),
        }
    }

    /// ⟨g, g′⟩ and ‖g′‖² over the given entries of h_m, for the cost of one inner product.
    pub fn inner_and_square(&self, modality: Modality, entries: Entries, g: &Theta, g2: &Theta) -> (Tensor, Tensor) {
        let dual = self.dual(modality, entries, g2);
        // Rounding can make a vanishing sum of squares negative, and its root NaN.
        let square = inner(g2.part(modality), &dual).clamp_min(0.0);
        (inner(g.part(modality), &dual), square)
    }

    /// ‖g‖² over h_m.
    pub fn square(&self, modality: Modality, g: &Theta) -> Tensor {
        self.inner_and_square(modality, Entries::Both, g, g).1
    }
}

/// The largest magnitude, but at least the smallest normal float32, so that a division by it is safe.
pub fn largest(tensor: &Tensor) -> Tensor {
    tensor.abs().max().clamp_min(f64::from(f32::MIN_POSITIVE))
}

/// Σ a_ij b_ij, without a tensor of the products.
pub fn inner(a: &Tensor, b: &Tensor) -> Tensor {
    a.reshape([-1]).dot(&b.reshape([-1]))
}

/// The cosine of two vectors from their inner product and squares; NaN if one of them is 0.
pub fn cosine(inner: &Tensor, square: &Tensor, square2: &Tensor) -> Tensor {
    let norms = square.sqrt() * square2.sqrt();
    (inner / &norms).clamp(-1.0, 1.0).where_self(&norms.gt(0.0), &norms.full_like(f64::NAN))
}

/// ‖∇L‖² over a unimodal head, from ∂L/∂o_m [B, C] and its input z_m [B, d], by the same identity.
pub fn head_norm_squared(d_logits: &Tensor, z: &Tensor) -> Tensor {
    (d_logits.mm(&d_logits.tr()) * (z.mm(&z.tr()) + 1.0)).sum(None)
}

/// ∂L/∂(pre-activation) from z = relu(pre-activation) and ∂L/∂z: the gradient passes where z > 0; relu'(0) = 0.
pub fn through_relu(z: &Tensor, d_z: &Tensor) -> Tensor {
    z.threshold_backward(d_z, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::autograd::normal;
    use crate::model::{Gradients, Layer, Part};

    fn random(size: &[i64], purpose: &str) -> Tensor {
        normal(size, 2, purpose)
    }

    /// Inner products by Gram matrices equal those of explicit weight gradients.
    #[test]
    fn inner_products_need_no_weight_gradients() {
        let x = [random(&[6, 9], "x_v"), random(&[6, 4], "x_l")];
        let g = Theta::new(random(&[6, 5], "a"), random(&[6, 5], "b"));
        let g2 = Theta::new(random(&[6, 5], "c"), random(&[6, 5], "d"));
        let gram = Gram::new(&x[0], &x[1]);
        let product = |a: &Gradients, b: &Gradients, entries: Entries| -> f64 {
            let within = |part: Part| match entries {
                Entries::Weight => part == Part::Weight,
                Entries::Bias => part == Part::Bias,
                Entries::Both => true,
            };
            a.iter().filter(|(id, _)| within(id.part)).map(|(id, a)| inner(a, &b[id]).double_value(&[])).sum()
        };
        for (modality, x) in Modality::ALL.into_iter().zip(&x) {
            let [explicit, explicit2] = [&g, &g2].map(|g| Layer::Embedding(modality).gradient(x, g.part(modality)));
            for entries in [Entries::Weight, Entries::Bias, Entries::Both] {
                let (inner, square) = gram.inner_and_square(modality, entries, &g, &g2);
                let expected = [product(&explicit, &explicit2, entries), product(&explicit2, &explicit2, entries)];
                for (found, expected) in [inner, square].iter().zip(expected) {
                    assert!((found.double_value(&[]) - expected).abs() < 1e-11, "{entries:?} of {modality:?}");
                }
            }
        }
        let (o, z) = (random(&[6, 3], "o"), random(&[6, 5], "z"));
        let explicit = Layer::Fused.gradient(&z, &o);
        let square = product(&explicit, &explicit, Entries::Both);
        assert!((head_norm_squared(&o, &z).double_value(&[]) - square).abs() < 1e-11);
    }
}
