//! Impairments: what is done to one modality of the test samples.
//!
//! [`missing`] takes a modality away from a share of the samples, [`noisy`] disturbs it. Every draw is made once, depends on
//! the samples' ids alone (and, for noise, on a seed of the suite), and is shared by all methods and seeds, so that
//! comparisons are paired.

pub mod missing;
pub mod noisy;
