//! What a long computation tells the person who waits for it.

/// Where one step reports how far it is. Implementations draw a bar, write plain lines, or do nothing.
pub trait Progress: Send + Sync {
    /// The work begins: `total` units in all, if known.
    fn begin(&self, total: Option<u64>, unit: Unit);
    /// `n` more units are done.
    fn advance(&self, n: u64);
    /// A remark that a person should see now (a retry, another mirror, a wait).
    fn note(&self, message: &str);
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Pictures,
    Texts,
    Epochs,
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _n: u64) {}
    fn note(&self, _message: &str) {}
}
