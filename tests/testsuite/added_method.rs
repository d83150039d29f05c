//! The example in docs/extending.md, "A method": it compiles, it trains, and it is what it says.

use seesaw::evaluation::metrics;
use seesaw::interrupt::Interrupt;
use seesaw::methods::MethodOptions;
use seesaw::model::Shape;
use seesaw::model::fusion::Fusion;
use seesaw::model::task::{BinaryHead, Task};
use seesaw::progress::Silent;
use seesaw::random::Stream;
use seesaw::terms::TaskKind;
use seesaw::training::fit::{Cell, FeatureSet, train};
use tch::{Device, Kind, Tensor};

// docs/extending.md shows what is between the two marks, character for character.
// [example]
use seesaw::methods::{Method, Options, Step};
use seesaw::model::{Batch, Model};
use seesaw::terms::Modality::{Image, Text};

/// Two unimodal losses beside the fused one: g = g_T + λ (∇L_v ⊕ ∇L_l).
#[derive(Clone, Debug)]
struct Auxiliary {
    /// λ
    weight: f64,
}

impl Options for Auxiliary {
    fn needs_heads(&self) -> bool {
        true
    }

    fn build(&self, _seed: u64) -> Box<dyn Method> {
        Box::new(self.clone())
    }
}

impl Method for Auxiliary {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        // Predictions, losses, and the losses' gradients at the logits.
        let (task, a) = (&model.shape.task, model.forward(batch));
        let (loss_t, d_t) = task.loss(&a.fused.logits, &batch.y);
        let (loss_v, d_v) = task.loss(&model.head(Image, &a.z_v), &batch.y);
        let (loss_l, d_l) = task.loss(&model.head(Text, &a.z_l), &batch.y);

        // On θ = (h_v, h_l) gradients add up as vectors; their matrices are formed once, at the end.
        let g_t = model.pull_back_fused(&a, &d_t);
        let (d_v, d_l) = (d_v * self.weight, d_l * self.weight);
        let g_m = model.pull_back_heads(&a, &d_v, &d_l);
        let mut gradients = model.embedding_gradient(batch, &(&g_t.theta + &g_m));
        gradients.extend(g_t.head);
        gradients.extend(model.head_gradient(Image, &a, &d_v));
        gradients.extend(model.head_gradient(Text, &a, &d_l));
        Step { gradients, d_z: g_t.d_z, scalars: vec![("loss_T", loss_t), ("loss_v", loss_v), ("loss_l", loss_l)] }
    }
}
// [/example]

/// Samples of four classes that either modality determines: class means plus noise.
fn split(task: &Task, n: i64, purpose: &str) -> FeatureSet {
    let mut stream = Stream::new(3, &["added method", purpose]);
    let mut features = |d: i64| {
        let values: Vec<f32> =
            (0..n * d).map(|i| f32::from(u8::from(i % d == (i / d) % 4)) * 4.0 + stream.normal() as f32).collect();
        Tensor::from_slice(&values).view([n, d])
    };
    let (x_v, x_l) = (features(10), features(6));
    let each = Tensor::arange(n, (Kind::Int64, Device::Cpu));
    let labels: Vec<Vec<u32>> = (0..n as u32).map(|i| vec![i % 4]).collect();
    FeatureSet { x_v, x_l, picture: each.copy(), text: each, y: task.labels(&labels, Kind::Float) }
}

#[test]
fn the_documents_show_this_example() {
    let own = include_str!("added_method.rs");
    let (_, rest) = own.split_once("// [example]\n").unwrap();
    let (example, _) = rest.split_once("// [/example]\n").unwrap();
    let document = include_str!("../../docs/extending.md");
    // Inside the crate, `seesaw` is `crate`.
    let shown = example.replace("use seesaw::", "use crate::").replace("use crate::methods::", "use super::");
    assert!(document.contains(&format!("```rust\n{shown}```\n")), "docs/extending.md should show:\n{shown}");
}

#[test]
fn the_example_trains_and_is_what_it_says() {
    tch::set_num_threads(1);
    let task = Task::new(TaskKind::Multiclass, 4, BinaryHead::TwoLogits);
    let config = toml::from_str(
        "embedding = 16\nepochs = 8\nbatch-size = 8\noptimizer = { name = \"adam\", learning-rate = 1e-2 }",
    )
    .unwrap();
    let method = Auxiliary { weight: 0.5 };
    let score = |task: &Task, logits: &Tensor, labels: &Tensor| {
        metrics::score(task.metric, task.classes(), &task.predict(logits), labels)
    };
    let cell = Cell { task, config: &config, name: "auxiliary", method: &method, seed: 1, score };
    let (training, validation) = (split(&task, 64, "train"), split(&task, 32, "val"));
    let trained = train(&cell, &training, &validation, None, &Interrupt::default(), &Silent).unwrap();
    assert!(*trained.trace.validation.last().unwrap() > 80.0, "{:?}", trained.trace.validation);

    // With λ = 1 it is BalGrad without its KL gradients.
    let shape = Shape { task, fusion: Fusion::Concat, image_features: 10, text_features: 6, embedding: 5, heads: true };
    let model = Model::new(shape, 2, Kind::Double, Device::Cpu);
    let few = training.batch(&Tensor::arange(7, (Kind::Int64, Device::Cpu)));
    let few = Batch { x_v: few.x_v.to_kind(Kind::Double), x_l: few.x_l.to_kind(Kind::Double), y: few.y };
    let found = Auxiliary { weight: 1.0 }.build(0).step(&model, &few).gradients;
    let balgrad: MethodOptions =
        serde_json::from_str(r#"{"method": "balgrad", "project": false, "kl-scale": 0.0}"#).unwrap();
    for (name, expected) in balgrad.build(0).step(&model, &few).gradients {
        assert!((&found[&name] - expected).abs().max().double_value(&[]) < 1e-12, "{name}");
    }
}
