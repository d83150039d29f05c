//! Passes the path of libtorch to the linker, so that binaries and tests start without `LD_LIBRARY_PATH`. Passes to the
//! program the version of libtorch, which is part of the keys of steps on tensors, and the digest of its own source.

use std::path::Path;

#[path = "src/publication/source_digest.rs"]
mod source_digest;

fn main() {
    // Provenance contains the source's digest, so every change of the source has to run this script again.
    source_digest::PARTS.iter().for_each(|part| println!("cargo:rerun-if-changed={part}"));
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let source = source_digest::source_digest(Path::new(&root)).expect("the program's source is readable");
    println!("cargo:rustc-env=SEESAW_SOURCE_SHA256={source}");
    // The build script of torch-sys, which runs first, has found libtorch.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("set by torch-sys");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    // If a clone is moved, or copied with its `target`, `target/PROFILE/seesaw` still finds `.libtorch`.
    if Path::new(&lib).starts_with(&root) {
        let macos = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
        let origin = if macos { "@loader_path" } else { "$ORIGIN" };
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{origin}/../../.libtorch/lib");
    }
    let version = libtorch_version(Path::new(&lib)).unwrap_or_else(|| {
        panic!("cannot find the version of libtorch in {lib}: it should be in ../build-version or ../version.py")
    });
    println!("cargo:rustc-env=SEESAW_LIBTORCH_VERSION={version}");
    // Commands that need no tensors know the answer without loading libtorch.
    let cuda = ["libtorch_cuda.so", "libtorch_cuda.dylib"].iter().any(|name| Path::new(&lib).join(name).exists());
    println!("cargo:rustc-env=SEESAW_LIBTORCH_CUDA={}", if cuda { "yes" } else { "no" });
    // The program uses no symbol of this library; without the flag the linker drops it, and libtorch finds no GPU.
    if cuda && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        let keep = format!("-Wl,--push-state,--no-as-needed,{lib}/libtorch_cuda.so,--pop-state");
        println!("cargo:rustc-link-arg-bin=seesaw-full={keep}");
    }
    // `seesaw` calls no function of libtorch, but libtorch might call symbols of torch-sys in it, so the linker would keep
    // both. Hiding these symbols lets the linker drop them.
    let leave_out = match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux") => Some("-Wl,--exclude-libs,ALL"),
        Ok("macos") => Some("-Wl,-dead_strip_dylibs"),
        _ => None,
    };
    if let Some(leave_out) = leave_out {
        println!("cargo:rustc-link-arg-bin=seesaw={leave_out}");
    }
    println!("cargo:rustc-env=SEESAW_LIBTORCH_LIB={lib}");
    println!("cargo:rustc-env=SEESAW_RUSTC_VERSION={}", rustc_version().unwrap_or_else(|| "an unknown rustc".into()));
}

/// The version of the compiler: `rustc 1.92.0 (…)`.
fn rustc_version() -> Option<String> {
    let output = std::process::Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// The version in `build-version` of a libtorch archive or `version.py` of a Python package, without the CUDA flavour after
/// the `+`.
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
