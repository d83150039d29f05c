//! How many steps a method makes per second, on one thread: `cargo bench --bench methods`.
//!
//! Methods take turns, and of each part of a step the fastest of many counts, so that what else the machine does
//! matters little. A step is what the training loop does: gather a batch, form the gradient, update the parameters.

use std::hint::black_box;
use std::time::Instant;

use seesaw::datasets::TaskKind;
use seesaw::methods::{Method, MethodOptions, NAMES};
use seesaw::random::Stream;
use seesaw::training::fit::FeatureSet;
use seesaw::training::fusion::Fusion;
use seesaw::training::model::{Model, Shape};
use seesaw::training::optimizer::{Optimizer, OptimizerOptions};
use seesaw::training::task::{BinaryHead, Task};
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 64;
const BATCHES: i64 = 20;
const ROUNDS: usize = 15;

/// A cell's sizes: what it is like, d_v, d_l, d, task, fusion.
const CELLS: &[(&str, i64, i64, i64, TaskKind, usize, Fusion)] = &[
    ("ViT-B + BERT-base, 101 classes", 768, 768, 512, TaskKind::Multiclass, 101, Fusion::Concat),
    ("Lite0 + MiniLM, 64 classes", 1280, 384, 256, TaskKind::Multiclass, 64, Fusion::Concat),
    ("Lite0 + MiniLM, 64 labels", 1280, 384, 256, TaskKind::Multilabel, 64, Fusion::Concat),
    ("Lite0 + MiniLM, hidden layer, binary", 1280, 384, 256, TaskKind::Binary, 2, Fusion::ConcatMlp),
];

fn main() {
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    for &(name, d_v, d_l, d, kind, classes, fusion) in CELLS {
        let task = Task::new(kind, classes, BinaryHead::TwoLogits);
        println!("{name}: {d_v}+{d_l} → {d}, {fusion:?}, batches of {BATCH}, Adam");
        let features = features(&task, d_v, d_l);
        let shape = Shape { task, fusion, image_features: d_v, text_features: d_l, embedding: d, heads: false };
        let methods = NAMES.iter().filter(|named| named.fixed.is_empty());
        let methods = methods.filter_map(|named| MethodOptions::default_of(named.method));
        let mut runs: Vec<Run> = methods.map(|options| Run::new(&options, shape)).collect();
        for _ in 0..ROUNDS {
            runs.iter_mut().for_each(|run| run.round(&features));
        }
        let whole = |run: &Run| run.best.iter().sum::<f64>();
        for run in &runs {
            let [gather, gradient, update] = run.best.map(|seconds| 1e6 * seconds);
            println!(
                "  {:<10} {:>6.0} steps/s, {:>4.2} times the baseline's time; µs a step: {:.0} = {gather:.0} gather + \
                 {gradient:.0} gradient + {update:.0} update",
                run.name,
                1.0 / whole(run),
                whole(run) / whole(&runs[0]),
                1e6 * whole(run),
            );
        }
    }
}

struct Run {
    name: &'static str,
    method: Box<dyn Method>,
    model: Model,
    optimizer: Optimizer,
    /// Seconds for gathering, gradient and update, the fewest of all steps.
    best: [f64; 3],
}

impl Run {
    fn new(options: &MethodOptions, shape: Shape) -> Self {
        let method = options.build(0);
        let model = Model::new(Shape { heads: options.needs_heads(), ..shape }, 0, Kind::Float, Device::Cpu);
        let adam =
            OptimizerOptions::Adam { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
        Run { name: options.name(), method, optimizer: Optimizer::new(adam, &model), model, best: [f64::MAX; 3] }
    }

    fn round(&mut self, features: &FeatureSet) {
        let order = Tensor::arange(features.len(), (Kind::Int64, Device::Cpu));
        for start in (0..features.len()).step_by(BATCH as usize) {
            let begun = Instant::now();
            let batch = features.batch(&order.narrow(0, start, BATCH));
            let gathered = Instant::now();
            let step = self.method.step(&self.model, &batch);
            let formed = Instant::now();
            let method = &self.method;
            self.optimizer.step(&mut self.model, &step.gradients, |role| method.learning_rate_factor(role));
            drop(black_box(step));
            let parts = [gathered - begun, formed - gathered, formed.elapsed()];
            for (best, part) in self.best.iter_mut().zip(parts) {
                *best = best.min(part.as_secs_f64());
            }
        }
    }
}

fn features(task: &Task, d_v: i64, d_l: i64) -> FeatureSet {
    let n = BATCH * BATCHES;
    let random = |purpose: &str, d: i64| {
        let mut values = vec![0.0; (n * d) as usize];
        Stream::new(0, &["bench", purpose]).fill_normal_f32(&mut values);
        Tensor::from_slice(&values).view([n, d])
    };
    let labels: Vec<Vec<u32>> = (0..n).map(|i| vec![(i % task.logits) as u32]).collect();
    let each = Tensor::arange(n, (Kind::Int64, Device::Cpu));
    FeatureSet {
        x_v: random("x_v", d_v),
        x_l: random("x_l", d_l),
        picture: each.copy(),
        text: each,
        y: task.labels(&labels, Kind::Float),
    }
}
