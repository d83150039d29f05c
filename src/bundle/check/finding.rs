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
    /// What every bundle may leave out, so that it was not compared.
    pub unchecked: Vec<String>,
    /// What should have been compared and could not be, and why.
    pub unconfirmed: Vec<String>,
}

impl Check {
    pub(in crate::bundle) fn new(what: &'static str) -> Self {
        Check { what, examined: 0, problems: Vec::new(), unchecked: Vec::new(), unconfirmed: Vec::new() }
    }

    /// Adds skipped comparisons: reason → number.
    pub(super) fn skip(&mut self, reasons: BTreeMap<String, usize>) {
        self.unchecked.extend(reasons.into_iter().map(|(why, count)| format!("{count}: {why}")));
    }

    /// Adds a difference from what this program computes: a problem, unless another version of the program made the run,
    /// so that nobody can tell.
    pub(super) fn differs_here(&mut self, provenance: &Provenance, what: String) {
        match provenance.program.source_sha256 == env!("SEESAW_SOURCE_SHA256") {
            true => self.problems.push(what),
            false => self.unconfirmed.push(format!("{what} (the run was made by another version of this program)")),
        }
    }
}
