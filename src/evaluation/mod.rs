//! Evaluation: [`metrics`] of predictions, [`impaired`] test features, [`robustness`] of scores under impairments, [`statistics`] over seeds.

pub mod impaired;
pub mod metrics;
pub mod robustness;
pub mod statistics;
