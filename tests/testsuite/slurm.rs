//! A suite on a real Slurm with one node. Where Slurm cannot be started (`tests/slurm-local` takes root and its packages), the
//! tests that need it say that they were skipped; with `SEESAW_SLURM=required`, as in `.ci/run`, they fail.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use seesaw::store::Store;

use crate::project::{Project, SUITE, told};

/// A Slurm of this process.
struct Slurm {
    folder: tempfile::TempDir,
}

fn slurm_local(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm-local");
    Command::new(script).args(arguments).output().unwrap()
}

impl Drop for Slurm {
    fn drop(&mut self) {
        slurm_local(&["stop", self.folder.path().to_str().unwrap()]);
    }
}

impl Slurm {
    /// None, with a word about it, if Slurm cannot be started here.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let started = slurm_local(&["start", folder.path().to_str().unwrap()]);
        let slurm = Slurm { folder };
        if started.status.success() {
            return Some(slurm);
        }
        let required = std::env::var("SEESAW_SLURM").is_ok_and(|value| value == "required");
        assert!(!required, "Slurm does not start: {}", told(&started));
        eprintln!("SKIPPED: Slurm cannot be started here, so jobs are NOT TESTED: {}", told(&started));
        None
    }

    fn command(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).env("SLURM_CONF", self.folder.path().join("slurm.conf")).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// With a setting of the user for `squeue`, which changes nothing.
    fn seesaw(&self, project: &Project, arguments: &[&str]) -> Output {
        let mut command = project.command(arguments);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf")).env("SQUEUE_STATES", "COMPLETED");
        command.output().unwrap()
    }

    /// Runs and expects success; standard output.
    fn succeed(&self, project: &Project, arguments: &[&str]) -> String {
        let output = self.seesaw(project, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The tasks in the queue: name of the job, state.
    fn queue(&self) -> Vec<(String, String)> {
        let text = self.command("squeue", &["--noheader", "--array", "--format=%j|%T"]);
        text.lines().filter_map(|line| line.split_once('|')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// Waits until the queue looks like this.
    fn until(&self, what: &str, is_so: impl Fn(&[(String, String)]) -> bool) {
        let end = Instant::now() + Duration::from_secs(300);
        while !is_so(&self.queue()) {
            assert!(Instant::now() < end, "{what} does not come about: {:?}", self.queue());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn until_done(&self) {
        self.until("an empty queue", <[_]>::is_empty);
    }

    fn until_running(&self, job: &str) {
        self.until(job, |queue| queue.iter().any(|(name, state)| name == job && state == "RUNNING"));
    }
}

/// A project whose trainings take this many epochs (thirty take seconds), with one task of one core per job.
fn project(epochs: u32) -> Project {
    let project = Project::new();
    project.write_suite(&SUITE.replace("epochs = 2", &format!("epochs = {epochs}")));
    std::fs::write(project.root.join("cluster.toml"), "cpus = 1\ntask-minutes = 1\nminutes = 30\ntasks = 1\n").unwrap();
    project
}

/// As [`project`], two of them, whose stores hold the features already.
fn encoded_projects(epochs: u32) -> [Project; 2] {
    static ENCODED: std::sync::OnceLock<Project> = std::sync::OnceLock::new();
    let encoded = ENCODED.get_or_init(|| {
        let project = project(1);
        project.succeed(&["run", "tiny"]);
        project
    });
    [(); 2].map(|()| {
        let project = project(epochs);
        let mut copy = Command::new("cp");
        let copied = copy.arg("-r").arg(encoded.root.join(".seesaw")).arg(&project.root).status().unwrap();
        assert!(copied.success());
        project
    })
}

fn log(project: &Project, name: &str) -> PathBuf {
    project.root.join("out/tiny/slurm").join(name)
}

/// The results without the logs of the tasks.
fn same_results(submitted: &Project, run: &Project) {
    let (expected, found) = (run.results(), submitted.results());
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    let other: Vec<&String> =
        expected.iter().filter(|(name, bytes)| found[*name] != **bytes).map(|(name, _)| name).collect();
    let table =
        |files: &std::collections::BTreeMap<String, Vec<u8>>| String::from_utf8_lossy(&files["table1.md"]).into_owned();
    let logs = ["train", "finish"]
        .map(|stage| std::fs::read_to_string(log(submitted, &format!("1/{stage}-0.log"))).unwrap_or_default());
    let [found, expected] = [&found, &expected].map(table);
    assert!(other.is_empty(), "{other:?} have other bytes: {found} instead of {expected}; the logs: {logs:?}");
}

/// Submitted or run: the same bytes. Afterwards there is nothing to submit, and nothing to run.
#[test]
fn a_submitted_suite_gives_the_bytes_of_a_run() {
    let Some(slurm) = Slurm::start() else { return };
    let (submitted, [_, run]) = (project(2), encoded_projects(2));
    let told_first = slurm.succeed(&submitted, &["submit", "tiny"]);
    assert!(told_first.contains("finish   1 task") && told_first.contains(": job "), "{told_first}");
    let again = slurm.succeed(&submitted, &["submit", "tiny"]);
    assert!(again.contains("are in the queue"), "{again}");
    let status = slurm.succeed(&submitted, &["status", "tiny"]);
    assert!(status.contains("pending: ") && status.contains("finish "), "{status}");
    let pruned = slurm.seesaw(&submitted, &["prune", "--keep-days", "0"]);
    assert!(told(&pruned).contains("in the queue of Slurm"), "{}", told(&pruned));
    slurm.until_done();
    run.succeed(&["run", "tiny"]);
    same_results(&submitted, &run);
    assert!(slurm.succeed(&submitted, &["submit", "tiny"]).contains("nothing to submit: tiny is done"));
    assert!(submitted.succeed(&["run", "tiny"]).starts_with("nothing to do"));
    assert!(std::fs::read_to_string(log(&submitted, "1/train-0.log")).unwrap().contains("train emoji-subgroup"));
}

/// Tasks take over what a remote store has, wherever they were submitted from, and compute nothing of it.
#[test]
fn tasks_read_through() {
    let Some(slurm) = Slurm::start() else { return };
    let (submitted, [run, _]) = (project(2), encoded_projects(2));
    run.succeed(&["run", "tiny"]);
    run.succeed(&["push", "tiny", "--remote", "remote"]);
    let mut command = submitted.command(&["submit", "tiny", "--remote", "remote"]);
    command.arg("--project").arg(&submitted.root).current_dir(&run.root);
    let output = command.env("SLURM_CONF", slurm.folder.path().join("slurm.conf")).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    slurm.until_done();
    same_results(&submitted, &run);
    // A record says how long its step took.
    let seconds = [&run, &submitted].map(|project| {
        let store = Store::open(&project.root.join(".seesaw")).unwrap();
        store.latest("train emoji-subgroup balgrad seed 1").unwrap().seconds
    });
    assert_eq!(seconds[0], seconds[1]);
    assert!(std::fs::read_to_string(log(&submitted, "1/train-0.log")).unwrap().contains("; computed: 0"));
}

/// A task that was cancelled or killed costs its own steps. The table says so, the status shows where, and a second submission
/// makes it good.
#[test]
fn killed_tasks_are_made_good() {
    let Some(slurm) = Slurm::start() else { return };
    let [submitted, run] = encoded_projects(30);
    for (number, kill) in ["scancel", "SIGKILL"].iter().enumerate() {
        slurm.succeed(&submitted, &["submit", "tiny"]);
        slurm.until_running("seesaw-tiny-train");
        let running = slurm.command("squeue", &["--noheader", "--states=RUNNING", "--format=%A %F_%K"]);
        let (job, task) = running.trim().split_once(' ').unwrap();
        std::thread::sleep(Duration::from_secs(1));
        match *kill {
            "scancel" => drop(slurm.command("scancel", &[task])),
            _ => {
                // The program alone, as when memory runs out: the script ends with its code.
                let pattern = format!("seesaw task tiny --list {}", log(&submitted, "2/train.json").display());
                let found = slurm.command("pgrep", &["-f", &pattern]);
                for process in found.lines() {
                    slurm.command("kill", &["-KILL", process]);
                }
            }
        }
        slurm.until_done();
        let status = slurm.succeed(&submitted, &["status", "tiny"]);
        assert!(status.contains("ended without all of their steps: 1 task\n"), "{job} {kill}: {status}");
        assert!(status.contains(&format!("slurm/{}/train-0.log", number + 1)), "{status}");
        let said = std::fs::read_to_string(log(&submitted, &format!("{}/train-0.log", number + 1))).unwrap();
        // Who heard that it should stop has a last word.
        assert_eq!(said.contains("\nerror: "), said.contains("stopping; "), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let table = String::from_utf8(submitted.files()["table1.md"].clone()).unwrap();
        assert!(table.contains('—'), "{table}");
    }
    slurm.succeed(&submitted, &["submit", "tiny"]);
    slurm.until_done();
    run.succeed(&["run", "tiny"]);
    same_results(&submitted, &run);
}

/// A task that Slurm tells that its limit is near keeps what it has finished, and goes on in the queue: nobody has to submit
/// again. The signal comes from here, so that nobody has to wait for the limit either.
#[test]
fn a_task_near_its_limit_goes_on() {
    let Some(slurm) = Slurm::start() else { return };
    let [submitted, run] = encoded_projects(30);
    slurm.succeed(&submitted, &["submit", "tiny"]);
    let log = log(&submitted, "1/train-0.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    slurm.until("a training", |_| read().contains("[ 1/16]"));
    let task = slurm.command("squeue", &["--noheader", "--states=RUNNING", "--format=%F_%K"]);
    slurm.command("scancel", &["--signal=USR1", "--batch", task.trim()]);
    slurm.until("the task in the queue again", |_| read().contains("the rest goes back into the queue"));
    // Slurm lets a task that went back wait for two minutes. It has to be some seconds: in the one in which it revokes the
    // credential of the first attempt, it revokes that of a second one too, and the task fails.
    slurm.until("a waiting task", |queue| queue.contains(&("seesaw-tiny-train".into(), "PENDING".into())));
    std::thread::sleep(Duration::from_secs(3));
    slurm.command("scontrol", &["update", &format!("JobId={}", task.trim()), "StartTime=now"]);
    slurm.until_done();
    run.succeed(&["run", "tiny"]);
    same_results(&submitted, &run);
    // The second attempt had fewer steps to compute.
    let second = read().split_once("goes back into the queue").unwrap().1.to_owned();
    assert!(second.contains("] train") && !second.contains("16/16]"), "{}", read());
}

/// Cancelling takes all tasks of the suite out of the queue, and keeps what they finished.
#[test]
fn a_suite_is_cancelled() {
    let Some(slurm) = Slurm::start() else { return };
    let project = project(2);
    let submitted = slurm.succeed(&project, &["submit", "tiny", "--subset", "64"]);
    let hint = "`seesaw status tiny --subset 64` shows the tasks, `seesaw cancel tiny --subset 64` stops them";
    assert!(submitted.contains(hint), "{submitted}");
    let cancel = ["cancel", "tiny", "--subset", "64"];
    let told = slurm.succeed(&project, &cancel);
    assert!(told.contains("tasks are cancelled"), "{told}");
    slurm.until_done();
    assert!(slurm.succeed(&project, &cancel).contains("nothing to cancel"));
    project.succeed(&["run", "tiny"]);
}

/// What Slurm refuses is said in its words, and nothing stays in the queue.
#[test]
fn a_wrong_partition_is_explained() {
    let Some(slurm) = Slurm::start() else { return };
    let project = project(2);
    std::fs::write(project.root.join("wrong.toml"), "partition = \"gpus\"\n").unwrap();
    let output = slurm.seesaw(&project, &["submit", "tiny", "--profile", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("invalid partition specified: gpus"), "{}", told(&output));
    assert!(slurm.queue().is_empty());
}

/// Without Slurm, a submission says so before it downloads anything; what it would do can be seen anyway.
#[test]
fn without_slurm_a_submission_is_refused() {
    let project = Project::new();
    let without = |arguments: &[&str]| project.command(arguments).env("PATH", "/nowhere").output().unwrap();
    for command in [["submit", "tiny"], ["cancel", "tiny"]] {
        let output = without(&command);
        assert_eq!(
            (command[0], output.status.code()),
            (command[0], if command[0] == "submit" { Some(2) } else { Some(0) })
        );
    }
    let refused = told(&without(&["submit", "tiny"]));
    assert!(refused.contains("there is no `squeue` here") && refused.contains("seesaw run"), "{refused}");
    assert!(!project.root.join("out").exists());
    let shown = without(&["submit", "tiny", "--dry-run"]);
    assert!(shown.status.success(), "{}", told(&shown));
    for part in ["$ sbatch --parsable", "--array=0-0", "#!/bin/bash", "task tiny --list", "nothing was submitted"] {
        assert!(told(&shown).contains(part), "{part}: {}", told(&shown));
    }
    assert!(!project.root.join("out").exists());
    std::fs::write(project.root.join("cluster.toml"), "partitoin = \"gpu\"\n").unwrap();
    let wrong = without(&["submit", "tiny", "--dry-run"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(told(&wrong).contains("unknown field `partitoin`"), "{}", told(&wrong));
}

/// Commands that stand for those of Slurm: `sbatch` takes its time, `squeue` shows the file `queue`, unless a setting says that it
/// should not, and `scancel` writes down what it cancels.
fn imitation(folder: &Path) -> std::ffi::OsString {
    let cancelled = folder.join("cancelled").display().to_string();
    for (name, script) in [
        ("sbatch", "sleep 2; echo 5".to_owned()),
        ("squeue", format!("[ -n \"$SQUEUE_STATES\" ] || cat {}", folder.join("queue").display())),
        ("scancel", format!("echo \"$@\" >> {cancelled}")),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut paths = vec![folder.to_owned()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    std::env::join_paths(paths).unwrap()
}

/// Ctrl-C during a submission takes back what was submitted. A job of somebody else is not taken for one of ours, whatever its
/// number is.
#[test]
fn a_submission_is_taken_back() {
    let (project, folder) = (project(1), tempfile::tempdir().unwrap());
    let path = imitation(folder.path());
    let queue = |script: &Path| {
        std::fs::write(folder.path().join("queue"), format!("5|0|RUNNING|node|now|None|{}\n", script.display()))
            .unwrap();
    };
    queue(Path::new("/home/other/slurm/1/prepare.sh"));
    let begin = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("PATH", &path).env("SQUEUE_STATES", "setting").process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let child = begin(&["submit", "tiny"]);
    let end = Instant::now() + Duration::from_secs(120);
    while !log(&project, "1/prepare.sh").exists() {
        assert!(Instant::now() < end, "nothing is submitted");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    // SAFETY: a signal to the group of a child that was not waited for, as a terminal sends it.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGINT) };
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(folder.path().join("cancelled")).unwrap(), "5\n");
    assert!(!log(&project, "1").exists());

    let submitted = begin(&["submit", "tiny"]).wait_with_output().unwrap();
    assert!(submitted.status.success(), "{}", told(&submitted));
    let cancelled = begin(&["cancel", "tiny"]).wait_with_output().unwrap();
    assert!(told(&cancelled).contains("nothing to cancel"), "{}", told(&cancelled));
    assert_eq!(std::fs::read_to_string(folder.path().join("cancelled")).unwrap(), "5\n");

    // Ours is known by its script, wherever the project is seen; even if its number was never heard, but then a suite of another
    // project has the same name.
    let record = log(&project, "1/submission.json");
    let ours = log(&project, "1/train.sh");
    let mut times = 1;
    for (number, script, is_ours) in [
        (r#", "train": 5"#, Path::new("/seen/elsewhere/tiny/slurm/1/train.sh"), true),
        (r#", "train": 6"#, &ours, false),
        ("", &ours, true),
        ("", Path::new("/another/project/out/tiny/slurm/1/train.sh"), false),
    ] {
        queue(script);
        std::fs::write(&record, format!(r#"{{"device": "cpu", "jobs": {{"prepare": 1{number}}}}}"#)).unwrap();
        let cancelled = begin(&["cancel", "tiny"]).wait_with_output().unwrap();
        let says = if is_ours { "1 task is cancelled" } else { "nothing to cancel" };
        assert!(told(&cancelled).contains(says), "{number} {}: {}", script.display(), told(&cancelled));
        times += usize::from(is_ours);
        assert_eq!(std::fs::read_to_string(folder.path().join("cancelled")).unwrap(), "5\n".repeat(times));
    }

    // Nobody knows whether tasks wait if `squeue` fails.
    std::fs::remove_file(folder.path().join("queue")).unwrap();
    let pruned = begin(&["prune", "--keep-days", "0"]).wait_with_output().unwrap();
    assert_eq!(pruned.status.code(), Some(1), "{}", told(&pruned));
    assert!(told(&pruned).contains("nobody knows whether tasks of tiny are in the queue"), "{}", told(&pruned));
    queue(Path::new("/home/other/slurm/1/prepare.sh"));

    // What is left without data is submitted, and the exit code is that of a run.
    std::fs::remove_dir_all(project.root.join("downloads")).unwrap();
    std::fs::remove_dir_all(project.root.join(".seesaw")).unwrap();
    let without = begin(&["submit", "tiny"]).wait_with_output().unwrap();
    assert_eq!(without.status.code(), Some(3), "{}", told(&without));
    assert!(told(&without).contains("steps cannot be computed, because data is unavailable"), "{}", told(&without));
}

/// A task that asks for several GPUs gets a training for each of them, and all of them together take less time.
#[test]
fn a_task_has_work_for_all_its_gpus() {
    let project = Project::new();
    project.write_suite(&SUITE.replace("epochs = 2", "epochs = 20000"));
    let trainings = |gpus: usize| {
        let profile = format!("gpus = {gpus}\ntask-minutes = 1\nminutes = 100000\n");
        std::fs::write(project.root.join("cluster.toml"), profile).unwrap();
        let shown = project.succeed(&["submit", "tiny", "--dry-run"]);
        shown.lines().find(|line| line.starts_with("train ")).unwrap().to_owned()
    };
    let time = |gpus| trainings(gpus).split(", ").find(|part| part.ends_with(" in all")).unwrap().to_owned();
    assert_ne!(time(1), time(4));
    for (gpus, tasks) in [(1, "4 tasks"), (2, "2 tasks"), (4, "1 task,")] {
        assert!(trainings(gpus).contains(tasks), "{gpus} GPUs: {}", trainings(gpus));
    }
}

/// A node that sees another store computes nothing.
#[test]
fn a_store_that_is_not_shared_is_explained() {
    let project = Project::new();
    let list = project.root.join("out/tiny/slurm/1/prepare.json");
    std::fs::create_dir_all(list.parent().unwrap()).unwrap();
    let store = "5".repeat(64);
    let tasks = r#"{"stage": "prepare", "store": "STORE", "tasks": [["prepare emoji-subgroup"]]}"#;
    std::fs::write(&list, tasks.replace("STORE", &store)).unwrap();
    let output = project.run(&["task", "tiny", "--list", list.to_str().unwrap(), "--index", "0", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let words = told(&output);
    assert!(
        words.contains("is not the store of this submission") && words.contains("a filesystem that all nodes share"),
        "{words}"
    );
    assert!(!project.root.join(".seesaw").exists());
}
