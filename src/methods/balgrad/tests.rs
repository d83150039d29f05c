use proptest::prelude::*;
use tch::Kind;

use super::*;
use crate::methods::Baseline;
use crate::methods::tests::{exchanged, exchanged_batch, exchanged_name, exchanged_scalar, exchanged_value};
use crate::model::autograd::{self, FUSED, FUSIONS, assert_close, batch, forward, model, tasks};
use crate::model::fusion::Fusion;
use crate::model::task::{BinaryHead, Task};
use crate::random::Stream;
use crate::terms::TaskKind;

const SCOPES: [ProjectionScope; 4] =
    [ProjectionScope::Joint, ProjectionScope::PerModality, ProjectionScope::PerTensor, ProjectionScope::WithHeads];

fn scalar(step: &Step, name: &str) -> f64 {
    step.scalars
        .iter()
        .find(|(other, _)| *other == name)
        .unwrap_or_else(|| panic!("no scalar {name}"))
        .1
        .double_value(&[])
}

fn sum(a: &Gradients, b: &Gradients, factor: f64) -> Gradients {
    let of_b = |name: &str| b.iter().find(|(other, _)| other == name).map(|(_, gradient)| gradient * factor);
    let mut sums: Gradients = a
        .iter()
        .map(|(name, gradient)| (name.clone(), of_b(name).map_or_else(|| gradient.copy(), |other| gradient + other)))
        .collect();
    sums.extend(
        b.iter()
            .filter(|(name, _)| !a.iter().any(|(other, _)| other == name))
            .map(|(name, gradient)| (name.clone(), gradient * factor)),
    );
    sums
}

/// ⟨a, b⟩ over the parameters of `a` that `over` accepts.
fn inner(a: &Gradients, b: &Gradients, over: impl Fn(&str) -> bool) -> f64 {
    let of_b = |name: &str| &b.iter().find(|(other, _)| other == name).unwrap().1;
    a.iter().filter(|(name, _)| over(name)).map(|(name, g)| (g * of_b(name)).sum(None).double_value(&[])).sum()
}

fn is_theta(name: &str) -> bool {
    name.starts_with("h_")
}

/// The whole step, every fusion, kind of task and scope, against five losses that autograd differentiates one by one and
/// vectors that are written out.
#[test]
fn steps_are_those_of_autograd() {
    let mut conflicts = 0;
    for (fusion, task) in FUSIONS.into_iter().flat_map(|fusion| tasks().map(|task| (fusion, task))) {
        for (seed, (scope, kl_heads)) in
            SCOPES.into_iter().flat_map(|scope| [(scope, true), (scope, false)]).enumerate()
        {
            let kl_scale = if seed % 2 == 0 { KlScale::Factor(1.5) } else { KlScale::Named(NamedScale::OverLabels) };
            let options = BalGrad { projection_scope: scope, kl_scale, kl_heads, ..BalGrad::default() };
            if options.check().is_err() {
                assert!(scope == ProjectionScope::WithHeads && !kl_heads);
                continue;
            }
            let (model, batch) =
                (model(task, fusion, seed as u64, Kind::Double), batch(&task, 7, 2.0, seed as u64, Kind::Double));
            let step = options.clone().step(&model, &batch);
            autograd::follow(&model);
            let (expected, conflict) = written_out(&options, &model, &batch);
            assert_close(&format!("{fusion:?}, {task:?}, {scope:?}, {kl_heads}"), &step.gradients, &expected, 1e-12);
            assert_eq!(scalar(&step, "conflict") == 1.0, conflict);
            conflicts += usize::from(conflict);
        }
    }
    // Both branches are taken often.
    assert!((20..=92).contains(&conflicts), "{conflicts} of 112 batches have a conflict");
}

/// The combined gradient by its definition, and whether g_T and g_kl conflict over θ.
fn written_out(options: &BalGrad, model: &Model, batch: &Batch) -> (Gradients, bool) {
    let task = &model.shape.task;
    let o = forward(model, batch);
    let loss = |o: &Tensor| task.loss(o, &batch.y).0;
    let (loss_v, loss_l) = (loss(&o.o_v), loss(&o.o_l));
    let (kl_v, ..) = task.mutual_kl(&o.o_v, &o.o_l.detach());
    let (kl_l, ..) = task.mutual_kl(&o.o_l, &o.o_v.detach());
    let of = |loss: &Tensor, prefixes: &[&str]| autograd::gradient(model, loss, prefixes);
    let g_t = of(&loss(&o.o_t), &[&FUSED[..], &["h_"]].concat());
    let [v, l] = [["h_v", "f_v"], ["h_l", "f_l"]];
    let g_t_m = sum(&of(&loss_v, &v), &of(&loss_l, &l), 1.0);
    let w_v = loss_v.double_value(&[]) / (&loss_v + &loss_l).double_value(&[]);
    let λ = match options.kl_scale {
        KlScale::Factor(factor) => factor,
        KlScale::Named(_) if task.kind == TaskKind::Multilabel => 0.25,
        KlScale::Named(_) => 1.0,
    };
    let weighted = |kl: &Tensor, w: f64, prefixes: &[&str]| sum(&vec![], &of(kl, prefixes), w * λ);
    let g_kl = sum(&weighted(&kl_v, w_v, &v), &weighted(&kl_l, 1.0 - w_v, &l), 1.0);
    // Blocks that are projected together.
    let blocks: Vec<Vec<&str>> = match options.projection_scope {
        ProjectionScope::Joint | ProjectionScope::WithHeads => vec![vec!["h_v", "h_l"]],
        ProjectionScope::PerModality => vec![vec!["h_v"], vec!["h_l"]],
        ProjectionScope::PerTensor => {
            ["h_v.weight", "h_v.bias", "h_l.weight", "h_l.bias"].map(|name| vec![name]).into()
        }
    };
    let trains = |name: &str| options.kl_heads || is_theta(name);
    let kl_part: Gradients = g_kl.iter().filter(|(name, _)| trains(name)).map(|(n, g)| (n.clone(), g.copy())).collect();
    let mut combined = sum(&sum(&g_t, &g_t_m, 1.0), &kl_part, 1.0);
    for block in blocks {
        let within = |name: &str| block.iter().any(|prefix| name.starts_with(prefix));
        let dot = inner(&g_kl, &g_t_within(&g_t, &g_kl), within);
        let with_heads = options.projection_scope == ProjectionScope::WithHeads;
        let square = inner(&g_kl, &g_kl, |name| with_heads || within(name));
        let a = if dot < 0.0 { dot / square } else { 0.0 };
        let moved: Gradients =
            g_kl.iter().filter(|(name, _)| with_heads || within(name)).map(|(n, g)| (n.clone(), g.copy())).collect();
        combined = sum(&combined, &moved, -a);
    }
    let conflict = inner(&g_kl, &g_t_within(&g_t, &g_kl), is_theta) < 0.0;
    (combined, conflict)
}

/// g_T with zeros on the heads, which it does not reach.
fn g_t_within(g_t: &Gradients, g_kl: &Gradients) -> Gradients {
    sum(g_t, &sum(&vec![], g_kl, 0.0), 1.0)
}

/// A gradient δ over θ for the batch of [`batch`], standard normal times `scale`.
fn theta(size: i64, scale: f64, seed: u64, purpose: &str, kind: Kind) -> Theta {
    let mut stream = Stream::new(seed, &["balgrad test", purpose]);
    let mut part = || {
        let values: Vec<f64> = (0..size * 5).map(|_| scale * stream.normal()).collect();
        Tensor::from_slice(&values).view([size, 5]).to_kind(kind)
    };
    Theta::new(part(), part())
}

/// A gradient over θ written out in float64; the features and δ of `magnitudes` are made positive, which gives what an inner
/// product would be without cancellation, the measure of its rounding.
fn written_out_theta(batch: &Batch, theta: &Theta, magnitudes: bool) -> Gradients {
    let double = |tensor: &Tensor| {
        let tensor = tensor.to_kind(Kind::Double);
        if magnitudes { tensor.abs() } else { tensor }
    };
    let mut gradients = crate::model::linear_gradient("h_v", &double(&batch.x_v), &double(&theta.v));
    gradients.extend(crate::model::linear_gradient("h_l", &double(&batch.x_l), &double(&theta.l)));
    gradients
}

fn all_finite(tensor: &Tensor) -> bool {
    bool::try_from(tensor.isfinite().all()).unwrap()
}

/// Powers of ten between gradients that are hardly there and huge ones.
fn scales() -> impl Strategy<Value = f64> {
    (-30i32..=12).prop_map(|power| 10f64.powi(power))
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Float), Just(Kind::Double)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the sizes of g_T and g_kl: ⟨g_T⊥, g_kl⟩ is not negative, 0 after a conflict, and g_T⊥ is g_T, bit for bit,
    /// without one; in float32 as in float64.
    #[test]
    fn projected_gradients_do_not_conflict(
        (seed, size, kind) in (0u64..1000, 1i64..6, kinds()),
        (of_t, of_kl) in (scales(), scales()),
        scope in proptest::sample::select(SCOPES[..3].to_vec()),
    ) {
        let task = tasks()[0];
        let (model, batch) = (model(task, Fusion::Concat, seed, kind), batch(&task, size, 1.0, seed, kind));
        let activations = model.forward(&batch);
        let (g_t, g_kl) = (theta(size, of_t, seed, "T", kind), theta(size, of_kl, seed, "kl", kind));
        let gram = Gram::of(&batch);
        let kl_size = largest(&g_kl.v).maximum(&largest(&g_kl.l));
        let direction = Theta::new(&g_kl.v / &kl_size, &g_kl.l / &kl_size);
        let [(dot_v, square_v), (dot_l, square_l)] =
            [Image, Text].map(|m| gram.inner_and_square(m, Entries::Both, &g_t, &direction));
        let (dot, square) = (dot_v + dot_l, square_v + square_l);
        let none = || Tensor::zeros([size, 4], (kind, tch::Device::Cpu));
        let kl = Kl { direction, size: kl_size, d_kl_v: none(), d_kl_l: none() };
        let options = BalGrad { projection_scope: scope, ..BalGrad::default() };
        let projected = options.project_away(&activations, &gram, &g_t, &kl, &dot, &square);
        let direction = &kl.direction;
        prop_assert!(projected.coefficients.iter().all(|(_, a)| all_finite(a) && a.double_value(&[]) <= 0.0));
        // Scaled, so that products of them stay within float64's range.
        let unit = Theta::new(&g_kl.v.to_kind(Kind::Double) / of_kl, &g_kl.l.to_kind(Kind::Double) / of_kl);
        let of = |theta: &Theta, magnitudes| {
            sum(&vec![], &written_out_theta(&batch, theta, magnitudes), 1.0 / of_t)
        };
        let (kl, kl_sizes) = (written_out_theta(&batch, &unit, false), written_out_theta(&batch, &unit, true));
        let (before, sizes) = (of(&g_t, false), of(&g_t, true));
        let after = match &projected.removed {
            Removed::Multiple(a) => of(&g_t.plus(&-a, direction), false),
            Removed::ByPart { weight, bias } => join(of(&(&g_t - weight), false), of(&(&g_t - bias), false)),
        };
        let blocks: &[&[&str]] = match scope {
            ProjectionScope::PerModality => &[&["h_v"], &["h_l"]],
            ProjectionScope::PerTensor => &[&["h_v.weight"], &["h_v.bias"], &["h_l.weight"], &["h_l.bias"]],
            ProjectionScope::Joint | ProjectionScope::WithHeads => &[&["h_"]],
        };
        let epsilon = if kind == Kind::Float { 2e-6 } else { 1e-14 };
        for block in blocks {
            let within = |name: &str| block.iter().any(|prefix| name.starts_with(prefix));
            // An inner product is known to its rounding alone, and a's share of that grows where ‖g_kl‖² cancels.
            let cancelled = inner(&kl_sizes, &kl_sizes, within) / inner(&kl, &kl, within);
            let rounding = epsilon * inner(&sizes, &kl_sizes, within) * (1.0 + cancelled);
            let (dot_before, dot_after) = (inner(&before, &kl, within), inner(&after, &kl, within));
            prop_assert!(dot_after >= -rounding, "{block:?}: {dot_after:e}, {rounding:e}");
            if dot_before < -rounding {
                prop_assert!(dot_after.abs() <= rounding, "{block:?}: {dot_before:e} became {dot_after:e}");
            } else if dot_before > rounding {
                for (name, gradient) in before.iter().filter(|(name, _)| within(name)) {
                    let after = &after.iter().find(|(other, _)| other == name).unwrap().1;
                    prop_assert!(after == gradient, "{} changed without a conflict", name);
                }
            }
        }
    }

    /// The weights sum to 1 and are ½ each for losses of 0, from losses of any size; none is NaN.
    #[test]
    fn weights_sum_to_one(
        losses in [prop_oneof![Just(0.0), scales(), 0.0..10.0], prop_oneof![Just(0.0), scales(), 0.0..10.0]],
        kind in kinds(),
    ) {
        let [loss_v, loss_l] = losses.map(|loss| Tensor::from(loss).to_kind(kind));
        let weights = |rule| {
            let (w_v, w_l) = BalGrad { weights: rule, ..BalGrad::default() }.kl_weights(&loss_v, &loss_l);
            [w_v.double_value(&[]), w_l.double_value(&[])]
        };
        for rule in [KlWeights::LossRatio, KlWeights::Uniform, KlWeights::InverseLoss] {
            let [w_v, w_l] = weights(rule);
            prop_assert!((w_v + w_l - 1.0).abs() < 1e-6 && w_v >= 0.0 && w_l >= 0.0, "{w_v} and {w_l}");
        }
        let [w_v, w_l] = weights(KlWeights::LossRatio);
        prop_assert_eq!(weights(KlWeights::InverseLoss), [w_l, w_v]);
        prop_assert_eq!(weights(KlWeights::Uniform), [0.5, 0.5]);
        if losses == [0.0, 0.0] {
            prop_assert_eq!([w_v, w_l], [0.5, 0.5]);
        } else {
            // The modality with the larger loss, which has learned less, gets more.
            prop_assert!(losses[0] == losses[1] || (losses[0] > losses[1]) == (w_v > w_l) || w_v == w_l);
        }
    }

    /// Features and weights that are zero, tiny or huge give finite gradients and scalars: a whole step, every kind of task.
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
        scope in proptest::sample::select(SCOPES.to_vec()),
    ) {
        let (mut model, batch) = (model(task, fusion, seed, kind), batch(&task, 4, features, seed, kind));
        for parameter in &mut model.parameters {
            let _ = parameter.value.g_mul_scalar_(weights);
        }
        let step = BalGrad { projection_scope: scope, ..BalGrad::default() }.step(&model, &batch);
        for (name, value) in &step.scalars {
            prop_assert!(name.starts_with("cos_") || all_finite(value), "{name} is {value:?}");
        }
        for (name, gradient) in &step.gradients {
            prop_assert!(all_finite(gradient), "the gradient of {name}");
        }
    }

    /// Nothing in the method prefers a modality: with the two exchanged everywhere, so are the gradients and scalars.
    #[test]
    fn exchanged_modalities_exchange_the_result(
        seed in 0u64..1000,
        task in proptest::sample::select(tasks().to_vec()),
        fusion in proptest::sample::select(vec![Fusion::Concat, Fusion::Addition]),
        scope in proptest::sample::select(SCOPES.to_vec()),
    ) {
        let model = model(task, fusion, seed, Kind::Double);
        let given = batch(&task, 6, 2.0, seed, Kind::Double);
        let other = exchanged(&model);
        let mut options = BalGrad { projection_scope: scope, ..BalGrad::default() };
        let (step, step_of_other) = (options.step(&model, &given), options.step(&other, &exchanged_batch(&given)));
        let back: Gradients = step_of_other
            .gradients
            .iter()
            .map(|(name, gradient)| (exchanged_name(name), exchanged_value(&model, name, gradient)))
            .collect();
        assert_close("exchanged", &back, &step.gradients, 1e-12);
        for (name, value) in &step.scalars {
            let found = scalar(&step_of_other, &exchanged_scalar(name));
            prop_assert!((value.double_value(&[]) - found).abs() < 1e-10 * found.abs().max(1.0), "{name}");
        }
    }
}

/// A task of one class has no losses at all: weights ½, no conflict, every gradient 0.
#[test]
fn losses_of_zero_give_equal_weights_and_no_gradient() {
    let task = Task::new(TaskKind::Multiclass, 1, BinaryHead::TwoLogits);
    for kind in [Kind::Float, Kind::Double] {
        let (model, batch) = (model(task, Fusion::Concat, 1, kind), batch(&task, 5, 1.0, 1, kind));
        let step = BalGrad::default().step(&model, &batch);
        for (name, expected) in [("coefficient_v", 0.5), ("coefficient_l", 0.5), ("conflict", 0.0), ("loss_T", 0.0)] {
            assert_eq!(scalar(&step, name), expected, "{name}");
        }
        assert!(step.gradients.iter().all(|(_, gradient)| gradient.abs().max().double_value(&[]) == 0.0));
    }
}

/// Heads that agree with great confidence: in float32 the square of the KL gradient is 0, its direction is not, and g_T is
/// projected as in float64.
#[test]
fn vanishing_kl_gradients_are_projected_in_float32_too() {
    let task = tasks()[1];
    let mut conflicts = 0;
    for seed in 0..8 {
        let step = |kind: Kind| {
            let (model, batch) =
                (model(task, Fusion::Concat, seed, Kind::Double), batch(&task, 4, 1.0, seed, Kind::Double));
            let parameters = model.parameters.iter().map(|parameter| {
                let value = parameter.value.to_kind(kind);
                // Both heads are sure of class 1: p of class 0 is about e^-66 = 2e-29.
                let value = if parameter.name == "f_v.bias" || parameter.name == "f_l.bias" {
                    &value + Tensor::from_slice(&[0.0, 66.0]).to_kind(kind)
                } else {
                    value
                };
                (parameter.name.clone(), value)
            });
            let model = Model::with(model.shape, parameters.collect()).unwrap();
            let batch = Batch { x_v: batch.x_v.to_kind(kind), x_l: batch.x_l.to_kind(kind), y: batch.y };
            (BalGrad::default().step(&model, &batch), Baseline::default().step(&model, &batch))
        };
        let ((single, _), (double, _)) = (step(Kind::Float), step(Kind::Double));
        assert_eq!(scalar(&single, "conflict"), scalar(&double, "conflict"));
        conflicts += scalar(&single, "conflict") as i64;
        let norm = scalar(&double, "norm_g_kl_theta");
        assert!(norm < 1e-23 && (scalar(&single, "norm_g_kl_theta") / norm - 1.0).abs() < 0.1, "{norm:e}");
    }
    assert!(conflicts > 0, "no batch has a conflict");
}
