//! The engine: from a graph of steps to results.
//!
//! [`key`] defines what a result depends on, and [`graph`] holds the plan. [`survey`] finds what is done and why the rest
//! is not, [`explain`] puts that into words, and [`run`] computes the rest on this machine. [`display`] shows progress.
//! [`remote`] shares results by way of a remote store. [`devices`] are the CPU or GPUs, [`processor`] and [`origin`] tell what
//! computed a result, and [`variables`] what could disturb that.

mod accept;
pub mod devices;
pub mod display;
pub mod explain;
pub mod graph;
mod job;
pub mod key;
pub mod origin;
pub mod processor;
pub mod remote;
pub mod reuse;
mod room;
pub mod run;
pub mod slurm;
pub mod survey;
#[cfg(test)]
pub(crate) mod tests;
pub mod variables;

use self::devices::Devices;
use self::remote::ReadThrough;
use self::reuse::Reuse;
use crate::interrupt::Interrupt;
use crate::steps::FetchPlaces;
use crate::store::Store;

/// The store, the devices and everything else that computing or looking up steps takes.
pub struct Engine {
    pub store: Store,
    pub devices: Devices,
    pub environment: key::Environment,
    /// The number of cores that the steps share.
    pub threads: usize,
    pub downloads: FetchPlaces,
    /// Asked for the result of a step before it is computed.
    pub remote: Option<ReadThrough>,
    pub reuse: Reuse,
    pub interrupt: Interrupt,
}
