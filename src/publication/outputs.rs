//! Results, tables and figures of a suite, read back from the store.
//!
//! Where the step of one is not done as it is planned now, the last that was made of this suite is taken. That is so when
//! something before it failed or is unavailable: the run knew what it then collected without, and a later look does not.

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;

use super::Finished;
use super::gather::nodes;
use crate::digest::Digest;
use crate::engine::graph::{NodeId, Source};
use crate::errors;
use crate::report::html::{FigureEntry, TableEntry};
use crate::report::reference::Reference;
use crate::report::results::{Results, SCHEMA};
use crate::report::table::{Of, beside};
use crate::report::target::Kind as TargetKind;
use crate::report::{SuiteKind, render};
use crate::steps::Step;
use crate::steps::render::Render;
use crate::store::{Action, Value};

/// An output that a step gave, verified.
fn read(finished: &Finished, action: &Action, output: &str) -> anyhow::Result<Vec<u8>> {
    finished.engine.store.read_output(action, output)
}

pub fn read_json<T: DeserializeOwned>(finished: &Finished, action: &Action, output: &str) -> anyhow::Result<T> {
    let bytes = read(finished, action, output)?;
    serde_json::from_slice(&bytes).with_context(|| format!("the output `{output}` of `{}`", action.label))
}

/// The record of a step: as it is planned now, else the last of its name.
fn recorded(finished: &Finished, node: NodeId) -> Option<Action> {
    let latest = || finished.engine.store.latest(&finished.planned.graph.node(node).step.label());
    finished.action(node).cloned().or_else(latest)
}

/// What was collected into a source, with its digest; none if that was never done for this suite.
fn collected(finished: &Finished, source: &Source) -> anyhow::Result<Option<(Results, Digest)>> {
    let Some(action) = recorded(finished, source.node) else { return Ok(None) };
    let Some(output) = action.outputs.get(&source.output) else { return Ok(None) };
    let bytes = read(finished, &action, &source.output)?;
    // Steps of other suites have the same name, and those of older versions another layout.
    let Ok(results) = serde_json::from_slice::<Results>(&bytes) else { return Ok(None) };
    let suite = &finished.planned.suite;
    let is_ours = results.schema == SCHEMA && results.suite.suite == suite.name && results.suite.kind == suite.kind;
    Ok(is_ours.then_some((results, output.sha256)))
}

/// The results of the whole suite.
///
/// # Errors
/// A usage error if there are none.
pub fn results(finished: &Finished) -> anyhow::Result<Results> {
    let planned = finished.planned;
    let published = planned.graph.publications.iter().find(|publication| publication.file == "results.json");
    let source = &published.context("the suite publishes no results")?.source;
    let found = collected(finished, source)?.ok_or_else(|| {
        errors::usage(
            format!("the suite `{}` has no results yet", planned.suite.name),
            format!(
                "`seesaw run {}` makes them, and the report with them; what is done of it is kept",
                planned.suite.name
            ),
        )
    })?;
    Ok(found.0)
}

/// The tables and figures that are there.
///
/// # Errors
/// If one that is there cannot be read.
pub fn targets(finished: &Finished) -> anyhow::Result<(Vec<TableEntry>, Vec<FigureEntry>)> {
    // Nothing of the paper's stands beside the numbers of another benchmark.
    let reference = match finished.planned.suite.kind {
        SuiteKind::Smoke => None,
        SuiteKind::Paper | SuiteKind::Trial => Some(Reference::load(&finished.project.experiments())?),
    };
    let (mut tables, mut figures) = (Vec::new(), Vec::new());
    for (id, node) in nodes(finished) {
        let Step::Render(Render { target, .. }) = &node.step else { continue };
        let source = node.inputs.get("results").with_context(|| format!("{} has no results", target.name))?;
        let Some((results, digest)) = collected(finished, source)? else { continue };
        let Some(action) = recorded(finished, id).filter(|action| is_of(action, digest)) else { continue };
        let publications = finished.planned.graph.publications.iter();
        let files = publications.filter(|publication| publication.source.node == id).map(|p| p.file.clone()).collect();
        let (name, meaning) = (target.name.to_owned(), target.meaning.to_owned());
        match target.kind {
            TargetKind::Table(which) => {
                let ours = render::layout(which, target.name, &results);
                // A trial may be one of a benchmark that is not the paper's: then there is nothing to stand beside it.
                let both = reference.as_ref().map(|of| beside(ours.clone(), target.name, &results, of, Of::Both));
                let table = both.and_then(Result::ok).unwrap_or(ours);
                tables.push(TableEntry { name, meaning, table, files });
            }
            TargetKind::Figure(_) => {
                let svg = String::from_utf8(read(finished, &action, "svg")?);
                let svg = svg.map_err(|_| anyhow!("the drawing of {} is no text", target.name))?;
                figures.push(FigureEntry { name, meaning, svg, files });
            }
        }
    }
    Ok((tables, figures))
}

/// Whether a rendering was made from these results.
fn is_of(action: &Action, results: Digest) -> bool {
    action.ingredients.0.iter().any(|i| i.name == "input results" && i.value == Value::Digest(results))
}
