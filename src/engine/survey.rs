//! Finds which steps of a plan are done, and why the others are not.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Engine;
use super::accept::Acceptance;
use super::graph::{Graph, NodeId};
use super::key::{self, Input, Inputs};
use super::origin;
use crate::digest::Digest;
use crate::steps::{Absence, Kind, Status, Step};
use crate::store::{Action, Brief, Difference, Ingredients, Processor};

/// The state of a step before a run.
#[derive(Clone, Debug)]
pub enum State {
    /// Its result is recorded and accepted. Its files are verified when a step uses them.
    Done(Digest, Box<Brief>),
    /// Its result is recorded and not accepted; running it again would not change that.
    Refused(Digest, Box<Brief>, Absence),
    /// All its inputs are known, and it has no result.
    Ready(Digest, Reason),
    /// These steps have to run first.
    Waiting(Vec<NodeId>),
    /// An input is absent, and the step does not tolerate that.
    Blocked(Absence),
}

impl State {
    /// The step's key; none if an input is not known.
    pub fn key(&self) -> Option<Digest> {
        match self {
            State::Done(key, _) | State::Refused(key, ..) | State::Ready(key, _) => Some(*key),
            State::Waiting(_) | State::Blocked(_) => None,
        }
    }

    /// Why the step is absent, whatever runs before it.
    fn absence(&self) -> Option<&Absence> {
        match self {
            State::Refused(_, _, absence) | State::Blocked(absence) => Some(absence),
            State::Done(..) | State::Ready(..) | State::Waiting(_) => None,
        }
    }
}

/// Why a step has to run.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// No step with this label was ever done in this store.
    New,
    /// A step with this label was done with other ingredients; the first difference.
    Changed(Difference),
    /// The manifest said something else of the archive: it was an earlier one, or one of them is a mirror's.
    OtherArchive { from_mirror: bool },
    /// It was done, and its record is lost.
    Lost,
    /// It was done, and an output that decides whether it is accepted is damaged.
    Damaged(String),
    /// It was done, and this output is damaged or missing.
    LostOutput(String),
    /// It was done by another kind of processor than this machine's, or its record does not say by which; and only results of
    /// this kind are wanted.
    OtherProcessor { made_by: Option<Processor>, here: Processor },
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::New => f.write_str("never done in this store"),
            Reason::Changed(difference) if difference.is_of_content() => {
                write!(f, "changed: {difference} than last time")
            }
            Reason::Changed(difference) => write!(f, "changed: {difference}"),
            Reason::OtherArchive { from_mirror: true } => {
                f.write_str("the archive of last time was not of this mirror")
            }
            Reason::OtherArchive { from_mirror: false } => {
                f.write_str("the archive of last time was of a mirror or of an earlier manifest")
            }
            Reason::Lost => f.write_str("its record is lost"),
            Reason::Damaged(damage) => write!(f, "its result is damaged: {damage}"),
            Reason::LostOutput(output) => write!(f, "its output `{output}` is damaged or missing"),
            Reason::OtherProcessor { made_by: Some(made_by), here } => {
                write!(f, "made on another kind of processor: {made_by}; this one is {here}")
            }
            Reason::OtherProcessor { made_by: None, here } => {
                write!(f, "its record does not say what kind of processor made it; this one is {here}")
            }
        }
    }
}

impl Engine {
    /// Looks up every step in the store. It reads records, and the small outputs that decide whether a result is accepted:
    /// milliseconds for hundreds of steps.
    ///
    /// # Returns
    /// The states in the order of the graph.
    pub fn survey(&self, graph: &Graph) -> Vec<State> {
        self.survey_without(graph, &BTreeMap::new()).0
    }

    /// As [`Engine::survey`], but takes steps for absent that were absent in an earlier run and have not been done since, by
    /// label. This finds the results that the earlier run computed without them.
    ///
    /// # Returns
    /// The states, and the steps that are absent.
    pub fn survey_without(
        &self,
        graph: &Graph,
        without: &BTreeMap<String, Absence>,
    ) -> (Vec<State>, BTreeMap<NodeId, Absence>) {
        let mut states: Vec<Option<State>> = graph.ids().map(|_| None).collect();
        let mut absences: BTreeMap<NodeId, Absence> = BTreeMap::new();
        // A look into the store waits for the disk, and hashes: a large suite takes all cores for it.
        for level in graph.levels() {
            let look = |&id: &NodeId| (id, self.look(graph, id, &states, &absences));
            let found: Vec<(NodeId, State)> = level.par_iter().map(look).collect();
            for (id, state) in found {
                let without = || match state {
                    State::Ready(..) | State::Waiting(_) if !without.is_empty() => {
                        without.get(&graph.node(id).step.label())
                    }
                    _ => None,
                };
                if let Some(absence) = state.absence().or_else(without) {
                    absences.insert(id, absence.clone());
                }
                states[id.0] = Some(state);
            }
        }
        (states.into_iter().flatten().collect(), absences)
    }

    /// The state of a step; those of the steps that it needs are known.
    fn look(&self, graph: &Graph, id: NodeId, states: &[Option<State>], absences: &BTreeMap<NodeId, Absence>) -> State {
        let inputs = self.inputs_of(graph, id, |from| match (&states[from.0], absences.get(&from)) {
            (_, Some(absence)) => Some(Err(absence)),
            (Some(State::Done(_, action)), None) => Some(Ok(action)),
            _ => None,
        });
        match inputs {
            Err(waiting) => State::Waiting(waiting),
            Ok(inputs) => match blocked(graph, id, &inputs) {
                Some(absence) => State::Blocked(absence),
                None => self.state(&graph.node(id).step, &inputs),
            },
        }
    }

    /// The done steps that have to run again, since an output was set aside as damaged and has not been replaced.
    pub fn lost(&self, graph: &Graph, states: &[State]) -> Vec<NodeId> {
        self.lost_outputs(graph, states).into_keys().collect()
    }

    /// The steps of [`Engine::lost`], each with the reason to run it.
    pub fn lost_outputs(&self, graph: &Graph, states: &[State]) -> BTreeMap<NodeId, Reason> {
        let wanted = self.store.wanted();
        let lost = |id: NodeId| match &states[id.0] {
            State::Done(_, action) if !wanted.is_empty() => {
                let (name, _) = action.outputs.iter().find(|(_, output)| wanted.contains(&output.sha256))?;
                Some((id, Reason::LostOutput(name.to_string())))
            }
            _ => None,
        };
        graph.ids().filter_map(lost).collect()
    }

    /// The state of a step whose inputs are known.
    pub fn state(&self, step: &Step, inputs: &Inputs) -> State {
        let ingredients = key::ingredients(step, inputs, &self.environment);
        let key = ingredients.key();
        let Some(action) = self.store.brief(key).map(Box::new) else {
            let older = self.store.latest(&step.label());
            let reason = older.map_or(Reason::New, |older| match ingredients.first_difference(&older.ingredients) {
                None => Reason::Lost,
                Some(_) if step.kind() == Kind::Fetch => {
                    Reason::OtherArchive { from_mirror: self.downloads.mirror.is_some() }
                }
                Some(difference) => Reason::Changed(difference),
            });
            return State::Ready(key, reason);
        };
        if let Some(reason) = self.refusal(step.kind(), &action) {
            return State::Ready(key, reason);
        }
        match self.acceptance(step, &action) {
            Acceptance::Accepted => State::Done(key, action),
            Acceptance::Refused(absence) => State::Refused(key, action, absence),
            Acceptance::Damaged(_, damage) => State::Ready(key, Reason::Damaged(damage.to_string())),
        }
    }

    /// Everything in the key of a step, if all its inputs are known.
    pub(super) fn ingredients(&self, graph: &Graph, id: NodeId, states: &[State]) -> Option<Ingredients> {
        let inputs = self.inputs_of(graph, id, |from| match &states[from.0] {
            State::Done(_, action) => Some(Ok(action)),
            state => state.absence().map(Err),
        });
        let inputs = inputs.ok().filter(|inputs| blocked(graph, id, inputs).is_none())?;
        Some(key::ingredients(&graph.node(id).step, &inputs, &self.environment))
    }

    /// The inputs of a step by content, or the steps that have to run before they are known. `known` tells the record or the
    /// absence of a step; none: it has to run first.
    pub(super) fn inputs_of<'a, I: 'a>(
        &self,
        graph: &Graph,
        id: NodeId,
        known: impl Fn(NodeId) -> Option<Result<&'a Action<I>, &'a Absence>>,
    ) -> Result<Inputs, Vec<NodeId>> {
        let mut inputs: Inputs = BTreeMap::new();
        let mut waiting = Vec::new();
        let processors = match graph.node(id).step.kind().names_processors() {
            true => origin::processors(graph, id, |from| known(from).and_then(Result::ok)),
            false => BTreeMap::new(),
        };
        for (role, source) in &graph.node(id).inputs {
            let input = match known(source.node) {
                Some(Ok(action)) => match action.outputs.get(&*source.output) {
                    Some(output) => {
                        let processors = processors.get(&source.node).cloned().unwrap_or_default();
                        Ok(Input { sha256: output.sha256, processors })
                    }
                    None => {
                        let cause = format!("it has no output `{}`", source.output);
                        Err(graph.node(source.node).step.absence(Status::Failed, cause, None))
                    }
                },
                Some(Err(absence)) => Err(absence.clone()),
                None => {
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

/// Why a step with known inputs cannot run: one of them is absent, and the step does not tolerate that.
pub(super) fn blocked(graph: &Graph, id: NodeId, inputs: &Inputs) -> Option<Absence> {
    if graph.node(id).step.tolerates_absent_inputs() {
        return None;
    }
    inputs.values().find_map(|input| input.as_ref().err()).map(Absence::of_dependent)
}
