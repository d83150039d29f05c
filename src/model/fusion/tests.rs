use tch::Kind;

use super::*;
use crate::model::autograd::{self, assert_close, case, cases, forward, fused_or_embedding, model, tasks};
use crate::model::{Layer, ParameterId};
use crate::terms::Modality::{self, Image, Text};

/// Every fusion's logits are those of its equations, and the gradients of L_T those of autograd, on every parameter and
/// for every kind of task. A batch of one sample too.
#[test]
fn pull_backs_are_those_of_autograd() {
    for (fusion, task) in cases() {
        for (size, seed) in [(7, 1), (1, 2)] {
            let what = format!("{fusion:?}, {task:?}, {size} samples");
            let (model, batch) = case(task, fusion, size, seed);
            let a = model.forward(&batch);
            let g_t = model.pull_back_fused(&a, &task.loss(&a.fused.logits, &batch.y).1);
            let mut gradients = model.embedding_gradient(&batch, &g_t.theta);
            gradients.extend(g_t.head);
            for (modality, z) in [(Image, &a.z_v), (Text, &a.z_l)] {
                let (_, d_o) = task.loss(&model.head(modality, z), &batch.y);
                gradients.extend(model.head_gradient(modality, &a, &d_o));
            }
            autograd::track(&model);
            let reference = forward(&model, &batch);
            assert!((a.fused.logits - &reference.o_t).abs().max().double_value(&[]) < 1e-13, "{what}");
            let of = |o: &Tensor, over: &dyn Fn(ParameterId) -> bool| {
                autograd::gradient(&model, &task.loss(o, &batch.y).0, over)
            };
            let mut expected = of(&reference.o_t, &fused_or_embedding);
            expected.extend(of(&reference.o_v, &|id| id.layer == Layer::Head(Image)));
            expected.extend(of(&reference.o_l, &|id| id.layer == Layer::Head(Text)));
            assert_close(&what, &gradients, &expected, 1e-13);
            assert_eq!(expected.len(), model.parameters.len(), "{what}");
        }
    }
}

/// Concatenation and addition are linear: by hand, with weights that pick single features.
#[test]
fn columns_belong_to_their_modality() {
    let task = tasks()[1];
    for (fusion, expected_v, expected_l) in [(Fusion::Concat, 2.0, 30.0), (Fusion::Addition, 2.0, 3.0)] {
        let model = model(task, fusion, 0, Kind::Double);
        // The row of class 1 weighs the first feature of z_v, and, ten times, of z_l where they have their own columns.
        let weight = &model.parameters[&Layer::Fused.weight()];
        let _ = weight.shallow_clone().zero_();
        let _ = weight.get(1).get(0).fill_(1.0);
        if fusion == Fusion::Concat {
            let _ = weight.get(1).get(model.shape.embedding).fill_(10.0);
        }
        let logits = |modality: Modality, value: f64| {
            let z = Tensor::zeros([1, model.shape.embedding], (Kind::Double, tch::Device::Cpu));
            let other = z.copy();
            let _ = z.get(0).get(0).fill_(value);
            let (z_v, z_l) = if modality == Image { (&z, &other) } else { (&other, &z) };
            let logits = fusion.forward(&model.parameters, z_v, z_l).logits - &model.parameters[&Layer::Fused.bias()];
            logits.double_value(&[0, 1])
        };
        assert!((logits(Image, 2.0) - expected_v).abs() < 1e-12, "{fusion:?}");
        assert!((logits(Text, 3.0) - expected_l).abs() < 1e-12, "{fusion:?}");
    }
}
