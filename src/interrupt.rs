//! The request to stop, seen by every long loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised once and never lowered; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks everything that holds a clone to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// An error of class [`crate::errors::Class::Interrupted`] once a stop was asked for. Loops call this at least
    /// every few hundred milliseconds.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.raised() { Err(crate::errors::interrupted()) } else { Ok(()) }
    }
}
