//! What the training loop measures at each step, whatever the method: norms of the combined gradient, and how far the
//! two modalities' gradients point in one direction.
//!
//! | scalar | meaning |
//! |---|---|
//! | `norm_update_h_v`, `norm_update_h_l`, `norm_update_f_T`, `norm_update_f_v`, `norm_update_f_l` | norm of the combined gradient over a part's parameters |
//! | `cos_update_v_l` | cosine of the combined gradients of h_v and h_l; only where d_v = d_l |
//! | `cos_embedding_v_l` | cosine of ∂L_T/∂z_v and ∂L_T/∂z_l, both [B, d] |
//!
//! h_v and h_l are different parameters, so the paper's "cosine similarity between image and text gradients" (Figure 7)
//! has to compare vectors of equal shape: these are the two that there are. A cosine with a zero vector is NaN.

use tch::Tensor;

use super::optimizer::Squares;
use crate::model::gradient::{cosine, inner};
use crate::model::{Gradients, Model, Role};
use crate::terms::Modality::{Image, Text};

const PARTS: [(&str, Role); 5] = [
    ("norm_update_h_v", Role::Embedding(Image)),
    ("norm_update_h_l", Role::Embedding(Text)),
    ("norm_update_f_T", Role::FusedHead),
    ("norm_update_f_v", Role::Head(Image)),
    ("norm_update_f_l", Role::Head(Text)),
];

/// The scalars of a step with this combined gradient, the sums of squares that the optimiser met, and these ∂L_T/∂z.
pub fn of(
    model: &Model,
    gradients: &Gradients,
    squares: &Squares,
    [d_v, d_l]: &[Tensor; 2],
) -> Vec<(&'static str, Tensor)> {
    let mut scalars = Vec::new();
    let square = |role: Role| {
        let of_role = squares.iter().filter(|(of, _)| *of == role).map(|(_, square)| square.shallow_clone());
        of_role.reduce(|sum, square| sum + square)
    };
    for (name, role) in PARTS {
        scalars.extend(square(role).map(|square| (name, square.sqrt())));
    }
    let [of_v, of_l] = [Image, Text].map(|modality| square(Role::Embedding(modality)));
    if let (Some(of_v), Some(of_l)) = (of_v, of_l)
        && model.shape.image_features == model.shape.text_features
    {
        let of = |name: &str| gradients.iter().find(|(known, _)| known == name).map(|(_, gradient)| gradient);
        let products =
            [("h_v.weight", "h_l.weight"), ("h_v.bias", "h_l.bias")].map(|(v, l)| Some(inner(of(v)?, of(l)?)));
        if let Some(product) = products.into_iter().flatten().reduce(|sum, product| sum + product) {
            scalars.push(("cos_update_v_l", cosine(&product, &of_v, &of_l)));
        }
    }
    scalars.push(("cos_embedding_v_l", cosine(&inner(d_v, d_l), &inner(d_v, d_v), &inner(d_l, d_l))));
    scalars
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::methods::MethodOptions;
    use crate::model::Shape;
    use crate::model::autograd::{self, batch, forward, tasks};
    use crate::model::fusion::Fusion;

    fn find(scalars: &[(&str, Tensor)], name: &str) -> f64 {
        scalars.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no {name}")).1.double_value(&[])
    }

    /// Norms and cosines are those of the gradients that autograd gives, written out and laid end to end.
    #[test]
    fn diagnostics_are_those_of_autograd() {
        let task = tasks()[0];
        // As many picture as text features, so that the update of h_v can be compared with that of h_l.
        let shape =
            Shape { task, fusion: Fusion::Concat, image_features: 6, text_features: 6, embedding: 5, heads: true };
        let model = Model::new(shape, 3, Kind::Double, tch::Device::Cpu);
        let mut batch = batch(&task, 7, 1.0, 3, Kind::Double);
        batch.x_l = batch.x_v.flip([0]) * 0.7;
        let step = MethodOptions::default_of("baseline").unwrap().build(0).step(&model, &batch);
        let squares = |gradients: &Gradients| -> Squares {
            let role = |name: &str| model.parameters.iter().find(|p| p.name == name).unwrap().role;
            gradients.iter().map(|(name, g)| (role(name), g.square().sum(None))).collect()
        };
        let found = of(&model, &step.gradients, &squares(&step.gradients), &step.d_z);
        autograd::follow(&model);
        let loss = task.loss(&forward(&model, &batch).o_t, &batch.y).0;
        let flat = |prefix: &str| {
            let parts = autograd::gradient(&model, &loss, &[prefix]);
            Tensor::cat(&parts.iter().map(|(_, g)| g.reshape([-1])).collect::<Vec<_>>(), 0)
        };
        let [v, l, fused] = ["h_v", "h_l", "f_T"].map(flat);
        let norm = |t: &Tensor| t.dot(t).sqrt().double_value(&[]);
        assert!((find(&found, "norm_update_h_v") - norm(&v)).abs() < 1e-12);
        assert!((find(&found, "norm_update_h_l") - norm(&l)).abs() < 1e-12);
        assert!((find(&found, "norm_update_f_T") - norm(&fused)).abs() < 1e-12);
        let cosine = v.dot(&l).double_value(&[]) / (norm(&v) * norm(&l));
        assert!((find(&found, "cos_update_v_l") - cosine).abs() < 1e-12);
        assert!(found.iter().all(|(name, _)| *name != "norm_update_f_v"));
    }

    #[test]
    fn a_cosine_with_nothing_is_not_defined() {
        let x = Tensor::from_slice(&[1.0, 2.0]);
        let model = Model::new(
            Shape {
                task: tasks()[0],
                fusion: Fusion::Concat,
                image_features: 2,
                text_features: 3,
                embedding: 2,
                heads: false,
            },
            0,
            Kind::Double,
            tch::Device::Cpu,
        );
        assert!(find(&of(&model, &Vec::new(), &Vec::new(), &[x.copy(), x.zeros_like()]), "cos_embedding_v_l").is_nan());
        assert!(
            (find(&of(&model, &Vec::new(), &Vec::new(), &[x.copy(), &x * 2.0]), "cos_embedding_v_l") - 1.0).abs()
                < 1e-15
        );
    }
}
