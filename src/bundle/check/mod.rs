//! Compares everything in a bundle with everything else in it. Hashes tell that nothing was changed since it was packed;
//! computing again tells that the numbers follow from what lies beneath. Neither tells who packed it: a bundle that was
//! made up from the bottom is consistent too, and only training again ([`super::rerun`]) finds it out.

mod again;
mod records;
mod verdicts;

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;

use super::unpack::Bundle;
use crate::engine::graph::{Graph, NodeId};
use crate::interrupt::Interrupt;
use crate::publication::record::{self, Provenance, Status};

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
    let (actions, check) = records::actions(bundle);
    checks.push(check);
    interrupt.check()?;
    checks.push(records::objects(bundle, &actions));
    checks.push(records::steps(&provenance, &actions));
    checks.push(records::files(bundle, &provenance, &actions));
    checks.push(records::sources(bundle, &provenance));
    interrupt.check()?;
    checks.extend(again::plan_and_reports(bundle, &provenance, interrupt)?);
    checks.push(again::predictions(bundle, &provenance, interrupt)?);
    checks.extend(verdicts::verdicts(bundle, &provenance)?);
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

/// Whether nothing differs.
pub fn is_good(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.problems.is_empty())
}

/// The steps that a graph and the provenance both have and that were done, for whoever repeats them.
pub(super) fn is_done(graph: &Graph, id: NodeId, provenance: &Provenance) -> bool {
    provenance.step(&graph.node(id).step.label()).is_some_and(|step| step.status == Status::Done)
}
