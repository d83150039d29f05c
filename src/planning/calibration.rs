//! Measures what this machine can do, in a few seconds: for estimates alone, no result depends on it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};

use anyhow::Context;
use tch::{Device, Kind, Tensor};

use crate::engine::Engine;
use crate::experiments::{MethodPlan, Suite};
use crate::model::fusion::Fusion;
use crate::model::task::{BinaryHead, Task};
use crate::model::{Model, Shape};
use crate::pictures::{Decoding, decode};
use crate::planning::estimate::{Calibration, STEP};
use crate::random::Stream;
use crate::terms::TaskKind;
use crate::training::fit::FeatureSet;
use crate::training::optimizer::Optimizer;

/// How long each thing is measured.
const TIME: Duration = Duration::from_millis(400);

/// Measures the machine for a suite's methods, with as many threads as the engine uses.
///
/// # Errors
/// If a picture cannot be made, or a thread panicked.
pub fn measure(engine: &Engine, suite: &Suite) -> anyhow::Result<Calibration> {
    let device = engine.device;
    // A GPU is one worker, however many threads feed it.
    let workers = if device == Device::Cpu { engine.threads } else { 1 };
    let mut steps = BTreeMap::new();
    for method in &suite.methods {
        let rate = rate(workers, || Training::new(method, device), Training::step)?;
        steps.insert(method.name.clone(), workers as f64 / rate);
    }
    let picture = jpeg()?;
    Ok(Calibration {
        of: Calibration::subject(engine),
        product: rate(workers, || Product::new(device), Product::run)? * Product::GIGA,
        convolution: rate(workers, || Convolution::new(device), Convolution::run)? * Convolution::GIGA,
        decoded: rate(
            engine.threads,
            || picture.clone(),
            |picture| drop(black_box(decode(picture, Decoding::PILLOW))),
        )?,
        steps,
    })
}

/// How often all workers together do a thing per second.
fn rate<T>(workers: usize, make: impl Fn() -> T + Sync, act: impl Fn(&mut T) + Sync) -> anyhow::Result<f64> {
    let count = || {
        tch::set_num_threads(1);
        let _no_grad = tch::no_grad_guard();
        let mut thing = make();
        // The first time pays for memory and caches.
        act(&mut thing);
        let (began, mut times) = (Instant::now(), 0u32);
        while began.elapsed() < TIME {
            act(&mut thing);
            times += 1;
        }
        f64::from(times) / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a measurement failed"))).sum()
    })
}

/// The largest product of a layer of ViT-B: 4 × 197 tokens, 768 to 3072.
struct Product {
    x: Tensor,
    w: Tensor,
}

impl Product {
    const GIGA: f64 = 4.0 * 197.0 * 768.0 * 3072.0 * 1e-9;

    fn new(device: Device) -> Self {
        Product { x: random(&[4 * 197, 768], device), w: random(&[768, 3072], device) }
    }

    fn run(&mut self) {
        settle(&self.x.matmul(&self.w));
    }
}

/// Standard normal numbers. A GPU multiplies constants faster, since they take less power.
fn random(size: &[i64], device: Device) -> Tensor {
    let mut values = vec![0.0; size.iter().product::<i64>() as usize];
    Stream::new(0, &["calibration"]).fill_normal_f32(&mut values);
    Tensor::from_slice(&values).view(size).to_device(device)
}

/// A 3 × 3 convolution from the middle of a ResNet-50: 256 channels, 14 × 14.
struct Convolution {
    x: Tensor,
    w: Tensor,
}

impl Convolution {
    const GIGA: f64 = 8.0 * 14.0 * 14.0 * 256.0 * 256.0 * 9.0 * 1e-9;

    fn new(device: Device) -> Self {
        Convolution { x: random(&[8, 256, 14, 14], device), w: random(&[256, 256, 3, 3], device) }
    }

    fn run(&mut self) {
        settle(&self.x.conv2d(&self.w, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1));
    }
}

/// Waits for a device by asking for one number.
fn settle(result: &Tensor) {
    black_box(result.flatten(0, -1).double_value(&[0]));
}

/// A training of a method at [`STEP`] with 100 classes.
struct Training {
    method: Box<dyn crate::methods::Method>,
    model: Model,
    optimizer: Optimizer,
    features: FeatureSet,
    batch: Tensor,
}

impl Training {
    fn new(plan: &MethodPlan, device: Device) -> Self {
        let (d_v, d_l, d, batch) = STEP;
        let task = Task::new(TaskKind::Multiclass, 100, BinaryHead::TwoLogits);
        let options = &plan.candidates[0];
        let shape = Shape {
            task,
            fusion: Fusion::Concat,
            image_features: i64::from(d_v),
            text_features: i64::from(d_l),
            embedding: i64::from(d),
            heads: options.needs_heads(),
        };
        let model = Model::new(shape, 0, Kind::Float, device);
        let each = Tensor::arange(i64::from(batch), (Kind::Int64, device));
        let labels: Vec<Vec<u32>> = (0..batch).map(|at| vec![at % 100]).collect();
        let features = FeatureSet {
            x_v: random(&[i64::from(batch), i64::from(d_v)], device),
            x_l: random(&[i64::from(batch), i64::from(d_l)], device),
            picture: each.copy(),
            text: each.copy(),
            y: task.labels(&labels, Kind::Float).to_device(device),
        };
        let optimizer = Optimizer::new(plan.trainings[0].optimizer);
        Training { method: options.build(0), model, optimizer, features, batch: each }
    }

    fn step(&mut self) {
        let batch = self.features.batch(&self.batch);
        let step = self.method.step(&self.model, &batch);
        let method = &self.method;
        let squares = self.optimizer.step(&mut self.model, &step.gradients, |role| method.learning_rate_factor(role));
        black_box(crate::training::diagnostics::scalars(&self.model, &step.gradients, &squares, &step.d_z));
    }
}

/// A picture with some detail.
fn jpeg() -> anyhow::Result<Vec<u8>> {
    let wave = |x: u32, y: u32, by: u32| ((x * by + y * 7) % 256) as u8;
    let picture =
        image::RgbImage::from_fn(512, 512, |x, y| image::Rgb([wave(x, y, 3), wave(y, x, 5), wave(x, x, y / 64)]));
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Jpeg).context("cannot make a picture")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is measured really runs, and its rates are numbers.
    #[test]
    fn a_machine_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::tests::engine(folder.path());
        let text = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/smoke.toml");
        let mut suite = Suite::parse("smoke", &std::fs::read_to_string(text).unwrap()).unwrap();
        suite.methods.retain(|method| matches!(method.name.as_str(), "baseline" | "balgrad"));
        let found = measure(&engine, &suite).unwrap();
        for rate in [found.product, found.convolution, found.decoded, found.steps["balgrad"], found.steps["baseline"]] {
            assert!(rate.is_finite() && rate > 0.0, "{found:?}");
        }
    }
}
