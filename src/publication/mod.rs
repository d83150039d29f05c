//! Publication: what a run leaves in `out/SUITE/`, and the run itself from a suite to these files.
//!
//! [`cost`] tells what a run will take; [`run`] computes what is not done yet and brings `out/SUITE/` up to date.
//! [`publish`] holds the one rule for which files are out of date. [`reports`] lists the files that explain the results,
//! [`drafts`] until they are whole: [`claims`], [`page`] (`report.html` and `report.tex`) and [`provenance`], whose layout is defined in [`record`] and exported for other tools by [`ro_crate`].
//! [`outputs`] reads results, tables and figures back from the store. [`recheck`] is what came of training cells again.
//!
//! [`cluster`] hands a suite to Slurm and publishes it there.
//!
//! The other modules answer commands about a suite or a dataset: [`status`], [`single`] (one table or figure), [`trace`]
//! (one training), [`dataset`], or about the store: [`storage`]. [`remote`]
//! pushes and pulls a suite. [`machine`] describes this machine, [`source_digest`] the source of the program.

pub mod claims;
pub mod cluster;
pub mod compare;
pub mod cost;
pub mod dataset;
pub mod drafts;
pub mod machine;
pub mod outputs;
pub mod page;
pub mod provenance;
pub mod publish;
pub mod recheck;
pub mod record;
pub mod remote;
pub mod reports;
pub mod ro_crate;
pub mod run;
pub mod single;
pub mod source_digest;
pub mod status;
pub mod storage;
pub mod trace;

use crate::engine::Engine;
use crate::engine::devices::Devices;
use crate::engine::graph::{Node, NodeId};
use crate::engine::run::NodeOutcome;
use crate::interrupt::Interrupt;
use crate::planning::project::{Options, Planned, Project};
use crate::store::Brief;

/// A run of a suite: its project, its plan, and the engine to run it with.
pub struct Run {
    pub project: Project,
    pub planned: Planned,
    pub engine: Engine,
}

impl Run {
    /// Plans a suite of the project that the options name, and opens the store.
    ///
    /// # Errors
    /// If there is no project, the suite cannot be planned, or the store cannot be opened.
    pub fn open(options: &Options, suite: &str, devices: Devices, interrupt: Interrupt) -> anyhow::Result<Self> {
        let project = Project::find(options)?;
        let planned = project.planned(suite, &interrupt)?;
        let engine = project.engine(devices, interrupt)?;
        Ok(Run { project, planned, engine })
    }
}

/// A run that has ended, or what earlier runs left in the store.
pub struct Finished<'a> {
    pub run: &'a Run,
    /// The outcome of each step of the plan.
    pub nodes: &'a [NodeOutcome],
}

impl Finished<'_> {
    /// The record of a step, if it is done.
    pub fn action(&self, id: NodeId) -> Option<&Brief> {
        self.nodes.get(id.0)?.action()
    }

    /// The steps of the plan.
    fn steps(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.run.planned.graph.ids().map(|id| (id, self.run.planned.graph.node(id)))
    }
}
