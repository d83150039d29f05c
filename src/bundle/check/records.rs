//! Compares what a bundle states in several places.

use std::collections::{BTreeMap, BTreeSet};

use super::super::contents::{Why, belongs};
use super::super::unpack::Bundle;
use super::super::{MANIFEST, action_member, object_member};
use super::finding::Check;
use crate::digest::Digest;
use crate::publication::record::{self, Provenance, Status, Step};
use crate::publication::ro_crate;
use crate::publication::storage::kind_of;
use crate::store::{Action, Value};

pub(super) type Actions = BTreeMap<Digest, Action>;

/// Every record is intact, and its name is the hash of its ingredients.
pub(super) fn actions(bundle: &Bundle) -> (Actions, Check) {
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

/// Every object is the output of a step; every output is in the bundle, or the manifest says why not.
pub(super) fn objects<'a>(bundle: &Bundle, actions: &'a Actions) -> Check {
    let mut check = Check::new("objects against the records of the steps that gave them");
    let outputs_of =
        |action: &'a Action| action.outputs.iter().map(move |(name, output)| (output.sha256, (action, name.as_str())));
    let outputs: BTreeMap<Digest, (&Action, &str)> = actions.values().flat_map(outputs_of).collect();
    for name in bundle.manifest.members.keys().filter(|name| name.starts_with("store/objects/")) {
        check.examined += 1;
        let digest: Option<Digest> = name.rsplit('/').next().and_then(|file| file.parse().ok());
        let member = bundle.manifest.members[name];
        if digest != Some(member.sha256) {
            check.problems.push(format!("the content of `{name}` has the SHA-256 {}", member.sha256));
        } else if !outputs.contains_key(&member.sha256) {
            check.problems.push(format!("`{name}` is the output of no step"));
        }
    }
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let is_published = |digest: Digest| {
        bundle.manifest.members.iter().any(|(name, member)| name.starts_with("out/") && member.sha256 == digest)
    };
    for (digest, (action, name)) in &outputs {
        if bundle.manifest.members.contains_key(&object_member(*digest)) {
            continue;
        }
        // What may be left out is decided here, whatever the manifest says.
        match kind_of(action).map(|kind| belongs(kind, name, &bundle.manifest.with)) {
            Some(Err(why)) if why != Why::IsPublished || is_published(*digest) => {
                *left_out.entry(why.to_string()).or_default() += 1;
            }
            _ => check.problems.push(format!("`{name}` of `{}` is not in the bundle", action.label)),
        }
    }
    check.skip(left_out);
    check
}

/// The provenance agrees with the records of the steps, and inputs are outputs of recorded steps.
pub(super) fn steps(bundle: &Bundle, provenance: &Provenance, actions: &Actions) -> Check {
    let mut check = Check::new("the provenance's steps against their records");
    let mut named = BTreeSet::new();
    let by_label: BTreeMap<&str, &Step> = provenance.steps.iter().map(|step| (&*step.step, step)).collect();
    let absent = provenance.steps.iter().filter(|step| step.status != Status::Done).count();
    if absent > 0 {
        check.unconfirmed.push(format!("{absent} steps of an incomplete run, which are not done"));
    }
    if bundle.manifest.incomplete != provenance.incomplete() {
        check.problems.push(format!("what the run lacks differs between `{MANIFEST}` and the provenance"));
    }
    for step in provenance.steps.iter().filter(|step| step.status == Status::Done) {
        check.examined += 1;
        let label = &step.step;
        let Some((key, action)) = step.key.and_then(|key| Some((key, actions.get(&key)?))) else {
            let key = step.key.map_or_else(|| "no key".to_owned(), action_member);
            check.problems.push(format!("`{label}` has no valid record ({key})"));
            continue;
        };
        named.insert(key);
        if step.outputs != action.outputs {
            check.problems.push(format!("the outputs of `{label}` differ between its record and the provenance"));
        }
        if step.computed_by != action.computed_by {
            check.problems.push(format!("what computed `{label}` differs between its record and the provenance"));
        }
        for (role, input) in &step.inputs {
            let name = format!("input {role}");
            let recorded = action.ingredients.0.iter().find(|ingredient| ingredient.name == name);
            if recorded.map(|found| &found.value) != Some(&Value::Digest(input.sha256)) {
                check
                    .problems
                    .push(format!("the input `{role}` of `{label}` differs between its record and the provenance"));
            }
            let source = by_label.get(&*input.step).and_then(|source| source.outputs.get(&*input.output));
            if source.map(|output| output.sha256) != Some(input.sha256) {
                check.problems.push(format!("the input `{role}` of `{label}` is not the output of `{}`", input.step));
            }
        }
        let roles = action.ingredients.0.iter().filter_map(|ingredient| ingredient.name.strip_prefix("input "));
        for role in roles.filter(|role| !step.inputs.contains_key(*role)) {
            check.problems.push(format!("the provenance leaves out the input `{role}` of `{label}`"));
        }
    }
    for (key, action) in actions.iter().filter(|(key, _)| !named.contains(*key)) {
        check.problems.push(format!(
            "the record `{}` ({}) belongs to no step of the provenance",
            action_member(*key),
            action.label
        ));
    }
    check
}

/// Published files are outputs of steps.
pub(super) fn files(bundle: &Bundle, provenance: &Provenance, actions: &Actions) -> Check {
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
            check.problems.push(format!("`{name}` is not the output of `{}`", file.step));
        }
    }
    for report in &provenance.reports {
        check.examined += 1;
        let name = format!("out/{}", report.file);
        let member = bundle.manifest.members.get(&name);
        if member.is_none_or(|member| (member.sha256, member.size) != (report.sha256, report.size)) {
            check.problems.push(format!("`{name}` is not the file that the provenance names"));
        }
    }
    let files =
        provenance.files.iter().map(|file| &file.file).chain(provenance.reports.iter().map(|report| &report.file));
    let known: BTreeSet<&str> = files.map(String::as_str).chain([record::FILE, ro_crate::FILE]).collect();
    let others = bundle.manifest.members.keys().filter_map(|name| name.strip_prefix("out/"));
    let others = others.filter(|name| !known.contains(name));
    check.problems.extend(others.map(|name| format!("`out/{name}` is not in the provenance")));
    check
}

/// The suite, manifests and templates are the files that the provenance lists.
pub(super) fn sources(bundle: &Bundle, provenance: &Provenance) -> Check {
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
