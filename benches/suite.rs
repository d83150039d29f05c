//! What a suite of many small trainings takes, for a user of the program: `cargo bench --bench suite [SEEDS]`.
//!
//! Five methods on 64 samples of a split of emoji-subgroup, four steps a training: 500 and 5,000 steps, and with an argument
//! such as `2000` those of that many seeds (40,025 steps, which take minutes). Each suite is run in a store of its own, after
//! its archives were downloaded, with the encoding of its pictures and texts.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// What a step may take, its own work included, in milliseconds.
const MOST: f64 = 5.0;
/// What commands may take when everything is done, in seconds.
const COMMANDS: [(&[&str], f64); 3] =
    [(RUN, 1.0), (PLAN, 2.0), (&["table", "1", "--suite", "bench", "--subset", "64"], 1.0)];
const RUN: &[&str] = &["run", "bench", "--subset", "64"];
const PLAN: &[&str] = &["plan", "bench", "--summary", "--json", "--subset", "64"];
/// The most memory that a run may take, in MB.
const MOST_MEMORY: f64 = 400.0;
/// How far the estimate may be from the run, as a ratio.
const MOST_ERROR: f64 = 2.0;

const SUITE: &str = r#"
[encoders.both]
image = { name = "efficientnet-lite0", size = 128 }
text = { name = "all-minilm-l6-v2", pooling = "mean" }

[training]
embedding = 8
batch-size = 64
optimizer = { name = "adam", learning-rate = 1e-3 }
selection = "last"
diagnostics = false

[[datasets]]
name = "emoji-subgroup"
encoders = "both"
training = { fusion = "concat", epochs = 1 }

[impairments.missing]
image = "zero-feature"
text = "zero-feature"
ratios = [0.0, 0.5, 1.0]

[impairments.noisy]
image = { kind = "gaussian", sigma = 0.5 }
text = { kind = "delete-characters", probability = 0.2 }
seed = 0

[[outputs]]
target = "table1"
"#;

fn main() -> anyhow::Result<()> {
    let more = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    // The projects stay until the end: some file systems are several times slower for minutes after many files were removed.
    let projects: Vec<TempDir> = [25, 250].into_iter().chain(more).map(project).collect::<anyhow::Result<_>>()?;
    projects.iter().try_for_each(|project| bench(project.path()))
}

fn bench(root: &Path) -> anyhow::Result<()> {
    measure(root, &["fetch", "emoji-subgroup", "efficientnet-lite0", "all-minilm-l6-v2"])?;
    let plan = seesaw(root, PLAN).output()?;
    let plan: Value = serde_json::from_slice(&plan.stdout).context("the plan")?;
    let sum = |part: &Value, key: &str| -> f64 {
        part.as_object().into_iter().flatten().filter_map(|(_, of)| of.pointer(key)?.as_f64()).sum()
    };
    let (steps, estimated) = (sum(&plan["kinds"], "/steps"), sum(&plan["estimate"]["seconds"], ""));
    let (took, memory) = measure(root, RUN)?;
    let each = 1e3 * took / steps;
    println!("{steps:>6} steps: {took:.1} s, {each:.2} ms a step ({:.2} of {MOST})", each / MOST);
    println!("       estimated {:.2} times as long (within {MOST_ERROR})", estimated / took);
    println!("       peak memory {memory:.0} MB ({:.2} of {MOST_MEMORY})", memory / MOST_MEMORY);
    for (arguments, most) in COMMANDS {
        let (took, _) = measure(root, arguments)?;
        println!("       seesaw {}: {took:.2} s ({:.2} of {most})", arguments.join(" "), took / most);
    }
    Ok(())
}

/// A project with the suite `bench`.
fn project(seeds: usize) -> anyhow::Result<TempDir> {
    let (here, folder) = (std::env::current_dir()?, TempDir::new_in(std::env::current_dir()?)?);
    let experiments = folder.path().join("experiments");
    std::fs::create_dir(&experiments)?;
    for shared in ["data-manifests", "templates", "experiments/reference.json"] {
        std::os::unix::fs::symlink(here.join(shared), folder.path().join(shared))?;
    }
    let seeds: Vec<usize> = (1..=seeds).collect();
    let methods =
        ["baseline", "mslr", "ogm-ge", "agm", "balgrad"].map(|name| format!("[[methods]]\nname = \"{name}\"\n"));
    let head = format!("version = 1\nkind = \"smoke\"\ntitle = \"Bench\"\nseeds = {seeds:?}\n");
    std::fs::write(experiments.join("bench.toml"), head + SUITE + &methods.concat())?;
    Ok(folder)
}

fn seesaw(project: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seesaw"));
    command.args(arguments).args(["--quiet", "--project"]).arg(project);
    command
}

/// Seconds, and the most memory in MB.
fn measure(project: &Path, arguments: &[&str]) -> anyhow::Result<(f64, f64)> {
    let begun = Instant::now();
    let child = seesaw(project, arguments).stdout(Stdio::null()).spawn()?;
    let mut status = 0;
    // SAFETY: all zeros are a valid `rusage`, and the child was not waited for.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        ensure!(libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) > 0, "cannot wait");
        usage
    };
    ensure!(ExitStatus::from_raw(status).success(), "seesaw {} failed", arguments.join(" "));
    Ok((begun.elapsed().as_secs_f64(), usage.ru_maxrss as f64 * 1024.0 / 1e6))
}
