//! The reference for tests: the forward pass written out from the equations, and the gradients that autograd derives.

use tch::{Kind, Tensor};

use super::fusion::Fusion;
use super::task::{BinaryHead, Task};
use super::{Batch, Gradients, Layer, Model, ParameterId, Shape};
use crate::random::Stream;
use crate::terms::Modality::{Image, Text};
use crate::terms::TaskKind;

pub const FUSIONS: [Fusion; 4] = [Fusion::Concat, Fusion::Addition, Fusion::Attention, Fusion::ConcatMlp];

pub fn tasks() -> [Task; 4] {
    [
        Task::new(TaskKind::Multiclass, 4, BinaryHead::TwoLogits),
        Task::new(TaskKind::Binary, 2, BinaryHead::TwoLogits),
        Task::new(TaskKind::Binary, 2, BinaryHead::SingleLogit),
        Task::new(TaskKind::Multilabel, 4, BinaryHead::TwoLogits),
    ]
}

/// A small model with both heads and different numbers of features, whose parameters depend on the seed.
pub fn model(task: Task, fusion: Fusion, seed: u64, kind: Kind) -> Model {
    let shape = Shape { task, fusion, image_features: 6, text_features: 3, embedding: 5, heads: true };
    Model::new(shape, seed, kind, tch::Device::Cpu)
}

/// Every fusion with every kind of task.
pub fn cases() -> impl Iterator<Item = (Fusion, Task)> {
    FUSIONS.into_iter().flat_map(|fusion| tasks().map(|task| (fusion, task)))
}

/// Standard normal numbers in float64.
pub fn normal(size: &[i64], seed: u64, purpose: &str) -> Tensor {
    let mut stream = Stream::new(seed, &["autograd test", purpose]);
    let values: Vec<f64> = (0..size.iter().product()).map(|_| stream.normal()).collect();
    Tensor::from_slice(&values).view(size)
}

/// [`model`] and [`batch`] in float64.
pub fn case(task: Task, fusion: Fusion, size: i64, seed: u64) -> (Model, Batch) {
    (model(task, fusion, seed, Kind::Double), batch(&task, size, 2.0, seed, Kind::Double))
}

/// A batch of standard normal features, times `scale`, for [`model`].
pub fn batch(task: &Task, size: i64, scale: f64, seed: u64, kind: Kind) -> Batch {
    let random = |purpose: &str, d: i64| (normal(&[size, d], seed, purpose) * scale).to_kind(kind);
    let mut stream = Stream::new(seed, &["autograd test", "labels"]);
    let classes = if task.kind == TaskKind::Binary { 2 } else { task.logits as u64 };
    let labels: Vec<Vec<u32>> = (0..size)
        .map(|_| match task.kind {
            TaskKind::Multilabel => (0..classes as u32).filter(|_| stream.below(2) == 1).collect(),
            TaskKind::Multiclass | TaskKind::Binary => vec![stream.below(classes) as u32],
        })
        .collect();
    Batch { x_v: random("x_v", 6), x_l: random("x_l", 3), y: task.labels(&labels, kind) }
}

/// Predictions that autograd can differentiate.
pub struct Forward {
    pub o_t: Tensor,
    pub o_v: Tensor,
    pub o_l: Tensor,
}

/// W x + b
fn linear(model: &Model, x: &Tensor, layer: Layer) -> Tensor {
    let p = |id: ParameterId| &model.parameters[&id];
    x.matmul(&p(layer.weight()).transpose(0, 1)) + p(layer.bias())
}

/// z_v and z_l.
pub fn embeddings(model: &Model, batch: &Batch) -> [Tensor; 2] {
    let features = [(&batch.x_v, Image), (&batch.x_l, Text)];
    features.map(|(x, modality)| linear(model, x, Layer::Embedding(modality)).relu())
}

/// The equations of the model, one by one.
pub fn forward(model: &Model, batch: &Batch) -> Forward {
    let z @ [z_v, z_l] = &embeddings(model, batch);
    let of = |z: &Tensor, modality| linear(model, z, Layer::Head(modality));
    Forward { o_t: fused(model, z), o_v: of(z_v, Image), o_l: of(z_l, Text) }
}

/// The equations of the fusion: o_T of z_v and z_l.
pub fn fused(model: &Model, [z_v, z_l]: &[Tensor; 2]) -> Tensor {
    let p = |id: ParameterId| &model.parameters[&id];
    let linear = |x: &Tensor, layer: Layer| linear(model, x, layer);
    match model.shape.fusion {
        Fusion::Concat => linear(&Tensor::cat(&[z_v, z_l], 1), Layer::Fused),
        Fusion::Addition => linear(&(z_v + z_l), Layer::Fused),
        Fusion::ConcatMlp => linear(&linear(&Tensor::cat(&[z_v, z_l], 1), Layer::FusedHidden).relu(), Layer::Fused),
        Fusion::Attention => {
            let tokens = [z_v, z_l];
            let k = tokens.map(|t| t.matmul(&p(Layer::Key.weight()).transpose(0, 1)));
            let u = tokens.map(|t| linear(t, Layer::Value));
            let attended = tokens.map(|t| {
                let q = linear(t, Layer::Query);
                let score = |k: &Tensor| {
                    let dot = (&q * k).sum_dim_intlist([1].as_slice(), true, None);
                    (dot / (model.shape.embedding as f64).sqrt()).exp()
                };
                let [to_v, to_l] = [score(&k[0]), score(&k[1])];
                (&to_v * &u[0] + &to_l * &u[1]) / (to_v + to_l)
            });
            linear(&((&attended[0] + &attended[1]) / 2.0), Layer::Fused)
        }
    }
}

/// Lets autograd track the model's parameters.
pub fn track(model: &Model) {
    for value in model.parameters.values() {
        let _ = value.set_requires_grad(true);
    }
}

/// The loss's gradient on the parameters that `over` accepts.
pub fn gradient(model: &Model, loss: &Tensor, over: impl Fn(ParameterId) -> bool) -> Gradients {
    let (ids, values): (Vec<ParameterId>, Vec<&Tensor>) = model.parameters.iter().filter(|(id, _)| over(**id)).unzip();
    ids.into_iter().zip(Tensor::run_backward(&[loss], &values, true, false)).collect()
}

/// Whether L_T depends on a parameter: not if it belongs to a unimodal head.
pub fn fused_or_embedding(id: ParameterId) -> bool {
    !matches!(id.layer, Layer::Head(_))
}

/// Both have the same parameters, and values within `tolerance` of max(1, largest magnitude).
pub fn assert_close(what: &str, found: &Gradients, expected: &Gradients, tolerance: f64) {
    assert!(found.keys().eq(expected.keys()), "{what}: {:?}, expected {:?}", found.keys(), expected.keys());
    for (id, expected) in expected {
        let found = &found[id];
        assert_eq!(found.size(), expected.size(), "{what}: {id}");
        let scale = expected.abs().max().double_value(&[]).max(1.0);
        let difference = (found - expected).abs().max().double_value(&[]);
        assert!(difference <= tolerance * scale, "{what}: {id} differs by {difference:e}");
    }
}
