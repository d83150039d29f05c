//! Everything that can be computed again without tensors: the plan, results, tables, figures, scores.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::super::plan::{self, Recorded};
use super::super::scores;
use super::super::unpack::Bundle;
use super::finding::Check;
use super::own::Foreign;
use crate::digest::Digest;
use crate::engine::graph::NodeId;
use crate::interrupt::Interrupt;
use crate::planning::project::Planned;
use crate::publication::record::{self, Provenance, Status};
use crate::steps::{Content, InputFile, Job, Kind, Step};

/// Compares recorded keys with those of the plan, and recorded results with what collecting and rendering give again.
pub(super) fn plan_and_results(
    bundle: &Bundle,
    provenance: &Provenance,
    planned: Result<&Planned, &anyhow::Error>,
    foreign: &Foreign,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<Check>> {
    let mut keys = Check::new("keys against the plan that the suite's file gives");
    let mut reports = Check::new("results, tables and figures against what is computed again from scores and traces");
    let graph = match planned {
        Ok(planned) => &planned.graph,
        Err(error) => {
            keys.differs_here(provenance, format!("the plan cannot be made again: {error:#}"));
            reports.unconfirmed.push("the plan could not be made again".to_owned());
            return Ok(vec![keys, reports]);
        }
    };
    let recorded = Recorded::of(graph, bundle, provenance);
    let mut good = Vec::new();
    for id in graph.ids() {
        interrupt.check()?;
        if let Some(id) = compare_key(&recorded, id, provenance, &mut keys) {
            good.push(id);
        }
    }
    for step in &provenance.steps {
        if graph.find(&step.step).is_none() {
            keys.differs_here(provenance, format!("the suite's plan has no step `{}`", step.step));
        }
    }
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for id in graph.ids().filter(|id| is_cheap(graph.node(*id).step.kind()) && recorded.action(*id).is_some()) {
        interrupt.check()?;
        let why = match good.contains(&id) {
            true if is_foreign(&graph.node(id).step, foreign) => {
                reports
                    .unconfirmed
                    .push(format!("`{}`, which is made with another template", graph.node(id).step.label()));
                None
            }
            true => repeat(bundle, &recorded, id, interrupt, &mut reports)?,
            false => Some("their keys differ from those of the plan"),
        };
        if let Some(why) = why {
            *left.entry(why.to_owned()).or_default() += 1;
        }
    }
    reports.skip(left);
    Ok(vec![keys, reports])
}

/// Whether a step is made with a template that is not this program's own.
fn is_foreign(step: &Step, foreign: &Foreign) -> bool {
    match step {
        Step::Render(render) => render.digests.iter().any(|(name, _)| foreign.has(&format!("templates/{name}"))),
        _ => false,
    }
}

/// Whether a step needs neither tensors nor archives.
fn is_cheap(kind: Kind) -> bool {
    matches!(kind, Kind::Resample | Kind::Collect | Kind::Render)
}

/// Compares a step's recorded key with the plan's; returns the step if they are equal.
fn compare_key(recorded: &Recorded<'_>, id: NodeId, provenance: &Provenance, check: &mut Check) -> Option<NodeId> {
    let step = &recorded.graph.node(id).step;
    let label = step.label();
    match provenance.step(&label) {
        None => {
            check.differs_here(provenance, format!("the provenance has no step `{label}` of the plan"));
            return None;
        }
        Some(stated) if stated.status != Status::Done => return None,
        Some(_) => {}
    }
    let (key, action) = recorded.action(id)?;
    if provenance.suite.mirror && matches!(step.kind(), Kind::Fetch | Kind::Prepare) {
        let why = "archives of a mirror were planned from its own manifests, which are not in the bundle";
        if !check.unconfirmed.iter().any(|known| known == why) {
            check.unconfirmed.push(why.to_owned());
        }
        return None;
    }
    check.examined += 1;
    let Some(inputs) = recorded.inputs(id) else {
        check.problems.push(format!("a step before `{label}` has no valid record"));
        return None;
    };
    let ingredients = recorded.ingredients(id, &inputs)?;
    if ingredients.key() == *key {
        return Some(id);
    }
    let difference = action.ingredients.first_difference(&ingredients);
    let difference = difference.map_or_else(|| "its order".to_owned(), |difference| difference.to_string());
    check.differs_here(provenance, format!("`{label}` has another key than the plan gives: {difference}"));
    None
}

/// Computes a step again and compares the bytes. Returns a reason if that is not possible.
fn repeat(
    bundle: &Bundle,
    recorded: &Recorded<'_>,
    id: NodeId,
    interrupt: &Interrupt,
    check: &mut Check,
) -> anyhow::Result<Option<&'static str>> {
    let node = recorded.graph.node(id);
    let label = node.step.label();
    let Some((_, action)) = recorded.action(id) else { return Ok(Some("they have no valid record")) };
    let workspace = bundle.store.workspace()?;
    let Some(job) = job(bundle, recorded, id, workspace.path(), interrupt) else {
        return Ok(Some("an input is not in the bundle (export it --with labels)"));
    };
    check.examined += 1;
    let outputs = match crate::steps::execute_without_tensors(&node.step, &job) {
        Ok(outputs) => outputs,
        Err(error) => {
            check.problems.push(format!("`{label}` cannot be computed again: {error:#}"));
            return Ok(None);
        }
    };
    for (name, output) in &action.outputs {
        let found = outputs.get(name).map(|path| Digest::of_file(path)).transpose();
        match found.with_context(|| format!("cannot read the output `{name}`"))? {
            Some((found, _)) if found == output.sha256 => {}
            _ => check.problems.push(format!("`{name}` of `{label}` differs when it is computed again")),
        }
    }
    Ok(None)
}

/// A job with the step's inputs as files; `None` if the bundle lacks one. Weights are never read: results only name them.
fn job(bundle: &Bundle, recorded: &Recorded<'_>, id: NodeId, folder: &Path, interrupt: &Interrupt) -> Option<Job> {
    let (_, action) = recorded.action(id)?;
    let mut known = recorded.inputs(id)?;
    let mut inputs = BTreeMap::new();
    let mut absent = BTreeMap::new();
    for (role, source) in &recorded.graph.node(id).inputs {
        if let Some(absence) = plan::absence(&action.ingredients, role) {
            absent.insert(role.clone(), absence);
            continue;
        }
        let (key, producer) = recorded.action(source.node)?;
        let output = producer.outputs.get(&*source.output)?;
        let of_weights = recorded.graph.node(source.node).step.kind().content(&source.output) == Content::Weights;
        if !of_weights && bundle.object(output.sha256).is_none() {
            return None;
        }
        let path = bundle.store.object_path(output.sha256);
        let processors = known.remove(role).and_then(Result::ok).map(|input| input.processors).unwrap_or_default();
        inputs.insert(role.clone(), InputFile { path, sha256: output.sha256, key: *key, processors });
    }
    Some(Job { inputs, absent, interrupt: interrupt.clone(), ..Job::detached(folder) })
}

/// Compares scores with predictions and labels, where the bundle has labels.
pub(super) fn predictions(bundle: &Bundle, provenance: &Provenance, interrupt: &Interrupt) -> anyhow::Result<Check> {
    let mut check = Check::new("scores against predictions and labels");
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    let of_kind = |step: &&record::Step| step.kind == Kind::Evaluate.name() && step.status == Status::Done;
    for step in provenance.steps.iter().filter(of_kind) {
        interrupt.check()?;
        let object = |digest: Option<Digest>| bundle.store.read(&bundle.object(digest?)?).ok();
        let output = |name: &str| object(step.outputs.get(name).map(|output| output.sha256));
        let input = |role: &str| object(step.inputs.get(role).map(|input| input.sha256));
        let files = (output("scores"), output("predictions"), input("about"), input("test samples"));
        let (Some(scores), Some(predictions), Some(about), Some(samples)) = files else {
            *left.entry("labels are not in the bundle (export it --with labels)".to_owned()).or_default() += 1;
            continue;
        };
        check.examined += 1;
        let compare = || {
            let scores = serde_json::from_slice(&scores).context("the scores")?;
            let about = serde_json::from_slice(&about).context("the description of the dataset")?;
            let samples: Vec<_> = serde_json::from_slice(&samples).context("the samples")?;
            scores::differing(&scores, &predictions, &about, &samples)
        };
        match compare() {
            Ok(differing) => {
                check.problems.extend(differing.into_iter().map(|problem| format!("`{}`: {problem}", step.step)));
            }
            Err(error) => check.problems.push(format!("`{}`: {error:#}", step.step)),
        }
    }
    check.skip(left);
    Ok(check)
}
