//! `seesaw plan SUITE`

use std::process::ExitCode;

use serde::Serialize;

use super::{Global, Project};
use crate::engine::survey::State;
use crate::interrupt::Interrupt;
use crate::steps::Kind;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// Every step, not only those that would run
    #[arg(long)]
    all: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A step of a plan, for scripts.
#[derive(Serialize)]
struct Planned {
    step: String,
    kind: &'static str,
    /// `done`, `would run`, or `would run after others`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(global)?;
    let interrupt = Interrupt::default();
    let planned = project.planned(global, &args.suite, &interrupt)?;
    let graph = &planned.graph;
    let engine = project.engine(global, device, interrupt)?;
    let states = engine.survey(graph);
    let steps: Vec<Planned> = graph
        .ids()
        .zip(&states)
        .map(|(id, state)| {
            let step = graph.node(id).step.as_ref();
            let (state, key, reason) = match state {
                State::Done(key, _) => ("done", Some(key.to_string()), None),
                State::Ready(ingredients, reason) => {
                    ("would run", Some(ingredients.key().to_string()), Some(reason.to_string()))
                }
                State::Waiting(_) => ("would run after others", None, None),
            };
            Planned { step: step.label(), kind: step.kind().name(), state, key, reason }
        })
        .collect();
    if args.json {
        super::print_json(&steps)?;
        return Ok(ExitCode::SUCCESS);
    }
    super::print(&told(&planned.suite.name, &steps, args.all))?;
    Ok(ExitCode::SUCCESS)
}

fn told(suite: &str, steps: &[Planned], all: bool) -> String {
    let done = steps.iter().filter(|step| step.state == "done").count();
    let mut text = format!("{suite}: {} steps, {done} done, {} would run\n", steps.len(), steps.len() - done);
    for kind in Kind::ALL {
        let of_kind: Vec<&Planned> = steps.iter().filter(|step| step.kind == kind.name()).collect();
        let done = of_kind.iter().filter(|step| step.state == "done").count();
        text += &format!("  {:<9} {:>4} steps  {done:>4} done\n", kind.name(), of_kind.len());
    }
    for step in steps.iter().filter(|step| all || step.state != "done") {
        let key = step.key.as_deref().map_or(String::new(), |key| format!("  {}", &key[..12]));
        let reason = step.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
        text += &format!("{:<11}{}{reason}{key}\n", if step.state == "done" { "done" } else { "would run" }, step.step);
    }
    text
}
