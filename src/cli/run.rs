//! `seesaw run SUITE`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::finish::{self, Finished};
use super::{Global, Planned, Project, claims};
use crate::engine::display::{Display, Style, seconds};
use crate::engine::graph::{Graph, NodeId, Publication};
use crate::engine::run::{NodeOutcome, Observer, Outcome};
use crate::engine::survey::State;
use crate::engine::{Engine, lock};
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::steps::Kind;
use crate::store::{DamagedOutput, Output};

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
    lacking: BTreeMap<String, String>,
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
    let planned = project.planned(global, &args.suite, &engine.interrupt)?;
    let Some(outcome) = all_done(&engine, &planned, &|_| true) else { return Ok(None) };
    let finished = Finished { project: &project, global, planned: &planned, engine: &engine, nodes: &outcome.nodes };
    if !finish::is_current(&finished) {
        return Ok(None);
    }
    tell(global, args, &Summary::new(&planned, &outcome, began, Vec::new()), &planned.graph, &outcome).map(Some)
}

/// What there is if everything that some publications need is recorded, and their files are as they should be.
pub(super) fn all_done(engine: &Engine, planned: &Planned, chosen: &dyn Fn(&Publication) -> bool) -> Option<Outcome> {
    let Planned { manifests, graph, out, .. } = planned;
    if lock::is_open(manifests, graph) {
        return None;
    }
    let began = Instant::now();
    let mut nodes: Vec<NodeOutcome> = Vec::new();
    let needed = graph.needed_for(&wanted(graph, chosen));
    let states = engine.survey(graph);
    if engine.lost(graph, &states).iter().any(|id| needed.binary_search(id).is_ok()) {
        return None;
    }
    for (id, state) in graph.ids().zip(states) {
        nodes.push(match state {
            State::Done(key, action) => NodeOutcome::Done(key, action),
            _ if needed.binary_search(&id).is_err() => NodeOutcome::NotWanted,
            _ => return None,
        });
    }
    let outcome = Outcome { nodes, computed: 0, interrupted: false, elapsed: began.elapsed() };
    let stale =
        engine.stale(graph, out, |publication| chosen(publication).then(|| output_of(&outcome, publication))?);
    stale.is_empty().then_some(outcome)
}

/// The steps that give some publications.
fn wanted(graph: &Graph, chosen: &dyn Fn(&Publication) -> bool) -> Vec<NodeId> {
    let publications = graph.publications.iter().filter(|publication| chosen(publication));
    publications.map(|publication| publication.source.node).collect()
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let project = Project::find(global)?;
    let engine = project.engine(global, device, stop_on_signals()?)?;
    let planned = project.planned(global, &args.suite, &engine.interrupt)?;
    if claims::are_made(&project) {
        // Better now than after days.
        claims::load(&project)?;
    }
    if args.strict {
        refuse_lacking(&engine, &planned)?;
        fetch_all(global, &engine, &planned.graph)?;
    }
    let (mut outcome, mut written) = carry_out(global, &project, &engine, &planned, &|_| true)?;
    let mut damaged = BTreeSet::new();
    while !outcome.interrupted {
        let finished =
            Finished { project: &project, global, planned: &planned, engine: &engine, nodes: &outcome.nodes };
        let error = match finish::write(&finished) {
            Ok(files) => {
                written.extend(files);
                break;
            }
            Err(error) => error,
        };
        // What was read for a report and is damaged is made again, once.
        if !DamagedOutput::of(&error).is_some_and(|found| damaged.insert(found.object)) {
            return Err(error);
        }
        eprintln!("warning: {error:#}; it is made again");
        let before = outcome.computed;
        let again = carry_out(global, &project, &engine, &planned, &|_| true)?;
        outcome = again.0;
        outcome.computed += before;
        written.extend(again.1);
    }
    tell(global, args, &Summary::new(&planned, &outcome, began, written), &planned.graph, &outcome)
}

/// Computes what some publications need, writes them, and records what was downloaded without a checksum.
///
/// # Errors
/// If a file cannot be written. Steps that fail are told in the outcome.
pub(super) fn carry_out(
    global: &Global,
    project: &Project,
    engine: &Engine,
    planned: &Planned,
    chosen: &dyn Fn(&Publication) -> bool,
) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
    let Planned { manifests, graph, out, .. } = planned;
    let style = if global.quiet { Style::Quiet } else { Style::Automatic };
    let (outcome, written) = bring_up_to_date(engine, graph, out, style, chosen)?;
    project.record_locks(engine, graph, manifests, &outcome)?;
    Ok((outcome, written))
}

/// # Errors
/// If the plan has to fetch what only a person can get, and it is not there.
fn refuse_lacking(engine: &Engine, planned: &Planned) -> anyhow::Result<()> {
    let lacking = engine.lacking(&planned.graph);
    if lacking.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = lacking.iter().map(|(archive, what)| format!("{archive}: {what}")).collect();
    Err(errors::lacking(
        format!("{} is not complete, and nothing was started:\n  {}", planned.suite.name, told.join("\n  ")),
        "without --strict everything else is run, and what is lacking is shown as —",
    ))
}

/// # Errors
/// If something cannot be fetched, whether it failed or is refused to whoever asks; what came is kept.
fn fetch_all(global: &Global, engine: &Engine, graph: &Graph) -> anyhow::Result<()> {
    let states = engine.survey(graph);
    let is_open = |id: &NodeId| graph.node(*id).step.kind() == Kind::Fetch && !matches!(states[id.0], State::Done(..));
    let wanted: Vec<NodeId> = graph.ids().filter(is_open).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let display = Display::new(wanted.len(), if global.quiet { Style::Quiet } else { Style::Automatic });
    let outcome = engine.run(graph, &wanted, &[], &Shown(&display), &crate::steps::execute);
    display.finish();
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    let (failed, lacking): (Vec<_>, Vec<_>) = (outcome.failures().collect(), outcome.lacking().collect());
    let class = match (failed.is_empty(), lacking.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) => Class::Lacking,
        (false, _) => Class::Failed,
    };
    let told: Vec<&str> = failed.into_iter().chain(lacking).map(|(_, cause)| cause).collect();
    Err(errors::of_class(
        class,
        format!("not everything could be fetched, and nothing else was started:\n  {}", told.join("\n  ")),
        "without --strict everything else is run, and what is lacking is shown as —",
    ))
}

impl Summary {
    fn new(planned: &Planned, outcome: &Outcome, began: Instant, written: Vec<PathBuf>) -> Self {
        let Planned { suite, graph, out, .. } = planned;
        let label = |id: NodeId| graph.node(id).step.label();
        Summary {
            suite: suite.name.clone(),
            steps: graph.len(),
            computed: outcome.computed,
            failed: outcome.failures().map(|(id, _)| label(id)).collect(),
            lacking: outcome.lacking().map(|(id, cause)| (label(id), cause.to_owned())).collect(),
            interrupted: outcome.interrupted,
            seconds: began.elapsed().as_secs_f64(),
            written,
            out: out.clone(),
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
    Ok(exit_code(outcome))
}

/// 1 if a step failed, else 3 if something is lacking that only a person can get, else 0.
pub(super) fn exit_code(outcome: &Outcome) -> ExitCode {
    let (failed, lacking) = (outcome.failures().next().is_some(), outcome.lacking().next().is_some());
    ExitCode::from(match (failed, lacking) {
        (true, _) => Class::Failed.exit_code(),
        (false, true) => Class::Lacking.exit_code(),
        (false, false) => 0,
    })
}

/// Runs what is not done, then makes `out/` equal to the results; an output that turns out to be damaged in the store
/// while it is copied is made again, once.
fn bring_up_to_date(
    engine: &Engine,
    graph: &Graph,
    out: &std::path::Path,
    style: Style,
    chosen: &dyn Fn(&Publication) -> bool,
) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
    let wanted = wanted(graph, chosen);
    let needed = graph.needed_for(&wanted);
    let states = engine.survey(graph);
    let settled = |state: &State| matches!(state, State::Done(..) | State::Refused(..) | State::HeldUp(_));
    let mut lost = engine.lost(graph, &states);
    lost.retain(|id| needed.binary_search(id).is_ok());
    let to_do = needed.iter().filter(|id| !settled(&states[id.0])).count() + lost.len();
    let style = if to_do == 0 { Style::Quiet } else { style };
    let (mut written, mut again) = (Vec::new(), false);
    loop {
        let display = Display::new(to_do, style);
        let outcome = engine.run(graph, &wanted, &lost, &Shown(&display), &crate::steps::execute);
        display.finish();
        if outcome.interrupted {
            return Ok((outcome, written));
        }
        let of = |publication: &Publication| chosen(publication).then(|| output_of(&outcome, publication))?;
        let stale = engine.stale(graph, out, of);
        let (now_written, now_lost) = engine.publish(out, &stale)?;
        written.extend(now_written);
        if now_lost.is_empty() || again {
            return Ok((outcome, written));
        }
        (lost, again) = (now_lost, true);
    }
}

pub(super) fn output_of(outcome: &Outcome, publication: &Publication) -> Option<Output> {
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
    let incomplete = !summary.failed.is_empty() || !summary.lacking.is_empty();
    if summary.computed == 0 && !incomplete && !summary.interrupted {
        text += &format!("nothing to do: all {} steps of {} are done", summary.steps, summary.suite);
    } else {
        text += &format!("{}: {} steps computed, {kept} kept", summary.suite, summary.computed);
        if !summary.failed.is_empty() {
            text += &format!(", {} failed", summary.failed.len());
        }
        if !summary.lacking.is_empty() {
            text += &format!(", {} lacking", summary.lacking.len());
        }
    }
    text += &format!(" ({})\n", seconds(summary.seconds));
    if summary.computed > 0 {
        text += "what the steps took, whenever they were computed, added up:\n";
        text += &times(graph, outcome);
    }
    let is_made = |publication: &&Publication| outcome.action(publication.source.node).is_some();
    let (made, others): (Vec<_>, Vec<_>) = graph.publications.iter().partition(is_made);
    let names = |publications: Vec<&Publication>| -> String {
        publications.iter().map(|publication| publication.file.as_str()).collect::<Vec<_>>().join(", ")
    };
    if !summary.lacking.is_empty() {
        text += "incomplete: what is lacking has to be got by a person\n";
        for (label, cause) in &summary.lacking {
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
    fn lacking(&self, id: NodeId, label: &str, cause: &str) {
        self.0.lacking(id, label, cause);
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
