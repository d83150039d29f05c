//! Planning: from a suite to a graph of steps, and what can be said of it before anything runs.
//!
//! [`project`] finds the project's folder and plans a suite in it, [`plan`] builds the graph, [`unavailable`] lists what only a
//! person can get, [`lock`] records what downloads without a checksum were, [`estimate`] says how long the rest will take,
//! by what [`calibration`] measured of this machine.

pub mod calibration;
pub mod estimate;
#[cfg(test)]
mod keys;
pub mod lock;
pub mod plan;
pub mod project;
pub mod unavailable;
