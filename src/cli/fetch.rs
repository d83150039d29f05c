//! `seesaw fetch [NAME…]`

use std::process::ExitCode;

use serde::Serialize;

use super::context::{Global, print, print_json, stop_on_signals};
use crate::engine::Engine;
use crate::engine::display::Display;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::engine::survey::State;
use crate::errors::{self, Class};
use crate::manifests::{self, Archive, Manifest};
use crate::planning::plan;
use crate::planning::project::Project;
use crate::steps::fetch::{ARCHIVE, label};
use crate::steps::{Status, execute_without_tensors};
use crate::store::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datasets or manifests
    #[arg(required_unless_present_any = ["all", "check"])]
    names: Vec<String>,
    /// Everything that there is a manifest for: tens of gigabytes
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Download nothing: compare what is in the store with its hashes again [default: all of it]
    #[arg(long)]
    check: bool,
    /// Bring again what has no public checksum, and record what comes in place of what was recorded
    #[arg(long, conflicts_with_all = ["check", "mirror"])]
    relock: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// An archive, for scripts.
#[derive(Serialize)]
struct Report {
    archive: String,
    /// What it is, or should be; none: it is not there, and no public source nor lock file says what it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// `fetched`, `present`, `verified`, `missing`, `damaged`, `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<std::path::PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, stop_on_signals()?)?;
    let mut chosen = manifests::find(project.load_manifests(&engine.interrupt)?, &args.names)?;
    if args.relock {
        chosen.iter_mut().flat_map(|manifest| &mut manifest.archives).for_each(|archive| archive.locked = None);
    }
    let (graph, nodes) = plan::fetches(&chosen);
    let reports = match args.check {
        // Unless it is asked for by name, what was never brought is not missed.
        true => {
            let mut checked = check(&engine, &graph, &chosen)?;
            checked.retain(|report| !args.names.is_empty() || report.state != "missing");
            checked
        }
        false => fetch(global, &engine, &graph, &nodes, &Wanted { manifests: &chosen, args, project: &project })?,
    };
    if args.json {
        print_json(&reports)?;
    } else if !global.quiet {
        print(&told(&reports))?;
    }
    let bad = reports.iter().any(|report| matches!(report.state, "missing" | "damaged" | "failed"));
    let unavailable = reports.iter().any(|report| report.state == "unavailable");
    Ok(ExitCode::from(match (bad, unavailable) {
        (true, _) => Class::Failed.exit_code(),
        (false, true) => Class::Unavailable.exit_code(),
        (false, false) => 0,
    }))
}

struct Wanted<'a> {
    manifests: &'a [Manifest],
    args: &'a Args,
    project: &'a Project,
}

/// Fetches what is not there. What is there is verified first: a file that was damaged is fetched again.
fn fetch(
    global: &Global,
    engine: &Engine,
    graph: &Graph,
    nodes: &[NodeId],
    wanted: &Wanted<'_>,
) -> anyhow::Result<Vec<Report>> {
    let Wanted { manifests, args, project } = *wanted;
    let open = |archive: &&Archive| args.relock && archive.needs_lock();
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    // What was brought before is brought again, whatever came then.
    let again: Vec<NodeId> = archives.filter(open).filter_map(|archive| graph.find(&label(archive))).collect();
    for (id, state) in graph.ids().zip(engine.survey(graph)) {
        if let (State::Done(key, _), true) = (state, again.contains(&id)) {
            engine.store.forget(key)?;
        }
    }
    let (mut lost, mut present) = (Vec::new(), Vec::new());
    for (id, state) in graph.ids().zip(engine.survey(graph)) {
        if let State::Done(_, action) = state
            && let Some(output) = action.outputs.get(ARCHIVE)
        {
            let Err(damage) = engine.store.verify(output) else {
                present.push(id);
                continue;
            };
            eprintln!("warning: {} is damaged: {damage}; it is fetched again", graph.node(id).step.label());
            engine.store.set_aside(output.sha256)?;
            lost.push(id);
        }
    }
    let display = Display::new(nodes.len(), global.style());
    let outcome = engine.run(graph, nodes, &lost, &display, execute_without_tensors);
    display.finish();
    project.record_locks(engine, graph, manifests, &outcome)?;
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    Ok(reports(manifests, graph, engine, |id| fetched(&outcome, id, present.contains(&id))))
}

type Found = (&'static str, Option<Output>, Option<String>);

fn fetched(outcome: &Outcome, id: NodeId, was_there: bool) -> Found {
    match &outcome.nodes[id.0] {
        NodeOutcome::Done(_, action) => {
            (if was_there { "present" } else { "fetched" }, action.outputs.get(ARCHIVE).copied(), None)
        }
        NodeOutcome::Absent(absence) => {
            let hint = absence.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            let word = if absence.status == Status::Unavailable { "unavailable" } else { "failed" };
            (word, None, Some(format!("{absence}{hint}")))
        }
        NodeOutcome::NotWanted => ("missing", None, None),
    }
}

/// Compares everything that is there with its hash, and changes nothing.
fn check(engine: &Engine, graph: &Graph, manifests: &[Manifest]) -> anyhow::Result<Vec<Report>> {
    let states = engine.survey(graph);
    Ok(reports(manifests, graph, engine, |id| match &states[id.0] {
        State::Done(_, action) => match action.outputs.get(ARCHIVE) {
            Some(output) => match engine.store.verify(output) {
                Ok(()) => ("verified", Some(*output), None),
                Err(damage) => ("damaged", Some(*output), Some(damage.to_string())),
            },
            None => ("missing", None, None),
        },
        _ => ("missing", None, None),
    }))
}

fn reports(manifests: &[Manifest], graph: &Graph, engine: &Engine, found: impl Fn(NodeId) -> Found) -> Vec<Report> {
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    archives
        .filter_map(|archive| {
            let (state, output, cause) = found(graph.find(&label(archive))?);
            Some(Report {
                archive: archive.name.clone(),
                sha256: output.map(|output| output.sha256).or(archive.expected()).map(|digest| digest.to_string()),
                size: output.map(|output| output.size).or(archive.size()),
                state,
                path: output.map(|output| engine.store.object_path(output.sha256)),
                cause,
            })
        })
        .collect()
}

fn told(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let mib = |size: u64| format!("{:.1} MiB", size as f64 / f64::from(1 << 20));
        let size = report.size.map_or_else(|| "size unknown".to_owned(), mib);
        text += &format!("{:<9} {size:>12}  {}", report.state, report.archive);
        // Why a download failed was told when it did.
        if let Some(cause) = report.cause.as_ref().filter(|_| !matches!(report.state, "failed" | "unavailable")) {
            text += &format!(": {}", cause.replace('\n', " "));
        }
        text.push('\n');
    }
    text
}
