//! `seesaw run SUITE`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::{Global, Planned, Project};
use crate::engine::display::{Display, Style, seconds};
use crate::engine::graph::{Graph, NodeId, Publication};
use crate::engine::run::{NodeOutcome, Observer, Outcome};
use crate::engine::survey::State;
use crate::engine::{Engine, lock};
use crate::errors::{self, Class};
use crate::experiments::Suite;
use crate::interrupt::Interrupt;
use crate::steps::Kind;
use crate::store::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
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
    interrupted: bool,
    seconds: f64,
    written: Vec<PathBuf>,
    out: PathBuf,
}

/// A run with nothing to do: everything is recorded, and `out/` is as it should be. Else none.
pub fn light(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<Option<ExitCode>> {
    let began = Instant::now();
    let project = Project::find(global)?;
    let engine = project.engine(global, device, Interrupt::default())?;
    let Planned { suite, manifests, graph, out } = project.planned(global, &args.suite, &engine.interrupt)?;
    if lock::is_open(&manifests, &graph) {
        return Ok(None);
    }
    let mut nodes = Vec::new();
    for (id, state) in graph.ids().zip(engine.survey(&graph)) {
        let State::Done(key, action) = state else { return Ok(None) };
        if !engine.accepts(graph.node(id).step.as_ref(), &action) {
            return Ok(None);
        }
        nodes.push(NodeOutcome::Done(key, action));
    }
    let outcome = Outcome { nodes, computed: 0, interrupted: false, elapsed: began.elapsed() };
    if !engine.stale(&graph, &out, |publication| output_of(&outcome, publication)).is_empty() {
        return Ok(None);
    }
    tell(global, args, &Summary::new(&suite, &graph, &outcome, began, Vec::new(), out), &graph, &outcome).map(Some)
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let project = Project::find(global)?;
    let engine = project.engine(global, device, stop_on_signals()?)?;
    let Planned { suite, manifests, graph, out } = project.planned(global, &args.suite, &engine.interrupt)?;
    let style = if global.quiet { Style::Quiet } else { Style::Automatic };

    let (outcome, written) = bring_up_to_date(&engine, &graph, &out, style)?;
    for lock in engine.record_locks(&graph, &project.manifests(), &manifests, |id| outcome.action(id))? {
        eprintln!("recorded in {} what was downloaded without a public checksum; commit it", lock.display());
    }
    tell(global, args, &Summary::new(&suite, &graph, &outcome, began, written, out), &graph, &outcome)
}

impl Summary {
    fn new(
        suite: &Suite,
        graph: &Graph,
        outcome: &Outcome,
        began: Instant,
        written: Vec<PathBuf>,
        out: PathBuf,
    ) -> Self {
        Summary {
            suite: suite.name.clone(),
            steps: graph.len(),
            computed: outcome.computed,
            failed: outcome.failures().map(|(id, _)| graph.node(id).step.label()).collect(),
            interrupted: outcome.interrupted,
            seconds: began.elapsed().as_secs_f64(),
            written,
            out,
        }
    }
}

/// Prints the summary, and chooses the exit code.
fn tell(global: &Global, args: &Args, summary: &Summary, graph: &Graph, outcome: &Outcome) -> anyhow::Result<ExitCode> {
    if args.json {
        super::print_json(summary)?;
    } else if !global.quiet {
        super::print(&told(summary, graph, outcome))?;
    }
    if summary.interrupted {
        return Err(errors::interrupted());
    }
    Ok(ExitCode::from(if summary.failed.is_empty() { 0 } else { Class::Failed.exit_code() }))
}

/// Runs what is not done, then makes `out/` equal to the results; an output that turns out to be damaged in the store
/// while it is copied is made again, once.
fn bring_up_to_date(
    engine: &Engine,
    graph: &Graph,
    out: &std::path::Path,
    style: Style,
) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
    let wanted: Vec<NodeId> = graph.publications.iter().map(|publication| publication.source.node).collect();
    let done = engine.survey(graph).iter().filter(|state| matches!(state, State::Done(..))).count();
    let style = if done == graph.len() { Style::Quiet } else { style };
    let (mut lost, mut written) = (Vec::new(), Vec::new());
    loop {
        let display = Display::new(graph.len() - done, style);
        let outcome = engine.run(graph, &wanted, &lost, &Shown(&display), &crate::steps::execute);
        display.finish();
        if outcome.interrupted {
            return Ok((outcome, written));
        }
        let stale = engine.stale(graph, out, |publication| output_of(&outcome, publication));
        let (now_written, now_lost) = engine.publish(out, &stale)?;
        written.extend(now_written);
        if now_lost.is_empty() || !lost.is_empty() {
            return Ok((outcome, written));
        }
        lost = now_lost;
    }
}

fn output_of(outcome: &Outcome, publication: &Publication) -> Option<Output> {
    outcome.action(publication.source.node)?.outputs.get(&publication.source.output).copied()
}

/// Raised by the first Ctrl-C; the second one ends the process at once.
pub(super) fn stop_on_signals() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    ctrlc::set_handler(move || {
        if raised.raised() {
            std::process::exit(i32::from(Class::Interrupted.exit_code()));
        }
        eprintln!("stopping: finished steps are kept; press Ctrl-C again to end at once");
        raised.raise();
    })?;
    Ok(interrupt)
}

fn told(summary: &Summary, graph: &Graph, outcome: &Outcome) -> String {
    let mut text = String::new();
    let kept = outcome.nodes.iter().filter(|node| matches!(node, NodeOutcome::Done(..))).count() - summary.computed;
    if summary.computed == 0 && summary.failed.is_empty() && !summary.interrupted {
        text += &format!("nothing to do: all {} steps of {} are done", summary.steps, summary.suite);
    } else {
        text += &format!("{}: {} steps computed, {kept} kept", summary.suite, summary.computed);
        if !summary.failed.is_empty() {
            text += &format!(", {} failed", summary.failed.len());
        }
    }
    text += &format!(" ({})\n", seconds(summary.seconds));
    if summary.computed > 0 {
        text += &times(graph, outcome);
    }
    let files: Vec<&str> = graph.publications.iter().map(|publication| publication.file.as_str()).collect();
    if !summary.interrupted {
        text += &format!("results in {}: {}\n", summary.out.display(), files.join(", "));
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
            lines += &format!("  {:<9} {:>4} steps  {:>12} in all\n", kind.name(), times.len(), seconds(total));
        }
    }
    lines
}

/// The display, without a line for each step that was done before.
struct Shown<'a>(&'a Display);

impl Observer for Shown<'_> {
    fn started(&self, id: NodeId, label: &str) -> std::sync::Arc<dyn crate::progress::Progress> {
        self.0.started(id, label)
    }
    fn computed(&self, id: NodeId, action: &crate::store::Action) {
        self.0.computed(id, action);
    }
    fn kept(&self, _: NodeId) {}
    fn failed(&self, id: NodeId, label: &str, cause: &str) {
        self.0.failed(id, label, cause);
    }
    fn skipped(&self, id: NodeId, label: &str, cause: &str) {
        self.0.skipped(id, label, cause);
    }
    fn stopped(&self, id: NodeId) {
        self.0.stopped(id);
    }
    fn warned(&self, message: &str) {
        self.0.warned(message);
    }
}
