//! `seesaw doctor`: checks this machine for everything that a run needs.

use std::process::ExitCode;

use serde::Serialize;

use super::context::{Answer, Global, Tensors, show};
use super::environment;
use crate::errors::{self, Class};
use crate::locks::Locks;
use crate::planning::project::Project;
use crate::publication::machine::{Build, Libtorch, Machine, Place, Tool};

/// A run of the smallest suite may need this much disk space, in bytes.
const MIN_SPACE: u64 = 1_000_000_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Everything about this machine.
#[derive(Debug, Serialize)]
struct Findings {
    seesaw: Build,
    libtorch: Libtorch,
    machine: Machine,
    /// Number of cores that a run would use.
    threads: usize,
    /// `None` outside of a project, unless `--store` names a folder.
    store: Option<Place>,
    tools: Vec<Tool>,
    /// Archive → what a person has to do before it can be fetched, as in plans.
    unavailable: Vec<(String, String)>,
    /// Problems that keep a run from working.
    missing: Vec<Problem>,
    /// Problems that matter for some purposes only.
    advice: Vec<Problem>,
}

/// A problem and its remedy.
#[derive(Debug, PartialEq, Serialize)]
struct Problem {
    what: String,
    remedy: String,
}

/// # Errors
/// If libtorch cannot be loaded, or the output cannot be written. If something is missing, the exit code is 1.
pub fn run(global: &Global, args: &Args, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let Some(tensors) = tensors else {
        environment::try_libtorch()?;
        return Ok(Answer::NeedsTensors);
    };
    let findings = look(global, tensors.libtorch());
    show(args.json, &findings, || text(&findings))?;
    Ok(Answer::Done(ExitCode::from(if findings.missing.is_empty() { 0 } else { Class::Failed.exit_code() })))
}

fn look(global: &Global, libtorch: Libtorch) -> Findings {
    let project = Project::find(&global.options);
    let root = project.as_ref().ok().map(|project| project.root.clone());
    let store = match &project {
        Ok(project) => Some(Place::look(&project.store_path())),
        Err(_) => global.options.named_store().map(|store| Place::look(store)),
    };
    let machine = Machine::look();
    let mut findings = Findings {
        seesaw: Build::look(root.as_deref()),
        libtorch,
        threads: global.options.threads.map_or(machine.cores, usize::from),
        machine,
        store,
        tools: Tool::look_at_all(),
        unavailable: Vec::new(),
        missing: Vec::new(),
        advice: Vec::new(),
    };
    let described = |error: anyhow::Error| problem(format!("{error:#}"), errors::hint_of(&error).unwrap_or_default());
    let data = |project: Project| anyhow::Ok((project.problems_of_downloads()?, project.unavailable()?));
    match project.and_then(data) {
        Ok((problems, unavailable)) => {
            findings.advice.extend(problems.into_iter().map(described));
            findings.unavailable = unavailable;
        }
        Err(error) => findings.missing.push(described(error)),
    }
    judge(&mut findings);
    findings
}

fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem { what: what.into(), remedy: remedy.into() }
}

/// Fills `missing` and `advice` from the rest.
fn judge(findings: &mut Findings) {
    let (mut missing, mut advice) = (Vec::new(), Vec::new());
    for tool in findings.tools.iter().filter(|tool| tool.found.is_none()) {
        let list = if tool.required { &mut missing } else { &mut advice };
        list.push(problem(format!("{} was not found: it {}", tool.name, tool.purpose), tool.remedy));
    }
    if let Some(store) = &findings.store {
        if !store.writable {
            missing.push(problem(
                format!("the store's folder {} is not writable", store.path.display()),
                "change its permissions, or name another folder with --store or SEESAW_STORE",
            ));
        }
        if let (Some(Locks::Flock), Some(why)) = (store.locks, &store.no_flock) {
            advice.push(problem(
                format!("the store {} uses `flock`, but {why}", store.path.display()),
                "use it on one machine alone, or change its locks: docs/cluster.md says how",
            ));
        }
        if let Some(free) = store.free_bytes.filter(|free| *free < MIN_SPACE) {
            missing.push(problem(
                format!("the store's disk has {} left, less than {}", gigabytes(free), gigabytes(MIN_SPACE)),
                "free some space, or name a folder on another disk with --store or SEESAW_STORE",
            ));
        }
    }
    let Machine { cores, all_cores, .. } = findings.machine;
    if cores < all_cores {
        advice.push(problem(
            format!("this process may use {cores} of the machine's {all_cores} cores"),
            "check the limits of the container or the batch system, and the affinity of the shell (`taskset -p $$`)",
        ));
    }
    let Libtorch { cuda_build, gpus, driver_sees_gpu, .. } = findings.libtorch;
    match (cuda_build, gpus > 0, driver_sees_gpu) {
        (false, _, true) => advice.push(problem(
            "this machine has a GPU, but this build of libtorch supports only the CPU",
            "run `TORCH=cuda make` to use the GPU",
        )),
        (true, false, true) => advice.push(problem(
            "libtorch is a CUDA build and `nvidia-smi` sees a GPU, but libtorch does not",
            "check that the driver supports CUDA 13 and that CUDA_VISIBLE_DEVICES does not hide the GPU",
        )),
        (true, false, false) => advice.push(problem(
            "libtorch is a CUDA build, but there is no GPU: everything runs on the CPU",
            "check that `nvidia-smi` works, or run `TORCH=cpu make`",
        )),
        _ => {}
    }
    findings.missing.extend(missing);
    findings.advice.extend(advice);
}

fn text(findings: &Findings) -> String {
    let Findings { seesaw, libtorch, machine, threads, store, tools, unavailable, missing, advice } = findings;
    let mut lines: Vec<(&str, String)> = Vec::new();
    let commit = seesaw.commit.as_ref().map_or(String::new(), |commit| format!("; the project is at {commit}"));
    lines.push(("seesaw", format!("{}, built by {}{commit}", seesaw.version, seesaw.rustc)));
    let build = if libtorch.cuda_build { "CUDA" } else { "CPU" };
    lines.push(("libtorch", format!("{}, {build} build, in {}", libtorch.version, libtorch.folder.display())));
    lines.push(("device", device(libtorch)));
    let features = if machine.features.is_empty() { "none" } else { &machine.features.join(", ") };
    lines.push(("threads", format!("{threads}, of {} cores", machine.cores)));
    lines.push(("processor", format!("{}, vector instructions: {features}", machine.architecture)));
    let available = machine.memory_available_bytes.map(|bytes| format!(", {} available", gigabytes(bytes)));
    lines.push(("memory", format!("{}{}", gigabytes(machine.memory_bytes), available.unwrap_or_default())));
    if let Some(store) = store {
        let state = if store.exists { "" } else { " (does not exist yet)" };
        let free = store.free_bytes.map_or("unknown space".into(), gigabytes);
        lines.push(("store", format!("{}{state}, {free} free", store.path.display())));
        let locks = match (store.locks, &store.no_flock) {
            (Some(Locks::Lease), Some(why)) => format!("`lease`: lock files that are renewed, since {why}"),
            (Some(Locks::Lease), None) => "`lease`: lock files that are renewed".into(),
            (Some(Locks::Flock), _) => "`flock`".into(),
            (None, _) => "unknown: nothing can be written there".into(),
        };
        lines.push(("locks", locks));
    }
    for tool in tools {
        lines.push((tool.name, tool.found.clone().unwrap_or_else(|| "not found".into())));
    }
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect();
    text.push('\n');
    for (word, list) in [("missing", missing), ("note", advice)] {
        for Problem { what, remedy } in list {
            text += &format!("{word}: {what}\nhint: {remedy}\n");
        }
    }
    for (archive, how) in unavailable {
        text += &format!("unavailable: {archive}: {how}\n");
    }
    if missing.is_empty() {
        text += "this machine has everything that a run needs\n";
    }
    text
}

/// The devices that `auto` selects; if it is the CPU, what CUDA would need.
fn device(libtorch: &Libtorch) -> String {
    match (libtorch.gpus, libtorch.cuda_build, libtorch.driver_sees_gpu) {
        (0, false, false) => "cpu (CUDA needs a CUDA build of libtorch and a GPU)".into(),
        (0, false, true) => "cpu (CUDA needs a CUDA build of libtorch; there is a GPU)".into(),
        (0, true, _) => "cpu (CUDA needs a GPU that libtorch sees; this is a CUDA build)".into(),
        (1, ..) => "cuda:0".into(),
        (count, ..) => format!("cuda: {count} GPUs"),
    }
}

/// In gigabytes of 10⁹ bytes.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let tool = |name, found: Option<&str>, required| Tool {
            name,
            found: found.map(str::to_owned),
            required,
            purpose: "helps",
            remedy: "install it",
        };
        Findings {
            seesaw: Build { version: "0.1.0", rustc: "rustc 1.92.0", commit: Some("abc1234-dirty".into()) },
            libtorch: Libtorch {
                version: "2.13.0",
                folder: "/project/.libtorch/lib".into(),
                cuda_build: false,
                gpus: 0,
                driver_sees_gpu: false,
            },
            machine: Machine {
                architecture: "x86_64",
                cores: 2,
                all_cores: 2,
                features: vec!["avx2".into(), "fma".into()],
                memory_bytes: 8_000_000_000,
                memory_available_bytes: Some(6_540_000_000),
            },
            threads: 1,
            store: Some(Place {
                path: "/project/.seesaw".into(),
                exists: false,
                writable: true,
                locks: Some(Locks::Flock),
                no_flock: None,
                free_bytes: Some(50_000_000_000),
            }),
            tools: vec![tool("pip", Some("23.2 (`pip3`)"), true), tool("pdflatex", None, false)],
            unavailable: vec![("memes.zip".into(), "accept the licence".into())],
            missing: Vec::new(),
            advice: Vec::new(),
        }
    }

    /// A machine with everything that a run needs: a note on optional tools, no problem.
    #[test]
    fn a_machine_that_is_ready() {
        let mut found = findings();
        judge(&mut found);
        insta::assert_snapshot!(text(&found), @r"
        seesaw        0.1.0, built by rustc 1.92.0; the project is at abc1234-dirty
        libtorch      2.13.0, CPU build, in /project/.libtorch/lib
        device        cpu (CUDA needs a CUDA build of libtorch and a GPU)
        threads       1, of 2 cores
        processor     x86_64, vector instructions: avx2, fma
        memory        8.0 GB, 6.5 GB available
        store         /project/.seesaw (does not exist yet), 50.0 GB free
        locks         `flock`
        pip           23.2 (`pip3`)
        pdflatex      not found

        note: pdflatex was not found: it helps
        hint: install it
        unavailable: memes.zip: accept the licence
        this machine has everything that a run needs
        ");
    }

    /// Locks go by the names of the documentation.
    #[test]
    fn locks_are_named() {
        let mut found = findings();
        let mut locks = |locks, no_flock: Option<&str>| {
            let store = found.store.as_mut().unwrap();
            (store.locks, store.no_flock) = (Some(locks), no_flock.map(str::to_owned));
            let text = text(&found);
            let line = text.lines().find_map(|line| line.strip_prefix("locks         "));
            line.unwrap().to_owned()
        };
        assert_eq!(locks(Locks::Flock, None), "`flock`");
        assert_eq!(locks(Locks::Lease, None), "`lease`: lock files that are renewed");
        assert_eq!(
            locks(Locks::Lease, Some("it is on sshfs")),
            "`lease`: lock files that are renewed, since it is on sshfs"
        );
    }

    /// Required things end up under `missing`, each with its remedy.
    #[test]
    fn missing_requirements_have_remedies() {
        let mut found = findings();
        found.tools[0].found = None;
        let store = found.store.as_mut().unwrap();
        (store.writable, store.free_bytes) = (false, Some(200_000_000));
        judge(&mut found);
        let missing: Vec<&str> = found.missing.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            missing,
            [
                "pip was not found: it helps",
                "the store's folder /project/.seesaw is not writable",
                "the store's disk has 0.2 GB left, less than 1.0 GB",
            ]
        );
        assert_eq!(found.missing[0].remedy, "install it");
    }

    /// Of the two things that CUDA needs, the output names the missing one.
    #[test]
    fn the_missing_part_of_cuda_is_named() {
        let advice = |cuda_build, gpus, driver_sees_gpu| {
            let mut found = findings();
            found.tools.clear();
            found.libtorch = Libtorch { cuda_build, gpus, driver_sees_gpu, ..found.libtorch };
            judge(&mut found);
            let what = found.advice.first().map_or(String::new(), |problem| problem.remedy.clone());
            (device(&found.libtorch), what)
        };
        assert!(advice(false, 0, true).1.contains("TORCH=cuda make"));
        assert!(advice(true, 0, false).1.contains("nvidia-smi"));
        assert!(advice(true, 0, true).1.contains("driver"));
        assert_eq!(advice(true, 2, true), ("cuda: 2 GPUs".into(), String::new()));
        assert_eq!(advice(true, 1, true).0, "cuda:0");
        assert_eq!(advice(false, 0, false).1, "");
    }
}
