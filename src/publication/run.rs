//! A run of a suite: computes what is not done, copies the results to `out/`, and makes the reports.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use super::publish::{self, Copy};
use super::{Finished, claims, reports};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::engine::display::{Display, Style};
use crate::engine::graph::{NodeId, Publication};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::engine::survey::State;
use crate::errors::{self, Class};
use crate::planning::lock;
use crate::planning::project::{Planned, Project};
use crate::steps::{Execute, Kind, Status};
use crate::store::{DamagedOutput, Output};

/// A planned suite, and what it is run with.
pub struct Run<'a> {
    pub project: &'a Project,
    pub planned: &'a Planned,
    pub engine: &'a Engine,
}

/// Which publications a command asks for.
pub type Chosen<'a> = &'a dyn Fn(&Publication) -> bool;

impl<'a> Run<'a> {
    /// What became of the plan, if there is nothing to do: every step that the chosen publications need is done, and their
    /// files are up to date. Else none.
    pub fn if_done(&self, chosen: Chosen<'_>) -> Option<Outcome> {
        let Planned { manifests, graph, out, .. } = self.planned;
        if lock::is_open(manifests, graph) {
            return None;
        }
        let began = Instant::now();
        let needed = graph.needed_for(&self.wanted(chosen));
        let states = self.engine.survey(graph);
        if self.engine.lost(graph, &states).iter().any(|id| needed.binary_search(id).is_ok()) {
            return None;
        }
        let mut nodes: Vec<NodeOutcome> = Vec::new();
        for (id, state) in graph.ids().zip(states) {
            nodes.push(match state {
                State::Done(key, action) => NodeOutcome::Done(key, action),
                _ if needed.binary_search(&id).is_err() => NodeOutcome::NotWanted,
                _ => return None,
            });
        }
        let outcome = Outcome { nodes, computed: 0, interrupted: false, elapsed: began.elapsed() };
        publish::stale(out, self.copies(&outcome, chosen)).is_empty().then_some(outcome)
    }

    /// As [`Run::if_done`] for all publications, and the reports are up to date as well.
    pub fn if_finished(&self) -> Option<Outcome> {
        self.if_done(&|_| true).filter(|outcome| reports::are_current(&self.finished(outcome)))
    }

    /// Runs the whole suite and makes the reports.
    ///
    /// # Returns
    /// What became of each step, and the files that were written.
    ///
    /// # Errors
    /// If a file cannot be written. Failed steps are part of the outcome.
    pub fn all(&self, execute: Execute, style: Style) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
        if claims::are_made(self.project) {
            // A malformed file is better refused now than after days.
            claims::load(self.project)?;
        }
        let (mut outcome, mut written) = self.compute(&|_| true, execute, style)?;
        let mut damaged = BTreeSet::new();
        while !outcome.interrupted {
            let error = match reports::write(&self.finished(&outcome)) {
                Ok(files) => {
                    written.extend(files);
                    break;
                }
                Err(error) => error,
            };
            // An object that a report reads and that is damaged is computed again, once.
            if !DamagedOutput::of(&error).is_some_and(|found| damaged.insert(found.object)) {
                return Err(error);
            }
            tracing::warn!("{error:#}; computing it again");
            let before = outcome.computed;
            let (again, files) = self.compute(&|_| true, execute, style)?;
            outcome = again;
            outcome.computed += before;
            written.extend(files);
        }
        Ok((outcome, written))
    }

    /// Computes what some publications need, copies them to `out/`, and records what came without a public checksum.
    ///
    /// # Errors
    /// If a file cannot be written. Failed steps are part of the outcome.
    pub fn compute(
        &self,
        chosen: Chosen<'_>,
        execute: Execute,
        style: Style,
    ) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
        let Planned { manifests, graph, out, .. } = self.planned;
        let wanted = self.wanted(chosen);
        let needed = graph.needed_for(&wanted);
        let states = self.engine.survey(graph);
        let is_settled = |state: &State| matches!(state, State::Done(..) | State::Refused(..) | State::Blocked(_));
        let mut lost = self.engine.lost(graph, &states);
        lost.retain(|id| needed.binary_search(id).is_ok());
        let to_do = needed.iter().filter(|id| !is_settled(&states[id.0])).count() + lost.len();
        let style = if to_do == 0 { Style::Quiet } else { style };
        let (mut written, mut again) = (Vec::new(), false);
        loop {
            let display = Display::new(to_do, style);
            let outcome = self.engine.run(graph, &wanted, &lost, &display, execute);
            display.finish();
            let mut damaged = Vec::new();
            if !outcome.interrupted {
                let stale = publish::stale(out, self.copies(&outcome, chosen));
                let (files, objects) = publish::copy(&self.engine.store, out, &stale)?;
                written.extend(files);
                damaged = objects;
            }
            if damaged.is_empty() || again {
                self.project.record_locks(self.engine, graph, manifests, &outcome)?;
                return Ok((outcome, written));
            }
            (lost, again) = (self.producers(&outcome, &damaged), true);
        }
    }

    /// Fetches every archive of the plan, for a run that starts only if all of it is there.
    ///
    /// # Errors
    /// If an archive is unavailable or its fetch failed. What came is kept.
    pub fn fetch_all(&self, execute: Execute, style: Style) -> anyhow::Result<()> {
        const HINT: &str = "without --strict the rest is run, and unavailable numbers are shown as —";
        let Planned { suite, graph, .. } = self.planned;
        let unavailable = self.engine.unavailable(graph);
        if !unavailable.is_empty() {
            let lines: Vec<String> = unavailable.iter().map(|(archive, what)| format!("{archive}: {what}")).collect();
            return Err(errors::unavailable(
                format!("{} is incomplete, and nothing was started:\n  {}", suite.name, lines.join("\n  ")),
                HINT,
            ));
        }
        let states = self.engine.survey(graph);
        let is_open =
            |id: &NodeId| graph.node(*id).step.kind() == Kind::Fetch && !matches!(states[id.0], State::Done(..));
        let wanted: Vec<NodeId> = graph.ids().filter(is_open).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let display = Display::new(wanted.len(), style);
        let outcome = self.engine.run(graph, &wanted, &[], &display, execute);
        display.finish();
        if outcome.interrupted {
            return Err(errors::interrupted());
        }
        let causes = |status| outcome.absent(status).map(|(_, absence)| absence.to_string()).collect::<Vec<_>>();
        let (failed, unavailable) = (causes(Status::Failed), causes(Status::Unavailable));
        let class = match (failed.is_empty(), unavailable.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => Class::Unavailable,
            (false, _) => Class::Failed,
        };
        let lines = [failed, unavailable].concat().join("\n  ");
        Err(errors::of_class(
            class,
            format!("some archives could not be fetched, and nothing else was started:\n  {lines}"),
            HINT,
        ))
    }

    /// This run with what became of its steps.
    pub fn finished<'b>(&'b self, outcome: &'b Outcome) -> Finished<'b> {
        Finished { project: self.project, planned: self.planned, engine: self.engine, nodes: &outcome.nodes }
    }

    /// The steps that give the chosen publications.
    fn wanted(&self, chosen: Chosen<'_>) -> Vec<NodeId> {
        let publications = self.planned.graph.publications.iter().filter(|publication| chosen(publication));
        publications.map(|publication| publication.source.node).collect()
    }

    /// The chosen publications that were made.
    fn copies(&self, outcome: &Outcome, chosen: Chosen<'_>) -> Vec<Copy<'a>> {
        let publications = self.planned.graph.publications.iter().filter(|publication| chosen(publication));
        let copy = |publication: &'a Publication| {
            Some(Copy { file: &publication.file, output: output(outcome, publication)? })
        };
        publications.filter_map(copy).collect()
    }

    /// The steps that gave some objects.
    fn producers(&self, outcome: &Outcome, objects: &[Digest]) -> Vec<NodeId> {
        let publications = self.planned.graph.publications.iter();
        let gave = |publication: &&Publication| {
            output(outcome, publication).is_some_and(|output| objects.contains(&output.sha256))
        };
        publications.filter(gave).map(|publication| publication.source.node).collect()
    }
}

fn output(outcome: &Outcome, publication: &Publication) -> Option<Output> {
    outcome.action(publication.source.node)?.outputs.get(&publication.source.output).copied()
}
