//! The engine: from a graph of steps to results.
//!
//! [`key`] says what a result depends on, [`graph`] holds the plan, [`survey`] tells what of it is done and why the
//! rest is not, [`run`] does the rest on this machine (`accept` may refuse results), [`publish`] keeps `out/` equal to the
//! results, [`explain`] tells why a step would run again, `unavailable` what only a person can get, [`lock`] records what
//! downloads without a checksum were, [`display`] shows progress, [`estimate`] what the rest will take, [`plan`] builds
//! the graph of a suite.

mod accept;
pub mod display;
pub mod explain;
pub mod graph;
mod job;
pub mod key;
pub mod run;
pub mod survey;
#[cfg(test)]
pub(crate) mod tests;

use crate::interrupt::Interrupt;
use crate::steps::FetchPlaces;
use crate::store::Store;

/// What every command that looks at steps needs.
pub struct Engine {
    pub store: Store,
    pub device: tch::Device,
    pub environment: key::Environment,
    /// How many cores the steps share.
    pub threads: usize,
    pub downloads: FetchPlaces,
    pub interrupt: Interrupt,
}
