//! The conditions under which each training is evaluated.

use crate::report::replicates::Level;

/// What is done to the test split: one evaluation per condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Nothing.
    Full,
    /// One modality is missing, at each missing ratio of the suite.
    Missing,
    /// One modality is noisy.
    Noisy,
}

impl Condition {
    pub const ALL: [Condition; 3] = [Condition::Full, Condition::Missing, Condition::Noisy];

    /// The name in roles and keys.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Full => "full",
            Condition::Missing => "missing",
            Condition::Noisy => "noisy",
        }
    }

    /// The condition whose evaluation gives the predictions at a level.
    pub fn of(level: Level) -> Self {
        match level {
            Level::Full => Condition::Full,
            Level::Missing(..) => Condition::Missing,
            Level::Noisy(_) => Condition::Noisy,
        }
    }
}
