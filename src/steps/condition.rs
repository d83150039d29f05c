//! The conditions under which each training is evaluated.

use crate::report::replicates::Level;
use crate::terms::named;

named! {
    /// What is done to the test split: one evaluation per condition. The names are those in roles and keys.
    pub enum Condition {
        /// Nothing.
        Full = "full",
        /// One modality is missing, at each missing ratio of the suite.
        Missing = "missing",
        /// One modality is noisy.
        Noisy = "noisy",
    }
}

impl Condition {
    /// The condition whose evaluation gives the predictions at a level.
    pub fn of(level: Level) -> Self {
        match level {
            Level::Full => Condition::Full,
            Level::Missing(..) => Condition::Missing,
            Level::Noisy(_) => Condition::Noisy,
        }
    }
}
