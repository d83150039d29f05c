//! The program on terminals: narrow ones, poor ones, with colours and without; in logs; and where nobody reads.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;

use crate::project::{Project, SUITE, told};

/// What a command shows on a terminal of so many columns, and its exit code.
fn on_terminal(
    project: &Project,
    arguments: &[&str],
    columns: u16,
    variables: &[(&str, &str)],
) -> (Option<i32>, String) {
    let size = libc::winsize { ws_row: 30, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut ours, mut its) = (-1, -1);
    // SAFETY: the pointers are valid, and both descriptors are owned from here on.
    let (ours, its) = unsafe {
        let (name, settings) = (std::ptr::null_mut(), std::ptr::null());
        assert_eq!(libc::openpty(&mut ours, &mut its, name, settings, &size), 0);
        (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its))
    };
    let mut command = project.command(arguments);
    command.env("TERM", "xterm-256color").envs(variables.iter().copied());
    let streams = [its.try_clone().unwrap(), its.try_clone().unwrap(), its].map(Stdio::from);
    let [stdin, stdout, stderr] = streams;
    let mut child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
    // The program alone has the terminal open now: reading ends with it.
    drop(command);
    let mut shown = Vec::new();
    let mut terminal = File::from(ours);
    let mut buffer = [0; 4096];
    // On Linux the end is an error.
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..n]);
    }
    (child.wait().unwrap().code(), String::from_utf8_lossy(&shown).into_owned())
}

/// A line for each kind of step with its count and rate, and one for all; then the end, as in a log. On a poor terminal and in
/// a log, a line for each kind that ended.
#[test]
fn a_run_is_shown_as_the_terminal_can() {
    let project = Project::new();
    let (code, shown) = on_terminal(&project, &["run", "tiny"], 40, &[]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("encode") && shown.contains(" each") && shown.contains("all  "), "{shown}");
    assert!(!shown.contains("/39]") && !shown.contains("panicked"), "{shown}");
    let (_, end) = shown.rsplit_once("tiny: 39 steps computed, 0 taken from the store (").unwrap();
    let end: Vec<&str> = end.lines().skip(1).collect();
    assert!(end.len() == 2 && end[0].starts_with("results in ") && end[1].starts_with("report in "), "{end:?}");

    project.write_suite(&SUITE.replace("[1, 2]", "[1, 2, 3]"));
    let (code, shown) = on_terminal(&project, &["run", "tiny"], 40, &[("TERM", "dumb")]);
    assert!(code == Some(0) && shown.contains("] train: 2 steps, ") && !shown.contains('\u{1b}'), "{shown}");
    project.write_suite(&SUITE.replace("[1, 2]", "[1, 2, 3, 4]"));
    let (code, shown) = on_terminal(&project, &["run", "tiny", "-v"], 80, &[("CI", "true"), ("NO_COLOR", "1")]);
    assert!(code == Some(0) && shown.contains("] train emoji-subgroup balgrad seed 4  "), "{shown}");
    project.write_suite(&SUITE.replace("[1, 2]", "[1, 2, 3, 4, 5]"));
    let output = project.run(&["run", "tiny"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("] train: 2 steps, ") && said.lines().count() < 12, "{said}");

    // A table has columns that fit; a pipe gets Markdown.
    let (code, shown) = on_terminal(&project, &["table", "1", "--suite", "tiny"], 40, &[]);
    assert!(code == Some(0) && shown.contains("Baseline") && !shown.contains('|'), "{shown}");
    let table = shown.split("\r\n\r\n").next().unwrap();
    assert!(table.lines().all(|line| line.trim_end().chars().count() <= 40), "{table}");
    assert!(project.succeed(&["table", "1", "--suite", "tiny"]).starts_with("| | |"));
    let paths: Vec<String> =
        serde_json::from_str(&project.succeed(&["figure", "4", "--suite", "tiny", "--json"])).unwrap();
    assert!(paths.iter().all(|path| std::path::Path::new(path).is_file()) && paths.len() == 5, "{paths:?}");
    let counts: serde_json::Value =
        serde_json::from_str(&project.succeed(&["plan", "tiny", "--summary", "--json"])).unwrap();
    assert!(counts["kinds"]["train"]["steps"] == 10 && counts["steps"].is_null(), "{counts}");
}

/// Messages have clap's colours, by its rules.
#[test]
fn messages_have_the_colours_of_clap() {
    let project = Project::new();
    let (error, hint) = ("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m ", "\u{1b}[32mhint:\u{1b}[0m ");
    let (code, own) = on_terminal(&project, &["run", "tinny"], 80, &[]);
    assert!(code == Some(2) && own.starts_with(&format!("{error}there is no suite")) && own.contains(hint), "{own:?}");
    let (_, claps) = on_terminal(&project, &["rum"], 80, &[]);
    assert!(claps.starts_with(error), "{claps:?}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb"), ("CLICOLOR", "0")] {
        let (_, plain) = on_terminal(&project, &["run", "tinny"], 80, &[variable]);
        assert!(plain.starts_with("error: ") && !plain.contains('\u{1b}'), "{variable:?}: {plain:?}");
    }
    let forced = project.command(&["run", "tinny"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(String::from_utf8_lossy(&forced.stderr).starts_with(error), "{}", told(&forced));
}

/// A reader that has enough closes the pipe: no failure, and no panic.
#[test]
fn a_closed_pipe_is_no_failure() {
    let project = Project::new();
    for arguments in
        [&["plan", "tiny", "--no-estimate"][..], &["plan", "tiny", "--no-estimate", "--json"], &["methods"]]
    {
        let mut command = project.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", told(&output));
    }
}
