//! What takes the space in the store, whether it is whole, and what no suite of the project needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde::Serialize;

use super::cluster::{self, Jobs};
use super::record::{self, Provenance};
use super::reports;
use crate::digest::Digest;
use crate::engine::Engine;
use crate::engine::key;
use crate::engine::survey::State;
use crate::errors::{self, Class};
use crate::planning::project::Project;
use crate::progress::{Progress, Unit};
use crate::steps::Kind;
use crate::store::{Action, Census, Object, Output, Removed};

/// What takes the space in a store.
#[derive(Debug, Serialize)]
pub struct Storage {
    pub store: PathBuf,
    /// All results.
    pub all: Share,
    /// Those of each kind of step.
    pub kinds: Vec<Share>,
    /// Those that each suite, and each run in `out/`, needs. Several may need the same.
    pub suites: Vec<Share>,
    /// Those that none of them needs.
    pub unneeded: Share,
    /// Damaged objects and wrong downloads, in bytes.
    pub quarantine: u64,
    /// Incomplete downloads, in bytes.
    pub partial: u64,
}

/// A part of a store.
#[derive(Debug, Serialize)]
pub struct Share {
    pub name: String,
    /// The number of finished steps.
    pub results: usize,
    /// Of their files, in bytes. A file that several results have counts once.
    pub size: u64,
}

impl Share {
    fn of<'a>(name: &str, census: &Census, actions: impl IntoIterator<Item = &'a Action>) -> Self {
        let actions: Vec<&Action> = actions.into_iter().collect();
        let size = census.size(&Census::outputs(actions.iter().copied()));
        Share { name: name.to_owned(), results: actions.len(), size }
    }
}

impl Storage {
    /// # Errors
    /// If a suite cannot be planned, or a folder cannot be read.
    pub fn of(project: &Project, engine: &mut Engine) -> anyhow::Result<Self> {
        let store = engine.store.clone();
        let census = store.census()?;
        let needs = needs(project, engine)?;
        let whole = || census.actions.iter().filter_map(|(key, action)| Some((key, action.as_ref()?)));
        let with_reports = Kind::ALL.into_iter().map(Some).chain([None]);
        let kind = |kind: Option<Kind>| {
            let of_kind = whole().map(|(_, action)| action).filter(|action| kind_of(action) == kind);
            Share::of(kind.map_or("reports", Kind::name), &census, of_kind)
        };
        let of_suite = |(name, keys): (&String, &BTreeSet<Digest>)| {
            Share::of(name, &census, keys.iter().filter_map(|key| census.actions.get(key)?.as_ref()))
        };
        let unneeded = whole().filter(|(key, _)| !needs.values().any(|keys| keys.contains(key)));
        Ok(Storage {
            all: Share {
                name: "all".to_owned(),
                results: census.actions.len(),
                size: census.size(census.objects.keys()),
            },
            kinds: with_reports.map(kind).filter(|share| share.results > 0).collect(),
            suites: needs.iter().map(of_suite).filter(|share| share.results > 0).collect(),
            unneeded: Share::of("none", &census, unneeded.map(|(_, action)| action)),
            quarantine: store.size_of(&store.quarantine()),
            partial: store.size_of(&store.partial()),
            store: store.root().to_owned(),
        })
    }
}

/// The kind of step; none: the reports of a run.
pub fn kind_of(action: &Action) -> Option<Kind> {
    Kind::named(key::kind(&action.ingredients)?)
}

/// What each suite of the project needs, with its own options, and what each run in `out/` was made from: the keys of its
/// finished steps.
fn needs(project: &Project, engine: &mut Engine) -> anyhow::Result<BTreeMap<String, BTreeSet<Digest>>> {
    let mut needs: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    let here = engine.environment.clone();
    for name in project.suites()? {
        let planned = project.planned(&name, &engine.interrupt)?;
        engine.environment = Jobs::environment(&planned.out, &here)?;
        let (states, _) = engine.survey_without(&planned.graph, &reports::absent(&engine.store, &planned));
        let done = states.into_iter().filter_map(|state| match state {
            State::Done(key, _) | State::Refused(key, ..) => Some(key),
            _ => None,
        });
        needs.entry(name).or_default().extend(done);
    }
    engine.environment = here;
    for folder in runs(&project.root.join("out"))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let keys = needs.entry(name).or_default();
        keys.extend(reports::latest(&engine.store, &folder));
        let file = folder.join(record::FILE);
        let context = || format!("cannot read {}, which says what this run needs", file.display());
        match std::fs::read(&file) {
            Ok(bytes) => {
                let provenance: Provenance = serde_json::from_slice(&bytes)
                    .with_context(context)
                    .map_err(|error| errors::with_hint(error, "run its suite again, or remove its folder"))?;
                keys.extend(provenance.steps.iter().filter_map(|step| step.key));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(context),
        }
    }
    Ok(needs)
}

/// Tasks in the queue may need what only an earlier task does: a trial is no suite of the project.
fn check_for_tasks(out: &Path) -> anyhow::Result<()> {
    for folder in runs(out)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        match cluster::queued(&folder) {
            Ok(0) => {}
            Ok(_) => {
                return Err(errors::failed(
                    format!("tasks of {name} are in the queue of Slurm, and may need any of the results"),
                    "wait for them to end, or cancel them",
                ));
            }
            // Another machine may have handed them in.
            Err(error) if errors::class_of(&error) == Class::Usage => {
                tracing::warn!("nobody knows whether tasks of {name} are in the queue: {error:#}");
            }
            Err(error) => {
                return Err(error.context(format!("nobody knows whether tasks of {name} are in the queue")));
            }
        }
    }
    Ok(())
}

/// The folders in `out/`.
fn runs(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match std::fs::read_dir(out) {
        Ok(entries) => {
            Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", out.display())),
    }
}

/// What a prune removed or would remove.
#[derive(Debug, Serialize)]
pub struct Pruned {
    pub dry_run: bool,
    /// The results, the oldest first.
    pub results: Vec<Unneeded>,
    pub removed: Removed,
    /// What no suite needs either, and is younger than asked.
    pub kept: Share,
}

/// A result that no suite needs.
#[derive(Debug, Serialize)]
pub struct Unneeded {
    pub label: String,
    pub key: Digest,
    /// When it was computed, in seconds since 1970 (UTC).
    pub finished: u64,
    /// In bytes, less the files that other results have too.
    pub size: u64,
}

/// Objects that no record names are kept for this long: a run may be about to record them.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes the results that no suite of the project and no run in `out/` needs, and that were computed more than this long
/// ago; then files that no result has.
///
/// # Errors
/// If a suite cannot be planned, so that nobody knows what it needs; if a step is being computed; if a file cannot be
/// removed.
#[expect(clippy::disallowed_methods, reason = "what is removed depends on its age, and no result does")]
pub fn prune(project: &Project, engine: &mut Engine, keep: Duration, dry_run: bool) -> anyhow::Result<Pruned> {
    let store = engine.store.clone();
    let removes = !dry_run && store.exists();
    if removes {
        check_for_tasks(&project.root.join("out"))?;
        engine.interrupt.check()?;
    }
    // What is looked at stays as it is until it is removed.
    let alone = if removes { Some(store.alone()?) } else { None };
    let needs = needs(project, engine)?;
    let census = store.census()?;
    let needed = |key: &Digest| needs.values().any(|keys| keys.contains(key));
    let now = SystemTime::now();
    let oldest = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(keep).as_secs();
    let (mut old, mut young, mut damaged, mut stay) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (key, action) in &census.actions {
        match action {
            // A damaged record is as none.
            None => damaged.push(*key),
            Some(action) if needed(key) => stay.push(action),
            Some(action) if action.finished > oldest => young.push(action),
            Some(action) => old.push((*key, action)),
        }
    }
    old.sort_by_key(|(key, action)| (action.finished, *key));
    stay.extend(&young);
    let used = Census::outputs(stay);
    // Object → when the latest of its results was recorded. If it was put there since, a run is about to record it.
    let mut of_old: BTreeMap<Digest, SystemTime> = BTreeMap::new();
    for (key, action) in &old {
        let recorded = census.recorded[key];
        for object in Census::outputs([*action]) {
            let latest = of_old.entry(object).or_insert(recorded);
            *latest = recorded.max(*latest);
        }
    }
    let is_of_old = |digest: &Digest, object: &Object| {
        of_old.get(digest).is_some_and(|recorded| object.since <= *recorded + Duration::from_secs(1))
    };
    let is_over = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age > GRACE);
    let unused = census
        .objects
        .iter()
        .filter(|(digest, object)| !used.contains(digest) && (is_of_old(digest, object) || is_over(object.since)));
    let objects: Vec<Digest> = unused.map(|(digest, _)| *digest).collect();
    let results = old.iter().map(|(key, action)| {
        let alone: BTreeSet<Digest> = Census::outputs([*action]).difference(&used).copied().collect();
        let size = census.size(&alone);
        Unneeded { label: action.label.clone(), key: *key, finished: action.finished, size }
    });
    let results: Vec<Unneeded> = results.collect();
    let keys: Vec<Digest> = old.iter().map(|(key, _)| *key).chain(damaged).collect();
    let removed = match alone {
        None => Removed { actions: keys.len(), objects: objects.len(), size: census.size(&objects) },
        Some(alone) => alone.remove(&keys, &objects, &engine.interrupt)?,
    };
    let kept = Share::of("kept", &census, young);
    Ok(Pruned { dry_run, results, removed, kept })
}

/// Whether a store is whole.
#[derive(Debug, Default, Serialize)]
pub struct Verified {
    /// The numbers of records and files that were read.
    pub actions: usize,
    pub objects: usize,
    /// The keys of records that are not what was written. Their steps run again.
    pub damaged_actions: Vec<Digest>,
    /// Files that are missing, or not what their records say. They are set aside, and computed again where they are needed.
    pub damaged_objects: Vec<DamagedObject>,
    /// The number of files that belong to others and are not here, such as archives after a pull. They are fetched or made
    /// again where they are needed.
    pub left_out: usize,
}

#[derive(Debug, Serialize)]
pub struct DamagedObject {
    pub sha256: Digest,
    pub damage: String,
    /// The steps that made it.
    pub labels: BTreeSet<String>,
}

/// Reads and hashes everything that the records of a store name, and sets aside what is damaged.
///
/// # Errors
/// If a folder cannot be listed; if it was interrupted.
pub fn verify(engine: &Engine, progress: &dyn Progress) -> anyhow::Result<Verified> {
    let Engine { store, interrupt, .. } = engine;
    let census = store.census()?;
    let mut outputs: BTreeMap<Digest, (Output, BTreeSet<String>)> = BTreeMap::new();
    let mut left_out: BTreeSet<Digest> = BTreeSet::new();
    for action in census.actions.values().flatten() {
        let kind = kind_of(action);
        for (name, output) in &action.outputs {
            let is_licensed = kind.is_some_and(|kind| kind.content(name).is_licensed());
            if is_licensed && !census.objects.contains_key(&output.sha256) {
                left_out.insert(output.sha256);
                continue;
            }
            let (_, labels) = outputs.entry(output.sha256).or_insert_with(|| (*output, BTreeSet::new()));
            labels.insert(action.label.clone());
        }
    }
    let all: Vec<Output> = outputs.values().map(|(output, _)| *output).collect();
    progress.begin(Some(all.iter().map(|output| output.size).sum()), Unit::Bytes);
    let damaged = store.damaged(&all, interrupt, |size| progress.advance(size));
    interrupt.check()?;
    let mut damaged_objects = Vec::new();
    for (output, damage) in damaged {
        let damage = match store.want(output.sha256, &damage) {
            Ok(()) => damage.to_string(),
            // The others are listed all the same.
            Err(error) => format!("{damage}; {error:#}"),
        };
        let labels = outputs.remove(&output.sha256).map(|(_, labels)| labels).unwrap_or_default();
        damaged_objects.push(DamagedObject { sha256: output.sha256, damage, labels });
    }
    let damaged_actions = census.actions.iter().filter(|(_, action)| action.is_none()).map(|(key, _)| *key).collect();
    Ok(Verified {
        actions: census.actions.len(),
        objects: all.len(),
        damaged_actions,
        damaged_objects,
        left_out: left_out.len(),
    })
}
