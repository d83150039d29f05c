//! `seesaw status [SUITE…]`

use std::process::ExitCode;

use super::context::{Global, counted, show};
use crate::engine::devices::Devices;
use crate::engine::slurm::queue::State;
use crate::interrupt::Interrupt;
use crate::planning::project::Project;
use crate::publication::cluster::{FailedTask, Jobs, QueuedTask};
use crate::publication::status::Status;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suites [default: all in `experiments/`]
    suites: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let mut engine = project.engine(devices, Interrupt::default())?;
    let here = engine.environment.clone();
    let names = if args.suites.is_empty() { project.suites()? } else { args.suites.clone() };
    let mut all = Vec::new();
    for name in names {
        let planned = project.planned(&name, &engine.interrupt)?;
        // What a cluster computes has the device of the cluster in its keys.
        engine.environment = Jobs::environment(&planned.out, &here)?;
        all.push(Status::of(name, &project, &planned, &engine)?);
    }
    show(args.json, &all, || format!("store: {}\n", engine.store.root().display()) + &text(&all, &project))?;
    Ok(ExitCode::SUCCESS)
}

fn text(all: &[Status], project: &Project) -> String {
    let mut text = String::new();
    for status in all {
        let Status { suite, out, command, steps, done, would_run, cells, cells_done, .. } = status;
        let Status { without_data, unavailable, refused, stale, jobs: tasks, .. } = status;
        text += &format!("{suite}: {done} of {steps} steps done, {cells_done} of {cells} trainings\n");
        if !stale.is_empty() {
            let out = out.strip_prefix(&project.root).unwrap_or(out).display();
            text += &format!("  out of date under {out}: {}\n", stale.join(", "));
        }
        for (step, cause) in refused {
            text += &format!("  refused: {step}: {cause}\n");
        }
        if !unavailable.is_empty() {
            let (steps, verb) = (counted(*without_data, "step"), if *without_data == 1 { "needs" } else { "need" });
            text += &format!("  {steps} {verb} unavailable data\n");
        }
        for (archive, what) in unavailable {
            text += &format!("    {archive}: {what}\n");
        }
        text += &tasks.as_ref().map_or_else(String::new, jobs);
        let is_queued = tasks.as_ref().is_some_and(|jobs| !jobs.queued.is_empty());
        if !is_queued && (*would_run > 0 || !stale.is_empty()) {
            let end = if unavailable.is_empty() { "to finish" } else { "for the rest" };
            text += &format!("  run `{command}` {end}\n");
        }
    }
    text
}

/// The most tasks of a kind that are listed.
const LISTED: usize = 10;

fn jobs(jobs: &Jobs) -> String {
    let mut text = String::new();
    if let Some(cause) = &jobs.unknown {
        text += &format!("  its tasks on the cluster are unknown: {cause}\n");
    }
    let more = |n: usize| if n > LISTED { format!("    and {} more\n", n - LISTED) } else { String::new() };
    for (state, word) in [(State::Running, "running"), (State::Pending, "pending")] {
        let tasks: Vec<&QueuedTask> = jobs.queued.iter().filter(|task| task.state == state).collect();
        if !tasks.is_empty() {
            text += &format!("  {word}: {}\n", counted(tasks.len(), "task"));
        }
        for QueuedTask { stage, task, node, since, .. } in tasks.iter().take(LISTED) {
            let place = if state == State::Running { format!("on {node} since {since}") } else { node.clone() };
            text += &format!("    {:<8} {task}  {place}\n", stage.name());
        }
        text += &more(tasks.len());
    }
    if !jobs.failed.is_empty() {
        text += &format!("  ended without all of their steps: {}\n", counted(jobs.failed.len(), "task"));
    }
    for FailedTask { stage, task, steps, not_done, log, lines } in jobs.failed.iter().take(LISTED) {
        text += &format!("    {:<8} {task}  {not_done} of {steps} steps not done; {}\n", stage.name(), log.display());
        text += &lines.iter().map(|line| format!("      {line}\n")).collect::<String>();
    }
    text + &more(jobs.failed.len())
}
