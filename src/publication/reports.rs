//! The reports of a run: files in `out/SUITE/` that say when, where and from what all of it was made.
//!
//! They depend on times and machines, and so are no step's output; but they are kept as such outputs are: under a key of
//! everything that they are made from, as objects of the store. A report in `out/SUITE/` is out of date when its bytes are
//! not those of the object recorded under the key of this run, as with every other published file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::Context;

use super::publish::{self, Copy};
use super::{Files, Finished, claims, provenance, report};
use crate::digest::Digest;
use crate::engine::graph::NodeId;
use crate::engine::run::NodeOutcome;
use crate::planning::project::Planned;
use crate::steps::{Absence, Status};
use crate::store::{Action, Ingredients, Store, Value};

/// Later makers see the files of earlier ones in `out/SUITE/`.
const MAKERS: [fn(&Finished) -> anyhow::Result<Files>; 3] = [claims::files, report::files, provenance::files];

/// The version of what the makers make. Raise it when they would make other files of the same run.
const RECIPE: u64 = 3;

/// The output that holds what the run went on without: label of the step → why it gave nothing.
const ABSENT: &str = "absent";

/// Writes the reports that are out of date.
///
/// # Returns
/// Their paths.
///
/// # Errors
/// If one cannot be made or written.
pub fn write(finished: &Finished) -> anyhow::Result<Vec<PathBuf>> {
    match recorded(finished) {
        Some(action) => copy(finished, &action),
        None => make(finished),
    }
}

/// Whether [`write`] would write nothing.
pub fn are_current(finished: &Finished) -> bool {
    recorded(finished).is_some_and(|action| publish::stale(&finished.planned.out, copies(&action)).is_empty())
}

/// Makes the reports, whether or not they are out of date.
///
/// # Returns
/// Their paths.
///
/// # Errors
/// If one cannot be made or written.
pub fn make(finished: &Finished) -> anyhow::Result<Vec<PathBuf>> {
    let Finished { planned: Planned { out, .. }, engine, .. } = finished;
    let (store, began) = (&engine.store, Instant::now());
    let (mut outputs, mut paths) = (BTreeMap::new(), Vec::new());
    for make in MAKERS {
        for (name, bytes) in make(finished)? {
            let path = out.join(&name);
            store.write_file(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
            outputs.insert(name, store.put_bytes(&bytes)?);
            paths.push(path);
        }
    }
    outputs.insert(ABSENT.to_owned(), store.put_bytes(&serde_json::to_vec(&first_causes(finished))?)?);
    store.record(&Action {
        label: label(finished.planned),
        ingredients: ingredients(finished),
        outputs,
        seconds: began.elapsed().as_secs_f64(),
        #[expect(clippy::disallowed_methods, reason = "the record of a run, which enters no result")]
        finished: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()),
    })?;
    Ok(paths)
}

/// The steps that failed or were unavailable in the last run that ended here, by label.
pub fn absent(store: &Store, planned: &Planned) -> BTreeMap<String, Absence> {
    let read = || store.read(store.latest(&label(planned))?.outputs.get(ABSENT)?).ok();
    read().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The record of the reports of this run, if their content is still in the store.
fn recorded(finished: &Finished) -> Option<Action> {
    let store = &finished.engine.store;
    let action = store.action(ingredients(finished).key())?;
    action.outputs.values().all(|output| store.looks_whole(output)).then_some(action)
}

fn copies(action: &Action) -> impl Iterator<Item = Copy<'_>> {
    let reports = action.outputs.iter().filter(|(name, _)| *name != ABSENT);
    reports.map(|(name, output)| Copy { file: name, output: *output })
}

fn copy(finished: &Finished, action: &Action) -> anyhow::Result<Vec<PathBuf>> {
    let (store, out) = (&finished.engine.store, &finished.planned.out);
    let (written, damaged) = publish::copy(store, out, &publish::stale(out, copies(action)))?;
    if damaged.is_empty() { Ok(written) } else { make(finished) }
}

/// The name under which the store finds the last reports of a folder in `out/`.
fn label(planned: &Planned) -> String {
    format!("publish {}", planned.out.file_name().unwrap_or_default().to_string_lossy())
}

fn first_causes<'a>(finished: &'a Finished) -> BTreeMap<String, &'a Absence> {
    let graph = &finished.planned.graph;
    let cause = |id: NodeId| match finished.nodes.get(id.0)? {
        NodeOutcome::Absent(absence) if absence.status != Status::NotRun => {
            Some((graph.node(id).step.label(), absence))
        }
        _ => None,
    };
    graph.ids().filter_map(cause).collect()
}

/// Everything that the reports are made from: what became of each step and when, the program, and the project's files.
fn ingredients(finished: &Finished) -> Ingredients {
    let mut list = Ingredients::default();
    list.text("reports of", label(finished.planned));
    list.natural("recipe", RECIPE);
    list.text("program", env!("CARGO_PKG_VERSION"));
    let step = |node: &NodeOutcome| match node {
        NodeOutcome::Done(key, action) => Value::List(vec![
            Value::Digest(*key),
            Value::Natural(action.finished),
            Value::Text(action.seconds.to_string()),
        ]),
        NodeOutcome::Absent(absence) => Value::Text(absence.to_json()),
        NodeOutcome::NotWanted => Value::Text("not wanted".to_owned()),
    };
    list.list("steps", finished.nodes.iter().map(step).collect());
    let templates = finished.project.templates();
    let template = |name: &str| templates.read(name).ok().map(|text| Digest::of(text.as_bytes()));
    let templates = report::TEMPLATES.map(|name| (format!("templates/{name}"), template(name)));
    for (file, digest) in provenance::project_digests(finished).into_iter().chain(templates) {
        match digest {
            Some(digest) => list.digest(&file, digest),
            None => list.text(&file, "cannot be read"),
        }
    }
    list
}
