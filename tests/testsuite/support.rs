//! What several tests need.

use std::path::PathBuf;

/// A folder of fixtures: under `SEESAW_FIXTURES` if that is set, so that other recordings of the same format can be
/// checked, else the one in this repository.
pub fn fixtures(folder: &str) -> PathBuf {
    match std::env::var_os("SEESAW_FIXTURES") {
        Some(root) => PathBuf::from(root).join(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder),
    }
}

/// Reads a JSON file.
pub fn json(path: &std::path::Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a safetensors file.
pub fn tensors(path: &std::path::Path) -> std::collections::BTreeMap<String, tch::Tensor> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    seesaw::tensors::from_safetensors(&bytes).unwrap_or_else(|error| panic!("{}: {error:#}", path.display()))
}
