//! Tests of the mirror: its files, the project's readers and encoders on them, the server and the program.

mod layouts;
mod program;
mod readers;
mod serve;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use seesaw_mirror::{SAMPLES, make};
use serde_json::Value;

/// The smallest mirror, shared by all tests that only read it.
static MIRROR: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), *SAMPLES.start(), 0).unwrap();
    folder
});

fn archive(name: &str) -> PathBuf {
    MIRROR.path().join("archives").join(name)
}

fn manifests() -> Vec<Value> {
    serde_json::from_slice(&fs::read(MIRROR.path().join("manifests.json")).unwrap()).unwrap()
}

fn counts(name: &str) -> BTreeMap<String, u64> {
    let all = manifests();
    let manifest = all.iter().find(|manifest| manifest["name"] == name).unwrap();
    serde_json::from_value(manifest["counts"][name].clone()).unwrap()
}
