//! `seesaw run SUITE`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::context::{Answer, Global, Program, exit_code, print, print_json, stop_on_signals};
use crate::engine::display::seconds;
use crate::engine::graph::{Graph, NodeId, Publication};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::errors::{self};
use crate::planning::project::{Planned, Project};
use crate::publication::run::Run;
use crate::steps::{Kind, Status};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// Fetch everything first, and start nothing else unless all of it came
    #[arg(long)]
    strict: bool,
    /// Print a summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What a run came to, for scripts.
#[derive(serde::Serialize)]
struct Summary {
    suite: String,
    steps: usize,
    computed: usize,
    failed: Vec<String>,
    /// What is not here and only a person can get: the step that wants it, and what to do.
    unavailable: BTreeMap<String, String>,
    interrupted: bool,
    seconds: f64,
    written: Vec<PathBuf>,
    out: PathBuf,
}

/// Runs what of a suite is not done yet.
///
/// # Errors
/// If the suite cannot be planned, or a file cannot be written.
pub fn run(global: &Global, args: &Args, device: tch::Device, program: Program) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, stop_on_signals()?)?;
    let planned = project.planned(&args.suite, &engine.interrupt)?;
    let run = Run { project: &project, planned: &planned, engine: &engine };
    let (outcome, written) = match run.if_finished() {
        Some(outcome) => (outcome, Vec::new()),
        None => {
            let Some(tensors) = program.tensors else { return Ok(Answer::NeedsTensors) };
            if args.strict {
                run.fetch_all(tensors.execute, global.style())?;
            }
            run.all(tensors.execute, global.style())?
        }
    };
    let summary = Summary::new(&planned, &outcome, began, written);
    if args.json {
        print_json(&summary)?;
    } else if !global.quiet {
        print(&text(&summary, &planned.graph, &outcome))?;
    }
    if summary.interrupted {
        return Err(errors::interrupted());
    }
    Ok(Answer::Done(exit_code(&outcome)))
}

impl Summary {
    fn new(planned: &Planned, outcome: &Outcome, began: Instant, written: Vec<PathBuf>) -> Self {
        let Planned { suite, graph, out, .. } = planned;
        let label = |id: NodeId| graph.node(id).step.label();
        Summary {
            suite: suite.name.clone(),
            steps: graph.len(),
            computed: outcome.computed,
            failed: outcome.absent(Status::Failed).map(|(id, _)| label(id)).collect(),
            unavailable: outcome
                .absent(Status::Unavailable)
                .map(|(id, absence)| (label(id), absence.cause.clone()))
                .collect(),
            interrupted: outcome.interrupted,
            seconds: began.elapsed().as_secs_f64(),
            written,
            out: out.clone(),
        }
    }
}

fn text(summary: &Summary, graph: &Graph, outcome: &Outcome) -> String {
    let mut text = String::new();
    let kept = outcome.nodes.iter().filter(|node| matches!(node, NodeOutcome::Done(..))).count() - summary.computed;
    let incomplete = !summary.failed.is_empty() || !summary.unavailable.is_empty();
    if summary.computed == 0 && !incomplete && !summary.interrupted {
        text += &format!("nothing to do: all {} steps of {} are done", summary.steps, summary.suite);
    } else {
        text += &format!("{}: {} steps computed, {kept} kept", summary.suite, summary.computed);
        if !summary.failed.is_empty() {
            text += &format!(", {} failed", summary.failed.len());
        }
        if !summary.unavailable.is_empty() {
            text += &format!(", {} unavailable", summary.unavailable.len());
        }
    }
    text += &format!(" ({})\n", seconds(summary.seconds));
    if summary.computed > 0 {
        text += "total compute time, earlier runs included:\n";
        text += &times(graph, outcome);
    }
    let is_made = |publication: &&Publication| outcome.action(publication.source.node).is_some();
    let (made, others): (Vec<_>, Vec<_>) = graph.publications.iter().partition(is_made);
    let names = |publications: Vec<&Publication>| -> String {
        publications.iter().map(|publication| publication.file.as_str()).collect::<Vec<_>>().join(", ")
    };
    if !summary.unavailable.is_empty() {
        text += "incomplete: get the following by hand\n";
        for (label, cause) in &summary.unavailable {
            text += &format!("  {}: {}\n", label.trim_start_matches("fetch "), cause.replace('\n', "; "));
        }
    }
    if !summary.interrupted {
        let old = others.iter().any(|publication| summary.out.join(&publication.file).exists());
        text += &format!("results in {}: {}\n", summary.out.display(), names(made));
        if !others.is_empty() {
            let old = if old { " (what is there under these names is an earlier run's)" } else { "" };
            text += &format!("not made: {}{old}\n", names(others));
        }
        for (what, file) in [("report", "report.html"), ("claims", "claims.md")] {
            let path = summary.out.join(file);
            if path.is_file() {
                text += &format!("{what} in {}\n", path.display());
            }
        }
    }
    text
}

/// What the steps' time went to, by kind: computed in this run or in an earlier one.
fn times(graph: &Graph, outcome: &Outcome) -> String {
    let mut lines = String::new();
    for kind in Kind::ALL {
        let of_kind = graph.ids().filter(|id| graph.node(*id).step.kind() == kind);
        let times: Vec<f64> = of_kind.filter_map(|id| outcome.action(id)).map(|action| action.seconds).collect();
        if !times.is_empty() {
            let total = times.iter().sum::<f64>();
            lines += &format!("  {:<9} {:>4} steps  {:>12}\n", kind.name(), times.len(), seconds(total));
        }
    }
    lines
}
