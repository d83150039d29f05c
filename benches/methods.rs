//! How many steps a method makes per second, on one thread: `cargo bench --bench methods`.
//!
//! Methods take turns, and the fastest of many measurements of each part of a step counts, so that other load on the
//! machine matters little. A step is what the training loop does: gather a batch, form the gradient, update the parameters;
//! and, measured apart, compute the trace's diagnostics. The baseline's update is also measured as a chain of tensor
//! operations, which is what the one-pass Adam of `src/training/adam.rs` replaces. If there is a Python with torch
//! (`SEESAW_PYTHON`, else `python3`), the same run measures the step in PyTorch eager.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::hint::black_box;
use std::time::Instant;

use seesaw::methods::{Method, MethodOptions, NAMES, Noise, OgmGe};
use seesaw::model::fusion::Fusion;
use seesaw::model::task::{BinaryHead, Task};
use seesaw::model::{Model, Shape};
use seesaw::random::Stream;
use seesaw::terms::TaskKind;
use seesaw::training::diagnostics;
use seesaw::training::fit::FeatureSet;
use seesaw::training::optimizer::{Optimizer, OptimizerOptions};
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
        let mut runs: Vec<Run> = methods.map(|options| Run::new(options.name(), &options, shape)).collect();
        let quiet = MethodOptions::OgmGe(OgmGe { noise: Noise::Off, ..OgmGe::default() });
        runs.push(Run::new("ogm-ge without noise", &quiet, shape));
        for _ in 0..ROUNDS {
            runs.iter_mut().for_each(|run| run.round(&features));
        }
        let whole = |run: &Run| run.best[..3].iter().sum::<f64>();
        for run in &runs {
            let [gather, gradient, update, trace] = run.best.map(|seconds| 1e6 * seconds);
            println!(
                "  {:<20} {:>6.0} steps/s, {:>4.2} times the baseline's time; µs a step: {:.0} = {gather:.0} gather + \
                 {gradient:.0} gradient + {update:.0} update; trace {trace:.0} more ({:.1} %)",
                run.name,
                1.0 / whole(run),
                whole(run) / whole(&runs[0]),
                1e6 * whole(run),
                1e-4 * trace / whole(run),
            );
        }
        let ([gather, gradient, update, _], by_tensors) = (runs[0].best, adam_by_tensors(&mut runs[0], &features));
        println!(
            "  Adam by tensor operations: {:.0} µs an update, {:.2} times the one-pass update, {:.2} times the baseline's step",
            1e6 * by_tensors,
            by_tensors / update,
            (gather + gradient + by_tensors) / (gather + gradient + update),
        );
        if fusion == Fusion::Concat && kind == TaskKind::Multiclass {
            seeds_at_once(d_v, d_l, d, classes as i64);
            eager(&[d_v, d_l, d, classes as i64, BATCH], |name| {
                runs.iter().find(|run| run.name == name).map(|run| 1.0 / whole(run))
            });
        }
    }
}

/// Seconds of Adam's update as a chain of tensor operations, the fewest of many.
fn adam_by_tensors(run: &mut Run, features: &FeatureSet) -> f64 {
    let order = Tensor::arange(features.len(), (Kind::Int64, Device::Cpu));
    let step = run.method.step(&run.model, &features.batch(&order.narrow(0, 0, BATCH)));
    let mut parameters: Vec<[Tensor; 4]> = step
        .gradients
        .into_iter()
        .map(|(id, g)| [run.model.parameters[&id].copy(), g.zeros_like(), g.zeros_like(), g])
        .collect();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS as i64 * BATCHES {
        let begun = Instant::now();
        for [value, first, second, gradient] in &mut parameters {
            // The trace needs the norm of the gradient too.
            let _ = black_box(gradient.reshape([-1]).dot(&gradient.reshape([-1])));
            let _ = first.lerp_(gradient, 0.1);
            let _ = second.lerp_(&gradient.square(), 0.001);
            let denominator = second.sqrt().g_add_scalar_(1e-8);
            let _ = value.addcdiv_(&(&*first * -1e-3), &denominator);
        }
        best = best.min(begun.elapsed().as_secs_f64());
    }
    best
}

/// The same step by PyTorch eager, plain and fused (see the script), if there is a Python with torch.
fn eager(sizes: &[i64], ours: impl Fn(&str) -> Option<f64>) {
    let python = std::env::var("SEESAW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/eager.py");
    // Its own libtorch, not the one that this program was linked with.
    let mut command = std::process::Command::new(&python);
    let output = command.arg(script).args(sizes.iter().map(i64::to_string)).env_remove("LD_LIBRARY_PATH").output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return println!(
            "  PyTorch eager: not measured, `{python}` has no torch (SEESAW_PYTHON may name one that has)"
        );
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [name, variant, rate] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        if let (Ok(theirs), Some(ours)) = (rate.parse::<f64>(), ours(name)) {
            println!(
                "  {name:<10} PyTorch eager, {variant}: {theirs:>6.0} steps/s; ours is {:.2} times as fast",
                ours / theirs
            );
        }
    }
}

/// What five seeds in one batched computation could gain: the products of a baseline step, which take most of its time,
/// one seed after the other and with a leading dimension of seeds.
fn seeds_at_once(d_v: i64, d_l: i64, d: i64, classes: i64) {
    const SEEDS: i64 = 5;
    let random = |size: [i64; 3]| {
        let mut values = vec![0.0; size.iter().product::<i64>() as usize];
        Stream::new(0, &["bench", "seeds at once"]).fill_normal_f32(&mut values);
        Tensor::from_slice(&values).view(size)
    };
    let x = [d_v, d_l].map(|d_m| random([SEEDS, BATCH, d_m]));
    let w = [d_v, d_l].map(|d_m| random([SEEDS, d_m, d]));
    let head = random([SEEDS, 2 * d, classes]);
    let (batched, single) =
        (Tensor::bmm as fn(&Tensor, &Tensor) -> Tensor, Tensor::mm as fn(&Tensor, &Tensor) -> Tensor);
    let products = |x: [Tensor; 2], w: [Tensor; 2], head: Tensor, multiply: fn(&Tensor, &Tensor) -> Tensor| {
        let z = Tensor::cat(&[multiply(&x[0], &w[0]), multiply(&x[1], &w[1])], -1);
        let o = multiply(&z, &head);
        let d_z = multiply(&o, &head.transpose(-1, -2));
        let _ = black_box(multiply(&z.transpose(-1, -2), &o));
        for (m, x) in x.iter().enumerate() {
            let _ = black_box(multiply(&x.transpose(-1, -2), &d_z.narrow(-1, m as i64 * d, d)));
        }
    };
    let of_seed = |seed: i64| (x.each_ref().map(|x| x.select(0, seed)), w.each_ref().map(|w| w.select(0, seed)));
    let mut best = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for seed in 0..SEEDS {
            let (x, w) = of_seed(seed);
            products(x, w, head.select(0, seed), single);
        }
        best[0] = best[0].min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        products(
            x.each_ref().map(Tensor::shallow_clone),
            w.each_ref().map(Tensor::shallow_clone),
            head.copy(),
            batched,
        );
        best[1] = best[1].min(begun.elapsed().as_secs_f64());
    }
    println!(
        "  products of a step of {SEEDS} seeds: {:.0} µs one by one, {:.0} µs batched, {:.2} times as fast",
        1e6 * best[0],
        1e6 * best[1],
        best[0] / best[1]
    );
}

struct Run {
    name: &'static str,
    method: Box<dyn Method>,
    model: Model,
    optimizer: Optimizer,
    /// Seconds for gathering, gradient and update, and for diagnostics beside them, the fewest of all steps.
    best: [f64; 4],
}

impl Run {
    fn new(name: &'static str, options: &MethodOptions, shape: Shape) -> Self {
        let method = options.build(0);
        let model = Model::new(Shape { heads: options.needs_heads(), ..shape }, 0, Kind::Float, Device::Cpu);
        let adam =
            OptimizerOptions::Adam { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
        Run { name, method, optimizer: Optimizer::new(adam), model, best: [f64::MAX; 4] }
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
            let squares =
                self.optimizer.step(&mut self.model, &step.gradients, |role| method.learning_rate_factor(role));
            let updated = Instant::now();
            black_box(diagnostics::scalars(&self.model, &step.gradients, &squares, &step.d_z));
            let watched = updated.elapsed();
            drop(black_box(step));
            let parts = [gathered - begun, formed - gathered, updated - formed, watched];
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
