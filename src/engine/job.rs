//! One step on one thread: verify its inputs, take its lock, compute, keep the outputs, record.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use anyhow::Context;

use super::Engine;
use super::graph::NodeId;
use crate::digest::Digest;
use crate::errors::{self, Class};
use crate::progress::Progress;
use crate::steps::{Absence, Execute, InputFile, Job, Step};
use crate::store::{Action, Damage, Ingredients, Output};

/// Everything that is fixed about a step before it starts.
pub(super) struct Order<'a> {
    pub step: &'a Step,
    pub execute: Execute,
    pub ingredients: Ingredients,
    /// Role → (the object, the key and the node of the step that gave it).
    pub inputs: BTreeMap<String, (Output, Digest, NodeId)>,
    pub absent: BTreeMap<String, Absence>,
    pub progress: Arc<dyn Progress>,
    /// Objects whose content was compared with their hash in this run.
    pub verified: Arc<Mutex<BTreeSet<Digest>>>,
}

/// How it ended.
pub(super) enum Ending {
    Computed(Box<Action>),
    /// Another run computed it while this one waited.
    Found(Box<Action>),
    /// An input's object is not what was kept.
    Damaged {
        producer: NodeId,
        object: Digest,
        damage: Damage,
    },
    /// It failed, or what it needs is unavailable.
    Absent(Absence),
    Interrupted,
}

impl Engine {
    pub(super) fn carry_out(&self, order: Order<'_>) -> Ending {
        for (output, _, producer) in order.inputs.values() {
            if let Err(damage) = self.verify_once(output, &order.verified) {
                return Ending::Damaged { producer: *producer, object: output.sha256, damage };
            }
        }
        match self.compute(&order) {
            Ok(ending) => ending,
            Err(error) => match errors::class_of(&error) {
                Class::Interrupted => Ending::Interrupted,
                _ => Ending::Absent(Absence::by_error(order.step, &error)),
            },
        }
    }

    fn verify_once(&self, output: &Output, verified: &Mutex<BTreeSet<Digest>>) -> Result<(), Damage> {
        let known = verified.lock().expect("nothing panics while it holds this").contains(&output.sha256);
        // What was verified may have been removed since; its content cannot have changed unnoticed by us alone.
        if known && self.store.looks_whole(output) {
            return Ok(());
        }
        self.store.verify(output)?;
        verified.lock().expect("nothing panics while it holds this").insert(output.sha256);
        Ok(())
    }

    fn compute(&self, order: &Order<'_>) -> anyhow::Result<Ending> {
        let key = order.ingredients.key();
        let _lock = self.store.lock(key, &self.interrupt, || {
            order.progress.note(&format!("waiting for another run that computes `{}`", order.step.label()));
        })?;
        if let Some(action) = self.store.action(key)
            && action.outputs.values().all(|output| self.store.looks_whole(output))
        {
            return Ok(Ending::Found(Box::new(action)));
        }
        self.interrupt.check()?;
        let workspace = self.store.workspace()?;
        let job = self.job(order, workspace.path().to_owned());
        let began = Instant::now();
        let files = std::panic::catch_unwind(AssertUnwindSafe(|| (order.execute)(order.step, &job)))
            .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))?;
        let mut outputs = BTreeMap::new();
        for (name, file) in files {
            outputs.insert(name, self.store.put_file(&file)?);
        }
        let mut seen = order.verified.lock().expect("nothing panics while it holds this");
        seen.extend(outputs.values().map(|output| output.sha256));
        drop(seen);
        let action = Action {
            label: order.step.label(),
            ingredients: order.ingredients.clone(),
            outputs,
            seconds: began.elapsed().as_secs_f64(),
            #[expect(clippy::disallowed_methods, reason = "the record of a run, which enters no result")]
            finished: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs()),
        };
        self.store.record(&action).context("the step was computed and cannot be recorded")?;
        Ok(Ending::Computed(Box::new(action)))
    }

    fn job(&self, order: &Order<'_>, folder: std::path::PathBuf) -> Job {
        let file = |(output, key, _): &(Output, Digest, NodeId)| InputFile {
            path: self.store.object_path(output.sha256),
            sha256: output.sha256.to_string(),
            key: key.to_string(),
        };
        Job {
            inputs: order.inputs.iter().map(|(role, input)| (role.clone(), file(input))).collect(),
            absent: order.absent.clone(),
            folder,
            interrupt: self.interrupt.clone(),
            progress: order.progress.clone(),
            threads: self.threads,
            device: self.device,
            downloads: self.downloads.clone(),
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> anyhow::Error {
    let message = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no message".to_owned());
    errors::failed(
        format!("the step panicked: {message}"),
        "this is a mistake in seesaw; please report it with this message",
    )
}
