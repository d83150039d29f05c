//! One step on one thread: verifies its inputs, takes its lock, computes, and stores and records its outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::Context;

use super::graph::NodeId;
use super::{Engine, processor};
use crate::digest::Digest;
use crate::errors::{self, Class};
use crate::map::Map;
use crate::progress::Progress;
use crate::steps::{Absence, Cost, Execute, InputFile, Job, Status, Step};
use crate::store::{Action, Brief, Damage, Ingredients, Output, Processor};
use crate::tensors;

/// A step that can start.
pub(super) struct Order<'a> {
    pub step: &'a Step,
    pub execute: Execute,
    pub ingredients: Ingredients,
    /// Role → the object, the key of the step that made it, that step, and the processors behind it that the step names.
    pub inputs: BTreeMap<Arc<str>, (Output, Digest, Producer, BTreeSet<Processor>)>,
    pub absent: BTreeMap<Arc<str>, Absence>,
    /// Where its tensors are.
    pub device: tch::Device,
    pub progress: Arc<dyn Progress>,
    /// Objects whose content was verified in this run.
    pub verified: Arc<Mutex<BTreeSet<Digest>>>,
    /// Whether it was asked for by itself, and not only for other steps: then all its files are.
    pub is_wanted: bool,
}

/// The step that made an input.
#[derive(Clone, Copy)]
pub(super) struct Producer {
    pub node: NodeId,
    /// How often its results had been computed again when the reader started. If it is more by now, what the reader says
    /// about them is out of date.
    pub repairs: usize,
}

/// How the step ended.
pub(super) enum Ending {
    Done {
        key: Digest,
        action: Box<Brief>,
        /// Otherwise another run computed it while this one waited, or it comes from a remote store.
        computed: bool,
    },
    /// An input is damaged.
    Damaged {
        producer: Producer,
        object: Digest,
        damage: Damage,
    },
    /// It failed, or its data is unavailable.
    Absent(Absence),
    Interrupted,
}

impl Engine {
    /// Computes a step, or finds what another run computed meanwhile.
    pub(super) fn carry_out(&self, mut order: Order<'_>) -> Ending {
        // First: a step whose result is there needs no inputs, and some of them may not be here.
        let key = order.ingredients.key();
        match self.taken_over(&order, key) {
            Ok(Some(action)) => return Ending::Done { key, action: Box::new(action), computed: false },
            Ok(None) => {}
            Err(error) => return ended(order.step, &error),
        }
        for (output, _, producer, _) in order.inputs.values() {
            if let Err(damage) = self.verify_once(output, &order.verified) {
                return Ending::Damaged { producer: *producer, object: output.sha256, damage };
            }
        }
        let ending = self.compute(&mut order, key).unwrap_or_else(|error| ended(order.step, &error));
        // It took what it could use, of the memory too.
        if order.step.cost() != Cost::OneCore {
            tensors::give_memory_back();
        }
        ending
    }

    fn verify_once(&self, output: &Output, verified: &Mutex<BTreeSet<Digest>>) -> Result<(), Damage> {
        let known = || verified.lock().unwrap_or_else(PoisonError::into_inner);
        // An object may have been removed since it was verified.
        if !(known().contains(&output.sha256) && self.store.looks_whole(output)) {
            self.store.verify(output)?;
            known().insert(output.sha256);
        }
        Ok(())
    }

    fn compute(&self, order: &mut Order<'_>, key: Digest) -> anyhow::Result<Ending> {
        let lock = self.store.lock(key, &self.interrupt, || {
            order.progress.note("waiting for another run, or another step of this one, to compute the same");
        })?;
        if let Some(action) = self.reusable(order.step.kind(), key)
            && action.outputs.values().all(|output| self.store.looks_whole(output))
        {
            return Ok(Ending::Done { key, action: Box::new(action), computed: false });
        }
        self.interrupt.check()?;
        let workspace = self.store.workspace()?;
        let job = self.job(order, workspace.path().to_owned())?;
        let began = Instant::now();
        let files = match std::panic::catch_unwind(AssertUnwindSafe(|| (order.execute)(order.step, &job))) {
            // Another process may have swept the folder of one that was stopped for long.
            Ok(files) => files.or_else(|error| lock.check().and(Err(error)))?,
            Err(panic) => return Ok(Ending::Absent(panicked(order.step, panic.as_ref()))),
        };
        lock.check()?;
        let mut outputs: Map<Output> = Map::default();
        for (name, file) in files {
            outputs.insert(name, self.store.put_file(&file)?);
        }
        let digests = outputs.values().map(|output| output.sha256);
        order.verified.lock().unwrap_or_else(PoisonError::into_inner).extend(digests);
        let action = Action {
            label: order.step.label(),
            ingredients: std::mem::take(&mut order.ingredients),
            outputs,
            seconds: began.elapsed().as_secs_f64(),
            #[expect(clippy::disallowed_methods, reason = "the record of a run, which enters no result")]
            finished: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |t| t.as_secs()),
            computed_by: order.step.kind().uses_tensors().then(|| processor::here(order.device)),
        };
        self.store.record(&action).context("the step was computed, but cannot be recorded")?;
        Ok(Ending::Done { key, action: Box::new(action.with(())), computed: true })
    }

    /// Takes the inputs out of the order: those of a large suite's results are many.
    fn job(&self, order: &mut Order<'_>, folder: std::path::PathBuf) -> anyhow::Result<Job> {
        let file = |(output, key, _, processors): (Output, Digest, Producer, BTreeSet<Processor>)| InputFile {
            path: self.store.object_path(output.sha256),
            sha256: output.sha256,
            key,
            processors,
        };
        let mut downloads = self.downloads.clone();
        downloads.locks = self.store.locks()?;
        Ok(Job {
            inputs: std::mem::take(&mut order.inputs).into_iter().map(|(role, input)| (role, file(input))).collect(),
            absent: std::mem::take(&mut order.absent),
            folder,
            interrupt: self.interrupt.clone(),
            progress: order.progress.clone(),
            threads: self.threads,
            device: order.device,
            downloads,
        })
    }
}

fn ended(step: &Step, error: &anyhow::Error) -> Ending {
    match errors::class_of(error) {
        Class::Interrupted => Ending::Interrupted,
        _ => Ending::Absent(step.absence_after(error)),
    }
}

fn panicked(step: &Step, panic: &(dyn std::any::Any + Send)) -> Absence {
    let message = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no message".to_owned());
    let hint = "this is a bug in seesaw; please report it with this message";
    step.absence(Status::Failed, "the step panicked", Some(hint)).detailed(format!("the step panicked: {message}"))
}
