//! Passes the location of libtorch to the linker, so that binaries and tests start without `LD_LIBRARY_PATH`. Passes to the
//! program the version of libtorch, which is part of the key of every step on tensors, and the hash of its own source.

use std::path::Path;

#[path = "src/publication/source_digest.rs"]
mod source_digest;

fn main() {
    // Provenance names the source by this hash. A change of any of its parts runs this script again.
    source_digest::PARTS.iter().for_each(|part| println!("cargo:rerun-if-changed={part}"));
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let source = source_digest::source_digest(Path::new(&root)).expect("the source can be read");
    println!("cargo:rustc-env=SEESAW_SOURCE_SHA256={source}");
    // Set by torch-sys, whose build script has found libtorch before this one runs.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys passes on where libtorch is");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    // Line tables are read only for a backtrace, and take a third of their size when compressed. They name our functions, so
    // that no local symbols are needed.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg=-Wl,--compress-debug-sections=zlib,--discard-all");
    }
    // So that a clone that was moved or copied still starts: `target/PROFILE/seesaw` finds `.libtorch`.
    if Path::new(&lib).starts_with(&root) {
        let macos = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos");
        let origin = if macos { "@loader_path" } else { "$ORIGIN" };
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{origin}/../../.libtorch/lib");
    }
    let version = libtorch_version(Path::new(&lib)).unwrap_or_else(|| {
        panic!("cannot determine the version of libtorch in {lib}: ../build-version and ../version.py are missing or unreadable")
    });
    println!("cargo:rustc-env=SEESAW_LIBTORCH_VERSION={version}");
    // Else LD_LIBRARY_PATH could bring another libtorch: it comes before a RUNPATH, and after an RPATH.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg-bin=seesaw-full=-Wl,--disable-new-dtags");
    }
    // Known at build time, so that commands without tensors need not load libtorch.
    let cuda = ["libtorch_cuda.so", "libtorch_cuda.dylib"].iter().any(|name| Path::new(&lib).join(name).exists());
    println!("cargo:rustc-env=SEESAW_LIBTORCH_CUDA={}", if cuda { "yes" } else { "no" });
    // We use no symbol of this library, so the linker would drop it, and libtorch would find no GPU.
    if cuda && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        let keep = format!("-Wl,--push-state,--no-as-needed,{lib}/libtorch_cuda.so,--pop-state");
        println!("cargo:rustc-link-arg-bin=seesaw-full={keep}");
    }
    // `seesaw` calls nothing in libtorch, but it contains code of torch-sys that libtorch could call, which keeps libtorch
    // linked. With these symbols hidden, the linker drops both.
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

/// The version line of the compiler: `rustc 1.92.0 (…)`.
fn rustc_version() -> Option<String> {
    let output = std::process::Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Reads `build-version` of a libtorch archive, or `version.py` of an installed Python package. The part after `+`, which
/// names the CUDA version, is dropped.
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
