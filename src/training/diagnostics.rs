//! What the training loop measures at each step, whatever the method: norms of the combined gradient, and cosines between
//! the gradients of the two modalities.
//!
//! | scalar | meaning |
//! |---|---|
//! | `norm_update_h_v`, `norm_update_h_l`, `norm_update_f_T`, `norm_update_f_v`, `norm_update_f_l` | norm of the combined gradient over a part's parameters |
//! | `cos_update_v_l` | cosine of the combined gradients of h_v and h_l; only where d_v = d_l |
//! | `cos_embedding_v_l` | cosine of ∂L_T/∂z_v and ∂L_T/∂z_l, both [B, d] |
//!
//! h_v and h_l are different parameters, so the paper's "cosine similarity between image and text gradients" (Figure 7)
//! has to compare vectors of equal shape, and these are the two pairs that exist. A cosine with a zero vector is NaN.

use tch::Tensor;

use crate::model::gradient::{cosine, inner};
use crate::model::{Gradients, Layer, Model, Role};
use crate::terms::Modality::{Image, Text};

const PARTS: [(&str, Role); 5] = [
    ("norm_update_h_v", Role::Embedding(Image)),
    ("norm_update_h_l", Role::Embedding(Text)),
    ("norm_update_f_T", Role::FusedHead),
    ("norm_update_f_v", Role::Head(Image)),
    ("norm_update_f_l", Role::Head(Text)),
];

/// The scalars of a step, from the combined gradient, its sums of squares as [`super::optimizer::Optimizer::step`] returns
/// them, and ∂L_T/∂z_v and ∂L_T/∂z_l.
pub fn scalars(
    model: &Model,
    gradients: &Gradients,
    squares: &Gradients,
    [d_v, d_l]: &[Tensor; 2],
) -> Vec<(&'static str, Tensor)> {
    let mut scalars = Vec::new();
    let square = |role: Role| {
        let of_role = squares.iter().filter(|(id, _)| id.role() == role).map(|(_, square)| square.shallow_clone());
        of_role.reduce(|sum, square| sum + square)
    };
    for (name, role) in PARTS {
        scalars.extend(square(role).map(|square| (name, square.sqrt())));
    }
    if model.shape.image_features == model.shape.text_features
        && let [Some(square_v), Some(square_l)] = [Image, Text].map(|modality| square(Role::Embedding(modality)))
    {
        let [h_v, h_l] = [Image, Text].map(Layer::Embedding);
        let product = inner(&gradients[&h_v.weight()], &gradients[&h_l.weight()])
            + inner(&gradients[&h_v.bias()], &gradients[&h_l.bias()]);
        scalars.push(("cos_update_v_l", cosine(&product, &square_v, &square_l)));
    }
    scalars.push(("cos_embedding_v_l", cosine(&inner(d_v, d_l), &inner(d_v, d_v), &inner(d_l, d_l))));
    scalars
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::model::Shape;
    use crate::model::autograd::{self, batch, forward, tasks};
    use crate::model::fusion::Fusion;

    fn find(scalars: &[(&str, Tensor)], name: &str) -> f64 {
        scalars.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1.double_value(&[])
    }

    /// Norms and cosines equal those of autograd's gradients, flattened and concatenated. A cosine with zero is NaN.
    #[test]
    fn diagnostics_are_those_of_autograd() {
        let task = tasks()[0];
        // As many image as text features, so that the updates of h_v and h_l can be compared.
        let shape =
            Shape { task, fusion: Fusion::Concat, image_features: 6, text_features: 6, embedding: 5, heads: true };
        let model = Model::new(shape, 3, Kind::Double, tch::Device::Cpu);
        let mut batch = batch(&task, 7, 1.0, 3, Kind::Double);
        batch.x_l = batch.x_v.flip([0]) * 0.7;
        let a = model.forward(&batch);
        let g_t = model.pull_back_fused(&a, &task.loss(&a.fused.logits, &batch.y).1);
        let mut gradients = model.embedding_gradient(&batch, &g_t.theta);
        gradients.extend(g_t.head);
        let squares = gradients.iter().map(|(id, g)| (*id, g.square().sum(None))).collect();
        let found = scalars(&model, &gradients, &squares, &g_t.d_z);
        autograd::track(&model);
        let loss = task.loss(&forward(&model, &batch).o_t, &batch.y).0;
        let flat = |role: Role| {
            let parts = autograd::gradient(&model, &loss, |id| id.role() == role);
            Tensor::cat(&parts.values().map(|g| g.reshape([-1])).collect::<Vec<_>>(), 0)
        };
        let norm = |t: &Tensor| t.dot(t).sqrt().double_value(&[]);
        for (name, role) in &PARTS[..3] {
            assert!((find(&found, name) - norm(&flat(*role))).abs() < 1e-12, "{name}");
        }
        let [v, l] = [Image, Text].map(|modality| flat(Role::Embedding(modality)));
        let cosine = v.dot(&l).double_value(&[]) / (norm(&v) * norm(&l));
        assert!((find(&found, "cos_update_v_l") - cosine).abs() < 1e-12);
        assert!(found.iter().all(|(name, _)| *name != "norm_update_f_v"));
        let none = Gradients::new();
        let embedding_cosine = |d_l: Tensor| {
            let scalars = scalars(&model, &none, &none, &[v.shallow_clone(), d_l]);
            find(&scalars, "cos_embedding_v_l")
        };
        assert!((embedding_cosine(&v * 2.0) - 1.0).abs() < 1e-15);
        assert!(embedding_cosine(v.zeros_like()).is_nan());
    }
}
