//! Compares everything in a bundle with everything else in it. Hashes show that nothing changed since it was packed;
//! computing again shows that the numbers follow from the records. Neither shows who packed it: a bundle that was made up
//! from scratch is consistent too, and only training again ([`super::rerun`]) detects that.

mod again;
mod finding;
mod own;
mod records;
mod reports;

use anyhow::Context;
use serde::Serialize;

pub use self::finding::Check;
use super::plan;
use super::unpack::Bundle;
use crate::engine::graph::{Graph, NodeId};
use crate::interrupt::Interrupt;
use crate::publication::record::{self, Provenance, Status};

/// Every check of a bundle, in order.
///
/// # Errors
/// If a file cannot be read, or on interruption. Problems of the bundle are in the checks.
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
    let (actions, check) = records::actions(bundle);
    checks.push(check);
    interrupt.check()?;
    checks.push(records::objects(bundle, &actions));
    checks.push(records::steps(bundle, &provenance, &actions));
    checks.push(records::files(bundle, &provenance, &actions));
    checks.push(records::sources(bundle, &provenance));
    interrupt.check()?;
    let (foreign, check) = own::check(bundle)?;
    checks.push(check);
    let planned = plan::build(bundle, &provenance, |_| Ok(()));
    checks.extend(again::plan_and_results(bundle, &provenance, planned.as_ref(), &foreign, interrupt)?);
    checks.push(again::predictions(bundle, &provenance, interrupt)?);
    if let Ok(planned) = planned {
        checks.push(reports::reports(bundle, &provenance, planned, &foreign, interrupt)?);
    }
    Ok(checks)
}

/// The provenance that a bundle carries.
///
/// # Errors
/// If it is missing, malformed, or of another layout.
pub fn provenance(bundle: &Bundle) -> anyhow::Result<Provenance> {
    let name = format!("out/{}", record::FILE);
    let bytes = bundle.read(&name)?.with_context(|| format!("`{name}` is missing or damaged"))?;
    Provenance::parse(&bytes).with_context(|| format!("`{name}`"))
}

/// What all checks together say of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything agrees, and everything that can be made again was.
    Good,
    /// Nothing that was compared differs, but something that should have been compared could not be.
    Incomplete,
    /// Something differs.
    Differs,
}

/// The verdict of the checks.
pub fn verdict(checks: &[Check]) -> Verdict {
    if checks.iter().any(|check| !check.problems.is_empty()) {
        Verdict::Differs
    } else if checks.iter().any(|check| !check.unconfirmed.is_empty()) {
        Verdict::Incomplete
    } else {
        Verdict::Good
    }
}

/// Whether a step of a graph is done according to the provenance.
pub(super) fn is_done(graph: &Graph, id: NodeId, provenance: &Provenance) -> bool {
    provenance.step(&graph.node(id).step.label()).is_some_and(|step| step.status == Status::Done)
}
