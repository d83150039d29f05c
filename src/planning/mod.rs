//! Planning: from a suite to a graph of steps, and what can be said about it before it runs.
//!
//! [`project`] finds the project and plans its suites, and [`plan`] builds the graph. [`unavailable`] lists the data that
//! only a person can get, [`estimate`] predicts time and disk space from the speed that [`calibration`] measured, and
//! [`lock`] records the checksums of downloads that had none.

pub mod calibration;
pub mod estimate;
#[cfg(test)]
mod keys;
pub mod lock;
pub mod plan;
pub mod project;
pub mod unavailable;
