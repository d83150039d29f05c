//! A suite's results by way of a remote store: pushed to it, and pulled on another machine.

use serde::Serialize;

use super::cluster::Jobs;
use super::provenance::used;
use super::{Run, reports};
use crate::engine::remote::{Pulled, Pushed};
use crate::engine::survey::State;
use crate::errors;
use crate::manifests::Manifest;
use crate::progress::Progress;
use crate::store::Remote;

/// What was pushed of a suite.
#[derive(Debug, Serialize)]
pub struct PushedSuite {
    pub suite: String,
    pub remote: String,
    pub steps: usize,
    /// Those that are done.
    pub done: usize,
    #[serde(flatten)]
    pub pushed: Pushed,
}

/// What was pulled of a suite.
#[derive(Debug, Serialize)]
pub struct PulledSuite {
    pub suite: String,
    pub remote: String,
    pub steps: usize,
    #[serde(flatten)]
    pub pulled: Pulled,
}

impl Run {
    /// Sends the results of a suite to the remote store; data of others too if `with_data` is given, which is called before
    /// there is some to send.
    ///
    /// # Errors
    /// A usage error if no remote store is named, or it can only be read; if nothing is done; if the remote store cannot be
    /// written to; on an interrupt.
    pub fn push(&mut self, with_data: Option<&dyn Fn()>, progress: &dyn Progress) -> anyhow::Result<PushedSuite> {
        let remote = self.remote()?;
        remote.check_writable()?;
        let Run { planned, engine, .. } = self;
        engine.environment = Jobs::environment(&planned.out, &engine.environment)?;
        let (states, _) = engine.survey_without(&planned.graph, &reports::absent(&engine.store, planned));
        let suite = planned.suite.name.clone();
        let done = states.iter().filter(|state| matches!(state, State::Done(..))).count();
        if done == 0 {
            let message = format!("no step of {suite} is done, so there is nothing to push");
            return Err(errors::failed(message, "run it first, with the same options"));
        }
        let pushed = engine.push(&planned.graph, &states, &remote, with_data, progress)?;
        Ok(PushedSuite { suite, remote: remote.place().to_string(), steps: planned.graph.len(), done, pushed })
    }

    /// Takes over the results of a suite from the remote store.
    ///
    /// # Errors
    /// A usage error if no remote store is named; if it does not answer, or has no result of the suite; if the store cannot
    /// be written to; on an interrupt.
    pub fn pull(&self, with_data: bool, progress: &dyn Progress) -> anyhow::Result<PulledSuite> {
        let Run { planned, engine, .. } = self;
        let remote = self.remote()?;
        let pulled = engine.pull(&planned.graph, &remote, with_data, progress)?;
        if pulled.present + pulled.pulled == 0 && pulled.faults.is_empty() {
            return Err(errors::failed(
                format!("{} has no result of {}", remote.place(), planned.suite.name),
                "push it from the machine that computed it, with the same suite, options, kind of device and version of seesaw",
            ));
        }
        let (suite, steps) = (planned.suite.name.clone(), planned.graph.len());
        Ok(PulledSuite { suite, remote: remote.place().to_string(), steps, pulled })
    }

    /// The manifests whose archives the plan fetches.
    pub fn materials(&self) -> impl Iterator<Item = &Manifest> {
        used(&self.planned.manifests, &self.planned.graph)
    }

    fn remote(&self) -> anyhow::Result<Remote> {
        let place = self.project.options.named_remote().ok_or_else(|| {
            errors::usage(
                "no remote store is named",
                "name one with --remote or SEESAW_REMOTE: s3://, gs://, az://, https:// or a folder",
            )
        })?;
        Remote::open(place, &self.engine.interrupt)
    }
}
