//! `seesaw status [SUITE…]`

use std::process::ExitCode;

use serde::Serialize;

use super::context::{Global, print, print_json};
use crate::engine::survey::State;
use crate::experiments::Suite;
use crate::interrupt::Interrupt;
use crate::planning::project::{Planned, Project};
use crate::publication::publish::{self, Copy};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Suites [default: all in `experiments/`]
    suites: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    suite: String,
    steps: usize,
    done: usize,
    would_run: usize,
    cells: usize,
    cells_done: usize,
    /// Step → why its result is refused.
    refused: Vec<(String, String)>,
    /// Files under `out/` that are not what the finished steps gave.
    stale: Vec<String>,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, Interrupt::default())?;
    let names = match args.suites.is_empty() {
        true => Suite::names(&project.experiments())?,
        false => args.suites.clone(),
    };
    let mut all = Vec::new();
    for name in names {
        let Planned { graph, out, .. } = project.planned(&name, &engine.interrupt)?;
        let states = engine.survey(&graph);
        let is_done = |state: &State| matches!(state, State::Done(..));
        let trainings = || graph.ids().filter(|id| graph.node(*id).step.kind() == crate::steps::Kind::Train);
        let copies = graph.publications.iter().filter_map(|publication| match &states[publication.source.node.0] {
            State::Done(_, action) => {
                let output = *action.outputs.get(&publication.source.output)?;
                Some(Copy { file: &publication.file, output })
            }
            _ => None,
        });
        let stale = publish::stale(&out, copies);
        let refused = graph.ids().zip(&states).filter_map(|(id, state)| match state {
            State::Refused(_, _, absence) => Some((graph.node(id).step.label(), absence.to_string())),
            _ => None,
        });
        let would_run = states.iter().filter(|state| matches!(state, State::Ready(..) | State::Waiting(_))).count();
        all.push(Status {
            suite: name,
            would_run,
            refused: refused.collect(),
            steps: graph.len(),
            done: states.iter().filter(|state| is_done(state)).count(),
            cells: trainings().count(),
            cells_done: trainings().filter(|id| is_done(&states[id.0])).count(),
            stale: stale.iter().map(|copy| copy.file.to_owned()).collect(),
        });
    }
    if args.json {
        print_json(&all)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("store: {}\n", engine.store.root().display());
    for status in &all {
        let Status { suite, steps, done, would_run, cells, cells_done, refused, stale } = status;
        text += &format!("{suite}: {done} of {steps} steps done, {cells_done} of {cells} trainings\n");
        if !stale.is_empty() {
            text += &format!("  out of date under out/{suite}: {}\n", stale.join(", "));
        }
        for (step, cause) in refused {
            text += &format!("  refused: {step}: {cause}\n");
        }
        if *would_run > 0 || !stale.is_empty() {
            text += &format!("  `seesaw run {suite}` does the rest\n");
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
