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
//! So a method can add, scale, project and compare gradients as the paper's equations do, while only one weight
//! gradient per layer is ever formed ([`super::Model::embedding_gradient`]).

use std::ops::{Add, Mul, Sub};

use tch::Tensor;

use super::Batch;
use crate::terms::Modality;

/// A gradient over θ by its pull-backs δ_v and δ_l, both [B, d].
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

    /// A factor of its own for each modality's part: w_v g_v ⊕ w_l g_l. Factors are tensors without dimensions.
    pub fn weighted(&self, w_v: &Tensor, w_l: &Tensor) -> Theta {
        Theta::new(&self.v * w_v, &self.l * w_l)
    }
}

impl Theta {
    /// The direction of each modality's part: itself divided by its largest |δ|, and that divisor. Zero stays zero.
    ///
    /// A projection depends on the direction alone, and squares of it neither vanish nor overflow: in float32 the
    /// square of a gradient below 1e-23 is 0, and dividing by it would make a NaN of the whole model. Two heads that
    /// agree on every sample with great confidence have KL gradients as small as that.
    pub fn directions(&self) -> (Theta, [Tensor; 2]) {
        let (size_v, size_l) = (largest(&self.v), largest(&self.l));
        (Theta::new(&self.v / &size_v, &self.l / &size_l), [size_v, size_l])
    }
}

/// The largest magnitude, at least the smallest normal float32, so that it can be divided by.
pub fn largest(tensor: &Tensor) -> Tensor {
    tensor.abs().max().clamp_min(f64::from(f32::MIN_POSITIVE))
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

impl Theta {
    /// This plus a multiple of another.
    pub fn plus(&self, factor: &Tensor, other: &Theta) -> Theta {
        Theta::new(self.v.addcmul(&other.v, factor), self.l.addcmul(&other.l, factor))
    }
}

/// A multiple by a number (a tensor without dimensions, so that nothing has to leave the device).
impl Mul<&Theta> for &Tensor {
    type Output = Theta;

    fn mul(self, theta: &Theta) -> Theta {
        Theta::new(self * &theta.v, self * &theta.l)
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
    pub fn of(batch: &Batch) -> Self {
        Gram { v: batch.x_v.mm(&batch.x_v.tr()), l: batch.x_l.mm(&batch.x_l.tr()) }
    }

    /// D with ⟨g′, g⟩ = Σ_ij δ′_ij D_ij for every g′, over h_m's weight, bias or both; [B, d].
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

    /// ⟨g, g′⟩ over h_m's weight, bias or both; a tensor without dimensions.
    pub fn inner_on(&self, modality: Modality, entries: Entries, g: &Theta, g2: &Theta) -> Tensor {
        inner(g.part(modality), &self.dual(modality, entries, g2))
    }

    /// ⟨g, g′⟩ and ‖g′‖² over h_m's weight, bias or both, at the price of one inner product.
    pub fn inner_and_square(&self, modality: Modality, entries: Entries, g: &Theta, g2: &Theta) -> (Tensor, Tensor) {
        let dual = self.dual(modality, entries, g2);
        // Rounding can make a vanishing sum of squares negative, and its root NaN.
        let square = inner(g2.part(modality), &dual).clamp_min(0.0);
        (inner(g.part(modality), &dual), square)
    }

    /// ‖g‖² over h_m.
    pub fn square(&self, modality: Modality, g: &Theta) -> Tensor {
        self.inner_h(modality, g, g).clamp_min(0.0)
    }

    /// ⟨g, g′⟩ over h_m.
    pub fn inner_h(&self, modality: Modality, g: &Theta, g2: &Theta) -> Tensor {
        self.inner_on(modality, Entries::Both, g, g2)
    }

    /// ⟨g, g′⟩_θ.
    pub fn inner(&self, g: &Theta, g2: &Theta) -> Tensor {
        self.inner_h(Modality::Image, g, g2) + self.inner_h(Modality::Text, g, g2)
    }
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

/// The squared norm of a unimodal head's gradient from its δ = ∂L/∂o_m and its input z_m, by the same identity.
pub fn head_norm_squared(d_logits: &Tensor, z: &Tensor) -> Tensor {
    (d_logits.mm(&d_logits.tr()) * (z.mm(&z.tr()) + 1.0)).sum(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::linear_gradient;
    use crate::random::Stream;

    fn random(size: &[i64], purpose: &str) -> Tensor {
        let mut stream = Stream::new(2, &["gradient test", purpose]);
        let values: Vec<f64> = (0..size.iter().product()).map(|_| stream.normal()).collect();
        Tensor::from_slice(&values).view(size)
    }

    /// Inner products by Gram matrices are those of the gradients written out.
    #[test]
    fn inner_products_need_no_weight_gradients() {
        let batch = Batch { x_v: random(&[6, 9], "x_v"), x_l: random(&[6, 4], "x_l"), y: Tensor::new() };
        let g = Theta::new(random(&[6, 5], "a"), random(&[6, 5], "b"));
        let g2 = Theta::new(random(&[6, 5], "c"), random(&[6, 5], "d"));
        let gram = Gram::of(&batch);
        let written_out = |entries: Entries| -> f64 {
            let pick = |index: usize| entries == Entries::Both || (entries == Entries::Bias) == (index == 1);
            Modality::ALL
                .iter()
                .flat_map(|&m| {
                    let x = if m == Modality::Image { &batch.x_v } else { &batch.x_l };
                    let a = linear_gradient("h", x, g.part(m));
                    let b = linear_gradient("h", x, g2.part(m));
                    a.into_iter().zip(b).enumerate().filter(|(i, _)| pick(*i)).map(|(_, (a, b))| a.1 * b.1)
                })
                .map(|product| product.sum(None).double_value(&[]))
                .sum()
        };
        for entries in [Entries::Weight, Entries::Bias, Entries::Both] {
            let by_gram: f64 =
                Modality::ALL.iter().map(|&m| gram.inner_on(m, entries, &g, &g2).double_value(&[])).sum();
            assert!((by_gram - written_out(entries)).abs() < 1e-11, "{entries:?}");
            for m in Modality::ALL {
                let (inner, square) = gram.inner_and_square(m, entries, &g, &g2);
                let expected = [gram.inner_on(m, entries, &g, &g2), gram.inner_on(m, entries, &g2, &g2)];
                for (found, expected) in [inner, square].iter().zip(expected) {
                    assert!((found - expected).abs().double_value(&[]) < 1e-11, "{entries:?} of {m:?}");
                }
            }
        }
        let (o, z) = (random(&[6, 3], "o"), random(&[6, 5], "z"));
        let squares: f64 =
            linear_gradient("f", &z, &o).iter().map(|(_, g)| g.square().sum(None).double_value(&[])).sum();
        assert!((head_norm_squared(&o, &z).double_value(&[]) - squares).abs() < 1e-11);
    }
}
