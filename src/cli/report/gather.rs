//! What a report tells, gathered from the records and files of a run.

use std::any::Any;
use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;

use crate::cli::doctor::probes::Program;
use crate::cli::finish::Finished;
use crate::datasets::{Split, TaskKind};
use crate::engine::graph::{Node, NodeId, Source};
use crate::engine::run::NodeOutcome;
use crate::errors;
use crate::report::html::{
    self, Counts, DatasetEntry, Fact, Failure, FigureEntry, MethodEntry, Report, StepTime, TableEntry,
};
use crate::report::open_questions::open_questions;
use crate::report::reference::Reference;
use crate::report::results::{Results, SCHEMA};
use crate::report::table::{Of, beside};
use crate::report::target::Kind as TargetKind;
use crate::report::{SuiteKind, claims, render};
use crate::steps::prepare::{About, Prepare};
use crate::steps::render::Render;
use crate::steps::train::Train;
use crate::steps::{Absence, Kind};
use crate::store::{Action, Value};

/// Why a step that nobody ran is not done.
pub const NOT_YET: &str = "not run yet";

/// # Errors
/// If the suite was never collected, or what was collected or drawn cannot be read.
pub fn gather(finished: &Finished) -> anyhow::Result<Report> {
    let results = results(finished)?;
    let (tables, figures) = targets(finished)?;
    Ok(Report {
        tables,
        figures,
        claims: claims(finished, &results)?,
        datasets: datasets(finished, &results),
        methods: methods(finished, &results),
        questions: open_questions()?,
        environment: environment(finished),
        steps: steps(finished),
        failures: failures(finished),
        results,
    })
}

/// A step as what it is.
fn is<S: 'static>(node: &Node) -> Option<&S> {
    let step: &dyn Any = node.step.as_ref();
    step.downcast_ref()
}

fn nodes<'a>(finished: &'a Finished<'_>) -> impl Iterator<Item = (NodeId, &'a Node)> {
    finished.planned.graph.ids().map(|id| (id, finished.planned.graph.node(id)))
}

/// An output that a step gave, verified.
fn read(finished: &Finished, action: &Action, output: &str) -> anyhow::Result<Vec<u8>> {
    let found = action.outputs.get(output).with_context(|| format!("`{}` gave no `{output}`", action.label))?;
    finished.engine.store.read(found).map_err(|damage| {
        let suite = &finished.planned.suite.name;
        errors::failed(
            format!("the output `{output}` of `{}` is damaged: {damage}", action.label),
            format!("`seesaw run {suite}` makes it again"),
        )
    })
}

fn read_json<T: DeserializeOwned>(finished: &Finished, action: &Action, output: &str) -> anyhow::Result<T> {
    let bytes = read(finished, action, output)?;
    serde_json::from_slice(&bytes).with_context(|| format!("the output `{output}` of `{}`", action.label))
}

/// The results of the whole suite. Where their step is not done as it is planned now (something before it failed, and the
/// run that told so is over), the last that were collected of this suite.
fn results(finished: &Finished) -> anyhow::Result<Results> {
    let planned = finished.planned;
    let published = planned.graph.publications.iter().find(|publication| publication.file == "results.json");
    let Source { node, output } = &published.context("the suite publishes no results")?.source;
    let collected = finished.action(*node).cloned();
    let latest = || finished.engine.store.latest(&planned.graph.node(*node).step.label());
    let none = || {
        errors::failed(
            format!("the suite `{}` has no results yet", planned.suite.name),
            format!("`seesaw run {}` makes them, and the report with them", planned.suite.name),
        )
    };
    let action = collected.or_else(latest).ok_or_else(none)?;
    let results: Results = read_json(finished, &action, output)?;
    let is_ours = results.suite.suite == planned.suite.name && results.suite.kind == planned.suite.kind;
    if !is_ours || results.schema != SCHEMA {
        return Err(none());
    }
    Ok(results)
}

/// The verdicts on the paper's claims; none for a project that states none, or none about this suite.
fn claims(finished: &Finished, results: &Results) -> anyhow::Result<Option<html::Claims>> {
    let experiments = finished.project.experiments();
    if !experiments.join(claims::grammar::FILE).is_file() {
        return Ok(None);
    }
    let stated = claims::Claims::load(&experiments)?;
    if stated.mapping(&results.suite.suite, results.suite.kind).is_err() {
        return Ok(None);
    }
    let judged = claims::judge(&stated, results, &Reference::load(&experiments)?)?;
    Ok(Some(html::Claims::from(&judged)))
}

/// The tables and figures that are there.
fn targets(finished: &Finished) -> anyhow::Result<(Vec<TableEntry>, Vec<FigureEntry>)> {
    let suite = &finished.planned.suite;
    // Nothing of the paper's stands beside the numbers of another benchmark.
    let reference = match suite.kind {
        SuiteKind::Smoke => None,
        SuiteKind::Paper | SuiteKind::Trial => Some(Reference::load(&finished.project.experiments())?),
    };
    let (mut tables, mut figures) = (Vec::new(), Vec::new());
    for (id, node) in nodes(finished) {
        let (Some(step), Some(action)) = (is::<Render>(node), finished.action(id)) else { continue };
        let target = step.target;
        let publications = finished.planned.graph.publications.iter();
        let files = publications.filter(|publication| publication.source.node == id).map(|p| p.file.clone()).collect();
        let (name, meaning) = (target.name.to_owned(), target.meaning.to_owned());
        match target.kind {
            TargetKind::Table(which) => {
                let source = node.inputs.get("results").with_context(|| format!("`{}` has no results", target.name))?;
                let collected =
                    finished.action(source.node).with_context(|| format!("no results of {}", target.name))?;
                let results: Results = read_json(finished, collected, &source.output)?;
                let ours = render::layout(which, target.name, &results);
                // A trial may be one of a benchmark that is not the paper's: then there is nothing to stand beside it.
                let both = reference.as_ref().map(|of| beside(ours.clone(), target.name, &results, of, Of::Both));
                let table = both.and_then(Result::ok).unwrap_or(ours);
                tables.push(TableEntry { name, meaning, table, files });
            }
            TargetKind::Figure(_) => {
                let svg = String::from_utf8(read(finished, action, "svg")?);
                let svg = svg.map_err(|_| anyhow!("the drawing of {} is no text", target.name))?;
                figures.push(FigureEntry { name, meaning, svg, files });
            }
        }
    }
    Ok((tables, figures))
}

/// Each way of reading a dataset, under the titles of the suite's entries that use it.
fn datasets(finished: &Finished, results: &Results) -> Vec<DatasetEntry> {
    let entry = |(id, node): (NodeId, &Node)| {
        let step = is::<Prepare>(node)?;
        let used = finished.planned.suite.datasets.iter().filter(|dataset| dataset.samples == step.name);
        let title_of =
            |name: &String| results.suite.datasets.iter().find(|known| known.name == *name).map(|d| &d.title);
        let titles: Vec<&str> = used.map(|dataset| title_of(&dataset.name).unwrap_or(&dataset.name).as_str()).collect();
        let content = match finished.nodes.get(id.0) {
            Some(NodeOutcome::Done(_, action)) => {
                read_json(finished, action, "about").map(counts).map_err(|error| format!("{error:#}"))
            }
            Some(NodeOutcome::Absent(absence)) => Err(absence.cause().to_owned()),
            _ => Err(NOT_YET.to_owned()),
        };
        Some(DatasetEntry { title: titles.join(", "), content })
    };
    nodes(finished).filter_map(entry).collect()
}

fn counts(about: About) -> Counts {
    let task = match about.task {
        TaskKind::Multiclass => format!("one of {} classes", about.classes.len()),
        TaskKind::Binary => "one of two classes".to_owned(),
        TaskKind::Multilabel => format!("any of {} labels", about.classes.len()),
    };
    let samples = Split::ALL.map(|split| {
        let name = split.name();
        (name.to_owned(), about.samples.get(name).copied().unwrap_or(0) as u64)
    });
    Counts {
        task,
        samples: samples.into(),
        found: about.found.into_iter().collect(),
        dropped: about.dropped.into_iter().collect(),
    }
}

/// The methods with the options that they were trained with, as the key of a training holds them.
fn methods(finished: &Finished, results: &Results) -> Vec<MethodEntry> {
    let mut candidates: BTreeMap<&str, usize> = BTreeMap::new();
    let mut options: BTreeMap<&str, Vec<Fact>> = BTreeMap::new();
    for (id, node) in nodes(finished) {
        let (Some(step), Some(action)) = (is::<Train>(node), finished.action(id)) else { continue };
        let (method, candidate) = step.name.split_once(" candidate ").unwrap_or((&step.name, "0"));
        let number = candidate.parse().unwrap_or(0);
        candidates.entry(method).and_modify(|most| *most = number.max(*most)).or_insert(number);
        options.entry(method).or_insert_with(|| options_of(action));
    }
    let entry = |method: &crate::report::results::MethodDescription| {
        let chosen = match candidates.get(method.name.as_str()) {
            None | Some(0) => options.get(method.name.as_str()).cloned().unwrap_or_default(),
            Some(n) => vec![Fact::new("chosen on the validation split, candidates", n.to_string())],
        };
        MethodEntry { title: method.title.clone(), source: method.source.clone(), options: chosen }
    };
    results.suite.methods.iter().map(entry).collect()
}

fn options_of(action: &Action) -> Vec<Fact> {
    let of_method = |ingredient: &crate::store::Ingredient| {
        let name = ingredient.name.strip_prefix("method.").filter(|name| *name != "method")?;
        let value = match &ingredient.value {
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        };
        Some(Fact::new(name, value))
    };
    action.ingredients.0.iter().filter_map(of_method).collect()
}

fn environment(finished: &Finished) -> Vec<Fact> {
    let Program { version, rustc, commit } = Program::look(Some(&finished.project.root));
    let machine = &finished.engine.environment;
    vec![
        Fact::new("Seesaw", version),
        Fact::new("Commit of the project's folder", commit.unwrap_or_else(|| "unknown".to_owned())),
        Fact::new("Compiler", rustc),
        Fact::new("libtorch", machine.libtorch.clone()),
        Fact::new("Device", machine.device.clone()),
        Fact::new("Architecture", format!("{}, {}", machine.architecture, std::env::consts::OS)),
        Fact::new("Threads", finished.engine.threads.to_string()),
    ]
}

fn steps(finished: &Finished) -> Vec<StepTime> {
    let time = |(id, node): (NodeId, &Node)| match finished.nodes.get(id.0)? {
        NodeOutcome::Done(key, action) => Some(StepTime {
            kind: node.step.kind().name(),
            label: node.step.label(),
            key: key.to_string(),
            seconds: action.seconds,
            finished: action.finished,
        }),
        _ => None,
    };
    let mut steps: Vec<StepTime> = nodes(finished).filter_map(time).collect();
    let order = |step: &StepTime| Kind::ALL.iter().position(|kind| kind.name() == step.kind);
    steps.sort_by_key(order);
    steps
}

/// What is not there, with the steps that were not done because of it: the first causes, each once.
fn failures(finished: &Finished) -> Vec<Failure> {
    let mut failures: Vec<(String, Failure)> = Vec::new();
    for (id, node) in nodes(finished) {
        let Some(NodeOutcome::Absent(absence)) = finished.nodes.get(id.0) else { continue };
        let label = node.step.label();
        let cause = absence.cause();
        // What follows from a failure is told with its cause in front.
        let (told_as, what) = match absence {
            Absence::Failed(_) => (format!("`{label}` failed: {cause}"), format!("{label} failed")),
            Absence::Lacking(_) => (cause.to_owned(), format!("{label} wants what is not here")),
            Absence::NotRun(_) => (cause.to_owned(), "Steps that were not run".to_owned()),
        };
        let known = failures.iter_mut().find(|(known, _)| *known == told_as);
        match (known, absence) {
            (Some((_, failure)), Absence::NotRun(_)) => failure.steps.push(label),
            (_, Absence::NotRun(_)) => {
                failures.push((told_as, Failure { what, cause: cause.to_owned(), steps: vec![label] }));
            }
            _ => failures.push((told_as, Failure { what, cause: cause.to_owned(), steps: Vec::new() })),
        }
    }
    failures.into_iter().map(|(_, failure)| failure).collect()
}
