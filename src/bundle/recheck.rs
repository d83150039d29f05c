//! Trains some finished cells of a suite again, and compares them with the store.

use anyhow::Context;

use super::rerun::{self, Repetition, Rerun, There};
use super::verify::Cells;
use crate::engine::Engine;
use crate::engine::display::{Display, Style};
use crate::engine::key::Environment;
use crate::engine::processor;
use crate::engine::reuse::Reuse;
use crate::engine::survey::State;
use crate::errors;
use crate::planning::project::Planned;
use crate::publication::Run;
use crate::steps::Kind;
use crate::store::{Output, Store};

/// Trains and evaluates cells of a run again, from the features that the store has, in a temporary store beside it.
///
/// # Errors
/// A usage error if no cell is finished; if the temporary store cannot be written, or on an interrupt.
pub fn recheck(run: &Run, cells: &Cells, style: Style) -> anyhow::Result<Repetition> {
    let (Planned { graph, suite, .. }, ours) = (&run.planned, &run.engine);
    let actions = ours.survey(graph).into_iter().zip(graph.ids()).filter_map(|(state, id)| match state {
        State::Done(_, action) => Some((id, *action)),
        _ => None,
    });
    let has = |output: &Output| ours.store.looks_whole(output);
    let there = There { actions: actions.collect(), store: &ours.store, has: &has };
    let chosen = rerun::choose(graph, &there, cells.count, cells.seed);
    if chosen.is_empty() {
        let hint = format!("run `seesaw run {}` first", suite.name);
        return Err(errors::usage(format!("no cell of the suite `{}` is trained and evaluated", suite.name), hint));
    }
    // On the disk of the store, so that files are shared and not copied.
    ours.store.prepare()?;
    let scratch = ours.store.workspace().context("cannot make a temporary store")?;
    let store = Store::open(&scratch.path().join("again"))?;
    let wanted = rerun::wanted(graph, &chosen);
    for id in graph.needed_for(&wanted) {
        ours.interrupt.check()?;
        let is_repeated = matches!(graph.node(id).step.kind(), Kind::Train | Kind::Choose | Kind::Evaluate);
        if let Some(action) = there.actions.get(&id).filter(|_| !is_repeated) {
            // A step is done without files that are not here, such as archives after a pull.
            if !store.adopt(&ours.store, action.ingredients.key())? {
                store.record(action)?;
            }
        }
    }
    let engine = Engine {
        store,
        device: cells.device,
        environment: Environment::here(cells.device),
        threads: ours.threads,
        downloads: ours.downloads.clone(),
        // What is checked has to be computed here.
        remote: None,
        reuse: Reuse::Any,
        interrupt: ours.interrupt.clone(),
    };
    let display = Display::new(graph, &graph.needed_for(&wanted), style);
    let processor = processor::here(cells.device);
    let again =
        Rerun { there, graph, engine: &engine, processor: &processor, observer: &display, execute: cells.execute };
    let repetition = again.run(&chosen);
    display.finish();
    repetition
}
