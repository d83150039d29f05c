//! Tells the linker where libtorch is, so that binaries and tests start without `LD_LIBRARY_PATH`, and the program
//! which version it was built with, since that is part of every key that stands for a computation on tensors.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys, whose build script has found libtorch before this one runs.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys tells where libtorch is");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    let version = libtorch_version(Path::new(&lib)).unwrap_or_else(|| {
        panic!("the version of libtorch in {lib} is unknown: neither ../build-version nor ../version.py tells it")
    });
    println!("cargo:rustc-env=SEESAW_LIBTORCH_VERSION={version}");
    // Known at build time, so that a command that needs no tensors need not load libtorch to tell.
    let cuda = ["libtorch_cuda.so", "libtorch_cuda.dylib"].iter().any(|name| Path::new(&lib).join(name).exists());
    println!("cargo:rustc-env=SEESAW_LIBTORCH_CUDA={}", if cuda { "yes" } else { "no" });
}

/// `build-version` of a libtorch archive, or `version.py` of an installed Python package; the part behind `+`, which
/// names the CUDA flavour, is left out.
fn libtorch_version(lib: &Path) -> Option<String> {
    let root = lib.parent()?;
    let read = |name: &str| {
        println!("cargo:rerun-if-changed={}", root.join(name).display());
        std::fs::read_to_string(root.join(name)).ok()
    };
    let version = read("build-version").or_else(|| {
        let python = read("version.py")?;
        let line = python.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim_matches(['\'', '"']).to_owned())
    })?;
    Some(version.trim().split('+').next()?.to_owned())
}
