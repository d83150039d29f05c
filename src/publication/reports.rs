//! The reports of a run: files in `out/SUITE/` that say when, where and from what the results were made.
//!
//! Reports depend on times and machines, so they are no step's output. They are stored like outputs all the same: as
//! objects, under a key of everything that they are made from. A report in `out/SUITE/` is out of date if its bytes are
//! not those of the object that is recorded under the key of this run: the same rule as for every other published file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::drafts::{By, Drafts};
use super::publish::{self, Copy};
use super::record;
use super::{Finished, Run, claims, page, provenance, recheck};
use crate::digest::Digest;
use crate::engine::graph::NodeId;
use crate::engine::run::NodeOutcome;
use crate::engine::survey::State;
use crate::map::Map;
use crate::planning::project::Planned;
use crate::report;
use crate::report::html::Failure;
use crate::steps::{Absence, Status, Step};
use crate::store::{Action, Brief, DamagedOutput, Ingredients, Store, Value};
use crate::tensors;

/// The reports of a suite, for people and scripts.
#[derive(Serialize)]
pub struct Made {
    pub suite: String,
    pub written: Vec<PathBuf>,
    /// Causes of missing results, as the report lists them.
    pub missing: Vec<Failure>,
}

/// Writes some of the reports. Returns their names.
type Maker = fn(&Finished, By<'_>, &Drafts<'_>) -> anyhow::Result<Vec<&'static str>>;

/// Later makers see the files of earlier ones in `out/SUITE/`.
const MAKERS: [Maker; 3] = [|finished, _, drafts| claims::write(finished, drafts), page::write, provenance::write];

/// The version of the reports. Raise it when the same run would give other files.
const RECIPE: u64 = 7;

/// The output that lists the steps which failed or were unavailable: label → cause.
const ABSENT: &str = "absent";

/// Writes the reports that are out of date.
///
/// # Returns
/// Their paths.
///
/// # Errors
/// If one cannot be made or written.
pub fn write(finished: &Finished) -> anyhow::Result<Vec<PathBuf>> {
    write_by(finished, &MAKERS)
}

fn write_by(finished: &Finished, makers: &[Maker]) -> anyhow::Result<Vec<PathBuf>> {
    let Some(action) = recorded(finished) else { return make_by(finished, makers) };
    let mut written = Vec::new();
    match publish::update(&finished.run.engine.store, &finished.run.planned.out, copies(&action), &mut written) {
        Ok(()) => Ok(written),
        Err(error) if DamagedOutput::of(&error).is_some() => make_by(finished, makers),
        Err(error) => Err(error),
    }
}

/// Whether [`write()`] would write nothing.
pub fn are_current(finished: &Finished) -> bool {
    recorded(finished).is_some_and(|action| publish::stale(&finished.run.planned.out, copies(&action)).is_empty())
}

/// Makes and writes all reports, whether or not they are out of date.
///
/// # Errors
/// If one cannot be made or written.
pub fn make_anew(finished: &Finished) -> anyhow::Result<Made> {
    let written = make_by(finished, &MAKERS)?;
    Ok(Made { suite: finished.run.planned.suite.name.clone(), written, missing: page::failures(finished) })
}

fn make_by(finished: &Finished, makers: &[Maker]) -> anyhow::Result<Vec<PathBuf>> {
    let Run { planned: Planned { out, .. }, engine, .. } = finished.run;
    let (store, began) = (&engine.store, Instant::now());
    let (mut outputs, mut paths) = (Map::default(), Vec::new());
    let (program, machine) = (provenance::program(finished), provenance::machine(finished));
    let drafts = Drafts::new(store);
    for make in makers {
        for name in make(finished, (&program, &machine), &drafts)? {
            let (made, path) = (drafts.path(name)?, out.join(name));
            store.copy_file(&made, &path)?;
            outputs.insert(name.to_owned(), store.put_file(&made)?);
            paths.push(path);
        }
        tensors::give_memory_back();
    }
    outputs.insert(ABSENT.to_owned(), store.put_bytes(&serde_json::to_vec(&first_causes(finished))?)?);
    store.record(&Action {
        label: label(&finished.run.planned.out),
        ingredients: ingredients(finished),
        outputs,
        seconds: began.elapsed().as_secs_f64(),
        finished: record::now(),
        computed_by: None,
    })?;
    Ok(paths)
}

/// Makes all reports, as a given program on a given machine makes them; for a check of a run that was made
/// elsewhere. Reports that describe others read them in the run's folder.
///
/// # Returns
/// Their names.
///
/// # Errors
/// If one cannot be made.
pub fn make_as(finished: &Finished, by: By<'_>, drafts: &Drafts<'_>) -> anyhow::Result<Vec<&'static str>> {
    let made = MAKERS.iter().map(|make| make(finished, by, drafts));
    Ok(made.collect::<anyhow::Result<Vec<_>>>()?.concat())
}

/// The outcome of each step, as far as it is known without running any: done, absent as in the last run, unavailable,
/// blocked by another absent step, or not run yet.
pub fn outcomes(Run { planned, engine, .. }: &Run) -> Vec<NodeOutcome> {
    let graph = &planned.graph;
    let unavailable: BTreeMap<String, String> = engine.unavailable(graph).into_iter().collect();
    let mut outcomes: Vec<NodeOutcome> = Vec::with_capacity(graph.len());
    let (states, absent) = engine.survey_without(graph, &self::absent(&engine.store, planned));
    for (id, state) in graph.ids().zip(states) {
        let node = graph.node(id);
        let unavailable = || {
            let Step::Fetch(fetch) = &node.step else { return None };
            let how = unavailable.get(&fetch.archive.name)?;
            Some(node.step.unavailable(how.clone()))
        };
        let blocked = || {
            node.inputs.values().find_map(|source| match &outcomes[source.node.0] {
                NodeOutcome::Absent(absence) => Some(absence.of_dependent()),
                _ => None,
            })
        };
        let outcome = match (state, absent.get(&id)) {
            (State::Done(key, action), _) => NodeOutcome::Done(key, action),
            (_, Some(absence)) => NodeOutcome::Absent(absence.clone()),
            _ => {
                let absence = unavailable().or_else(blocked);
                NodeOutcome::Absent(absence.unwrap_or_else(|| Absence::not_run("not run yet")))
            }
        };
        outcomes.push(outcome);
    }
    outcomes
}

/// The steps that failed or were unavailable in the last run of this folder, by label.
pub(super) fn absent(store: &Store, planned: &Planned) -> BTreeMap<String, Absence> {
    let read = || store.read(store.latest(&label(&planned.out))?.outputs.get(ABSENT)?).ok();
    read().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The record of the reports of this run, if the store still has their content.
fn recorded(finished: &Finished) -> Option<Brief> {
    let store = &finished.run.engine.store;
    let action = store.brief(ingredients(finished).key())?;
    action.outputs.values().all(|output| store.looks_whole(output)).then_some(action)
}

fn copies(action: &Brief) -> impl Iterator<Item = Copy<'_>> {
    let names = action.outputs.keys().filter(|name| *name != ABSENT);
    names.map(move |name| Copy { file: name, action, output: name })
}

/// The label under which the store finds the latest reports of a folder in `out/`.
fn label(out: &Path) -> String {
    format!("publish {}", out.file_name().unwrap_or_default().to_string_lossy())
}

/// The key of the latest reports of a folder in `out/`.
pub(super) fn latest(store: &Store, out: &Path) -> Option<Digest> {
    store.latest(&label(out)).map(|action| action.ingredients.key())
}

fn first_causes<'a>(finished: &'a Finished) -> BTreeMap<String, &'a Absence> {
    let graph = &finished.run.planned.graph;
    let cause = |id: NodeId| match finished.nodes.get(id.0)? {
        NodeOutcome::Absent(absence) if absence.status != Status::NotRun => {
            Some((graph.node(id).step.label(), absence))
        }
        _ => None,
    };
    graph.ids().filter_map(cause).collect()
}

/// Everything that the reports are made from: the outcome and time of each step, the last recheck, the program, and the
/// project's files.
fn ingredients(finished: &Finished) -> Ingredients {
    let mut list = Ingredients::default();
    list.text("reports of", label(&finished.run.planned.out));
    list.natural("recipe", RECIPE);
    list.text("program", env!("CARGO_PKG_VERSION"));
    let step = |node: &NodeOutcome| match node {
        NodeOutcome::Done(key, action) => Value::List(vec![
            Value::Digest(*key),
            Value::Natural(action.finished),
            Value::Text(action.seconds.to_string()),
        ]),
        // The page shows what to do.
        NodeOutcome::Absent(absence) => Value::List(
            [Some(absence.to_json()), absence.hint.clone()].into_iter().flatten().map(Value::Text).collect(),
        ),
        NodeOutcome::NotWanted => Value::Text("not wanted".to_owned()),
    };
    list.list("steps", finished.nodes.iter().map(step).collect());
    if let Ok((last, _)) = Digest::of_file(&finished.run.planned.out.join(recheck::FILE)) {
        list.digest(recheck::FILE, last);
    }
    let templates = finished.run.project.templates();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::interrupt::Interrupt;
    use crate::planning::project::{Options, Project};

    /// The smoke suite of this repository, planned but not run, with a store and an `out/` folder of its own.
    struct Fixture {
        folder: tempfile::TempDir,
        run: Run,
        nodes: Vec<NodeOutcome>,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let project = Project { root: env!("CARGO_MANIFEST_DIR").into(), options: Options::default() };
            let mut planned = project.planned("smoke", &Interrupt::default()).unwrap();
            planned.out = folder.path().join("out");
            let engine = engine::tests::engine(&folder.path().join("store"));
            let nodes = vec![NodeOutcome::NotWanted; planned.graph.len()];
            Fixture { folder, run: Run { project, planned, engine }, nodes }
        }

        fn finished(&self) -> Finished<'_> {
            Finished { run: &self.run, nodes: &self.nodes }
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("out/report.txt")
        }
    }

    fn count_done(finished: &Finished, _: By<'_>, drafts: &Drafts<'_>) -> anyhow::Result<Vec<&'static str>> {
        let done = finished.nodes.iter().filter(|node| node.action().is_some()).count();
        Ok(vec![drafts.write("report.txt", format!("{done} done"))?])
    }

    fn fail(_: &Finished, _: By<'_>, _: &Drafts<'_>) -> anyhow::Result<Vec<&'static str>> {
        anyhow::bail!("this report is made again")
    }

    /// A report that was edited or removed comes back from its object, without being made again.
    #[test]
    fn reports_are_restored_from_their_objects() {
        let fixture = Fixture::new();
        let (finished, file) = (fixture.finished(), fixture.file());
        assert!(!are_current(&finished));
        assert_eq!(write_by(&finished, &[count_done]).unwrap(), [file.as_path()]);
        assert!(are_current(&finished));
        assert!(write_by(&finished, &[fail]).unwrap().is_empty());
        std::fs::write(&file, "all done").unwrap();
        assert!(!are_current(&finished));
        assert_eq!(write_by(&finished, &[fail]).unwrap(), [file.as_path()]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(write_by(&finished, &[fail]).unwrap(), [file.as_path()]);
        assert_eq!(std::fs::read(&file).unwrap(), b"0 done");
        // Only where the object is gone or damaged too, the report is made again.
        for content in [None, Some("1 done")] {
            std::fs::remove_file(&file).unwrap();
            let object = fixture.run.engine.store.object_path(Digest::of(b"0 done"));
            std::fs::remove_file(&object).unwrap();
            if let Some(content) = content {
                std::fs::write(&object, content).unwrap();
            }
            assert!(write_by(&finished, &[fail]).is_err(), "{content:?}");
            assert_eq!(write_by(&finished, &[count_done]).unwrap(), [file.as_path()], "{content:?}");
            assert!(are_current(&finished), "{content:?}");
        }
    }

    /// The reports of a run with another outcome are others, and those of the first one are still known.
    #[test]
    fn another_outcome_makes_other_reports() {
        let mut fixture = Fixture::new();
        write_by(&fixture.finished(), &[count_done]).unwrap();
        let action = Action {
            label: "fetch".to_owned(),
            ingredients: (),
            outputs: Map::default(),
            seconds: 1.0,
            finished: 1_750_000_000,
            computed_by: None,
        };
        let done = NodeOutcome::Done(Digest::of(b"key"), Box::new(action));
        let earlier = std::mem::replace(&mut fixture.nodes[0], done);
        assert!(!are_current(&fixture.finished()));
        write_by(&fixture.finished(), &[count_done]).unwrap();
        assert_eq!(std::fs::read(fixture.file()).unwrap(), b"1 done");
        fixture.nodes[0] = earlier;
        write_by(&fixture.finished(), &[fail]).unwrap();
        assert_eq!(std::fs::read(fixture.file()).unwrap(), b"0 done");
    }

    /// Later commands know which data was unavailable to the last run, and which steps that concerned.
    #[test]
    fn absent_steps_are_remembered() {
        let mut fixture = Fixture::new();
        let step = &fixture.run.planned.graph.node(NodeId(0)).step;
        let absence = step.absence(Status::Unavailable, "accept the licence first", None);
        let label = step.label();
        fixture.nodes[0] = NodeOutcome::Absent(absence.clone());
        fixture.nodes[1] = NodeOutcome::Absent(absence.of_dependent());
        write_by(&fixture.finished(), &[]).unwrap();
        assert_eq!(super::absent(&fixture.run.engine.store, &fixture.run.planned), [(label, absence.clone())].into());
        let outcomes = outcomes(&fixture.run);
        assert!(matches!(&outcomes[0], NodeOutcome::Absent(found) if *found == absence));
        let user = fixture.run.planned.graph.users(NodeId(0)).next().unwrap();
        assert!(matches!(&outcomes[user.0], NodeOutcome::Absent(found) if *found == absence.of_dependent()));
    }
}
