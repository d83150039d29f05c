//! Progress of long computations.

/// Receives the progress of a step, to draw a bar or write lines.
pub trait Progress: Send + Sync {
    /// The work begins. `total` is the number of units, if known.
    fn begin(&self, total: Option<u64>, unit: Unit);
    /// `n` more units are done.
    fn advance(&self, n: u64);
    /// A message that the user should see now, about a retry, another mirror or a wait.
    fn note(&self, message: &str);
}

/// The unit of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Pictures,
    Texts,
    Epochs,
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _n: u64) {}
    fn note(&self, _message: &str) {}
}
