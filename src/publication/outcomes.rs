//! What became of each step of a plan, as far as the store knows.

use std::collections::BTreeMap;

use super::reports;
use crate::engine::Engine;
use crate::engine::run::NodeOutcome;
use crate::engine::survey::State;
use crate::planning::project::Planned;
use crate::steps::{Absence, Status, Step};

/// Why a step that nobody ran is not done.
pub const NOT_YET: &str = "not run yet";

/// What became of each step, as far as can be told without running any: done, absent as in the last run, unavailable what only
/// a person can get, after such a step, or not run yet.
pub fn outcomes(engine: &Engine, planned: &Planned) -> Vec<NodeOutcome> {
    let graph = &planned.graph;
    let unavailable: BTreeMap<String, String> = engine.unavailable(graph).into_iter().collect();
    let mut outcomes: Vec<NodeOutcome> = Vec::with_capacity(graph.len());
    let (states, absent) = engine.survey_without(graph, &reports::absent(&engine.store, planned));
    for (id, state) in graph.ids().zip(states) {
        let node = graph.node(id);
        let unavailable = || {
            let Step::Fetch(fetch) = &node.step else { return None };
            let cause = unavailable.get(&fetch.archive.name)?;
            Some(node.step.absence(Status::Unavailable, cause.clone(), None))
        };
        let blocked = || {
            node.inputs.values().find_map(|source| match &outcomes[source.node.0] {
                NodeOutcome::Absent(absence) => Some(absence.of_dependent()),
                _ => None,
            })
        };
        let outcome = match (state, absent.get(&id)) {
            (State::Done(key, action), _) => NodeOutcome::Done(key, action),
            (_, Some(absence)) => NodeOutcome::Absent(absence.clone()),
            _ => {
                let absence = unavailable().or_else(blocked);
                NodeOutcome::Absent(absence.unwrap_or_else(|| Absence::not_run(NOT_YET)))
            }
        };
        outcomes.push(outcome);
    }
    outcomes
}
