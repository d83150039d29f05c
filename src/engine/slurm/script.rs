//! What a task runs: the same program, with its part of the steps.

use std::path::PathBuf;

use super::profile::Profile;

/// The exit code of a task that has to go back into the queue, since a task before it did (EX_TEMPFAIL of sysexits.h).
pub const TOO_EARLY: u8 = 75;

/// A job array.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// The project's folder, as an absolute path.
    pub project: PathBuf,
    pub profile: &'a Profile,
    /// The program and its arguments.
    pub command: Vec<String>,
}

impl Script<'_> {
    /// The script in bash. Slurm sends SIGUSR1 some time before the limit ([`Profile::notice`]), and SIGTERM if it or the
    /// user stops the task. Both end the program after the steps that are finished; after SIGUSR1, the task then goes back
    /// into the queue, unless it has finished nothing: the limit is too short for its steps. So does a task that comes too
    /// early ([`TOO_EARLY`]).
    pub fn text(&self) -> String {
        let modules = self.profile.modules.iter().map(|module| format!("module load {} || exit 1\n", quoted(module)));
        let setup = self.profile.setup.iter().map(|line| format!("{line}\n"));
        let prelude: String = modules.chain(setup).collect();
        let project = quoted(&self.project.display().to_string());
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let command = command.join(" ");
        let refused =
            "the project's folder is not here; it and the store have to be on a filesystem that all nodes share";
        format!(
            r#"#!/bin/bash
# Written by `seesaw submit`.
cd {project} || {{ echo "error: $(hostname): {refused}" >&2; exit 1; }}
{prelude}
limit=no
trap 'limit=yes; kill -TERM "$program" 2>/dev/null' USR1
trap 'kill -TERM "$program" 2>/dev/null' TERM
{command} &
program=$!
# A signal ends `wait`, not the program.
while
  wait "$program"
  code=$?
  kill -0 "$program" 2>/dev/null
do :; done
task="${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
if [ "$limit" = yes ] && [ "$code" = 130 ]; then
  echo "the time limit is near; the rest goes back into the queue"
  exec scontrol requeue "$task"
fi
if [ "$code" = {TOO_EARLY} ]; then
  echo "a task before this one goes on; this one goes back into the queue"
  exec scontrol requeue "$task"
fi
exit "$code"
"#
        )
    }
}

/// A word as bash reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+%@".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs a script; what it printed, and its exit code.
    fn run(script: &Script, signal: Option<&str>) -> (String, Option<i32>) {
        let text = script.text();
        let mut command = Command::new("bash");
        command.args(["-c", &text]).env("SLURM_ARRAY_JOB_ID", "7").env("SLURM_ARRAY_TASK_ID", "3");
        // A `scontrol` that says what it was asked for.
        command.env("BASH_FUNC_scontrol%%", "() { echo \"scontrol $*\"; }");
        let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        if let Some(signal) = signal {
            std::thread::sleep(std::time::Duration::from_millis(400));
            let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
            assert!(sent.success());
        }
        let output = child.wait_with_output().unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
            output.status.code(),
        )
    }

    #[test]
    fn words_survive_the_shell() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("it's a $HOME \"project\"");
        std::fs::create_dir(&project).unwrap();
        let words = ["printf", "<%s>", "a b", "it's", "$HOME", "", "ä*"].map(str::to_owned).to_vec();
        let profile = Profile { setup: vec!["echo before".into()], ..Profile::default() };
        let script = Script { project: project.clone(), profile: &profile, command: words };
        assert_eq!(run(&script, None), ("before\n<a b><it's><$HOME><><ä*>".to_owned(), Some(0)));
        std::fs::remove_dir(project).unwrap();
        let (told, code) = run(&script, None);
        assert!(told.contains("a filesystem that all nodes share") && code == Some(1), "{told}");
    }

    /// A task that was told to stop before its limit goes back into the queue if it finished something. One that was stopped
    /// for another reason does not.
    #[test]
    fn only_the_limit_puts_a_task_back() {
        let program = |code: u8| {
            let program =
                format!("trap 'echo stopping; exit {code}' TERM; for n in $(seq 100); do sleep 0.1; done; exit 9");
            let command = ["bash", "-c", &program].map(str::to_owned).to_vec();
            Script { project: "/".into(), profile: &DEFAULT, command }
        };
        static DEFAULT: std::sync::LazyLock<Profile> = std::sync::LazyLock::new(Profile::default);
        let (told, _) = run(&program(130), Some("USR1"));
        assert!(told.contains("stopping") && told.contains("the rest goes back into the queue"), "{told}");
        let (told, code) = run(&program(130), Some("TERM"));
        assert!(told.contains("stopping") && !told.contains("queue") && code == Some(130), "{told}");
        let early = Script { command: ["bash", "-c", "exit 75"].map(str::to_owned).to_vec(), ..program(0) };
        let (told, _) = run(&early, None);
        assert!(told.contains("this one goes back into the queue"), "{told}");
        let (told, code) = run(&program(1), Some("USR1"));
        assert!(told.contains("stopping") && !told.contains("queue") && code == Some(1), "{told}");
    }
}
