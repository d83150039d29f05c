//! Variables that libraries under this program read, brought into a known state before libtorch is loaded.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::engine::variables::{IGNORED, OF_RESULTS, OF_THREADS, ignored};
use crate::progress::{Word, tell};
use crate::settings::variable;

/// Variables that have one value always.
const FIXED: [(&str, &str); 2] = [
    // Without it, cuBLAS may sum in another order each time, and libtorch refuses to run deterministically.
    ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
    // So that `cuda:1` is what `nvidia-smi` calls 1, and records name the GPU that computed. CUDA's own order is by speed.
    ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
];

/// Replaces this process with `program` and the same arguments, in the known state. Returns only if that fails.
pub fn replace_with(program: &Path) -> std::io::Error {
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1));
    for (names, why) in [
        (&OF_RESULTS[..], "results must not depend on it"),
        (&OF_THREADS[..], "it would keep a run from using all cores"),
    ] {
        for name in names.iter().filter(|name| std::env::var_os(name).is_some()) {
            if let Some(value) = variable(name) {
                tell(Word::Warning, format_args!("ignoring {name}={value}: {why}"));
            }
            command.env_remove(name);
        }
    }
    command.env(IGNORED, ignored().join(","));
    command.envs(FIXED);
    command.exec()
}

/// Whether this process is in the state that [`replace_with`] brings about.
pub fn is_known() -> bool {
    !OF_RESULTS.iter().chain(&OF_THREADS).any(|name| std::env::var_os(name).is_some())
        && FIXED.iter().all(|(name, value)| std::env::var(name).is_ok_and(|found| found == *value))
}
