//! Which recorded results count as done.

use super::survey::Reason;
use super::{Engine, processor};
use crate::digest::Digest;
use crate::steps::Kind;
use crate::store::{Action, Brief};

/// Which results of steps on tensors are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Reuse {
    /// All with the same key
    #[default]
    Any,
    /// Those that a processor of this machine's kind made
    Exact,
}

impl Engine {
    /// The record under the key of a step of this kind, if its result may be used.
    pub(super) fn reusable(&self, kind: Kind, key: Digest) -> Option<Brief> {
        self.store.brief(key).filter(|action| self.refusal(kind, action).is_none())
    }

    /// Why the result of a step of this kind may not be used, if it is another processor's. A record that does not name what
    /// made it cannot show that it was one of this kind.
    pub(super) fn refusal<I>(&self, kind: Kind, action: &Action<I>) -> Option<Reason> {
        if self.reuse == Reuse::Any || !kind.uses_tensors() {
            return None;
        }
        let made_by = action.computed_by.clone();
        let mut here = self.devices.iter().map(processor::here);
        let is_here = made_by.as_ref().is_some_and(|made_by| here.any(|here| here == *made_by));
        let here = processor::here(self.devices.first());
        (!is_here).then_some(Reason::OtherProcessor { made_by, here })
    }
}
