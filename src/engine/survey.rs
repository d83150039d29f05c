//! What of a plan is done, and why the rest is not.

use std::collections::BTreeMap;

use super::Engine;
use super::graph::{Graph, NodeId};
use super::key::{self, Inputs};
use crate::steps::Absence;
use crate::store::{Action, Digest, Ingredients};

/// Where a step stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Its result is recorded. Whether its files are still there and whole is looked at when they are used.
    Done(Digest, Box<Action>),
    /// All its inputs are known, its result is not.
    Ready(Box<Ingredients>, Reason),
    /// Some steps before it have to run first.
    Waiting(Vec<NodeId>),
}

/// Why a step has to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No step of this name was ever done in this store.
    New,
    /// A step of this name was done with other ingredients; the first one that differs.
    Changed(String),
    /// It was done, and its record is gone.
    Lost,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::New => f.write_str("never done in this store"),
            Reason::Changed(difference) => write!(f, "changed: {difference}"),
            Reason::Lost => f.write_str("its record is gone"),
        }
    }
}

impl Engine {
    /// Looks every step up in the store, in the order of the graph. Reads records alone: milliseconds for hundreds of
    /// steps.
    pub fn survey(&self, graph: &Graph) -> Vec<State> {
        let mut states: Vec<State> = Vec::with_capacity(graph.len());
        for id in graph.ids() {
            let state = match self.inputs_of(graph, id, |from| match &states[from.0] {
                State::Done(_, action) => Known::Done(action),
                _ => Known::NotYet,
            }) {
                Ok(inputs) => self.look_up(graph, id, &inputs),
                Err(waiting) => State::Waiting(waiting),
            };
            states.push(state);
        }
        states
    }

    /// A step with known inputs: done, or ready and why.
    pub(super) fn look_up(&self, graph: &Graph, id: NodeId, inputs: &Inputs) -> State {
        let step = graph.node(id).step.as_ref();
        let ingredients = key::ingredients(step, inputs, &self.environment);
        let key = ingredients.key();
        match self.store.action(key) {
            Some(action) => State::Done(key, Box::new(action)),
            None => {
                let reason = match self.store.latest(&step.label()) {
                    None => Reason::New,
                    Some(older) => {
                        ingredients.first_difference(&older.ingredients).map_or(Reason::Lost, Reason::Changed)
                    }
                };
                State::Ready(Box::new(ingredients), reason)
            }
        }
    }

    /// The inputs of a step by content, or the steps that have to run before they are known.
    pub(super) fn inputs_of<'a>(
        &self,
        graph: &Graph,
        id: NodeId,
        known: impl Fn(NodeId) -> Known<'a>,
    ) -> Result<Inputs, Vec<NodeId>> {
        let mut inputs: Inputs = BTreeMap::new();
        let mut waiting = Vec::new();
        for (role, source) in &graph.node(id).inputs {
            let input = match known(source.node) {
                Known::Done(action) => match action.outputs.get(&source.output) {
                    Some(output) => Ok(output.sha256),
                    None => Err(Absence::Failed(format!("the step before it gave no `{}`", source.output))),
                },
                Known::Absent(absence) => Err(absence.clone()),
                Known::NotYet => {
                    waiting.push(source.node);
                    continue;
                }
            };
            inputs.insert(role.clone(), input);
        }
        waiting.sort_unstable();
        waiting.dedup();
        if waiting.is_empty() { Ok(inputs) } else { Err(waiting) }
    }
}

/// What is known of a step whose output is an input.
pub(super) enum Known<'a> {
    Done(&'a Action),
    Absent(&'a Absence),
    NotYet,
}
