//! Publication: what a run leaves in `out/SUITE/`, and the run itself from a suite to these files.
//!
//! [`run`] computes what is not done and brings `out/SUITE/` up to date; [`publish`] has the one rule for what is out of
//! date. [`reports`] are the files that say where all of it came from: [`claims`], [`report`] (the page and the LaTeX
//! document, from what [`gather`] and [`outputs`] read back from the store) and [`provenance`], whose layout is in
//! [`record`], with [`ro_crate`] for other tools. [`machine`] says what this machine is, [`source_digest`] what the
//! program was built from.

pub mod claims;
pub mod gather;
pub mod machine;
pub mod outcomes;
pub mod outputs;
pub mod provenance;
pub mod publish;
pub mod record;
pub mod report;
pub mod reports;
pub mod ro_crate;
pub mod run;
pub mod source_digest;
mod time;

use crate::engine::Engine;
use crate::engine::graph::NodeId;
use crate::engine::run::NodeOutcome;
use crate::planning::project::{Planned, Project};
use crate::store::Action;

/// File name and content.
pub type Files = Vec<(String, Vec<u8>)>;

/// A run that came to its end, or what an earlier one left in the store.
pub struct Finished<'a> {
    pub project: &'a Project,
    pub planned: &'a Planned,
    pub engine: &'a Engine,
    /// What became of each step of the plan.
    pub nodes: &'a [NodeOutcome],
}

impl Finished<'_> {
    /// The record of a step, if it is done.
    pub fn action(&self, id: NodeId) -> Option<&Action> {
        match self.nodes.get(id.0)? {
            NodeOutcome::Done(_, action) => Some(action),
            _ => None,
        }
    }
}
