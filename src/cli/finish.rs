//! What a run writes into `out/SUITE/` beside the results of steps: files that tell of times and machines, and so are no
//! step's output. They are made anew when something that they tell of has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Global, Planned, Project, claims, report};
use crate::engine::Engine;
use crate::engine::run::NodeOutcome;
use crate::steps::Absence;
use crate::store::{Action, Digest};

/// A run that came to its end, or what an earlier one left.
pub struct Finished<'a> {
    pub project: &'a Project,
    pub global: &'a Global,
    pub planned: &'a Planned,
    pub engine: &'a Engine,
    /// What became of each step of the plan.
    pub nodes: &'a [NodeOutcome],
}

impl Finished<'_> {
    /// The record of a step, if it is done.
    pub fn action(&self, id: crate::engine::graph::NodeId) -> Option<&Action> {
        match self.nodes.get(id.0)? {
            NodeOutcome::Done(_, action) => Some(action),
            _ => None,
        }
    }
}

/// File name and content.
pub type Files = Vec<(String, Vec<u8>)>;

/// Makes some files. A maker is called only when something has changed.
type Maker = fn(&Finished) -> anyhow::Result<Files>;

const MAKERS: &[Maker] = &[claims::files, super::report::files, super::provenance::files];

/// The version of what the makers make: raised when they would make other files of the same run.
const RECIPE: u64 = 2;

/// What was written last, beside the files: `.finished.json`.
#[derive(PartialEq, Serialize, Deserialize)]
struct Written {
    /// Of everything that the files were made from.
    fingerprint: Digest,
    /// File → SHA-256 of its content.
    files: BTreeMap<String, Digest>,
    /// What the run had to do without, by the step's label.
    #[serde(default)]
    absent: BTreeMap<String, Absence>,
}

const RECORD: &str = ".finished.json";

/// Whether the files are those that [`write`] would write.
pub fn is_current(finished: &Finished) -> bool {
    MAKERS.is_empty() || current(&finished.planned.out, fingerprint(finished))
}

fn read(out: &Path) -> Option<Written> {
    serde_json::from_slice(&std::fs::read(out.join(RECORD)).ok()?).ok()
}

/// The steps that gave nothing in the last run that came to its end here, by label, each with the reason; not those that
/// were not run because of them.
pub fn absent(out: &Path) -> BTreeMap<String, Absence> {
    read(out).map(|written| written.absent).unwrap_or_default()
}

fn current(out: &Path, fingerprint: Digest) -> bool {
    let whole = |(file, digest): (&String, &Digest)| matches!(Digest::of_file(&out.join(file)), Ok((found, _)) if found == *digest);
    read(out).is_some_and(|written| written.fingerprint == fingerprint && written.files.iter().all(whole))
}

/// Writes the files that are missing, changed or outdated.
///
/// # Returns
/// Those that were written.
///
/// # Errors
/// If one cannot be made or written.
pub fn write(finished: &Finished) -> anyhow::Result<Vec<PathBuf>> {
    if is_current(finished) { Ok(Vec::new()) } else { make(finished) }
}

/// Writes all the files.
///
/// # Returns
/// Their paths.
///
/// # Errors
/// If one cannot be made or written.
pub fn make(finished: &Finished) -> anyhow::Result<Vec<PathBuf>> {
    let Finished { planned: Planned { out, graph, .. }, nodes, .. } = finished;
    let absent = graph.ids().filter_map(|id| match nodes.get(id.0)? {
        NodeOutcome::Absent(absence @ (Absence::Failed(_) | Absence::Lacking(_))) => {
            Some((graph.node(id).step.label(), absence.clone()))
        }
        _ => None,
    });
    let mut written = Written { fingerprint: fingerprint(finished), files: BTreeMap::new(), absent: absent.collect() };
    let mut paths = Vec::new();
    for make in MAKERS {
        for (name, bytes) in make(finished)? {
            let path = out.join(&name);
            finished
                .engine
                .store
                .write_file(&path, &bytes)
                .with_context(|| format!("cannot write {}", path.display()))?;
            written.files.insert(name, Digest::of(&bytes));
            paths.push(path);
        }
    }
    let record = out.join(RECORD);
    let bytes = serde_json::to_vec_pretty(&written)?;
    finished.engine.store.write_file(&record, &bytes).with_context(|| format!("cannot write {}", record.display()))?;
    Ok(paths)
}

/// Of every step with its result and time, of the program and of what it was told.
fn fingerprint(finished: &Finished) -> Digest {
    let mut told = format!("{RECIPE} {}", env!("CARGO_PKG_VERSION"));
    for node in finished.nodes {
        told += "\n";
        match node {
            NodeOutcome::Done(key, action) => told += &format!("{key} {} {}", action.finished, action.seconds),
            NodeOutcome::Absent(absence) => told += absence.cause(),
            NodeOutcome::NotWanted => {}
        }
    }
    for name in claims::SOURCES {
        let digest = Digest::of_file(&finished.project.experiments().join(name));
        told += &digest.map_or_else(|_| "\nnone".to_owned(), |(digest, _)| format!("\n{digest}"));
    }
    told += "\n";
    told += &super::provenance::fingerprint(finished);
    let templates = finished.project.templates(finished.global);
    for name in report::TEMPLATES {
        let digest = templates.read(name).map(|text| Digest::of(text.as_bytes()).to_string());
        told += &format!("\n{}", digest.as_deref().unwrap_or("none"));
    }
    Digest::of(told.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was edited or removed, and another run, are noticed.
    #[test]
    fn what_was_written_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let (one, other) = (Digest::of(b"one run"), Digest::of(b"another"));
        assert!(!current(out, one));
        std::fs::write(out.join("report.html"), "told").unwrap();
        let files = BTreeMap::from([("report.html".to_owned(), Digest::of(b"told"))]);
        let lacking = BTreeMap::from([("fetch words.zip".to_owned(), Absence::Lacking("asks who you are".into()))]);
        let written = Written { fingerprint: one, files, absent: lacking.clone() };
        assert!(absent(out).is_empty());
        std::fs::write(out.join(RECORD), serde_json::to_vec(&written).unwrap()).unwrap();
        assert!(current(out, one) && !current(out, other));
        assert_eq!(absent(out), lacking);
        std::fs::write(out.join("report.html"), "edited").unwrap();
        assert!(!current(out, one));
        std::fs::remove_file(out.join("report.html")).unwrap();
        assert!(!current(out, one));
    }
}
