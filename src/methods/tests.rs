//! Properties of every method.

use proptest::prelude::{Just, ProptestConfig, Strategy as _, prop_assert, prop_oneof, proptest};
use tch::{Kind, Tensor};

use super::*;
use crate::model::autograd::{self, FUSIONS, assert_close, batch, case, cases, fused_or_embedding, model, tasks};
use crate::model::fusion::Fusion;
use crate::model::{Layer, ParameterId, Parameters, Part};

/// Each entry under the parameter of the other modality. With concatenation, the columns of f_T belong to one modality each.
fn exchanged_parameters(model: &Model, parameters: &Parameters) -> Parameters {
    let other = |modality| if modality == Modality::Image { Modality::Text } else { Modality::Image };
    let exchange = |(&id, value): (&ParameterId, &Tensor)| {
        let layer = match id.layer {
            Layer::Embedding(modality) => Layer::Embedding(other(modality)),
            Layer::Head(modality) => Layer::Head(other(modality)),
            layer => layer,
        };
        let value = match model.shape.fusion {
            Fusion::Concat if id == Layer::Fused.weight() => value.roll(model.shape.embedding, 1),
            _ => value.shallow_clone(),
        };
        (ParameterId { layer, ..id }, value)
    };
    parameters.iter().map(exchange).collect()
}

fn exchanged_scalar(name: &str) -> String {
    match (name.strip_suffix("_v"), name.strip_suffix("_l")) {
        (Some(stem), _) => format!("{stem}_l"),
        (_, Some(stem)) => format!("{stem}_v"),
        _ => name.to_owned(),
    }
}

pub(super) fn scalar(step: &Step, name: &str) -> f64 {
    let found = step.scalars.iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("no scalar {name}")).1.double_value(&[])
}

/// Methods that treat both modalities alike: without factors of their own and without noise.
fn even_handed() -> Vec<MethodOptions> {
    let others = vec![
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
    ];
    [others, balgrad_of_every_scope()].concat()
}

fn balgrad_of_every_scope() -> Vec<MethodOptions> {
    let scopes = balgrad::tests::SCOPES.into_iter();
    scopes.map(|scope| MethodOptions::BalGrad(BalGrad { projection_scope: scope, ..BalGrad::default() })).collect()
}

fn default_options() -> Vec<MethodOptions> {
    let others = NAMES.iter().filter(|named| named.method != "balgrad");
    let others = others.filter_map(|named| MethodOptions::default_of(named.method)).collect();
    [others, balgrad_of_every_scope()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

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
        let mut shape = model.shape;
        std::mem::swap(&mut shape.image_features, &mut shape.text_features);
        let other = Model { shape, parameters: exchanged_parameters(&model, &model.parameters) };
        let exchanged = Batch { x_v: given.x_l, x_l: given.x_v, y: given.y };
        let step_of_other = options.build(0).step(&other, &exchanged);
        let back = exchanged_parameters(&model, &step_of_other.gradients);
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
        (kind, features) in prop_oneof![
            (Just(Kind::Float), prop_oneof![Just(0.0), (-40i32..=12).prop_map(|power| 10f64.powi(power))]),
            (Just(Kind::Double), prop_oneof![Just(0.0), (-300i32..=30).prop_map(|power| 10f64.powi(power))]),
        ],
        weights in prop_oneof![Just(0.0), Just(1e-30), Just(1e-6), Just(1.0), Just(30.0)],
        task in proptest::sample::select(tasks().to_vec()),
        fusion in proptest::sample::select(FUSIONS.to_vec()),
        options in proptest::sample::select(default_options()),
    ) {
        let (mut model, batch) = (model(task, fusion, seed, kind), batch(&task, 4, features, seed, kind));
        for value in model.parameters.values_mut() {
            let _ = value.g_mul_scalar_(weights);
        }
        let mut method = options.build(seed);
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

/// AGM's step is autograd's gradient of the loss of Σ_m κ_m u_m + (1 − κ_m) sg(u_m), for every fusion, wherever the other
/// modality is zero.
#[test]
fn agm_agrees_with_autograd() {
    for ((fusion, task), zero_at) in cases().flat_map(|case| [ZeroAt::Features, ZeroAt::Embedding].map(|at| (case, at)))
    {
        let (model, batch) = case(task, fusion, 7, 5);
        let step = Agm { clip: 0.0, zero_at, ..Agm::default() }.build(0).step(&model, &batch);
        autograd::track(&model);
        let z = autograd::embeddings(&model, &batch);
        let nothing = Batch { x_v: batch.x_v.zeros_like(), x_l: batch.x_l.zeros_like(), y: batch.y.copy() };
        let [blank_v, blank_l] = match zero_at {
            ZeroAt::Features => autograd::embeddings(&model, &nothing),
            ZeroAt::Embedding => z.each_ref().map(Tensor::zeros_like),
        };
        let [z_v, z_l] = z.each_ref().map(Tensor::shallow_clone);
        let f = autograd::fused(&model, &z);
        let (f_v, f_l) = (autograd::fused(&model, &[z_v, blank_l]), autograd::fused(&model, &[blank_v, z_l]));
        let part = |u: &Tensor, κ: f64| u * κ + u.detach() * (1.0 - κ);
        let (u_v, u_l) = ((&f - &f_l + &f_v) * 0.5, (&f - &f_v + &f_l) * 0.5);
        let o = part(&u_v, scalar(&step, "coefficient_v")) + part(&u_l, scalar(&step, "coefficient_l"));
        assert!((&o - &f).abs().max().double_value(&[]) < 1e-12);
        let loss = task.loss(&o, &batch.y).0;
        let expected = autograd::gradient(&model, &loss, fused_or_embedding);
        assert_close(&format!("{fusion:?}, {task:?}, {zero_at:?}"), &step.gradients, &expected, 1e-11);
    }
}

/// For a linear fusion, half of the classifier with half of its bias equals the general formula of the responses.
#[test]
fn linear_responses_are_the_general_ones() {
    for fusion in FUSIONS {
        let (model, batch) = case(tasks()[0], fusion, 5, 6);
        let a = model.forward(&batch);
        let alone = |z_v: Tensor, z_l: Tensor| model.fuse(z_v, z_l).fused.logits;
        let (f_v, f_l) = (alone(a.z_v.copy(), a.z_l.zeros_like()), alone(a.z_v.zeros_like(), a.z_l.copy()));
        let f = &a.fused.logits;
        let expected = [(f - &f_l + &f_v) * 0.5, (f - &f_v + &f_l) * 0.5];
        for (found, expected) in model.responses(&a).iter().zip(expected) {
            assert!((found - expected).abs().max().double_value(&[]) < 1e-13, "{fusion:?}");
        }
    }
}

/// Noise is new in each step, depends on the seed alone, has the spread of the gradient, and goes to the embedding layers
/// alone.
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
    for (id, quiet) in &quiet.gradients {
        let first = &first.gradients[id];
        let noise = first - quiet;
        let Layer::Embedding(modality) = id.layer else {
            assert_eq!(noise.abs().max().double_value(&[]), 0.0, "{id}");
            continue;
        };
        assert_eq!(again.gradients[id], *first, "{id}: the same seed");
        assert_ne!(second.gradients[id], *first, "{id}: another step");
        if id.part == Part::Weight {
            // k may have slowed one of them; the noise has the spread before.
            let k = scalar(&again, &format!("coefficient_{}", modality.letter()));
            let spread = quiet.std(true).double_value(&[]) / k;
            let ratio = noise.std(true).double_value(&[]) / spread;
            assert!((ratio - 1.0).abs() < 0.03, "{id}: {ratio}");
            assert!((noise.mean(None).double_value(&[]) / spread).abs() < 0.03, "{id}");
        }
    }
}
