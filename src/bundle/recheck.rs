//! Trains some finished cells of a suite again, compares them with the store, and notes what came of it for the report.

use std::collections::BTreeSet;

use anyhow::Context;

use super::rerun::{self, Compared, Repetition, Rerun, There, Verdict};
use super::verify::Cells;
use crate::engine::Engine;
use crate::engine::display::Style;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::key::Environment;
use crate::engine::reuse::Reuse;
use crate::engine::survey::State;
use crate::errors;
use crate::planning::project::Planned;
use crate::publication::Run;
use crate::publication::recheck::{Cell, Outcome, Recheck, SCHEMA};
use crate::publication::record;
use crate::steps::Kind;
use crate::store::{Output, Store};

/// Trains and evaluates cells of a run again, from the features that the store has, in a temporary store beside it, and writes
/// `recheck.json`.
///
/// # Errors
/// A usage error if no cell is finished; if the temporary store or the file cannot be written, or on an interrupt.
pub fn recheck(run: &Run, cells: &Cells, style: Style) -> anyhow::Result<Repetition> {
    let (Planned { graph, suite, .. }, ours) = (&run.planned, &run.engine);
    let actions = ours.survey(graph).into_iter().zip(graph.ids()).filter_map(|(state, id)| match state {
        State::Done(key, _) => Some((id, ours.store.action(key)?)),
        _ => None,
    });
    let has = |output: &Output| ours.store.looks_whole(output);
    let there = There { actions: actions.collect(), store: &ours.store, has: &has };
    let chosen = rerun::choose(graph, &there, cells.count, cells.seed);
    if chosen.is_empty() {
        let hint = format!("run `{}` first", run.project.command("run", suite));
        return Err(errors::usage(format!("no cell of the suite `{}` is trained and evaluated", suite.name), hint));
    }
    // On the disk of the store, so that files are shared and not copied.
    ours.store.prepare()?;
    let scratch = ours.store.workspace().context("cannot make a temporary store")?;
    let store = Store::open(&scratch.path().join("again"))?;
    let wanted = rerun::wanted(graph, &chosen);
    for id in graph.needed_for(&wanted) {
        ours.interrupt.check()?;
        if let Some(action) = there.actions.get(&id).filter(|_| !is_repeated(graph, id)) {
            // A step is done without files that are not here, such as archives after a pull.
            if !store.adopt(&ours.store, action.ingredients.key())? {
                store.record(action)?;
            }
        }
    }
    let engine = Engine {
        store,
        devices: cells.devices.clone(),
        environment: Environment::here(&cells.devices),
        threads: ours.threads,
        downloads: ours.downloads.clone(),
        // What is checked has to be computed here.
        remote: None,
        reuse: Reuse::Any,
        interrupt: ours.interrupt.clone(),
    };
    let again = Rerun::new(there, graph, &engine, cells.execute);
    let repetition = again.run(&chosen, style)?;
    let cell = |id: &NodeId| {
        let recorded = again.there.actions.get(id)?.outputs.get("weights")?;
        let outcome = outcome(graph, *id, &repetition.compared);
        Some(Cell { step: graph.node(*id).step.label(), weights: recorded.sha256, outcome })
    };
    let (computed_by, cells) = (again.processor.clone(), chosen.iter().filter_map(cell).collect());
    let noted = Recheck { schema: SCHEMA, finished: record::now(), computed_by, cells };
    noted.write(&ours.store, &run.planned.out)?;
    Ok(repetition)
}

/// Whether a step is computed again, and not taken from the store.
fn is_repeated(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.node(id).step.kind(), Kind::Train | Kind::Choose | Kind::Evaluate)
}

/// What came of a cell: its trainings, its choice and its evaluations.
fn outcome(graph: &Graph, cell: NodeId, compared: &[Compared]) -> Outcome {
    let steps = graph.needed_for(&rerun::wanted(graph, &[cell])).into_iter().filter(|id| is_repeated(graph, *id));
    let steps: BTreeSet<String> = steps.map(|id| graph.node(id).step.label()).collect();
    let compared: Vec<&Compared> = compared.iter().filter(|one| steps.contains(&one.step)).collect();
    if steps.iter().any(|step| !compared.iter().any(|one| one.step == *step)) {
        return Outcome::Failed;
    }
    if compared.iter().all(|one| one.verdict == Verdict::Equal) {
        return Outcome::SameBits;
    }
    let distance = |one: &&Compared| match one.verdict {
        Verdict::Equal => Some(0.0),
        Verdict::Within { distance, .. } => Some(distance),
        Verdict::Differs { distance, .. } => distance,
        Verdict::NotCompared { .. } => None,
    };
    let scores = compared.iter().filter(|one| one.output == "scores").map(distance);
    let points = scores.collect::<Option<Vec<f64>>>().map(|all| all.into_iter().fold(0.0, f64::max));
    Outcome::OtherBits { points }
}
