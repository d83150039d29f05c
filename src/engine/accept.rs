//! Decides whether a result may be used, beyond its key.

use std::cell::RefCell;

use super::Engine;
use crate::digest::Digest;
use crate::errors;
use crate::steps::{Absence, Step};
use crate::store::{Brief, Damage};

/// The outcome of [`crate::steps::Describe::accept`].
pub(super) enum Acceptance {
    Accepted,
    /// What was expected and what was found.
    Refused(Absence),
    /// An output that decides it is damaged.
    Damaged(Digest, Damage),
}

impl Engine {
    /// Asks a step whether it accepts a result that is recorded under its key.
    pub(super) fn acceptance(&self, step: &Step, action: &Brief) -> Acceptance {
        let damaged = RefCell::new(None);
        let read = |name: &str| {
            let output = action.outputs.get(name);
            let output = output.ok_or_else(|| anyhow::anyhow!("`{}` has no output `{name}`", action.label))?;
            self.store.read(output).map_err(|damage| {
                let error = errors::failed(format!("`{name}` is damaged: {damage}"), "run the same command again");
                damaged.replace(Some((output.sha256, damage)));
                error
            })
        };
        let accepted = step.accept(&read);
        match (damaged.into_inner(), accepted) {
            (Some((object, damage)), Err(_)) => Acceptance::Damaged(object, damage),
            (_, Err(error)) => Acceptance::Refused(step.absence_after(&error)),
            (_, Ok(())) => Acceptance::Accepted,
        }
    }
}
