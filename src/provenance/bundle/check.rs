//! Compares everything in a bundle with everything else in it. Hashes tell that nothing was changed since it was packed;
//! computing again tells that the numbers follow from what lies beneath. Neither tells who packed it: a bundle that was
//! made up from the bottom is consistent too, and only training again ([`super::rerun`]) finds it out.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;

use super::plan::{self, Recorded};
use super::unpack::Bundle;
use super::{action_member, object_member, scores};
use crate::engine::graph::{Graph, NodeId};
use crate::interrupt::Interrupt;
use crate::manifests::fetch::FetchPlaces;
use crate::provenance::Provenance;
use crate::provenance::record::{self, Status};
use crate::steps::{InputFile, Job, Kind};
use crate::store::{Action, Digest, Value};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was compared with what.
    pub what: &'static str,
    /// How many were compared.
    pub examined: usize,
    pub problems: Vec<String>,
    /// What could not be compared, and why.
    pub unchecked: Vec<String>,
}

impl Check {
    fn new(what: &'static str) -> Self {
        Check { what, examined: 0, problems: Vec::new(), unchecked: Vec::new() }
    }

    /// Tells of things that cannot be compared by their number and reason, not one by one.
    fn leave(&mut self, reasons: BTreeMap<String, usize>) {
        self.unchecked.extend(reasons.into_iter().map(|(why, count)| format!("{count}: {why}")));
    }
}

/// Every check of a bundle, in order.
///
/// # Errors
/// If the machine fails, or a stop was asked for. What is wrong with the bundle is in the checks.
pub fn check(bundle: &Bundle, interrupt: &Interrupt) -> anyhow::Result<Vec<Check>> {
    let mut members = Check::new("members against the manifest");
    members.examined = bundle.manifest.members.len();
    members.problems.clone_from(&bundle.problems);
    let mut checks = vec![members];
    let provenance = match provenance(bundle) {
        Ok(provenance) => provenance,
        Err(error) => {
            let mut check = Check::new("the provenance");
            check.problems.push(format!("{error:#}"));
            checks.push(check);
            return Ok(checks);
        }
    };
    let actions = actions(bundle);
    checks.push(actions.1);
    let actions = actions.0;
    interrupt.check()?;
    checks.push(objects(bundle, &actions));
    checks.push(steps(&provenance, &actions));
    checks.push(files(bundle, &provenance, &actions));
    checks.push(sources(bundle, &provenance));
    interrupt.check()?;
    checks.extend(plan_and_reports(bundle, &provenance, interrupt)?);
    checks.push(self::predictions(bundle, &provenance, interrupt)?);
    Ok(checks)
}

/// The provenance that a bundle carries.
///
/// # Errors
/// If it is missing, malformed, or of another layout.
pub fn provenance(bundle: &Bundle) -> anyhow::Result<Provenance> {
    let name = format!("out/{}", record::FILE);
    let path = bundle.member(&name).with_context(|| format!("`{name}` is missing or damaged"))?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let provenance: Provenance = serde_json::from_slice(&bytes).with_context(|| format!("`{name}` is malformed"))?;
    anyhow::ensure!(
        provenance.schema == record::SCHEMA,
        "`{name}` has the layout {}, expected {}",
        provenance.schema,
        record::SCHEMA
    );
    Ok(provenance)
}

type Actions = BTreeMap<Digest, Action>;

/// Every record is sealed, and its name is the hash of its ingredients.
fn actions(bundle: &Bundle) -> (Actions, Check) {
    let mut check = Check::new("records of steps against the keys that their ingredients give");
    let mut actions = Actions::new();
    for name in bundle.manifest.members.keys().filter(|name| name.starts_with("store/actions/")) {
        let key: Option<Digest> = name.rsplit('/').next().and_then(|file| file.strip_suffix(".json")?.parse().ok());
        let Some(key) = key.filter(|_| bundle.member(name).is_some()) else { continue };
        check.examined += 1;
        match bundle.store.action(key) {
            Some(action) => drop(actions.insert(key, action)),
            None => {
                check.problems.push(format!("`{name}` does not have the key that its ingredients give, or was edited"))
            }
        }
    }
    (actions, check)
}

/// Every object is some step's output, and every output is there or was left out for a reason that the manifest states.
fn objects(bundle: &Bundle, actions: &Actions) -> Check {
    let mut check = Check::new("objects against the records of the steps that gave them");
    let outputs: BTreeMap<Digest, (&str, &str, u64)> = actions
        .values()
        .flat_map(|action| {
            action
                .outputs
                .iter()
                .map(|(name, output)| (output.sha256, (action.label.as_str(), name.as_str(), output.size)))
        })
        .collect();
    for name in bundle.manifest.members.keys().filter(|name| name.starts_with("store/objects/")) {
        check.examined += 1;
        let digest: Option<Digest> = name.rsplit('/').next().and_then(|file| file.parse().ok());
        let member = bundle.manifest.members[name];
        if digest != Some(member.sha256) {
            check.problems.push(format!("`{name}` has another content than its name says, {}", member.sha256));
        } else if !outputs.contains_key(&member.sha256) {
            check.problems.push(format!("`{name}` is the output of no step"));
        }
    }
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let known: BTreeMap<Digest, _> = bundle.manifest.left_out.iter().map(|left| (left.sha256, left.why)).collect();
    for (digest, (step, name, _)) in &outputs {
        match known.get(digest) {
            _ if bundle.manifest.members.contains_key(&object_member(*digest)) => {}
            Some(why) => *left_out.entry(why.told()).or_default() += 1,
            None => check.problems.push(format!("`{name}` of `{step}` is neither there nor listed as left out")),
        }
    }
    check.leave(left_out);
    check
}

/// What the provenance says of each step is what its record says, and inputs are outputs of recorded steps.
fn steps(provenance: &Provenance, actions: &Actions) -> Check {
    let mut check = Check::new("the provenance's steps against their records");
    let mut named = std::collections::BTreeSet::new();
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for step in &provenance.steps {
        if step.status != Status::Done {
            *left.entry("steps were not done; results.json says why".to_owned()).or_default() += 1;
            continue;
        }
        check.examined += 1;
        let label = &step.step;
        let Some((key, action)) = step.key.and_then(|key| Some((key, actions.get(&key)?))) else {
            let key = step.key.map_or_else(|| "no key".to_owned(), action_member);
            check.problems.push(format!("`{label}` has no good record ({key})"));
            continue;
        };
        named.insert(key);
        if step.outputs != action.outputs {
            check.problems.push(format!("`{label}` gave other outputs than the provenance says"));
        }
        for (role, input) in &step.inputs {
            let name = format!("input {role}");
            let recorded = action.ingredients.0.iter().find(|ingredient| ingredient.name == name);
            if recorded.map(|found| &found.value) != Some(&Value::Digest(input.sha256)) {
                check.problems.push(format!("`{label}` has another input `{role}` than the provenance says"));
            }
            let source = provenance.step(&input.step).and_then(|source| source.outputs.get(&input.output));
            if source.map(|output| output.sha256) != Some(input.sha256) {
                check.problems.push(format!("the input `{role}` of `{label}` is not what `{}` gave", input.step));
            }
        }
        let roles = action.ingredients.0.iter().filter_map(|ingredient| ingredient.name.strip_prefix("input "));
        for role in roles.filter(|role| !step.inputs.contains_key(*role)) {
            check.problems.push(format!("the provenance leaves out the input `{role}` of `{label}`"));
        }
    }
    for (key, action) in actions.iter().filter(|(key, _)| !named.contains(*key)) {
        check.problems.push(format!(
            "the record `{}` ({}) is of no step of the provenance",
            action_member(*key),
            action.label
        ));
    }
    check.leave(left);
    check
}

/// Published files are what steps gave.
fn files(bundle: &Bundle, provenance: &Provenance, actions: &Actions) -> Check {
    let mut check = Check::new("published files against the outputs of the steps that made them");
    for file in &provenance.files {
        check.examined += 1;
        let name = format!("out/{}", file.file);
        let member = bundle.manifest.members.get(&name).map(|output| output.sha256);
        if member != Some(file.sha256) {
            check.problems.push(format!("`{name}` is not the file that the provenance names"));
        }
        let step = provenance.step(&file.step).and_then(|step| actions.get(&step.key?));
        let output = step.and_then(|action| action.outputs.get(&file.output)).map(|output| output.sha256);
        if output != member {
            check.problems.push(format!("`{name}` is not what `{}` gave", file.step));
        }
    }
    let published = |name: &str| provenance.files.iter().any(|file| file.file == name);
    let others = bundle.manifest.members.keys().filter_map(|name| name.strip_prefix("out/"));
    for name in others.filter(|name| !published(name)) {
        check.unchecked.push(format!("`out/{name}` is no output of a step: its own hash was compared alone"));
    }
    check
}

/// The suite, manifests and templates are those of the provenance.
fn sources(bundle: &Bundle, provenance: &Provenance) -> Check {
    let mut check = Check::new("the project's files against the provenance");
    for source in &provenance.sources {
        check.examined += 1;
        let name = format!("project/{}", source.file);
        let member = bundle.manifest.members.get(&name).map(|output| output.sha256);
        if member.is_none() || member != source.sha256 {
            check.problems.push(format!("`{name}` is not the file that the run was planned from"));
        }
    }
    let known = |name: &str| provenance.sources.iter().any(|source| source.file == name);
    let strange = bundle.manifest.members.keys().filter_map(|name| name.strip_prefix("project/"));
    let strange = strange.filter(|name| !known(name)).map(|name| format!("`project/{name}` is not in the provenance"));
    check.problems.extend(strange);
    check
}

/// The suite's plan gives the recorded keys; collecting and rendering give the recorded bytes.
fn plan_and_reports(bundle: &Bundle, provenance: &Provenance, interrupt: &Interrupt) -> anyhow::Result<Vec<Check>> {
    let mut keys = Check::new("keys against the plan that the suite's file gives");
    let mut reports = Check::new("results, tables and figures against what is computed again from scores and traces");
    let graph = match plan::build(bundle, provenance, |_| Ok(())) {
        Ok(graph) => graph,
        Err(error) => {
            other_program(&mut keys, provenance, format!("the plan cannot be made again: {error:#}"));
            reports.unchecked.push("the plan could not be made again".to_owned());
            return Ok(vec![keys, reports]);
        }
    };
    let recorded = Recorded::of(&graph, bundle, provenance);
    let mut good = Vec::new();
    for id in graph.ids() {
        interrupt.check()?;
        if let Some(id) = compare_key(bundle, &recorded, id, provenance, &mut keys) {
            good.push(id);
        }
    }
    for step in &provenance.steps {
        if graph.find(&step.step).is_none() {
            other_program(&mut keys, provenance, format!("the suite's plan has no step `{}`", step.step));
        }
    }
    for id in good {
        if matches!(graph.node(id).step.kind(), Kind::Collect | Kind::Render) {
            interrupt.check()?;
            repeat(bundle, &recorded, id, interrupt, &mut reports)?;
        }
    }
    let expected = graph.ids().filter(|id| matches!(graph.node(*id).step.kind(), Kind::Collect | Kind::Render)).count();
    if reports.examined + reports.unchecked.len() < expected {
        let left = expected - reports.examined - reports.unchecked.len();
        reports.unchecked.push(format!("{left}: their keys are not those of the plan"));
    }
    Ok(vec![keys, reports])
}

/// Compares a step's recorded key with the plan's; the step, if they agree.
fn compare_key(
    bundle: &Bundle,
    recorded: &Recorded<'_>,
    id: NodeId,
    provenance: &Provenance,
    check: &mut Check,
) -> Option<NodeId> {
    let step = recorded.graph.node(id).step.as_ref();
    let label = step.label();
    match provenance.step(&label) {
        None => {
            other_program(check, provenance, format!("the provenance has no step `{label}` of the plan"));
            return None;
        }
        Some(stated) if stated.status != Status::Done => return None,
        Some(_) => {}
    }
    let (key, action) = recorded.action(id)?;
    if provenance.suite.mirror && matches!(step.kind(), Kind::Fetch | Kind::Prepare) {
        let why = "what a mirror served was planned from its own manifests, which are not here";
        if !check.unchecked.iter().any(|told| told == why) {
            check.unchecked.push(why.to_owned());
        }
        return None;
    }
    check.examined += 1;
    let Some(inputs) = recorded.inputs(id) else {
        check.problems.push(format!("a step before `{label}` has no good record"));
        return None;
    };
    let ingredients = recorded.ingredients(id, &inputs)?;
    if ingredients.key() == *key {
        return Some(id);
    }
    let difference = action.ingredients.first_difference(&ingredients).unwrap_or_else(|| "its order".to_owned());
    debug_assert!(bundle.manifest.schema == super::SCHEMA);
    other_program(check, provenance, format!("`{label}` has another key than the plan gives: {difference}"));
    None
}

/// A difference from what this program would plan: a problem, unless another version of the program packed the bundle.
fn other_program(check: &mut Check, provenance: &Provenance, what: String) {
    match provenance.program.source_sha256 == env!("SEESAW_SOURCE_SHA256") {
        true => check.problems.push(what),
        false => check.unchecked.push(format!("{what} (the run was made by another version of this program)")),
    }
}

/// Computes a collecting or rendering step again, and compares the bytes.
fn repeat(
    bundle: &Bundle,
    recorded: &Recorded<'_>,
    id: NodeId,
    interrupt: &Interrupt,
    check: &mut Check,
) -> anyhow::Result<()> {
    let node = recorded.graph.node(id);
    let label = node.step.label();
    let Some((_, action)) = recorded.action(id) else { return Ok(()) };
    let workspace = bundle.store.workspace()?;
    let Some(job) = job(bundle, recorded, id, workspace.path(), interrupt) else {
        check.unchecked.push(format!("`{label}`: an input of it is not in the bundle"));
        return Ok(());
    };
    check.examined += 1;
    let outputs = match crate::steps::execute_report(node.step.as_ref(), &job) {
        Ok(outputs) => outputs,
        Err(error) => {
            check.problems.push(format!("`{label}` cannot be computed again: {error:#}"));
            return Ok(());
        }
    };
    for (name, output) in &action.outputs {
        let found = outputs.get(name).map(|path| Digest::of_file(path)).transpose();
        match found.with_context(|| format!("cannot read the output `{name}`"))? {
            Some((found, _)) if found == output.sha256 => {}
            _ => check.problems.push(format!("`{name}` of `{label}` is another one when it is computed again")),
        }
    }
    Ok(())
}

/// The step's inputs as files; none if one that it reads is not in the bundle. Weights are named in results and not read.
fn job(
    bundle: &Bundle,
    recorded: &Recorded<'_>,
    id: NodeId,
    folder: &std::path::Path,
    interrupt: &Interrupt,
) -> Option<Job> {
    let (_, action) = recorded.action(id)?;
    let mut inputs = BTreeMap::new();
    let mut absent = BTreeMap::new();
    for (role, source) in &recorded.graph.node(id).inputs {
        if let Some(absence) = plan::absence(&action.ingredients, role) {
            absent.insert(role.clone(), absence);
            continue;
        }
        let (key, producer) = recorded.action(source.node)?;
        let output = producer.outputs.get(&source.output)?;
        if source.output != "weights" && bundle.object(output.sha256).is_none() {
            return None;
        }
        let path = bundle.store.object_path(output.sha256);
        inputs.insert(role.clone(), InputFile { path, sha256: output.sha256.to_string(), key: key.to_string() });
    }
    let nowhere = folder.to_owned();
    Some(Job {
        inputs,
        absent,
        folder: nowhere.clone(),
        interrupt: interrupt.clone(),
        progress: std::sync::Arc::new(crate::progress::Silent),
        threads: 1,
        device: tch::Device::Cpu,
        downloads: FetchPlaces { partial: nowhere.clone(), quarantine: nowhere, manual: Vec::new() },
    })
}

/// Scores follow from predictions and labels, where labels are included.
fn predictions(bundle: &Bundle, provenance: &Provenance, interrupt: &Interrupt) -> anyhow::Result<Check> {
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
            let about = serde_json::from_slice(&about).context("what is known of the dataset")?;
            let samples: Vec<_> = serde_json::from_slice(&samples).context("the samples")?;
            scores::differing(&scores, &predictions, &about, &samples)
        };
        match compare() {
            Ok(differing) => {
                check.problems.extend(differing.into_iter().map(|told| format!("`{}`: {told}", step.step)));
            }
            Err(error) => check.problems.push(format!("`{}`: {error:#}", step.step)),
        }
    }
    check.leave(left);
    Ok(check)
}

/// Whether nothing differs.
pub fn is_good(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.problems.is_empty())
}

/// The steps that a graph and the provenance both have and that were done, for whoever repeats them.
pub(super) fn is_done(graph: &Graph, id: NodeId, provenance: &Provenance) -> bool {
    provenance.step(&graph.node(id).step.label()).is_some_and(|step| step.status == Status::Done)
}
