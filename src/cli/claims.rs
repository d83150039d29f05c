//! `seesaw claims SUITE`, and the files that a run writes of them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::finish::{Files, Finished};
use super::{Global, Planned, Project};
use crate::engine::graph::Graph;
use crate::engine::survey::State;
use crate::engine::{Engine, graph::NodeId};
use crate::errors;
use crate::interrupt::Interrupt;
use crate::report::claims::{self, Claims, Judgements};
use crate::report::reference::{self, Reference};
use crate::report::results::Results;
use crate::store::Action;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What the files that claims are judged by are called, in the folder of experiments.
pub const SOURCES: [&str; 2] = [claims::grammar::FILE, reference::FILE];

/// Prints the verdicts on the paper's claims. Whatever they are, they are no failure.
///
/// # Errors
/// A usage error if the suite has no results yet, or if no claims are made about it.
pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(global)?;
    let claims = Claims::load(&project.experiments())?;
    let interrupt = Interrupt::default();
    let Planned { suite, graph, .. } = project.planned(global, &args.suite, &interrupt)?;
    claims.mapping(&suite.name, suite.kind)?;
    let engine = project.engine(global, device, interrupt)?;
    let states = engine.survey(&graph);
    let done = collected(&graph).and_then(|id| match &states[id.0] {
        State::Done(_, action) => Some(action.as_ref()),
        _ => None,
    });
    let Some(action) = done else {
        return Err(errors::usage(
            format!("the suite `{}` has no results yet", suite.name),
            format!("`seesaw run {}` makes them; what is done of it is kept", suite.name),
        ));
    };
    let judged = judged(&project.experiments(), &claims, &engine, action)?;
    match args.json {
        true => super::print_json(&judged)?,
        false => super::print(&judged.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `claims.md` and `claims.json`; none for a project that states no claims, or none about this suite.
///
/// # Errors
/// If the claims, the paper's numbers or the results cannot be read.
pub fn files(finished: &Finished) -> anyhow::Result<Files> {
    let (experiments, planned) = (finished.project.experiments(), finished.planned);
    if !experiments.join(claims::grammar::FILE).is_file() {
        return Ok(Files::new());
    }
    let claims = Claims::load(&experiments)?;
    let applies = claims.mapping(&planned.suite.name, planned.suite.kind).is_ok();
    let action = collected(&planned.graph).and_then(|id| finished.action(id));
    let Some(action) = action.filter(|_| applies) else { return Ok(Files::new()) };
    let judged = judged(&experiments, &claims, finished.engine, action)?;
    let mut json = serde_json::to_vec_pretty(&judged)?;
    json.push(b'\n');
    Ok(vec![("claims.md".to_owned(), judged.markdown().into_bytes()), ("claims.json".to_owned(), json)])
}

/// The step that collects all results of a suite.
fn collected(graph: &Graph) -> Option<NodeId> {
    graph.find("collect results")
}

fn judged(experiments: &Path, claims: &Claims, engine: &Engine, collected: &Action) -> anyhow::Result<Judgements> {
    let bytes = engine.store.read_output(collected, "results")?;
    let results: Results = serde_json::from_slice(&bytes).context("the results are malformed")?;
    claims::judge(claims, &results, &Reference::load(experiments)?)
}
