//! How far the jobs of a suite are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Submissions;
use crate::engine::graph::Graph;
use crate::engine::key::Environment;
use crate::engine::slurm::pack::Stage;
use crate::engine::slurm::queue::State as InQueue;
use crate::engine::survey::State;

/// The jobs of a suite on a cluster.
#[derive(Serialize)]
pub struct Jobs {
    /// The tasks that have not ended.
    pub queued: Vec<QueuedTask>,
    /// The tasks that ended without some of their steps.
    pub failed: Vec<FailedTask>,
    /// Why Slurm cannot be asked, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A task in the queue.
#[derive(Serialize)]
pub struct QueuedTask {
    pub stage: Stage,
    /// As Slurm names it: `12_3`.
    pub task: String,
    pub state: InQueue,
    /// The node, or why it does not run yet.
    pub node: String,
    /// When it started.
    pub since: String,
}

/// A task that ended without some of its steps.
#[derive(Serialize)]
pub struct FailedTask {
    pub stage: Stage,
    pub task: String,
    pub steps: usize,
    pub not_done: usize,
    pub log: PathBuf,
    /// The last lines of the log.
    pub lines: Vec<String>,
}

/// How many characters of a line are shown.
const MOST: usize = 300;

/// How many lines of a log are shown.
const LINES: usize = 4;

impl Jobs {
    /// The jobs of the suite whose results are in `out`; none if it was never submitted.
    ///
    /// # Errors
    /// If the files of its submissions cannot be read.
    pub fn of(out: &Path, graph: &Graph, states: &[State]) -> anyhow::Result<Option<Self>> {
        let submissions = Submissions::of(out)?;
        if submissions.all.is_empty() {
            return Ok(None);
        }
        let found = match submissions.queued() {
            Ok(found) => found,
            Err(error) => {
                let unknown = Some(format!("{error:#}"));
                return Ok(Some(Jobs { queued: Vec::new(), failed: Vec::new(), unknown }));
            }
        };
        // The last task that was asked for a step counts.
        let (mut seen, mut failed) = (BTreeSet::new(), Vec::new());
        for submission in submissions.all.iter().rev() {
            for (&stage, &job) in submission.record.jobs.iter().rev() {
                for (index, labels) in submission.list(stage)?.tasks.into_iter().enumerate() {
                    let fresh = labels.iter().filter_map(|label| graph.find(label)).filter(|id| seen.insert(*id));
                    let not_done = fresh.filter(|id| !matches!(states[id.0], State::Done(..))).count();
                    let is_queued = found.iter().any(|(.., task)| (task.job, task.index) == (job, index));
                    if not_done == 0 || is_queued {
                        continue;
                    }
                    let (log, steps) = (submission.log(stage, index), labels.len());
                    let (task, lines) = (format!("{job}_{index}"), last_lines(&log));
                    failed.push(FailedTask { stage, task, steps, not_done, log, lines });
                }
            }
        }
        // What the end lacks follows from the others.
        if failed.iter().any(|task| task.stage != Stage::Finish) {
            failed.retain(|task| task.stage != Stage::Finish);
        }
        failed.reverse();
        let queued = found.into_iter().map(|(_, stage, task)| QueuedTask {
            stage,
            task: format!("{}_{}", task.job, task.index),
            state: task.state,
            node: task.node,
            since: task.since,
        });
        Ok(Some(Jobs { queued: queued.collect(), failed, unknown: None }))
    }

    /// What the tasks of the last submission compute with, which may not be what this machine has.
    ///
    /// # Errors
    /// If the files of its submissions cannot be read.
    pub fn environment(out: &Path, here: &Environment) -> anyhow::Result<Environment> {
        let submissions = Submissions::of(out)?;
        let device = submissions.all.last().map(|submission| submission.record.device.clone());
        Ok(Environment { device: device.unwrap_or_else(|| here.device.clone()), ..here.clone() })
    }
}

fn last_lines(log: &Path) -> Vec<String> {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(8 << 10)..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| line.chars().take(MOST).collect()).collect()
}
