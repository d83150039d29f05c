//! Speaks to Slurm by its commands, in the formats that all its versions have. Accounting is not needed: what a task did is
//! in the store.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::Context;

use super::pack::Stage;
use super::profile::Profile;
use crate::errors::{self, Class};
use crate::store::Place;

/// A job array to submit.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub stage: Stage,
    /// As people see it in the queue.
    pub name: String,
    pub tasks: usize,
    pub profile: &'a Profile,
    /// The folder of the logs.
    pub folder: PathBuf,
    pub script: PathBuf,
    /// The jobs that have to end before, however they end.
    pub after: Vec<u64>,
    /// Where its tasks take results from. They get it as a variable, since everybody can read the commands of a queue.
    pub remote: Option<&'a Place>,
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub job: u64,
    pub index: usize,
    pub state: State,
    /// Where it runs, or why it does not yet.
    pub node: String,
    /// When it started, as Slurm writes times.
    pub since: String,
    /// The script of its job.
    pub script: PathBuf,
}

/// What Slurm does with a task that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Pending,
    /// Or about to start or to end.
    Running,
}

impl Job<'_> {
    /// The command that submits it.
    pub fn command(&self) -> Vec<String> {
        let Job { stage, name, tasks, profile, folder, script, after, remote: _ } = self;
        // In a file name, a percent sign begins a pattern.
        let folder = folder.display().to_string().replace('%', "%%");
        let at_once = profile.at_once.map_or_else(String::new, |most| format!("%{most}"));
        let mut words = vec![
            "sbatch".to_owned(),
            "--parsable".to_owned(),
            format!("--job-name={name}"),
            format!("--array=0-{}{at_once}", tasks.saturating_sub(1)),
            format!("--output={folder}/{}-%a.log", stage.name()),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            format!("--signal=B:USR1@{}", profile.notice()),
            "--nodes=1".to_owned(),
            "--ntasks=1".to_owned(),
            format!("--cpus-per-task={}", profile.cpus),
            format!("--time={}", profile.minutes),
        ];
        let options = [
            ("partition", &profile.partition),
            ("account", &profile.account),
            ("qos", &profile.qos),
            ("mem", &profile.memory),
        ];
        words.extend(options.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
        if profile.gpus > 0 && stage.uses_tensors() {
            words.push(format!("--gres=gpu:{}", profile.gpus));
        }
        if !after.is_empty() {
            let ids: Vec<String> = after.iter().map(u64::to_string).collect();
            words.push(format!("--dependency=afterany:{}", ids.join(":")));
        }
        words.extend(profile.options.iter().cloned());
        words.push(script.display().to_string());
        words
    }

    /// Hands it to Slurm. Returns its number.
    ///
    /// # Errors
    /// If there is no Slurm here, or it refuses the job.
    pub fn submit(&self) -> anyhow::Result<u64> {
        let remote = self.remote.map(Place::to_variable).transpose()?;
        let mut command = command(&self.command());
        // Ctrl-C does not reach it: what it hands in has to be known.
        let output = output(command.envs(remote.map(|remote| ("SEESAW_REMOTE", remote))).process_group(0))?;
        if !output.status.success() {
            return Err(errors::failed(
                format!("Slurm refuses the job `{}`: {}", self.name, said(&output)),
                "correct the profile of the cluster; `sinfo` lists partitions and their limits",
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        // NUMBER, or NUMBER;CLUSTER. Plugins of a site may print lines before.
        let number = text.lines().rev().find_map(|line| line.trim().split(';').next()?.parse().ok());
        number.with_context(|| format!("expected `sbatch --parsable` to print the number of a job, found {text:?}"))
    }
}

/// This user's tasks that have not ended.
///
/// # Errors
/// If there is no Slurm here, or it does not answer.
pub fn queued() -> anyhow::Result<Vec<Queued>> {
    // SAFETY: the call has no conditions and cannot fail.
    let user = unsafe { libc::getuid() };
    let user = format!("--user={user}");
    let words = ["squeue", "--noheader", "--array", &user, "--format=%F|%K|%T|%N|%S|%r|%o"].map(str::to_owned);
    let output = output(&mut command(&words))?;
    if !output.status.success() {
        return Err(errors::failed(
            format!("Slurm does not answer: {}", said(&output)),
            "check that `squeue` works here, and try again",
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(task).collect())
}

/// A line of [`queued`]; none if it is not of an array.
fn task(line: &str) -> Option<Queued> {
    let mut fields = line.trim().splitn(7, '|');
    let mut next = || fields.next();
    let (job, index) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (state, node, since, reason, script) = (next()?, next()?, next()?, next()?, next()?.into());
    let state = if state == "PENDING" { State::Pending } else { State::Running };
    let node = if state == State::Pending { reason } else { node };
    Some(Queued { job, index, state, node: node.to_owned(), since: since.to_owned(), script })
}

/// Cancels jobs with all their tasks. Those that have ended stay as they are.
///
/// # Errors
/// If there is no Slurm here, or it refuses.
pub fn cancel(jobs: &[u64]) -> anyhow::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = ["scancel".to_owned()].into_iter().chain(jobs.iter().map(u64::to_string)).collect();
    let output = output(&mut command(&words))?;
    if !output.status.success() {
        return Err(errors::failed(format!("Slurm cancels nothing: {}", said(&output)), "try again, or use `scancel`"));
    }
    Ok(())
}

/// A command of Slurm. The user's settings for `squeue` and `scancel` would change what they say and do.
fn command(words: &[String]) -> Command {
    let (program, arguments) = words.split_first().expect("a command begins with its program");
    let mut command = Command::new(program);
    command.args(arguments);
    let is_setting = |name: &str| name.starts_with("SQUEUE_") || name.starts_with("SCANCEL_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_setting)) {
        command.env_remove(name);
    }
    command
}

fn output(command: &mut Command) -> anyhow::Result<Output> {
    command.output().map_err(|error| {
        let program = command.get_program().display();
        match error.kind() {
            std::io::ErrorKind::NotFound => errors::of_class(
                Class::Usage,
                format!("there is no `{program}` here"),
                "call this on a node of a Slurm cluster; `seesaw run` computes on this machine alone",
            ),
            _ => anyhow::Error::new(error).context(format!("cannot start `{program}`")),
        }
    })
}

/// What a command said about its failure.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_queue_are_read() {
        let running = task("12|3|RUNNING|node7|2026-01-02T03:04:05|None|/out/a|b/train.sh").unwrap();
        assert_eq!(
            (running.job, running.index, running.state, running.node.as_str()),
            (12, 3, State::Running, "node7")
        );
        let pending = task("12|4|PENDING||N/A|Dependency|/out/train.sh").unwrap();
        assert_eq!(running.script, PathBuf::from("/out/a|b/train.sh"));
        assert_eq!((pending.state, pending.node.as_str()), (State::Pending, "Dependency"));
        assert_eq!(task("13|N/A|RUNNING|node7|2026-01-02T03:04:05|None|(null)"), None, "not an array");
        assert_eq!(task("slurm_load_jobs error"), None);
    }

    /// The command has what the profile asks for, and no more.
    #[test]
    fn a_job_asks_for_what_its_profile_says() {
        let profile = Profile {
            partition: Some("gpu".into()),
            memory: Some("16G".into()),
            gpus: 1,
            at_once: Some(4),
            options: vec!["--constraint=a100".into()],
            ..Profile::default()
        };
        let job = |stage, after| Job {
            stage,
            name: "seesaw paper".into(),
            tasks: 3,
            profile: &profile,
            folder: "out/100%".into(),
            script: "out/train.sh".into(),
            after,
            remote: None,
        };
        assert_eq!(
            job(Stage::Train, vec![5, 6]).command().join(" "),
            "sbatch --parsable --job-name=seesaw paper --array=0-2%4 --output=out/100%%/train-%a.log --open-mode=append \
             --requeue --signal=B:USR1@90 --nodes=1 --ntasks=1 --cpus-per-task=2 --time=60 --partition=gpu --mem=16G \
             --gres=gpu:1 --dependency=afterany:5:6 --constraint=a100 out/train.sh"
        );
        let finish = job(Stage::Finish, vec![]).command().join(" ");
        assert!(!finish.contains("gres") && !finish.contains("dependency"), "{finish}");
    }
}
