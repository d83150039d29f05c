//! Explains why a step would run, or would not.

use super::Engine;
use super::graph::{Graph, NodeId};
use super::survey::State;
use crate::store::{Ingredients, Processor};

/// Why a step would run, or would not.
#[derive(Debug)]
pub struct Explanation {
    pub label: String,
    /// One sentence.
    pub verdict: String,
    /// Everything in the key, if all inputs are known.
    pub ingredients: Option<Ingredients>,
    /// What computed it, for a finished step on tensors.
    pub computed_by: Option<Processor>,
}

impl Engine {
    /// Explains one step of a plan.
    pub fn explain(&self, graph: &Graph, id: NodeId) -> Explanation {
        let label = graph.node(id).step.label();
        let states = self.survey(graph);
        let state = &states[id.0];
        let verdict = match state {
            State::Done(..) if let Some(reason) = self.lost_outputs(graph, &states).get(&id) => {
                format!("would run: {reason}")
            }
            State::Done(_, action) => match action.outputs.iter().find(|(_, output)| !self.store.looks_whole(output)) {
                None => "done: nothing in its key has changed".to_owned(),
                Some((name, output)) if !self.store.object_path(output.sha256).exists() => {
                    format!("done; its output `{name}` is not in the store: it is made again when a step needs it")
                }
                Some((name, _)) => {
                    format!("done, but its output `{name}` is damaged: it is computed again when a step needs it")
                }
            },
            State::Refused(_, _, cause) => format!("done, but its result is not accepted: {cause}"),
            State::Blocked(absence) => format!("would not run: {absence}"),
            State::Ready(_, reason) => format!("would run: {reason}"),
            State::Waiting(before) => {
                // The first steps of the chain alone: each of them has an explanation of its own.
                let first = self.first_causes(&states, before);
                let names: Vec<String> = first.iter().map(|id| format!("`{}`", graph.node(*id).step.label())).collect();
                format!("would run after {}, whose results are part of its key", names.join(", "))
            }
        };
        let computed_by = match state {
            State::Done(_, action) | State::Refused(_, action, _) => action.computed_by.clone(),
            _ => None,
        };
        Explanation { label, verdict, ingredients: self.ingredients(graph, id, &states), computed_by }
    }

    /// The steps that have to run first and could run now.
    fn first_causes(&self, states: &[State], waiting_for: &[NodeId]) -> Vec<NodeId> {
        let mut causes = Vec::new();
        let mut open = waiting_for.to_vec();
        while let Some(id) = open.pop() {
            match &states[id.0] {
                State::Waiting(before) => open.extend(before),
                _ => causes.push(id),
            }
        }
        causes.sort_unstable();
        causes.dedup();
        causes
    }
}
