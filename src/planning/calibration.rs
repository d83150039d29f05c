//! Measures the speed of this machine in a few seconds, for estimates. No result depends on it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use crate::engine::Engine;
use crate::experiments::{MethodPlan, Suite};
use crate::model::fusion::Fusion;
use crate::model::task::{BinaryHead, Task};
use crate::model::{Model, Shape};
use crate::pictures::{Decoding, decode};
use crate::random::Stream;
use crate::store::Store;
use crate::tensors;
use crate::terms::TaskKind;
use crate::training::fit::FeatureSet;
use crate::training::optimizer::Optimizer;

/// The speed of a machine, kept beside the store's objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The machine: device, architecture, threads, libtorch. Another one is measured again.
    pub of: String,
    /// Multiply-adds of matrix products per second, in billions, with all threads busy or on one GPU.
    pub product: f64,
    /// Multiply-adds of convolutions per second, in billions, with all threads busy or on one GPU.
    pub convolution: f64,
    /// Pictures of 512 × 512 decoded and resized per second.
    pub decoded: f64,
    /// Steps with small results that the engine starts and keeps per second, with all threads busy.
    pub kept: f64,
    /// Method → seconds per training step at [`STEP`], on one thread while all are busy, or on one GPU.
    pub steps: BTreeMap<String, f64>,
}

/// The sizes at which training steps are measured: image features, text features, embedding, batch.
pub const STEP: (u32, u32, u32, u32) = (768, 768, 256, 64);

impl Calibration {
    /// The file in the store.
    pub fn file(engine: &Engine) -> PathBuf {
        engine.store.root().join("calibration.json")
    }

    /// The machine that is measured.
    pub fn subject(engine: &Engine) -> String {
        let environment = &engine.environment;
        format!(
            "{} {} {} threads {}",
            environment.device, environment.architecture, engine.threads, environment.libtorch
        )
    }

    /// A usual machine: two cores of a server of 2023. A training step of any method takes as long as the slowest one.
    pub fn usual(engine: &Engine, suite: &Suite) -> Calibration {
        let steps = suite.methods.iter().map(|method| (method.name.clone(), 0.008)).collect();
        let of = Calibration::subject(engine);
        Calibration { of, product: 65.0, convolution: 75.0, decoded: 340.0, kept: 150.0, steps }
    }

    /// The speed of a machine with GPUs that nobody measured: each is taken to be as fast as all cores of this one.
    pub fn as_of_gpus(self, engine: &Engine) -> Calibration {
        let all = |(method, seconds)| (method, seconds / engine.threads as f64);
        Calibration { steps: self.steps.into_iter().map(all).collect(), ..self }
    }

    /// The calibration in the store, if it is of this machine and has all methods of the suite.
    pub fn load(engine: &Engine, suite: &Suite) -> Option<Calibration> {
        let known: Calibration = serde_json::from_slice(&std::fs::read(Self::file(engine)).ok()?).ok()?;
        let methods = suite.methods.iter().all(|method| known.steps.contains_key(&method.name));
        (known.of == Self::subject(engine) && methods).then_some(known)
    }
}

/// How long each rate is measured.
const TIME: Duration = Duration::from_millis(400);

/// Measures this machine for a suite's methods, with as many threads as the engine uses.
///
/// # Errors
/// If a picture cannot be encoded, or a thread panicked.
pub fn measure(engine: &Engine, suite: &Suite) -> anyhow::Result<Calibration> {
    let device = engine.devices.first();
    // One GPU stands for all.
    let workers = if device == Device::Cpu { engine.threads } else { 1 };
    let mut steps = BTreeMap::new();
    for method in &suite.methods {
        let rate = rate(workers, || Training::new(method, device), Training::step)?;
        steps.insert(method.name.clone(), workers as f64 / rate);
    }
    let random = |size: &[i64]| random(size, device);
    // The largest product in a layer of ViT-B: 4 × 197 tokens, 768 to 3072 features.
    let product = rate(workers, || [random(&[4 * 197, 768]), random(&[768, 3072])], |[x, w]| wait_for(&x.matmul(w)))?;
    // A 3 × 3 convolution in the middle of a ResNet-50: 8 pictures, 256 channels, 14 × 14.
    let convolution = rate(
        workers,
        || [random(&[8, 256, 14, 14]), random(&[256, 256, 3, 3])],
        |[x, w]| wait_for(&x.conv2d(w, None::<Tensor>, [1, 1], [1, 1], [1, 1], 1)),
    )?;
    let picture = jpeg()?;
    let decoded =
        rate(engine.threads, || picture.clone(), |picture| drop(black_box(decode(picture, Decoding::PILLOW))))?;
    let (store, _folder) = store_on_its_disk(engine)?;
    keep(&store)?;
    let kept = rate(engine.threads, || &store, |store| drop(black_box(keep(store))))?;
    tensors::give_memory_back();
    Ok(Calibration {
        of: Calibration::subject(engine),
        product: product * 4.0 * 197.0 * 768.0 * 3072.0 * 1e-9,
        convolution: convolution * 8.0 * 14.0 * 14.0 * 256.0 * 256.0 * 9.0 * 1e-9,
        decoded,
        kept,
        steps,
    })
}

/// Writes what the engine does for a small step: a result and a record, each synced to the disk. Nothing of it stays.
fn keep(store: &Store) -> anyhow::Result<()> {
    let folder = store.workspace()?;
    ["result", "record"].iter().try_for_each(|name| store.write_file(&folder.path().join(name), &[0; 1024]))
}

/// The store, if it exists and can be written to. Otherwise a temporary one, on its disk if possible: a measurement creates no
/// store.
fn store_on_its_disk(engine: &Engine) -> anyhow::Result<(Store, Option<TempDir>)> {
    if engine.store.exists() && keep(&engine.store).is_ok() {
        return Ok((engine.store.clone(), None));
    }
    let place = engine.store.root().ancestors().skip(1).find(|folder| folder.is_dir());
    let beside = place.and_then(|place| tempfile::Builder::new().prefix(".seesaw-").tempdir_in(place).ok());
    let folder = match beside {
        Some(folder) => folder,
        None => tempfile::tempdir().context("cannot create a temporary folder")?,
    };
    Ok((Store::open(folder.path())?, Some(folder)))
}

/// How often per second all workers together do a thing.
fn rate<T>(workers: usize, make: impl Fn() -> T + Sync, act: impl Fn(&mut T) + Sync) -> anyhow::Result<f64> {
    let count = || {
        tch::set_num_threads(1);
        let _no_grad = tch::no_grad_guard();
        let mut thing = make();
        // The first time fills memory and caches.
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

/// Standard normal numbers. A GPU multiplies constants faster, since they take less power.
fn random(size: &[i64], device: Device) -> Tensor {
    let mut values = vec![0.0; size.iter().product::<i64>() as usize];
    Stream::new(0, &["calibration"]).fill_normal_f32(&mut values);
    Tensor::from_slice(&values).view(size).to_device(device)
}

/// Waits for the device by reading one number.
fn wait_for(result: &Tensor) {
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

/// A picture of 512 × 512 with some detail.
fn jpeg() -> anyhow::Result<Vec<u8>> {
    let wave = |x: u32, y: u32, by: u32| ((x * by + y * 7) % 256) as u8;
    let picture =
        image::RgbImage::from_fn(512, 512, |x, y| image::Rgb([wave(x, y, 3), wave(y, x, 5), wave(x, x, y / 64)]));
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Jpeg).context("cannot encode a picture")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rates are numbers. A calibration of another machine, or without some method, is not used.
    #[test]
    fn a_calibration_is_of_one_machine() {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = crate::engine::tests::engine(folder.path());
        let text = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/smoke.toml");
        let all = Suite::parse("smoke", &std::fs::read_to_string(text).unwrap()).unwrap();
        let mut suite = all.clone();
        suite.methods.retain(|method| matches!(method.name.as_str(), "baseline" | "balgrad"));
        assert_eq!(Calibration::load(&engine, &suite), None);
        let found = measure(&engine, &suite).unwrap();
        for rate in [
            found.product,
            found.convolution,
            found.decoded,
            found.kept,
            found.steps["balgrad"],
            found.steps["baseline"],
        ] {
            assert!(rate.is_finite() && rate > 0.0, "{found:?}");
        }
        let file = Calibration::file(&engine);
        std::fs::write(&file, serde_json::to_vec(&found).unwrap()).unwrap();
        assert_eq!(Calibration::load(&engine, &suite), Some(found));
        assert_eq!(Calibration::load(&engine, &all), None);
        engine.threads += 1;
        assert_eq!(Calibration::load(&engine, &suite), None);
        engine.threads -= 1;
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Calibration::load(&engine, &suite), None);
    }
}
