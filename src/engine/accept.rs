//! Whether a result may be used: what a step expects of it beyond its key.

use std::cell::RefCell;

use super::Engine;
use super::job::told;
use crate::errors;
use crate::steps::Step;
use crate::store::{Action, Damage, Digest};

/// What [`Step::accept`] came to.
pub(super) enum Acceptance {
    Accepted,
    /// What was expected and found.
    Refused(String),
    /// An output that had to be read is not what was kept.
    Damaged(Digest, Damage),
}

impl Engine {
    /// Asks a step whether it accepts a result that is recorded under its key.
    pub(super) fn acceptance(&self, step: &dyn Step, action: &Action) -> Acceptance {
        let damaged = RefCell::new(None);
        let read = |name: &str| {
            let output = action.outputs.get(name);
            let output = output.ok_or_else(|| anyhow::anyhow!("`{}` gave no `{name}`", action.label))?;
            self.store.read(output).map_err(|damage| {
                let error = errors::failed(format!("`{name}` is damaged: {damage}"), "run the same command again");
                damaged.replace(Some((output.sha256, damage)));
                error
            })
        };
        let accepted = step.accept(&read);
        match (damaged.into_inner(), accepted) {
            (Some((object, damage)), Err(_)) => Acceptance::Damaged(object, damage),
            (_, Err(error)) => Acceptance::Refused(told(&error)),
            (_, Ok(())) => Acceptance::Accepted,
        }
    }

    /// Whether a step accepts a recorded result as it is.
    pub fn accepts(&self, step: &dyn Step, action: &Action) -> bool {
        matches!(self.acceptance(step, action), Acceptance::Accepted)
    }
}
