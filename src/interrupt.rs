//! Requests to stop, which every long loop checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised once and never lowered; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Requests a stop from everything that holds a clone.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was requested.
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Long loops call this at least every few hundred milliseconds.
    ///
    /// # Errors
    /// An error of class [`crate::errors::Class::Interrupted`] if a stop was requested.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.raised() { Err(crate::errors::interrupted()) } else { Ok(()) }
    }
}
