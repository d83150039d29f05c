//! The program as a person meets it: runs that are repeated, killed, interrupted, disturbed, and that fail.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::project::{Project, SUITE, told};

fn start(project: &Project) -> Child {
    let mut command = project.command(&["run", "tiny"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits for at most this long.
fn wait(child: &mut Child, most: Duration) -> Option<std::process::ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < most {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Killed again and again, at moments that are spread over everything it does, a run goes on each time, and ends with
/// the same bytes as a run that nobody disturbed.
#[test]
fn a_killed_run_goes_on_and_ends_the_same() {
    let undisturbed = Project::new();
    undisturbed.succeed(&["run", "tiny"]);
    let killed = Project::new();
    let (mut kills, mut pause) = (0, 60);
    loop {
        let mut child = start(&killed);
        match wait(&mut child, Duration::from_millis(pause)) {
            Some(status) => {
                assert!(status.success(), "{status}");
                break;
            }
            None => {
                child.kill().unwrap();
                assert_eq!(child.wait().unwrap().signal(), Some(9));
                kills += 1;
                // Longer each time: whatever the longest step takes, the run comes to its end.
                pause += 37 + pause / 9;
            }
        }
        assert!(kills < 200, "the run does not come forward");
    }
    assert!(kills >= 8, "only {kills} kills");
    let (expected, found) = (undisturbed.results(), killed.results());
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    assert!(expected == found, "some result has other bytes");
    // Nothing is left of the killed runs but finished work.
    killed.succeed(&["status"]);
    assert_eq!(std::fs::read_dir(killed.root.join(".seesaw/tmp")).unwrap().count(), 0);
}

/// Once done, a run does nothing and says so; what somebody did to `out/` is put right; a moved project is the same.
#[test]
fn a_finished_run_has_nothing_to_do() {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let first = project.results();
    for name in ["results.json", "table1.tex", "table1.md", "table1.csv", "figure4.svg", "figure4.pdf", "figure4.png"] {
        assert!(first[name].len() > 300, "{name}");
    }
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do: all "));

    std::fs::write(project.root.join("out/tiny/table1.md"), "somebody's own numbers").unwrap();
    std::fs::remove_file(project.root.join("out/tiny/figure4.png")).unwrap();
    assert!(project.succeed(&["status"]).contains("out of date under out/tiny: table1.md, figure4.png"));
    project.succeed(&["run", "tiny"]);
    assert!(project.results() == first);

    let moved = Project::new();
    let store = moved.root.join("elsewhere");
    std::fs::rename(project.root.join(".seesaw"), &store).unwrap();
    let output = moved.command(&["run", "tiny", "--store"]).arg(&store).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).is_empty(), "{}", told(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("0 steps computed")
            || output.stdout.starts_with(b"nothing to do")
    );
    assert!(moved.results() == first);
}

/// A stop is heard within seconds, keeps what is finished, and has an exit code of its own. Signals that come together, as
/// from Slurm, are one stop.
#[test]
fn an_interrupted_run_stops_and_goes_on() {
    let project = Project::new();
    let mut command = project.command(&["run", "tiny", "-v"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Once a step is done, signals are heard.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("fetch")), "no step was told");
    let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
    let began = Instant::now();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(child.id() as i32, signal) };
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = wait(&mut child, Duration::from_secs(20)).expect("the run stops");
    if !status.success() {
        assert_eq!(status.code(), Some(130));
        let told = rest.join().unwrap();
        assert!(told.last().is_some_and(|last| last.contains("interrupted")), "it ended at once: {told:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    project.succeed(&["run", "tiny"]);
}

/// What `nohup` does: a run that ignores SIGHUP goes on when its terminal is closed, and when nobody reads its messages.
#[test]
fn a_run_outlives_its_terminal() {
    let project = Project::new();
    let mut command = project.command(&["run", "tiny"]);
    // SAFETY: a system call that is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        })
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("fetch")), "no step was told");
    drop(lines);
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGHUP) };
    let status = wait(&mut child, Duration::from_secs(300)).expect("the run ends");
    assert!(status.success(), "{status}");
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
}

/// Variables of the libraries below neither change results nor keep cores idle, and the user hears of them.
#[test]
fn variables_of_libraries_are_ignored() {
    let project = Project::new();
    let variables = [("ATEN_CPU_CAPABILITY", "default"), ("OMP_PROC_BIND", "true"), ("MKL_CBWR", "")];
    let output = project.command(&["doctor"]).envs(variables).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    for line in ["ignoring ATEN_CPU_CAPABILITY=default: ", "ignoring OMP_PROC_BIND=true: "] {
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
    assert!(!told.contains("MKL_CBWR"), "{told}");
    project.succeed(&["run", "tiny"]);
    let first = project.results();
    std::fs::remove_dir_all(project.root.join(".seesaw")).unwrap();
    let output = project.command(&["run", "tiny"]).envs(variables).output().unwrap();
    assert!(output.status.success());
    assert!(project.results() == first, "the results differ");
    // Also by a command that needs no libtorch, and has nothing to ignore.
    let names = serde_json::json!(["ATEN_CPU_CAPABILITY", "OMP_PROC_BIND"]);
    for again in [None, Some("report")] {
        if let Some(command) = again {
            assert!(project.command(&[command, "tiny"]).envs(variables).output().unwrap().status.success());
        }
        let files = project.files();
        let provenance: serde_json::Value = serde_json::from_slice(&files["provenance.json"]).unwrap();
        assert_eq!(provenance["machine"]["ignored"], names);
        assert!(provenance["machine"]["cores"].as_u64() >= provenance["machine"]["threads"].as_u64());
        assert!(String::from_utf8_lossy(&files["report.html"]).contains("ATEN_CPU_CAPABILITY, OMP_PROC_BIND"));
    }
}

/// A step's result that was edited in the store, size and time kept, is noticed when something needs it.
#[test]
fn a_damaged_object_is_noticed_and_made_again() {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let first = project.results();
    // The largest object that is no archive: features of the training split.
    let objects = project.root.join(".seesaw/objects");
    let mut files: Vec<_> = std::fs::read_dir(&objects)
        .unwrap()
        .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            std::fs::read(path)
                .is_ok_and(|bytes| bytes.get(8..).is_some_and(|header| header.starts_with(b"{\"features\"")))
        })
        .collect();
    files.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
    let path = files.pop().unwrap();
    let (mut bytes, time) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified().unwrap());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();

    // A further seed needs the features.
    project.write_suite(&SUITE.replace("[1, 2]", "[1, 2, 3]"));
    let output = project.run(&["run", "tiny"]);
    assert!(output.status.success(), "{}", told(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("warning: the result of `encode emoji-subgroup train image") && said.contains("is damaged"),
        "{said}"
    );
    project.write_suite(SUITE);
    project.succeed(&["run", "tiny"]);
    assert!(project.results() == first);
    assert_eq!(std::fs::read_dir(project.root.join(".seesaw/quarantine")).unwrap().count(), 1);
}

/// A damaged object that only the report reads is computed again by the run that finds it, or by the next run after a
/// command that only reads. The files are the same afterwards.
#[test]
fn damage_behind_a_report_is_made_good() {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let first = project.results();
    let hurt = |label: &str, output: &str, whole: bool| {
        let path = project.object(label, output);
        let mut bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        bytes[5] ^= 1;
        if whole {
            std::fs::write(&path, bytes).unwrap();
        }
        path
    };
    let all = [("collect results", "results"), ("render figure4", "svg")];
    // Objects that nothing needs are not read.
    let paths = all.map(|(label, output)| hurt(label, output, true));
    let nothing = project.succeed(&["run", "tiny"]);
    assert!(nothing.starts_with("nothing to do"), "{nothing}");

    // A report that is edited or gone comes back from its own object.
    let (page, tex) = (project.root.join("out/tiny/report.html"), project.root.join("out/tiny/report.tex"));
    let html = std::fs::read(&page).unwrap();
    std::fs::write(&page, "all is well").unwrap();
    std::fs::remove_file(&tex).unwrap();
    project.succeed(&["run", "tiny"]);
    assert!(std::fs::read(&page).unwrap() == html && tex.is_file());

    // A remark in the suite's file changes no result, but the provenance: the reports are made again.
    project.write_suite(&format!("{SUITE}\n# a remark\n"));
    let output = project.run(&["run", "tiny"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        told(&output).contains("the output `svg` of `render figure4` is damaged: its content has"),
        "{}",
        told(&output)
    );
    assert!(project.results() == first && paths.iter().all(|path| path.is_file()));

    for ((label, name), whole) in all.into_iter().zip([true, false]) {
        let path = hurt(label, name, whole);
        let read = project.run(&["report", "tiny"]);
        let said = format!("the output `{name}` of `{label}` is damaged");
        assert!(read.status.code() == Some(1) && told(&read).contains(&said), "{label}: {}", told(&read));
        assert!(told(&read).contains("compute it again"), "{}", told(&read));
        project.succeed(&["run", "tiny"]);
        assert!(path.is_file());
        project.succeed(&["report", "tiny"]);
    }
    assert!(project.results() == first);
}

/// A training that diverges is told in the table and by the exit code; the others are not concerned.
#[test]
fn a_failed_cell_is_told_and_the_others_go_on() {
    let project = Project::new();
    let diverging = SUITE.replace(
        "optimizer = { name = \"adam\", learning-rate = 1e-3 }",
        "optimizer = { name = \"sgd\", learning-rate = 1e30 }",
    );
    project.write_suite(&diverging);
    let output = project.run(&["run", "tiny"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("error: train emoji-subgroup baseline seed 1 failed: baseline: `loss_T` is"), "{said}");
    let table = String::from_utf8(project.results()["table1.md"].clone()).unwrap();
    assert!(table.contains("failed [1]") && table.contains("at step"), "{table}");
    // What was encoded is kept for the next try.
    project.write_suite(SUITE);
    let output = project.run(&["run", "tiny"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("encode"), "{}", told(&output));
    assert!(output.status.success());
}

/// The steps that a run with `-v` computed.
pub fn computed(output: &std::process::Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A step that was computed has its time behind two spaces; a line about what is going on has not.
    let step = |line: &str| Some(line.strip_prefix('[')?.split_once("] ")?.1.rsplit_once("  ")?.0.to_owned());
    said.lines().filter_map(step).collect()
}

/// Two runs over one store at the same time: each step is computed once between them, and both end well.
#[test]
fn two_runs_share_the_work() {
    let project = Project::new();
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| project.run(&["run", "tiny", "-v"]));
        (project.run(&["run", "tiny", "-v"]), other.join().unwrap())
    });
    assert!(first.status.success() && second.status.success(), "{} {}", told(&first), told(&second));
    let mut steps: Vec<String> = computed(&first).into_iter().chain(computed(&second)).collect();
    let all = steps.len();
    assert!(all >= 20, "{steps:?}");
    steps.sort();
    steps.dedup();
    assert_eq!(steps.len(), all, "a step was computed twice");
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
}

/// A change is explained by the first ingredient that differs, and only what depends on it would run.
#[test]
fn changes_are_explained() {
    let project = Project::new();
    let plan = project.succeed(&["plan", "tiny", "--no-estimate"]);
    assert!(plan.contains("would run  fetch emoji-2.16.0-py3-none-any.whl (never done in this store)"), "{plan}");
    project.succeed(&["run", "tiny"]);
    project.write_suite(&SUITE.replace("epochs = 2", "epochs = 3"));
    let explained = project.succeed(&["explain", "--suite", "tiny", "train emoji-subgroup balgrad seed 1"]);
    assert!(explained.contains("would run: changed: `training.epochs` was 2, is 3"), "{explained}");
    let plan = project.succeed(&["plan", "tiny"]);
    assert!(plan.contains("estimated  about") && plan.contains("to download"), "{plan}");
    assert!(
        plan.contains("encode       8 steps     8 done") && plan.contains("train        4 steps     0 done"),
        "{plan}"
    );
    let json: serde_json::Value = serde_json::from_str(&project.succeed(&["plan", "tiny", "--json"])).unwrap();
    let seconds = json["estimate"]["seconds"].as_object().unwrap();
    // What is done takes no more time.
    assert!(seconds["train"].as_f64().unwrap() > 0.0 && !seconds.contains_key("encode"), "{seconds:?}");
    assert!(json["unavailable"].as_array().unwrap().is_empty());
    assert!(json["steps"].as_array().unwrap().iter().any(|step| step["state"] == "would run after others"));
}

/// Mistakes on the command line have exit code 2, and say what to do.
#[test]
fn mistakes_are_usage_errors() {
    let project = Project::new();
    for (arguments, parts) in [
        (&["run", "tinny"][..], &["there is no suite `tinny`", "did you mean `tiny`?"][..]),
        (&["run"], &["there is no suite `paper`"]),
        (&["plan", "tiny", "--device", "gpu"], &["unknown device `gpu`", "cuda:N"]),
        (&["explain", "--suite", "tiny", "train", "nothing"], &["has no step `train nothing`", "similar: "]),
        (&["fetch", "emojis"], &["`emojis`", "did you mean `emoji`?"]),
        (&["run", "tiny", "--project", "/"], &["/ holds no `experiments/`", "--project"]),
    ] {
        let output = project.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{arguments:?}: {said}");
    }
    let outside = project.command(&["status"]).current_dir("/").output().unwrap();
    assert_eq!(outside.status.code(), Some(2));
}

/// Archives are fetched, checked again, and told of when they are damaged or cannot be had.
#[test]
fn archives_are_fetched_and_checked() {
    let project = Project::new();
    assert_eq!(project.run(&["fetch", "emoji-words", "--check"]).status.code(), Some(1));
    let fetched = project.succeed(&["fetch", "emoji-words", "--json"]);
    let reports: serde_json::Value = serde_json::from_str(&fetched).unwrap();
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|report| report["state"] == "fetched"), "{fetched}");
    assert!(project.succeed(&["fetch", "emoji", "--check"]).contains("verified"));
    // Damage is told, and mended by the next fetch.
    let path = std::path::PathBuf::from(reports[1]["path"].as_str().unwrap());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"not a wheel").unwrap();
    let output = project.run(&["fetch", "emoji", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("damaged"), "{}", told(&output));
    assert!(!path.exists(), "no later run may take it for whole");
    project.succeed(&["fetch", "emoji"]);
    assert!(project.succeed(&["fetch", "emoji", "--check"]).contains("verified"));
    // A file that only a person can bring: what to accept where, and which file to put where.
    std::fs::remove_dir_all(project.root.join("downloads")).unwrap();
    let output = project.run(&["fetch", "efficientnet-lite0"]);
    assert_eq!(output.status.code(), Some(3));
    let said = told(&output);
    assert!(said.contains("Accept the terms at https://example.org, then put the file efficientnet"), "{said}");
}
