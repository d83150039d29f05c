//! Starts the program again with libtorch, with the variables that libraries under it read in a known state.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::context::Tensors;
use crate::engine::variables::{IGNORED, OF_RESULTS, OF_THREADS, ignored};
use crate::errors;
use crate::planning::project;
use crate::progress::{Word, tell};
use crate::settings::variable;

/// Variables that have one value always.
const FIXED: [(&str, &str); 2] = [
    // Without it, cuBLAS may sum in another order each time, and libtorch refuses to run deterministically.
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
    // So that `cuda:1` is what `nvidia-smi` calls 1, and records name the GPU that computed. CUDA's own order is by speed.
    ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
];

/// The variables of the allocators that have free memory given back early: a run of 40,025 steps on two cores takes 50 MiB less,
/// and 4 % longer. Those that the user has set stay.
fn of_memory() -> [(&'static str, String); 2] {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    [
        ("MIMALLOC_PURGE_DELAY", "0".to_owned()),
        // Of glibc, for libtorch. By default eight times as many, each with room for the largest activations that were in it.
        ("MALLOC_ARENA_MAX", cores.to_string()),
    ]
}

/// Those of them that were not set by the user. Programs that this one starts do not get them: `sbatch` would pass them on to
/// other machines.
const OURS: &str = "SEESAW_OURS";

/// The libraries that the loader of Linux loads before those that a program names. `build.rs` has `seesaw` name empty ones.
const PRELOAD: &str = "LD_PRELOAD";

/// What `LD_PRELOAD` was before libtorch was added to it. Only a process that was started with libtorch has it.
const PRELOAD_BEFORE: &str = "SEESAW_LD_PRELOAD";

/// Proof that this process was started with libtorch; `None` if it was started by somebody else. Programs that it starts get
/// the `LD_PRELOAD` of the user.
///
/// # Errors
/// If it was started with libtorch and does not have it.
pub fn restore() -> anyhow::Result<Option<Tensors>> {
    let Some(before) = std::env::var_os(PRELOAD_BEFORE).filter(|_| is_known()) else { return Ok(None) };
    // SAFETY: this is the only thread.
    unsafe {
        std::env::remove_var(PRELOAD_BEFORE);
        let ours = std::env::var(OURS).unwrap_or_default();
        for (name, _) in of_memory().iter().filter(|(name, _)| ours.split(',').any(|one| one == *name)) {
            std::env::remove_var(name);
        }
        std::env::remove_var(OURS);
        match before.is_empty() {
            true => std::env::remove_var(PRELOAD),
            false => std::env::set_var(PRELOAD, before),
        }
    }
    // SAFETY: the name ends with a null byte. `build.rs` gives it to an empty library that libtorch takes the place of.
    let is_without = !unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"seesaw_without_libtorch".as_ptr()) }.is_null();
    match is_without {
        true => Err(errors::failed(
            format!("libtorch could not be loaded from {}", libtorch()?.display()),
            "run `make` to build seesaw again",
        )),
        false => Ok(Some(Tensors::loaded())),
    }
}

/// Replaces this process with one that has libtorch, the same arguments, and the variables in the known state. Returns only if
/// that fails.
pub fn start_with_libtorch() -> anyhow::Error {
    for (names, why) in [
        (&OF_RESULTS[..], "results must not depend on it"),
        (&OF_THREADS[..], "it would keep a run from using all cores"),
    ] {
        for (name, value) in names.iter().filter_map(|name| Some((name, variable(name)?))) {
            tell(Word::Warning, format_args!("ignoring {name}={value}: {why}"));
        }
    }
    match with_libtorch() {
        Ok(mut command) => {
            let error = command.args(std::env::args_os().skip(1)).exec();
            anyhow::Error::new(error).context("cannot start seesaw again, with libtorch")
        }
        Err(error) => error,
    }
}

/// Tries whether this program starts with libtorch. Where the loader does not find a library that libtorch needs, it ends the
/// program with a message of its own.
///
/// # Errors
/// If it does not start, with that message.
pub fn try_libtorch() -> anyhow::Result<()> {
    try_to_start(with_libtorch()?.arg("--version"))
}

fn try_to_start(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("cannot start seesaw again, with libtorch")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(errors::failed(
        format!("libtorch could not be loaded from {}: {said}", libtorch()?.display()),
        "add the folder of a library that was not found to LD_LIBRARY_PATH, or run `make` to build seesaw again",
    ))
}

/// This program with libtorch, yet without arguments.
fn with_libtorch() -> anyhow::Result<Command> {
    let mut command = Command::new(program()?);
    for name in OF_RESULTS.iter().chain(&OF_THREADS) {
        command.env_remove(name);
    }
    command.env(IGNORED, ignored().join(",")).envs(FIXED);
    let ours: Vec<_> = of_memory().into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    command.env(OURS, ours.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",")).envs(ours);
    let before = std::env::var_os(PRELOAD).unwrap_or_default();
    if cfg!(target_os = "linux") {
        let mut libraries = before.clone();
        for library in preloaded(&libtorch()?)? {
            if !libraries.is_empty() {
                libraries.push(":");
            }
            libraries.push(library);
        }
        command.env(PRELOAD, libraries);
    }
    command.env(PRELOAD_BEFORE, before);
    Ok(command)
}

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find the path of this program")
}

/// The folder of the libtorch that the program was built with, which may have been moved with it.
fn libtorch() -> anyhow::Result<PathBuf> {
    let there = PathBuf::from(env!("SEESAW_LIBTORCH_LIB"));
    let moved = program()?.with_file_name(env!("SEESAW_LIBTORCH_BESIDE"));
    Ok(if there.is_dir() || !moved.is_dir() { there } else { moved })
}

/// What `LD_PRELOAD` calls the libraries of a folder. It cannot have spaces or colons, so that it names the folder by a
/// descriptor, which stays open in the next process.
fn preloaded(folder: &Path) -> anyhow::Result<Vec<String>> {
    let names: &[&str] = match project::BUILT_WITH_CUDA {
        true => &["libc10.so", "libtorch_cpu.so", "libtorch_cuda.so"],
        false => &["libc10.so", "libtorch_cpu.so"],
    };
    let opened = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let descriptor = opened.into_raw_fd();
    // SAFETY: the descriptor is open, and nobody else has it.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) } < 0 {
        return Err(std::io::Error::last_os_error()).with_context(|| format!("cannot keep {} open", folder.display()));
    }
    Ok(names.iter().map(|name| format!("/proc/self/fd/{descriptor}/{name}")).collect())
}

/// Whether the variables are in the state that [`start_with_libtorch`] brings about.
fn is_known() -> bool {
    !OF_RESULTS.iter().chain(&OF_THREADS).any(|name| std::env::var_os(name).is_some())
        && FIXED.iter().all(|(name, value)| std::env::var(name).is_ok_and(|found| found == *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_says_is_shown() {
        assert!(try_to_start(Command::new("sh").args(["-c", "echo fine >&2"])).is_ok());
        let error =
            try_to_start(Command::new("sh").args(["-c", "echo libcupti.so.13 is missing >&2; exit 127"])).unwrap_err();
        assert!(error.to_string().ends_with("libcupti.so.13 is missing"), "{error}");
    }
}
