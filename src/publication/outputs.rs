//! Results, tables and figures of a suite, read back from the store.
//!
//! If a step is not done as it is planned now, its most recent result for this suite is used. That happens when a step
//! before it failed or is unavailable: the last run knew which inputs it had to do without, a later look does not.

use anyhow::Context;
use serde::de::DeserializeOwned;

use super::Finished;
use crate::digest::Digest;
use crate::engine::graph::{NodeId, Source};
use crate::engine::run::NodeOutcome;
use crate::errors::{self, Class, Problem};
use crate::report::html::{FigureEntry, TableEntry};
use crate::report::reference::Reference;
use crate::report::results::{Results, SCHEMA};
use crate::report::table::{Of, beside};
use crate::report::target::Kind as TargetKind;
use crate::report::{SuiteKind, figure, render};
use crate::steps::Step;
use crate::store::{Action, Brief, Value};

/// An output of a step that holds JSON.
///
/// # Errors
/// If the output is missing, damaged or malformed.
pub fn read_json<T: DeserializeOwned>(finished: &Finished, action: &Brief, output: &str) -> anyhow::Result<T> {
    let bytes = finished.run.engine.store.read_output(action, output)?;
    serde_json::from_slice(&bytes).with_context(|| format!("the output `{output}` of `{}`", action.label))
}

/// The record of a step: the one that is planned now, else the latest with its label if it is one that is looked for.
fn recorded(finished: &Finished, node: NodeId, is_it: impl Fn(&Action) -> bool) -> Option<Brief> {
    let latest = || finished.run.engine.store.latest(&finished.run.planned.graph.node(node).step.label());
    finished.action(node).cloned().or_else(|| Some(latest().filter(is_it)?.with(())))
}

/// Collected results with their digest; `None` if this suite never collected them.
fn collected(finished: &Finished, source: &Source) -> anyhow::Result<Option<(Results, Digest)>> {
    let Some(action) = recorded(finished, source.node, |_| true) else { return Ok(None) };
    let Some(output) = action.outputs.get(&*source.output) else { return Ok(None) };
    let bytes = finished.run.engine.store.read_output(&action, &source.output)?;
    // Steps of other suites have the same label, and may have another layout.
    let Ok(results) = serde_json::from_slice::<Results>(&bytes) else { return Ok(None) };
    let suite = &finished.run.planned.suite;
    let is_ours = results.schema == SCHEMA && results.suite.suite == suite.name && results.suite.kind == suite.kind;
    Ok(is_ours.then_some((results, output.sha256)))
}

/// The results of the whole suite.
///
/// # Errors
/// If collecting them failed. A usage error if there are none yet.
pub fn results(finished: &Finished) -> anyhow::Result<Results> {
    let planned = &finished.run.planned;
    let published = planned.graph.publications.iter().find(|publication| publication.file == "results.json");
    let source = &published.context("the suite publishes no results")?.source;
    let (results, _) = collected(finished, source)?.ok_or_else(|| {
        let name = &planned.suite.name;
        if let Some(NodeOutcome::Absent(absence)) = finished.nodes.get(source.node.0)
            && absence.origin.is_some()
        {
            let message = format!("the results of the suite `{name}` could not be collected: {absence}");
            return Problem::new(Class::Failed, message, absence.hint.clone()).into();
        }
        let hint = format!("run `{}`; finished steps are kept", finished.run.project.command("run", &planned.suite));
        errors::usage(format!("the suite `{name}` has no results yet"), hint)
    })?;
    Ok(results)
}

/// The tables and figures that exist.
///
/// # Errors
/// If one of them cannot be read.
pub fn targets(finished: &Finished) -> anyhow::Result<(Vec<TableEntry>, Vec<FigureEntry>)> {
    // The paper's numbers do not belong beside those of another benchmark.
    let reference = match finished.run.planned.suite.kind {
        SuiteKind::Smoke => None,
        SuiteKind::Paper | SuiteKind::Trial => Some(Reference::load(&finished.run.project.experiments())?),
    };
    let (mut tables, mut figures) = (Vec::new(), Vec::new());
    for (id, node) in finished.steps() {
        let Step::Render(render) = &node.step else { continue };
        let target = render.target;
        let source = node.inputs.get("results").with_context(|| format!("{} has no results", target.name))?;
        let Some((results, digest)) = collected(finished, source)? else { continue };
        let Some(action) = recorded(finished, id, |action| is_of(action, digest)) else { continue };
        let publications = finished.run.planned.graph.publications.iter();
        let files = publications.filter(|publication| publication.source.node == id).map(|p| p.file.clone()).collect();
        let (name, meaning) = (target.name.to_owned(), target.meaning.to_owned());
        match target.kind {
            TargetKind::Table(which) => {
                let ours = render::layout(which, target.name, &results);
                // The paper may have no numbers for what a trial runs.
                let both = reference.as_ref().map(|of| beside(ours.clone(), target.name, &results, of, Of::Both));
                let table = both.and_then(Result::ok).unwrap_or(ours);
                tables.push(TableEntry { name, meaning, table, files });
            }
            TargetKind::Figure(which) => {
                let (caption, spots) = figure::explained(which, target, &results);
                let svg = String::from_utf8(finished.run.engine.store.read_output(&action, "svg")?);
                let svg = svg.with_context(|| format!("the SVG of {} should be UTF-8", target.name))?;
                figures.push(FigureEntry { name, meaning, caption, svg, spots, files });
            }
        }
    }
    Ok((tables, figures))
}

/// Whether a table or figure was rendered from these results.
fn is_of(action: &Action, results: Digest) -> bool {
    action.ingredients.0.iter().any(|i| i.name == "input results" && i.value == Value::Digest(results))
}
