//! Evaluation: [`metrics`] of predictions, [`robustness`] of scores under impairments, [`statistics`] over seeds.

pub mod metrics;
pub mod robustness;
pub mod statistics;
