//! What holds for every method.

use proptest::prelude::{Just, Strategy as _, prop_assert, prop_oneof, proptest};
use tch::{Kind, Tensor};

use super::*;
use crate::model::autograd::{self, FUSED, FUSIONS, assert_close, batch, forward, model, tasks};
use crate::model::fusion::{Fusion, shares};

pub(super) fn exchanged_name(name: &str) -> String {
    match name.split_at(3.min(name.len())) {
        ("h_v", rest) => format!("h_l{rest}"),
        ("h_l", rest) => format!("h_v{rest}"),
        ("f_v", rest) => format!("f_l{rest}"),
        ("f_l", rest) => format!("f_v{rest}"),
        _ => name.to_owned(),
    }
}

pub(super) fn exchanged_scalar(name: &str) -> String {
    match (name.strip_suffix("_v"), name.strip_suffix("_l")) {
        (Some(stem), _) => format!("{stem}_l"),
        (_, Some(stem)) => format!("{stem}_v"),
        _ => name.to_owned(),
    }
}

/// With concatenation, the columns of f_T belong to one modality each.
pub(super) fn exchanged_value(model: &Model, name: &str, value: &Tensor) -> Tensor {
    match (name, model.shape.fusion) {
        ("f_T.weight", Fusion::Concat) => value.roll(model.shape.embedding, 1),
        _ => value.shallow_clone(),
    }
}

pub(super) fn exchanged(model: &Model) -> Model {
    let mut shape = model.shape;
    std::mem::swap(&mut shape.image_features, &mut shape.text_features);
    let weights = model
        .parameters
        .iter()
        .map(|parameter| {
            let value = exchanged_value(model, &parameter.name, &parameter.value);
            (exchanged_name(&parameter.name), value)
        })
        .collect();
    Model::with(shape, weights).unwrap()
}

pub(super) fn exchanged_batch(batch: &Batch) -> Batch {
    Batch { x_v: batch.x_l.shallow_clone(), x_l: batch.x_v.shallow_clone(), y: batch.y.shallow_clone() }
}

fn scalar(step: &Step, name: &str) -> f64 {
    let found = step.scalars.iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("no scalar {name}")).1.double_value(&[])
}

/// Methods without anything that tells the modalities apart: no factors of their own, no noise.
fn even_handed() -> Vec<MethodOptions> {
    vec![
        MethodOptions::Baseline(Baseline { probe: true }),
        MethodOptions::Mslr(Mslr {
            factor_v: 1.3,
            factor_l: 1.3,
            application: Application::Gradient,
            ..Mslr::default()
        }),
        MethodOptions::OgmGe(OgmGe { alpha: 0.8, noise: Noise::Off, ..OgmGe::default() }),
        MethodOptions::Agm(Agm::default()),
        MethodOptions::Agm(Agm { zero_at: ZeroAt::Embedding, scope: Scope::Embedding, ..Agm::default() }),
        MethodOptions::BalGrad(BalGrad::default()),
    ]
}

proptest! {
    /// With the modalities exchanged everywhere, so are gradients and scalars.
    #[test]
    fn exchanged_modalities_exchange_the_result(
        seed in 0u64..1000,
        task in proptest::sample::select(tasks().to_vec()),
        fusion in proptest::sample::select(vec![Fusion::Concat, Fusion::Addition]),
        options in proptest::sample::select(even_handed()),
    ) {
        let model = model(task, fusion, seed, Kind::Double);
        let given = batch(&task, 6, 2.0, seed, Kind::Double);
        let step = options.build(0).step(&model, &given);
        let step_of_other = options.build(0).step(&exchanged(&model), &exchanged_batch(&given));
        let back: Gradients = step_of_other
            .gradients
            .iter()
            .map(|(name, gradient)| (exchanged_name(name), exchanged_value(&model, name, gradient)))
            .collect();
        assert_close("exchanged", &back, &step.gradients, 1e-11);
        for (name, value) in &step.scalars {
            let found = scalar(&step_of_other, &exchanged_scalar(name));
            let value = value.double_value(&[]);
            prop_assert!((value - found).abs() < 1e-10 * found.abs().max(1.0) || value.is_nan() && found.is_nan(), "{name}");
        }
    }

    /// Features and weights that are zero, tiny or huge give finite gradients and scalars, whatever the method.
    #[test]
    fn extremes_stay_finite(
        seed in 0u64..1000,
        kind in proptest::sample::select(vec![Kind::Float, Kind::Double]),
        features in prop_oneof![Just(0.0), (-30i32..=8).prop_map(|power| 10f64.powi(power))],
        weights in prop_oneof![Just(0.0), Just(1e-30), Just(1e-6), Just(1.0), Just(30.0)],
        task in proptest::sample::select(tasks().to_vec()),
        fusion in proptest::sample::select(FUSIONS.to_vec()),
        name in proptest::sample::select(NAMES.iter().map(|named| named.method).collect::<Vec<_>>()),
    ) {
        let (mut model, batch) = (model(task, fusion, seed, kind), batch(&task, 4, features, seed, kind));
        for parameter in &mut model.parameters {
            let _ = parameter.value.g_mul_scalar_(weights);
        }
        let mut method = MethodOptions::default_of(name).unwrap().build(seed);
        for _ in 0..2 {
            let step = method.step(&model, &batch);
            let finite = |tensor: &Tensor| bool::try_from(tensor.isfinite().all()).unwrap();
            for (name, value) in &step.scalars {
                prop_assert!(name.starts_with("cos_") || finite(value), "{name} is {value:?}");
            }
            for (name, gradient) in &step.gradients {
                prop_assert!(finite(gradient), "the gradient of {name}");
            }
        }
    }
}

/// AGM's step is the gradient of the loss of Σ_m κ_m u_m + (1 − κ_m) sg(u_m), for every fusion.
#[test]
fn agm_is_what_autograd_makes_of_its_definition() {
    for (fusion, task) in FUSIONS.into_iter().flat_map(|fusion| tasks().map(|task| (fusion, task))) {
        let (model, batch) = (model(task, fusion, 5, Kind::Double), batch(&task, 7, 2.0, 5, Kind::Double));
        let step = Agm { clip: 0.0, ..Agm::default() }.build(0).step(&model, &batch);
        autograd::follow(&model);
        let blank = |x: &Tensor| x.zeros_like();
        let f = forward(&model, &batch).o_t;
        let no_text = Batch { x_v: batch.x_v.copy(), x_l: blank(&batch.x_l), y: batch.y.copy() };
        let no_image = Batch { x_v: blank(&batch.x_v), x_l: batch.x_l.copy(), y: batch.y.copy() };
        let (f_v, f_l) = (forward(&model, &no_text).o_t, forward(&model, &no_image).o_t);
        let part = |u: &Tensor, κ: f64| u * κ + u.detach() * (1.0 - κ);
        let [u_v, u_l] = shares(&f, &f_v, &f_l);
        let o = part(&u_v, scalar(&step, "coefficient_v")) + part(&u_l, scalar(&step, "coefficient_l"));
        assert!((&o - &f).abs().max().double_value(&[]) < 1e-12);
        let loss = task.loss(&o, &batch.y).0;
        let expected = autograd::gradient(&model, &loss, &[&FUSED[..], &["h_"]].concat());
        assert_close(&format!("{fusion:?}, {task:?}"), &step.gradients, &expected, 1e-11);
    }
}

/// Half a linear classifier with half its bias is what the general formula of the responses gives.
#[test]
fn linear_responses_are_the_general_ones() {
    for fusion in FUSIONS {
        let (model, batch) = (model(tasks()[0], fusion, 6, Kind::Double), batch(&tasks()[0], 5, 2.0, 6, Kind::Double));
        let a = model.forward(&batch);
        let alone = |z_v: &Tensor, z_l: &Tensor| fusion.forward(&model, z_v, z_l).logits;
        let (f_v, f_l) = (alone(&a.z_v, &a.z_l.zeros_like()), alone(&a.z_v.zeros_like(), &a.z_l));
        let expected = shares(&a.fused.logits, &f_v, &f_l);
        for (found, expected) in fusion.responses(&model, &a).iter().zip(expected) {
            assert!((found - expected).abs().max().double_value(&[]) < 1e-13, "{fusion:?}");
        }
    }
}

/// Noise is drawn anew in each step, follows from the seed alone, has the spread of the gradient, and goes to the
/// embedding layers alone.
#[test]
fn ogm_noise_has_the_spread_of_the_gradient() {
    let task = tasks()[0];
    let shape = crate::model::Shape {
        task,
        fusion: Fusion::Concat,
        image_features: 300,
        text_features: 200,
        embedding: 64,
        heads: false,
    };
    let model = Model::new(shape, 1, Kind::Float, tch::Device::Cpu);
    let ones = |d: i64, seed: u64| {
        let mut values = vec![0f32; 16 * d as usize];
        crate::random::Stream::new(seed, &["ogm test"]).fill_normal_f32(&mut values);
        Tensor::from_slice(&values).view([16, d])
    };
    let labels: Vec<Vec<u32>> = (0..16).map(|i| vec![i % 4]).collect();
    let batch = Batch { x_v: ones(300, 1), x_l: ones(200, 2), y: task.labels(&labels, Kind::Float) };
    let quiet = OgmGe { noise: Noise::Off, ..OgmGe::default() }.build(1).step(&model, &batch);
    let mut noisy = OgmGe::default().build(1);
    let (first, second) = (noisy.step(&model, &batch), noisy.step(&model, &batch));
    let again = OgmGe::default().build(1).step(&model, &batch);
    for ((name, quiet), (_, first)) in quiet.gradients.iter().zip(&first.gradients) {
        let noise = first - quiet;
        if !name.starts_with("h_") {
            assert_eq!(noise.abs().max().double_value(&[]), 0.0, "{name}");
            continue;
        }
        let of = |step: &Step| step.gradients.iter().find(|(other, _)| other == name).unwrap().1.copy();
        assert_eq!(of(&again), *first, "{name}: the same seed");
        assert_ne!(of(&second), *first, "{name}: another step");
        if name.ends_with(".weight") {
            // k may have slowed one of them; the noise is of the spread before.
            let modality = if name.starts_with("h_v") { "coefficient_v" } else { "coefficient_l" };
            let spread = quiet.std(true).double_value(&[]) / scalar(&again, modality);
            let ratio = noise.std(true).double_value(&[]) / spread;
            assert!((ratio - 1.0).abs() < 0.03, "{name}: {ratio}");
            assert!((noise.mean(None).double_value(&[]) / spread).abs() < 0.03, "{name}");
        }
    }
}
