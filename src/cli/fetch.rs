//! `seesaw fetch [NAME…]`

use std::process::ExitCode;

use serde::Serialize;

use super::{Global, Project, run};
use crate::engine::display::{Display, Style};
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::engine::survey::State;
use crate::engine::{Engine, plan};
use crate::errors::{self, Class};
use crate::manifests::{self, Manifest};
use crate::steps::fetch::ARCHIVE;
use crate::store::Output;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datasets or manifests [default: all]
    names: Vec<String>,
    /// Download nothing: compare what is in the store with its hashes again
    #[arg(long)]
    check: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// An archive, for scripts.
#[derive(Serialize)]
struct Report {
    archive: String,
    sha256: String,
    size: u64,
    /// `fetched`, `present`, `verified`, `missing`, `damaged`, `failed`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<std::path::PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(global)?;
    let chosen = manifests::find(manifests::load_all(&project.manifests())?, &args.names)?;
    let engine = project.engine(global, device, run::stop_on_signals()?)?;
    let (graph, nodes) = plan::fetches(&chosen);
    let reports = match args.check {
        true => check(&engine, &graph, &chosen)?,
        false => fetch(global, &engine, &graph, &nodes, &chosen)?,
    };
    if args.json {
        super::print_json(&reports)?;
    } else if !global.quiet {
        super::print(&told(&reports))?;
    }
    let bad = reports.iter().any(|report| matches!(report.state, "missing" | "damaged" | "failed"));
    Ok(ExitCode::from(if bad { Class::Failed.exit_code() } else { 0 }))
}

/// Fetches what is not there. What is there is verified first: a file that was damaged is fetched again.
fn fetch(
    global: &Global,
    engine: &Engine,
    graph: &Graph,
    nodes: &[NodeId],
    manifests: &[Manifest],
) -> anyhow::Result<Vec<Report>> {
    let mut lost = Vec::new();
    for (id, state) in graph.ids().zip(engine.survey(graph)) {
        if let State::Done(_, action) = state
            && let Some(output) = action.outputs.get(ARCHIVE)
            && let Err(damage) = engine.store.verify(output)
        {
            eprintln!("warning: {} is damaged: {damage}; it is fetched again", graph.node(id).step.label());
            engine.store.set_aside(output.sha256)?;
            lost.push(id);
        }
    }
    let style = if global.quiet { Style::Quiet } else { Style::Automatic };
    let display = Display::new(nodes.len(), style);
    let outcome = engine.run(graph, nodes, &lost, &display, &crate::steps::fetch::execute);
    display.finish();
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    let before = |id: &NodeId| !lost.contains(id) && outcome.computed == 0;
    Ok(reports(manifests, graph, engine, |id| fetched(&outcome, id, before(&id))))
}

type Found = (&'static str, Option<Output>, Option<String>);

fn fetched(outcome: &Outcome, id: NodeId, was_there: bool) -> Found {
    match &outcome.nodes[id.0] {
        NodeOutcome::Done(_, action) => {
            (if was_there { "present" } else { "fetched" }, action.outputs.get(ARCHIVE).copied(), None)
        }
        NodeOutcome::Absent(crate::steps::Absence::Failed(cause) | crate::steps::Absence::NotRun(cause)) => {
            ("failed", None, Some(cause.clone()))
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
            let (state, output, cause) = found(graph.find(&format!("fetch {}", archive.name))?);
            Some(Report {
                archive: archive.name.clone(),
                sha256: archive.sha256.to_string(),
                size: archive.size,
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
        let mib = report.size as f64 / f64::from(1 << 20);
        text += &format!("{:<9} {:>7.1} MiB  {}", report.state, mib, report.archive);
        if let Some(cause) = &report.cause {
            text += &format!(": {}", cause.replace('\n', " "));
        }
        text.push('\n');
    }
    text
}
