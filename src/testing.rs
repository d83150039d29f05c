//! What tests of several rooms share: fixtures, and the archives of the offline benchmark.

use std::path::PathBuf;

use crate::datasets::Archives;

/// A folder of fixtures: under `SEESAW_FIXTURES` if that is set, so that other recordings of the same format can be
/// checked, else the one in this repository.
pub fn fixtures(folder: &str) -> PathBuf {
    match std::env::var_os("SEESAW_FIXTURES") {
        Some(root) => PathBuf::from(root).join(folder),
        None => own_fixtures(folder),
    }
}

/// A folder of fixtures of this repository.
pub fn own_fixtures(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

/// The archives of a manifest.
pub fn archives(names: &[&str]) -> Archives {
    let folder = PathBuf::from(std::env::var_os("SEESAW_WHEELS").expect("SEESAW_WHEELS"));
    Archives(names.iter().map(|name| ((*name).to_owned(), folder.join(name))).collect())
}
