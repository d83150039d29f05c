//! Encoders against recorded outputs of PyTorch and Hugging Face models, and the pipeline against itself.

mod blip;
mod parity;
mod pipeline;
mod published;

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Kind, Tensor};

use super::bert::{Bert, Config};
use super::checkpoints::rows::{LITE0_ARCHIVE, MINILM_ARCHIVE, MINILM_FOLDER};
use super::layers::Product;
use super::weights::Weights;
use crate::datasets::{Archives, emoji};
use crate::tensors::from_safetensors;
use crate::testing;

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    from_safetensors(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).unwrap()
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let difference = (found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)).abs().max().double_value(&[]);
    assert!(difference <= tolerance, "{what}: differs by {difference:e}");
}

fn model_archives() -> Archives {
    testing::archives(&[LITE0_ARCHIVE, MINILM_ARCHIVE, emoji::PICTURES])
}

fn from_archive(archive: &str, member: &str) -> Vec<u8> {
    model_archives().open(archive).unwrap().read(member).unwrap()
}

fn minilm() -> Bert {
    let read = |file: &str| from_archive(MINILM_ARCHIVE, &format!("{MINILM_FOLDER}/{file}"));
    let config: Config = serde_json::from_slice(&read("config.json")).unwrap();
    Bert::load_with(Weights::read(&read("model.safetensors")).unwrap(), config, Product::Explicit).unwrap()
}

/// The tolerance that the manifest states for a recording.
fn tolerance(fixture: &str) -> f64 {
    let manifest = json(&testing::fixtures("encoders").join("manifest.json"));
    let case = manifest["cases"].as_array().unwrap().iter().find(|case| case["fixture"] == fixture).unwrap().clone();
    case["tolerance_float32"].as_f64().unwrap()
}

/// Compares every `output.*` of a recording; all of them must have been found.
fn compare(recorded: &BTreeMap<String, Tensor>, found: &[(&str, Tensor)], tolerance: f64) {
    compare_each(recorded, found, |_| tolerance);
}

/// As [`compare`], with a tolerance for each output.
fn compare_each(recorded: &BTreeMap<String, Tensor>, found: &[(&str, Tensor)], tolerance: impl Fn(&str) -> f64) {
    let outputs = recorded.iter().filter_map(|(key, tensor)| Some((key.strip_prefix("output.")?, tensor)));
    let mut compared = 0;
    for (name, expected) in outputs {
        let (_, found) = found.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no output {name}"));
        close(name, found, expected, tolerance(name));
        compared += 1;
    }
    assert!(compared >= 2);
}
