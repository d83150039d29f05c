//! Planning: from a suite to a graph of steps, and what can be said about it before it runs.
//!
//! [`project`] finds the project and plans its suites, and [`plan`] builds the graph. [`overview`] lists its steps and why
//! they would run, and the data that only a person can get. [`estimate`] predicts time and disk space from the
//! speed that [`calibration`] measured, [`lock`] records the checksums of downloads that had none, and [`fetch`] fetches
//! archives outside of a run.

pub mod calibration;
pub mod estimate;
pub mod fetch;
#[cfg(test)]
mod keys;
pub mod lock;
pub mod overview;
pub mod plan;
pub mod project;
