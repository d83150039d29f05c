//! What a run of a suite would do, step by step: `seesaw plan`; and the data of a plan that only a person can get.

use serde::Serialize;

use super::calibration::Calibration;
use super::estimate::Estimate;
use super::project::Planned;
use crate::engine::Engine;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::key::Inputs;
use crate::engine::survey::State;
use crate::experiments::Suite;
use crate::manifests::unavailable;
use crate::progress::say;
use crate::steps::{Kind, Step};

/// Measures this machine for an estimate.
pub type Measure = fn(&Engine, &Suite) -> anyhow::Result<Calibration>;

/// What a run would do, for people and scripts.
#[derive(Serialize)]
pub struct Overview {
    pub suite: String,
    pub steps: Vec<PlannedStep>,
    /// Archive → what a person has to do before it can be fetched.
    pub unavailable: Vec<(String, String)>,
    /// `None` if there is nothing to do, or nobody asked for it.
    pub estimate: Option<Estimate>,
}

/// A step of a plan.
#[derive(Serialize)]
pub struct PlannedStep {
    pub step: String,
    pub kind: Kind,
    pub state: StepState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a run would do with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum StepState {
    #[serde(rename = "done")]
    Done,
    #[serde(rename = "would run")]
    WouldRun,
    #[serde(rename = "would run after others")]
    WouldRunAfterOthers,
    /// Done, but the result is not what is expected.
    #[serde(rename = "refused")]
    Refused,
    /// Needs a refused step.
    #[serde(rename = "blocked")]
    Blocked,
}

impl StepState {
    pub fn would_run(self) -> bool {
        matches!(self, StepState::WouldRun | StepState::WouldRunAfterOthers)
    }
}

impl Overview {
    /// The steps of a plan, not yet with an estimate.
    pub fn of(planned: &Planned, engine: &Engine, states: &[State]) -> Self {
        let graph = &planned.graph;
        let lost = engine.lost_outputs(graph, states);
        let step = |(id, state): (_, &State)| {
            let planned = &graph.node(id).step;
            let key = state.key().map(|key| key.to_string());
            let (state, reason) = match state {
                State::Done(..) if let Some(reason) = lost.get(&id) => (StepState::WouldRun, Some(reason.to_string())),
                State::Done(..) => (StepState::Done, None),
                State::Ready(_, reason) => (StepState::WouldRun, Some(reason.to_string())),
                State::Waiting(_) => (StepState::WouldRunAfterOthers, None),
                State::Refused(_, _, absence) => (StepState::Refused, Some(absence.to_string())),
                State::Blocked(absence) => (StepState::Blocked, Some(absence.to_string())),
            };
            PlannedStep { step: planned.label(), kind: planned.kind(), state, key, reason }
        };
        Overview {
            suite: planned.suite.name.clone(),
            steps: graph.ids().zip(states).map(step).collect(),
            unavailable: engine.unavailable(graph),
            estimate: None,
        }
    }

    /// Whether a run would compute anything.
    pub fn has_work(&self) -> bool {
        self.steps.iter().any(|step| step.state.would_run())
    }

    /// Adds the estimate. If this machine was not measured before, `measure` does it; the result is kept in the store.
    ///
    /// # Returns
    /// False if there is neither a measurement nor a way to measure.
    ///
    /// # Errors
    /// If measuring fails.
    pub fn add_estimate(
        &mut self,
        planned: &Planned,
        engine: &Engine,
        states: &[State],
        measure: Option<Measure>,
        quiet: bool,
    ) -> anyhow::Result<bool> {
        let Some(machine) = measured(engine, &planned.suite, measure, quiet)? else { return Ok(false) };
        let would_run = |id: NodeId| self.steps[id.0].state.would_run();
        self.estimate = Some(engine.estimate(planned, states, &machine, &would_run));
        Ok(true)
    }
}

/// What is known of the speed of this machine. If it was not measured before, `measure` does it; the result is kept in the
/// store.
///
/// # Returns
/// None if there is neither a measurement nor a way to measure.
///
/// # Errors
/// If measuring fails.
pub fn measured(
    engine: &Engine,
    suite: &Suite,
    measure: Option<Measure>,
    quiet: bool,
) -> anyhow::Result<Option<Calibration>> {
    let known = Calibration::load(engine, suite);
    if known.is_some() {
        return Ok(known);
    }
    let Some(measure) = measure else { return Ok(None) };
    if !quiet {
        say("measuring this machine for the estimate; this takes a few seconds");
    }
    let found = measure(engine, suite)?;
    let file = Calibration::file(engine);
    let text = serde_json::to_vec_pretty(&found)?;
    // To plan is to look: it creates no store, and works where nothing can be written.
    if engine.store.exists()
        && let Err(error) = engine.store.write_file(&file, &text)
    {
        tracing::debug!("the measurement is not kept: {error:#}");
    }
    Ok(Some(found))
}

impl Engine {
    /// The archives that are not in the store and cannot be fetched, each with what the user has to do.
    pub fn unavailable(&self, graph: &Graph) -> Vec<(String, String)> {
        let archives = graph.ids().filter_map(|id| match &graph.node(id).step {
            Step::Fetch(fetch) => Some((&graph.node(id).step, &fetch.archive)),
            _ => None,
        });
        // Downloads have no inputs: nothing else has to be looked up.
        let is_open = |step: &Step| !matches!(self.state(step, &Inputs::new()), State::Done(..));
        let archives = archives.filter(|(step, _)| is_open(step)).map(|(_, archive)| archive);
        archives
            .filter_map(|archive| Some((archive.name.clone(), unavailable(archive, &self.downloads.manual)?)))
            .collect()
    }
}
