//! A suite on a cluster: what was submitted, what a task does, and how far it is.
//!
//! ```text
//! out/SUITE/slurm/
//!   1/                       a folder per submission
//!     submission.json        the jobs with their numbers, and the device that they compute on
//!     train.json             per job: the steps of each task, by their labels
//!     train.sh               what each task runs
//!     train-0.log            what it said; a task that went back into the queue appends
//!     train-0.absent.json    the steps that failed there, with their causes
//! ```
//!
//! Steps go by their labels, since the key of a step is known only once its inputs are. What is done is in the store alone:
//! these files say who was asked to do it.

mod status;
mod submit;
mod task;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::status::{FailedTask, Jobs, QueuedTask};
pub use self::submit::{PlannedJob, Submit, Submitted};
pub use self::task::{is_too_early, run_task};
use crate::digest::Digest;
use crate::engine::slurm::pack::Stage;
use crate::engine::slurm::queue::{self, Queued};
use crate::errors;
use crate::files;
use crate::interrupt::Interrupt;
use crate::locks::{Lock, Locks};
use crate::steps::Absence;

/// The file of a submission.
const SUBMISSION: &str = "submission.json";

/// The end of the names of files with absences.
const ABSENT: &str = ".absent.json";

/// The tasks of a job: the content of `train.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskList {
    pub stage: Stage,
    /// The store that the tasks share.
    pub store: Digest,
    /// The labels of the steps of each task.
    pub tasks: Vec<Vec<String>>,
}

/// The content of `submission.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// `cpu` or `cuda`: part of the keys of what the tasks compute.
    device: String,
    /// Stage → number of the job.
    jobs: BTreeMap<Stage, u64>,
}

/// A submission.
struct Submission {
    folder: PathBuf,
    record: Record,
}

/// All submissions of a suite, oldest first.
struct Submissions {
    folder: PathBuf,
    all: Vec<Submission>,
}

impl Submissions {
    /// Reads the submissions of the suite whose results are in `out`.
    ///
    /// # Errors
    /// If a file cannot be read.
    fn of(out: &Path) -> anyhow::Result<Self> {
        let folder = out.join("slurm");
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        let mut numbers: Vec<u64> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        let mut all = Vec::new();
        for folder in numbers.into_iter().map(|number| folder.join(number.to_string())) {
            // A submission that was killed before it handed in anything has no such file.
            if folder.join(SUBMISSION).is_file() {
                let record = read(&folder.join(SUBMISSION)).map_err(|error| {
                    errors::with_hint(error, "remove its folder; `scancel` stops what is still in the queue")
                })?;
                all.push(Submission { record, folder });
            }
        }
        Ok(Submissions { folder, all })
    }

    /// Keeps other submissions of this suite out until the lock is dropped.
    fn lock(&self, locks: Locks, interrupt: &Interrupt) -> anyhow::Result<Lock> {
        files::create_folder(&self.folder)?;
        locks.take(&self.folder.join("lock"), interrupt, || {
            crate::progress::say("waiting for another submission of this suite");
        })
    }

    /// The tasks that have not ended: submission, stage, and what Slurm says.
    fn queued(&self) -> anyhow::Result<Vec<(&Submission, Stage, Queued)>> {
        if self.all.is_empty() {
            return Ok(Vec::new());
        }
        let known = |task: Queued| {
            let (submission, stage) =
                self.all.iter().find_map(|submission| Some((submission, submission.stage_of(&task)?)))?;
            Some((submission, stage, task))
        };
        Ok(queue::queued()?.into_iter().filter_map(known).collect())
    }

    /// Why steps have no result, as the tasks of all submissions found: label → absence. Later ones know better.
    fn absences(&self) -> anyhow::Result<BTreeMap<String, Absence>> {
        let mut absences = BTreeMap::new();
        for submission in &self.all {
            let entries = std::fs::read_dir(&submission.folder).into_iter().flatten().filter_map(Result::ok);
            let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            files.retain(|path| path.to_str().is_some_and(|path| path.ends_with(ABSENT)));
            files.sort();
            for file in files {
                absences.append(&mut read::<BTreeMap<String, Absence>>(&file)?);
            }
        }
        Ok(absences)
    }
}

impl Submission {
    /// The job that a task in the queue is of, by its script: another cluster, or Slurm after a long time, gives the same
    /// numbers to others. The folder may be seen under another path meanwhile. A job without a number, whose submission was
    /// killed before it knew it, goes by the whole path: other projects have suites of the same name.
    fn stage_of(&self, task: &Queued) -> Option<Stage> {
        let parts: Vec<_> = self.folder.components().rev().take(3).collect();
        let end: PathBuf = parts.into_iter().rev().collect();
        let is_of = |stage: &Stage| match self.record.jobs.get(stage) {
            Some(job) => *job == task.job && task.script.ends_with(end.join(script(*stage))),
            None => std::path::absolute(self.folder.join(script(*stage))).is_ok_and(|path| path == task.script),
        };
        Stage::ALL.into_iter().find(is_of)
    }

    fn list(&self, stage: Stage) -> anyhow::Result<TaskList> {
        read(&self.folder.join(format!("{}.json", stage.name())))
    }

    fn log(&self, stage: Stage, index: usize) -> PathBuf {
        self.folder.join(format!("{}-{index}.log", stage.name()))
    }
}

/// The name of a job's script.
fn script(stage: Stage) -> String {
    format!("{}.sh", stage.name())
}

/// The number of tasks in the queue of a suite whose results are in `out`.
///
/// # Errors
/// If tasks were submitted, and Slurm does not answer.
pub fn queued(out: &Path) -> anyhow::Result<usize> {
    Submissions::of(out)?.queued().map(|tasks| tasks.len())
}

/// Cancels the jobs of a suite that have not ended.
///
/// # Returns
/// The number of tasks that were in the queue.
///
/// # Errors
/// If there is no Slurm here, or it refuses.
pub fn cancel(out: &Path) -> anyhow::Result<usize> {
    let submissions = Submissions::of(out)?;
    let queued = submissions.queued()?;
    let mut jobs: Vec<u64> = queued.iter().map(|(.., task)| task.job).collect();
    let tasks = jobs.len();
    jobs.dedup();
    queue::cancel(&jobs)?;
    Ok(tasks)
}

impl TaskList {
    /// Reads the tasks of a job.
    ///
    /// # Errors
    /// If the file cannot be read, for example because this node does not see it.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        read(path)
            .map_err(|error| errors::with_hint(error, "`seesaw submit` writes these files; submit the suite again"))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is malformed", path.display()))
}

fn write(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    files::write_atomically(path, files::folder_of(path), &text)
}
