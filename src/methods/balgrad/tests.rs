use proptest::prelude::*;
use tch::Kind;

use super::*;
use crate::methods::Baseline;
use crate::methods::tests::scalar;
use crate::model::autograd::{
    self, assert_close, batch, case, cases, forward, fused_or_embedding, model, normal, tasks,
};
use crate::model::fusion::Fusion;
use crate::model::task::{BinaryHead, Task};
use crate::model::{Gradients, Layer, ParameterId, Parameters};
use crate::terms::{Modality, TaskKind};

pub(in crate::methods) const SCOPES: [ProjectionScope; 4] =
    [ProjectionScope::Joint, ProjectionScope::PerModality, ProjectionScope::PerTensor, ProjectionScope::WithHeads];

fn copy(gradients: &Gradients) -> Gradients {
    gradients.iter().map(|(id, gradient)| (*id, gradient.copy())).collect()
}

/// a + factor · b; a parameter that only one of them has counts as 0 in the other.
fn sum(a: &Gradients, b: &Gradients, factor: f64) -> Gradients {
    let mut sum = copy(a);
    for (id, b) in b {
        let b = b * factor;
        sum.entry(*id).and_modify(|a| *a += &b).or_insert(b);
    }
    sum
}

/// The part that `over` accepts.
fn part(gradients: &Gradients, over: impl Fn(ParameterId) -> bool) -> Gradients {
    copy(gradients).into_iter().filter(|(id, _)| over(*id)).collect()
}

/// ⟨a, b⟩ over the parameters that both have and `over` accepts.
fn inner(a: &Gradients, b: &Gradients, over: impl Fn(ParameterId) -> bool) -> f64 {
    let both = a.iter().filter(|(id, _)| over(**id)).filter_map(|(id, a)| Some((a, b.get(id)?)));
    both.map(|(a, b)| (a * b).sum(None).double_value(&[])).sum()
}

fn is_theta(id: ParameterId) -> bool {
    matches!(id.layer, Layer::Embedding(_))
}

/// Blocks of θ that are projected together.
fn blocks(scope: ProjectionScope) -> Vec<Vec<ParameterId>> {
    let [v, l] = [Image, Text].map(Layer::Embedding);
    let all = [v.weight(), v.bias(), l.weight(), l.bias()];
    match scope {
        ProjectionScope::Joint | ProjectionScope::WithHeads => vec![all.to_vec()],
        ProjectionScope::PerModality => all.chunks(2).map(<[ParameterId]>::to_vec).collect(),
        ProjectionScope::PerTensor => all.map(|id| vec![id]).to_vec(),
    }
}

/// The whole step, every fusion, kind of task and scope, against five losses that autograd differentiates one by one and
/// vectors that are written out.
#[test]
fn steps_are_those_of_autograd() {
    let mut conflicts = 0;
    for (fusion, task) in cases() {
        for (seed, (scope, kl_heads)) in
            SCOPES.into_iter().flat_map(|scope| [(scope, true), (scope, false)]).enumerate()
        {
            let kl_scale = if seed % 2 == 0 { KlScale::Factor(1.5) } else { KlScale::Named(NamedScale::OverLabels) };
            let options = BalGrad { projection_scope: scope, kl_scale, kl_heads, ..BalGrad::default() };
            if options.check().is_err() {
                assert!(scope == ProjectionScope::WithHeads && !kl_heads);
                continue;
            }
            let (model, batch) = case(task, fusion, 7, seed as u64);
            let step = options.clone().step(&model, &batch);
            autograd::track(&model);
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
    let of_modality = |loss: &Tensor, modality: Modality| {
        let layers = [Layer::Embedding(modality), Layer::Head(modality)];
        autograd::gradient(model, loss, |id| layers.contains(&id.layer))
    };
    let g_t = autograd::gradient(model, &loss(&o.o_t), fused_or_embedding);
    let g_t_m = sum(&of_modality(&loss_v, Image), &of_modality(&loss_l, Text), 1.0);
    let w_v = loss_v.double_value(&[]) / (&loss_v + &loss_l).double_value(&[]);
    let λ = match options.kl_scale {
        KlScale::Factor(factor) => factor,
        KlScale::Named(_) if task.kind == TaskKind::Multilabel => 0.25,
        KlScale::Named(_) => 1.0,
    };
    let weighted = sum(&Gradients::new(), &of_modality(&kl_v, Image), w_v * λ);
    let g_kl = sum(&weighted, &of_modality(&kl_l, Text), (1.0 - w_v) * λ);
    let trained = part(&g_kl, |id| options.kl_heads || is_theta(id));
    let mut combined = sum(&sum(&g_t, &g_t_m, 1.0), &trained, 1.0);
    for block in blocks(options.projection_scope) {
        // With the heads: g_T is 0 there, so they count in the norm alone.
        let projected = part(&g_kl, |id| options.projection_scope == ProjectionScope::WithHeads || block.contains(&id));
        let dot = inner(&g_t, &projected, is_theta);
        let a = if dot < 0.0 { dot / inner(&projected, &projected, |_| true) } else { 0.0 };
        combined = sum(&combined, &projected, -a);
    }
    (combined, inner(&g_t, &g_kl, is_theta) < 0.0)
}

/// A gradient δ over θ for the batch of [`batch`], standard normal times `scale`.
fn theta(size: i64, scale: f64, seed: u64, purpose: &str, kind: Kind) -> Theta {
    let both = (normal(&[2, size, 5], seed, purpose) * scale).to_kind(kind);
    Theta::new(both.get(0), both.get(1))
}

/// A gradient over θ written out in float64; the features and δ of `magnitudes` are made positive, which gives what an inner
/// product would be without cancellation, the measure of its rounding.
fn written_out_theta(batch: &Batch, theta: &Theta, magnitudes: bool) -> Gradients {
    let double = |tensor: &Tensor| {
        let tensor = tensor.to_kind(Kind::Double);
        if magnitudes { tensor.abs() } else { tensor }
    };
    let mut gradients = Layer::Embedding(Image).gradient(&double(&batch.x_v), &double(&theta.v));
    gradients.extend(Layer::Embedding(Text).gradient(&double(&batch.x_l), &double(&theta.l)));
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
        let gram = Gram::new(&batch.x_v, &batch.x_l);
        let kl_size = largest(&g_kl.v).maximum(&largest(&g_kl.l));
        let direction = Theta::new(&g_kl.v / &kl_size, &g_kl.l / &kl_size);
        let [(dot_v, square_v), (dot_l, square_l)] =
            [Image, Text].map(|m| gram.inner_and_square(m, Entries::Both, &g_t, &direction));
        let (dot, square) = (dot_v + dot_l, square_v + square_l);
        let none = || Tensor::zeros([size, 4], (kind, tch::Device::Cpu));
        let kl = WeightedKl { direction, size: kl_size, d_kl_v: none(), d_kl_l: none() };
        let options = BalGrad { projection_scope: scope, ..BalGrad::default() };
        let projected = options.project(&activations, &gram, &g_t, &kl, &dot, &square);
        let direction = &kl.direction;
        prop_assert!(projected.coefficients.iter().all(|(_, a)| all_finite(a) && a.double_value(&[]) <= 0.0));
        // Scaled, so that products of them stay within float64's range.
        let unit = Theta::new(&g_kl.v.to_kind(Kind::Double) / of_kl, &g_kl.l.to_kind(Kind::Double) / of_kl);
        let of = |theta: &Theta, magnitudes| {
            sum(&Gradients::new(), &written_out_theta(&batch, theta, magnitudes), 1.0 / of_t)
        };
        let (kl, kl_sizes) = (written_out_theta(&batch, &unit, false), written_out_theta(&batch, &unit, true));
        let (before, sizes) = (of(&g_t, false), of(&g_t, true));
        let after = match &projected.on_theta {
            OnTheta::Multiple(a) => of(&g_t.plus(&-a, direction), false),
            OnTheta::ByPart { weight, bias } => {
                let mut after = of(&(&g_t - weight), false);
                after.extend(part(&of(&(&g_t - bias), false), |id| id.part == Part::Bias));
                after
            }
        };
        let epsilon = if kind == Kind::Float { 2e-6 } else { 1e-14 };
        for block in blocks(scope) {
            let within = |id: ParameterId| block.contains(&id);
            // An inner product is known to its rounding alone, and a's share of that grows where ‖g_kl‖² cancels.
            let cancelled = inner(&kl_sizes, &kl_sizes, within) / inner(&kl, &kl, within);
            let rounding = epsilon * inner(&sizes, &kl_sizes, within) * (1.0 + cancelled);
            let (dot_before, dot_after) = (inner(&before, &kl, within), inner(&after, &kl, within));
            prop_assert!(dot_after >= -rounding, "{block:?}: {dot_after:e}, {rounding:e}");
            if dot_before < -rounding {
                prop_assert!(dot_after.abs() <= rounding, "{block:?}: {dot_before:e} became {dot_after:e}");
            } else if dot_before > rounding {
                for id in &block {
                    prop_assert!(after[id] == before[id], "{} changed without a conflict", id);
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
        assert!(step.gradients.values().all(|gradient| gradient.abs().max().double_value(&[]) == 0.0));
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
            let mut parameters: Parameters =
                model.parameters.iter().map(|(id, value)| (*id, value.to_kind(kind))).collect();
            for modality in Modality::ALL {
                // Both heads are sure of class 1: p of class 0 is about e^-66 = 2e-29.
                let sure = Tensor::from_slice(&[0.0, 66.0]).to_kind(kind);
                parameters.entry(Layer::Head(modality).bias()).and_modify(|bias| *bias += sure);
            }
            let model = Model { shape: model.shape, parameters };
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
