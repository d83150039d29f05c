//! A run of a suite: computes the steps that are not done, copies results to `out/`, and writes the reports.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use super::publish::{self, Copy};
use super::{Finished, Run, claims, reports};
use crate::engine::display::{Display, Style};
use crate::engine::graph::{NodeId, Publication};
use crate::engine::run::{NodeOutcome, Outcome, Part};
use crate::engine::survey::State;
use crate::errors::{self, Class};
use crate::files;
use crate::planning::lock;
use crate::planning::project::Planned;
use crate::steps::{Execute, Kind, Status};
use crate::store::DamagedOutput;

/// Selects the publications that a command asks for.
pub type Chosen<'a> = &'a dyn Fn(&Publication) -> bool;

impl Run {
    /// The outcome if there is nothing to do: every step that the chosen publications need is done, and their files are up
    /// to date.
    pub fn if_done(&self, chosen: Chosen<'_>) -> Option<Outcome> {
        let Planned { manifests, graph, out, .. } = &self.planned;
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

    /// Runs the whole suite and writes the reports.
    ///
    /// # Returns
    /// The outcome of each step, and the files that were written.
    ///
    /// # Errors
    /// If a file cannot be written. Failed steps are part of the outcome.
    pub fn all(&self, execute: Execute, style: Style) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
        if claims::exist(&self.project) {
            // Better to refuse a malformed file now than after days.
            claims::load(&self.project)?;
        }
        self.all_but(None, execute, style)
    }

    /// As [`Run::all`], but computes only a part of the plan, if one is given.
    ///
    /// # Errors
    /// As [`Run::all`].
    pub fn all_but(
        &self,
        part: Option<&Part>,
        execute: Execute,
        style: Style,
    ) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
        let report = |outcome: &Outcome| reports::write(&self.finished(outcome));
        self.until_published(&|_| true, part, execute, style, report)
    }

    /// Computes what the chosen publications need and copies them to `out/`.
    ///
    /// # Errors
    /// If a file cannot be written. Failed steps are part of the outcome.
    pub fn compute(&self, chosen: Chosen<'_>, execute: Execute, style: Style) -> anyhow::Result<Outcome> {
        self.until_published(chosen, None, execute, style, |_| Ok(Vec::new())).map(|(outcome, _)| outcome)
    }

    /// Computes, copies, and calls `report`. If an object turns out to be damaged, its step runs again, once.
    fn until_published(
        &self,
        chosen: Chosen<'_>,
        part: Option<&Part>,
        execute: Execute,
        style: Style,
        report: impl Fn(&Outcome) -> anyhow::Result<Vec<PathBuf>>,
    ) -> anyhow::Result<(Outcome, Vec<PathBuf>)> {
        let Planned { manifests, graph, out, .. } = &self.planned;
        let wanted = self.wanted(chosen);
        let needed = graph.needed_for(&wanted);
        files::try_folder(out)?;
        let is_settled = |state: &State| matches!(state, State::Done(..) | State::Refused(..) | State::Blocked(_));
        let (mut written, mut computed, mut repaired) = (Vec::new(), 0, BTreeSet::new());
        loop {
            let states = self.engine.survey(graph);
            let mut lost = self.engine.lost(graph, &states);
            lost.retain(|id| needed.binary_search(id).is_ok());
            let is_ours = |id: &NodeId| part.is_none_or(|part| part.steps.contains(id));
            let open = needed.iter().filter(|id| !is_settled(&states[id.0]) && is_ours(id));
            let to_do: Vec<NodeId> = open.chain(&lost).copied().collect();
            // The run keeps the records of what is done; once is enough.
            drop(states);
            let display = Display::new(graph, &to_do, style);
            let mut outcome = self.engine.run_part(graph, &wanted, &lost, part, &display, execute);
            display.finish();
            self.project.record_locks(&self.engine, graph, manifests, &mut outcome)?;
            computed += outcome.computed;
            outcome.computed = computed;
            if outcome.interrupted {
                return Ok((outcome, written));
            }
            let copied = publish::update(&self.engine.store, out, self.copies(&outcome, chosen), &mut written);
            match copied.and_then(|()| report(&outcome)) {
                Ok(reports) => {
                    written.extend(reports);
                    return Ok((outcome, written));
                }
                Err(error) => match DamagedOutput::of(&error) {
                    Some(damaged) if repaired.insert(damaged.object) => {
                        tracing::warn!("{error:#}; computing it again");
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Fetches every archive of the plan, for a run that starts only if all data is there.
    ///
    /// # Errors
    /// If an archive is unavailable or its fetch failed. Fetched archives are kept.
    pub fn fetch_all(&self, execute: Execute, style: Style) -> anyhow::Result<()> {
        const HINT: &str = "run without --strict to compute the rest; unavailable numbers are shown as —";
        let Planned { suite, graph, .. } = &self.planned;
        let unavailable = self.engine.unavailable(graph);
        if !unavailable.is_empty() {
            let lines: Vec<String> = unavailable.iter().map(|(archive, what)| format!("{archive}: {what}")).collect();
            let message = format!("{} is incomplete, and nothing was started:\n  {}", suite.name, lines.join("\n  "));
            return Err(errors::unavailable(message, HINT));
        }
        let outcome = self.fetch_open(execute, style)?;
        let absent = [Status::Failed, Status::Unavailable].into_iter().flat_map(|status| outcome.absent(status));
        let causes: Vec<String> = absent.map(|(_, absence)| absence.to_string()).collect();
        if causes.is_empty() {
            return Ok(());
        }
        let any_failed = outcome.absent(Status::Failed).next().is_some();
        let class = if any_failed { Class::Failed } else { Class::Unavailable };
        let message = format!("cannot fetch some archives, and nothing else was started:\n  {}", causes.join("\n  "));
        Err(errors::of_class(class, message, HINT))
    }

    /// Fetches the archives that are not in the store, and records the checksums of those that had none.
    ///
    /// # Errors
    /// On an interruption, or if a lock file cannot be written. Failed downloads are part of the outcome.
    pub fn fetch(&self, execute: Execute, style: Style) -> anyhow::Result<Outcome> {
        let Planned { manifests, graph, .. } = &self.planned;
        let mut outcome = self.fetch_open(execute, style)?;
        self.project.record_locks(&self.engine, graph, manifests, &mut outcome)?;
        Ok(outcome)
    }

    /// Fetches the archives that are not in the store.
    ///
    /// # Errors
    /// On an interruption. Failed downloads are part of the outcome.
    fn fetch_open(&self, execute: Execute, style: Style) -> anyhow::Result<Outcome> {
        let graph = &self.planned.graph;
        let states = self.engine.survey(graph);
        let is_open =
            |id: &NodeId| graph.node(*id).step.kind() == Kind::Fetch && !matches!(states[id.0], State::Done(..));
        let wanted: Vec<NodeId> = graph.ids().filter(is_open).collect();
        let display = Display::new(graph, &wanted, style);
        let outcome = self.engine.run(graph, &wanted, &[], &display, execute);
        display.finish();
        if outcome.interrupted { Err(errors::interrupted()) } else { Ok(outcome) }
    }

    /// This run with the outcome of its steps.
    pub fn finished<'a>(&'a self, outcome: &'a Outcome) -> Finished<'a> {
        Finished { run: self, nodes: &outcome.nodes }
    }

    fn chosen(&self, chosen: Chosen<'_>) -> impl Iterator<Item = &Publication> {
        self.planned.graph.publications.iter().filter(move |publication| chosen(publication))
    }

    /// The steps that give the chosen publications.
    pub(super) fn wanted(&self, chosen: Chosen<'_>) -> Vec<NodeId> {
        self.chosen(chosen).map(|publication| publication.source.node).collect()
    }

    /// The chosen publications whose steps are done.
    fn copies<'a>(&'a self, outcome: &'a Outcome, chosen: Chosen<'_>) -> Vec<Copy<'a>> {
        let copy = |publication: &'a Publication| Copy::of(publication, outcome.action(publication.source.node));
        self.chosen(chosen).filter_map(copy).collect()
    }
}
