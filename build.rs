//! Passes the location of libtorch to the linker, so that binaries and tests start without `LD_LIBRARY_PATH`, and lets the
//! program start without libtorch. Passes to the program the version of libtorch, which is part of the key of every step on
//! tensors, and the hash of its own source.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let on_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    // Known at build time, so that commands without tensors need not load libtorch.
    let cuda = ["libtorch_cuda.so", "libtorch_cuda.dylib"].iter().any(|name| Path::new(&lib).join(name).exists());
    println!("cargo:rustc-env=SEESAW_LIBTORCH_CUDA={}", if cuda { "yes" } else { "no" });
    if on_linux {
        // We use no symbol of this library, so the linker would drop it, and libtorch would find no GPU.
        if cuda {
            let keep = format!("-Wl,--push-state,--no-as-needed,{lib}/libtorch_cuda.so,--pop-state");
            println!("cargo:rustc-link-arg-bins={keep}");
        }
        start_without_libtorch(Path::new(&lib), cuda);
        // Line tables are read only for a backtrace, and take a third of their size when compressed. They name our functions,
        // so that no local symbols are needed.
        println!("cargo:rustc-link-arg=-Wl,--compress-debug-sections=zlib,--discard-all");
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    // So that a clone that was moved or copied still starts: `target/PROFILE/seesaw` finds `.libtorch`.
    let beside = if Path::new(&lib).starts_with(&root) { "../../.libtorch/lib" } else { "" };
    println!("cargo:rustc-env=SEESAW_LIBTORCH_BESIDE={beside}");
    if !beside.is_empty() {
        let origin = if on_linux { "$ORIGIN" } else { "@loader_path" };
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{origin}/{beside}");
    }
    let version = libtorch_version(Path::new(&lib)).unwrap_or_else(|| {
        panic!("cannot determine the version of libtorch in {lib}: ../build-version and ../version.py are missing or unreadable")
    });
    println!("cargo:rustc-env=SEESAW_LIBTORCH_VERSION={version}");
    println!("cargo:rustc-env=SEESAW_LIBTORCH_LIB={lib}");
    println!("cargo:rustc-env=SEESAW_RUSTC_VERSION={}", rustc_version().unwrap_or_else(|| "an unknown rustc".into()));
}

/// Lets `seesaw` start without libtorch, whose loading takes longer than most answers: the loader finds libraries with the same
/// names first, which are empty but for the names of libtorch's variables. Functions are bound when they are first called, which
/// happens only where `src/cli/environment.rs` has started the program again with libtorch. If these libraries cannot be made,
/// or are removed, the loader takes libtorch.
fn start_without_libtorch(lib: &Path, cuda: bool) {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    let names = ["libc10.so", "libtorch_cpu.so", "libtorch_cuda.so"];
    for name in &names[..if cuda { 3 } else { 2 }] {
        if let Err(error) = empty_library(lib, name, &out) {
            println!("cargo:warning=seesaw will load libtorch whenever it starts: {error}");
            return;
        }
    }
    // Both the place of now, and the place as seen from `target/PROFILE/seesaw`.
    let folders: Vec<_> = out.iter().rev().take(3).collect();
    let [out_name, package, build] = folders[..] else { return };
    let beside = Path::new("$ORIGIN").join(build).join(package).join(out_name);
    println!("cargo:rustc-link-arg-bins=-Wl,-z,lazy,-rpath,{},-rpath,{}", out.display(), beside.display());
    // A libtorch in LD_LIBRARY_PATH would come before a RUNPATH. It comes after an RPATH.
    println!("cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags");
}

/// Makes `out/NAME`, which has the names of all variables of the library in `lib`, and no content.
fn empty_library(lib: &Path, name: &str, out: &Path) -> Result<(), String> {
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    };
    let listed = run(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(lib.join(name)))?;
    let listed = String::from_utf8(listed).map_err(|error| error.to_string())?;
    // `nm` gives address, kind and name: variables are in .bss, .data or .rodata, are weak (V) or unique (u).
    let variables = listed.lines().filter_map(|line| {
        let (kind, name) = line.split_once(' ')?.1.split_once(' ')?;
        ["B", "D", "R", "V", "u"].contains(&kind).then_some(name)
    });
    let marker = (name == "libc10.so").then_some("seesaw_without_libtorch");
    let mut assembly = String::from(".section .note.GNU-stack,\"\",%progbits\n.bss\n");
    for name in variables.chain(marker) {
        assembly += &format!(".globl {name}\n.type {name}, %object\n{name}:\n");
    }
    assembly += ".skip 8\n";
    // A program that is started meanwhile finds the library as it was.
    let [library, source, made] = ["", ".s", ".new"].map(|end| out.join(format!("{name}{end}")));
    if library.exists() && std::fs::read_to_string(&source).is_ok_and(|before| before == assembly) {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    std::fs::write(&source, assembly).map_err(failed)?;
    let soname = format!("-Wl,-soname,{name}");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    run(Command::new(cc).args(["-shared", "-nostdlib", "-s", &soname, "-o"]).arg(&made).arg(&source))?;
    std::fs::rename(made, library).map_err(failed)
}

/// The version line of the compiler: `rustc 1.92.0 (…)`.
fn rustc_version() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
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
