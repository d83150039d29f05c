//! The program as `make mirror` and scripts call it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seesaw-mirror"));
    command.args(arguments);
    command
}

#[test]
fn a_mirror_is_made_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output = program(&["make", path, "--samples", "60", "--seed", "7"]).output().unwrap();
    assert!(output.status.success() && folder.path().join("manifests.json").exists(), "{output:?}");
    let mut serving =
        program(&["serve", path, "--faults", "manifests.json=slow:10"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut url).unwrap();
    serving.kill().unwrap();
    serving.wait().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
}

/// Mistakes on the command line have the exit code 2.
#[test]
fn mistakes_are_named() {
    for (arguments, expected) in [
        (&["make", "m", "--samples", "3"][..], "a mirror has 60 to 50000 samples, not 3"),
        (&["serve", "none"], "none is not a folder"),
        (&["serve", ".", "--faults", "a.zip=fire"], "found `fire`"),
    ] {
        let output = program(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && message.contains(expected), "{message}");
    }
}
