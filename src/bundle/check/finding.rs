//! The result of one check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::publication::record::Provenance;

/// A comparison of many things of a kind.
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
    pub(super) fn new(what: &'static str) -> Self {
        Check { what, examined: 0, problems: Vec::new(), unchecked: Vec::new() }
    }

    /// Adds skipped comparisons: reason → number.
    pub(super) fn skip(&mut self, reasons: BTreeMap<String, usize>) {
        self.unchecked.extend(reasons.into_iter().map(|(why, count)| format!("{count}: {why}")));
    }

    /// Adds a difference from what this program computes: a problem, unless another version of the program made the run.
    pub(super) fn differs_here(&mut self, provenance: &Provenance, what: String) {
        match provenance.program.source_sha256 == env!("SEESAW_SOURCE_SHA256") {
            true => self.problems.push(what),
            false => self.unchecked.push(format!("{what} (the run was made by another version of this program)")),
        }
    }
}
