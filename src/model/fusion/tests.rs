use tch::Kind;

use super::*;
use crate::methods::{Baseline, Method};
use crate::model::autograd::{self, FUSED, FUSIONS, assert_close, batch, forward, model, tasks};
use crate::terms::Modality;

/// Every fusion's logits are those of its equations, and the gradients of L_T those of autograd, on every parameter and
/// for every kind of task. A batch of one sample too.
#[test]
fn pull_backs_are_those_of_autograd() {
    for (fusion, task) in FUSIONS.into_iter().flat_map(|fusion| tasks().map(|task| (fusion, task))) {
        for (size, seed) in [(7, 1), (1, 2)] {
            let what = format!("{fusion:?}, {task:?}, {size} samples");
            let (model, batch) = (model(task, fusion, seed, Kind::Double), batch(&task, size, 2.0, seed, Kind::Double));
            let step = Baseline { probe: true }.step(&model, &batch);
            let logits = model.forward(&batch).fused.logits;
            autograd::follow(&model);
            let reference = forward(&model, &batch);
            assert!((logits - &reference.o_t).abs().max().double_value(&[]) < 1e-13, "{what}");
            let (loss_t, _) = task.loss(&reference.o_t, &batch.y);
            let mut expected = autograd::gradient(&model, &loss_t, &[&FUSED[..], &["h_"]].concat());
            for (m, o) in [("f_v", &reference.o_v), ("f_l", &reference.o_l)] {
                expected.extend(autograd::gradient(&model, &task.loss(o, &batch.y).0, &[m]));
            }
            assert_close(&what, &step.gradients, &expected, 1e-13);
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
        let weight = model.get("f_T.weight");
        let _ = weight.shallow_clone().zero_();
        let _ = weight.get(1).get(0).fill_(1.0);
        if fusion == Fusion::Concat {
            let _ = weight.get(1).get(model.shape.embedding).fill_(10.0);
        }
        let logits = |modality: Modality, value: f64| {
            let z = Tensor::zeros([1, model.shape.embedding], (Kind::Double, tch::Device::Cpu));
            let other = z.copy();
            let _ = z.get(0).get(0).fill_(value);
            let (z_v, z_l) = if modality == Modality::Image { (&z, &other) } else { (&other, &z) };
            let logits = fusion.forward(&model, z_v, z_l).logits - model.get("f_T.bias");
            logits.double_value(&[0, 1])
        };
        assert!((logits(Modality::Image, 2.0) - expected_v).abs() < 1e-12, "{fusion:?}");
        assert!((logits(Modality::Text, 3.0) - expected_l).abs() < 1e-12, "{fusion:?}");
    }
}
