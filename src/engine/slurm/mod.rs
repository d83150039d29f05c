//! Slurm as an executor: a plan's pending steps as job arrays, one after the other.
//!
//! [`profile`] says what a task asks for, [`pack`] divides steps into tasks, [`script`] is what a task runs, and [`queue`]
//! speaks to Slurm by the commands and formats that all its versions have. The tasks share the store, so that a finished
//! cluster run is a store with all results in it.

pub mod pack;
pub mod profile;
pub mod queue;
pub mod script;
