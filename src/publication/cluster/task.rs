//! What a task does: its steps, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::{ABSENT, Submissions, TaskList, write};
use crate::engine::display::{Display, Style};
use crate::engine::graph::NodeId;
use crate::engine::run::{NodeOutcome, Outcome, Part};
use crate::engine::slurm::pack::Stage;
use crate::errors;
use crate::publication::Run;
use crate::steps::{Absence, Execute, Status};

/// Computes the steps of a task of a list that was read from `file`. The last job publishes too: with what is absent, as a
/// run does.
///
/// # Errors
/// If this node sees another store, or the suite has changed since; of class interrupted if the task was stopped, unless it
/// had finished nothing. Failed steps are part of the outcome.
pub fn run_task(
    run: &Run,
    list: &TaskList,
    file: &Path,
    index: usize,
    execute: Execute,
    style: Style,
) -> anyhow::Result<Outcome> {
    let Run { planned, engine, .. } = run;
    let graph = &planned.graph;
    check_store(run, list)?;
    let labels = list.tasks.get(index).with_context(|| format!("{} has no task {index}", file.display()))?;
    let steps: Vec<NodeId> = labels.iter().map(|label| find(run, label)).collect::<anyhow::Result<_>>()?;
    let absences = Submissions::of(&planned.out)?.absences()?;
    let part = Part {
        steps: steps.iter().copied().collect(),
        absences: absences.into_iter().filter_map(|(label, absence)| Some((graph.find(&label)?, absence))).collect(),
    };
    let outcome = if list.stage == Stage::Finish {
        run.all_but(Some(&part), execute, style)?.0
    } else {
        // A survey of a large suite takes longer than some tasks.
        let mut lost =
            if engine.store.wanted().is_empty() { vec![] } else { engine.lost(graph, &engine.survey(graph)) };
        let needed = graph.needed_for(&steps);
        lost.retain(|id| needed.binary_search(id).is_ok());
        let to_do = [steps.as_slice(), &lost].concat();
        let display = Display::new(graph, &to_do, style);
        let outcome = engine.run_part(graph, &steps, &lost, Some(&part), &display, execute);
        display.finish();
        outcome
    };
    record(run, &part, &outcome, &file.with_file_name(format!("{}-{index}{ABSENT}", list.stage.name())))?;
    match (outcome.interrupted, outcome.computed) {
        (false, _) => Ok(outcome),
        (true, 0) => Err(errors::failed(
            "no step was finished before the task had to stop",
            "if that was its time limit, raise `minutes` in the profile of the cluster, and submit again",
        )),
        (true, _) => Err(errors::interrupted()),
    }
}

/// Whether a task of an earlier stage is in the queue. Slurm starts a job when those that it waits for end, even if one of
/// them ends only to go back into the queue.
///
/// If this node cannot ask Slurm, the answer is no: what is not done then counts as absent, as after a task that was killed.
pub fn is_too_early(run: &Run, list: &TaskList) -> anyhow::Result<bool> {
    match Submissions::of(&run.planned.out)?.queued() {
        Ok(queued) => Ok(queued.iter().any(|(_, stage, _)| *stage < list.stage)),
        Err(error) => {
            tracing::warn!("{error:#}; going on without looking for earlier tasks");
            Ok(false)
        }
    }
}

/// Whether this node sees the store that the suite was submitted with.
fn check_store(run: &Run, list: &TaskList) -> anyhow::Result<()> {
    let found = run.engine.store.identity();
    if found == Some(list.store) {
        return Ok(());
    }
    let store = run.engine.store.root().display();
    let found = found.map_or_else(|| "none".to_owned(), |identity| identity.to_string());
    Err(errors::failed(
        format!("{store} is not the store of this submission: expected the identity {}, found {found}", list.store),
        "this node sees another folder under that name: put the store on a filesystem that all nodes share, name it with \
         --store or SEESAW_STORE, and submit again",
    ))
}

fn find(run: &Run, label: &str) -> anyhow::Result<NodeId> {
    run.planned.graph.find(label).ok_or_else(|| {
        errors::failed(
            format!("{} has no step `{label}` any more", run.planned.suite.name),
            "the suite or the program has changed since it was submitted; submit it again",
        )
    })
}

/// Leaves word of the steps of a task that failed, for the report; removes that of an earlier attempt.
fn record(run: &Run, part: &Part, outcome: &Outcome, file: &Path) -> anyhow::Result<()> {
    let failed: BTreeMap<String, &Absence> = part
        .steps
        .iter()
        .filter_map(|id| match &outcome.nodes[id.0] {
            NodeOutcome::Absent(absence) if absence.status == Status::Failed => {
                Some((run.planned.graph.node(*id).step.label(), absence))
            }
            _ => None,
        })
        .collect();
    if !failed.is_empty() {
        return write(file, &failed);
    }
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
