//! Results by way of a remote store: pushed to it, pulled from it, and read through it before a step is computed.
//!
//! Objects always go before the record that names them, so that what is stopped halfway leaves no record without objects.
//! Data of others (archives, pictures, texts, labels) is left out unless it is asked for. A record without them is complete
//! all the same: a step is done if it is recorded, and its outputs matter only to steps that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::Engine;
use super::graph::{Graph, NodeId};
use super::job::Order;
use super::key;
use super::survey::{State, blocked};
use crate::digest::Digest;
use crate::errors::{self, Class};
use crate::progress::{Progress, Silent, Unit};
use crate::steps::Kind;
use crate::store::{Action, Fault, Output, Remote, for_each};

/// A remote store that is asked before a step is computed. After its first failure it is not asked again.
pub struct ReadThrough {
    remote: Remote,
    checked: OnceLock<()>,
    failed: AtomicBool,
}

/// What was sent to a remote store.
#[derive(Debug, Default, serde::Serialize)]
pub struct Pushed {
    /// Records and files that were sent, and those that were there.
    pub records: usize,
    pub files: usize,
    pub present: usize,
    /// Of the files that were sent, in bytes.
    pub size: u64,
    pub left_out: LeftOut,
    /// What could not be sent, and why.
    pub faults: Vec<String>,
}

impl Pushed {
    /// Whether there was nothing to send.
    pub fn is_empty(&self) -> bool {
        self.records + self.files + self.present + self.faults.len() == 0
    }
}

/// What was taken over from a remote store.
#[derive(Debug, Default, serde::Serialize)]
pub struct Pulled {
    /// The steps that were done here before, that are done now, and that the remote has no result of.
    pub present: usize,
    pub pulled: usize,
    pub absent: usize,
    pub files: usize,
    /// Of the files, in bytes.
    pub size: u64,
    pub left_out: LeftOut,
    /// What is there and cannot be used, and why.
    pub faults: Vec<String>,
}

/// Files that belong to others.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct LeftOut {
    pub files: usize,
    /// In bytes.
    pub size: u64,
}

/// The outputs of some steps, each once, by what is to be done with them.
#[derive(Default)]
struct Files {
    wanted: BTreeMap<Digest, (Output, String)>,
    left_out: BTreeMap<Digest, Output>,
}

impl Files {
    /// Adds the outputs of a step.
    fn add(&mut self, kind: Kind, action: &Action, with_data: bool) {
        for (name, output) in &action.outputs {
            if with_data || !kind.content(name).is_licensed() {
                let what = format!("`{name}` of `{}`", action.label);
                self.wanted.entry(output.sha256).or_insert((*output, what));
            } else {
                self.left_out.insert(output.sha256, *output);
            }
        }
    }

    /// What was left out. A file that is wanted for another reason is not.
    fn left_out(&self) -> LeftOut {
        let left = self.left_out.iter().filter(|(digest, _)| !self.wanted.contains_key(digest));
        let sizes: Vec<u64> = left.map(|(_, output)| output.size).collect();
        LeftOut { files: sizes.len(), size: sizes.iter().sum() }
    }
}

/// The files that were transferred, and why others were not.
#[derive(Default)]
struct Tally {
    size: AtomicU64,
    done: Mutex<BTreeSet<Digest>>,
    faults: Mutex<BTreeMap<Digest, String>>,
}

impl Tally {
    /// Transfers files; one that is wrong is noted, and the others follow.
    fn all(
        &self,
        files: &[&(Output, String)],
        transfer: impl Fn(&Output) -> Result<(), Fault> + Sync,
        fault: impl Fn(&(Output, String), &Fault) -> String + Sync,
    ) -> anyhow::Result<()> {
        for_each(files, |file| {
            let output = &file.0;
            match transfer(output) {
                Ok(()) => {
                    self.size.fetch_add(output.size, Ordering::Relaxed);
                    self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(output.sha256);
                }
                Err(Fault::Failed(error)) => return Err(error),
                Err(wrong) => {
                    let text = fault(file, &wrong);
                    self.faults.lock().unwrap_or_else(PoisonError::into_inner).insert(output.sha256, text);
                }
            }
            Ok(())
        })
    }

    /// The number of files, their size in bytes, and the faults.
    fn into_parts(self) -> (usize, u64, BTreeMap<Digest, String>) {
        let inner = |error: PoisonError<_>| error.into_inner();
        let files = self.done.into_inner().unwrap_or_else(PoisonError::into_inner).len();
        (files, self.size.into_inner(), self.faults.into_inner().unwrap_or_else(inner))
    }
}

impl Engine {
    /// Sends the results of done steps, and no data of others unless asked to. What is there is not sent again, so that a
    /// push which was stopped continues.
    ///
    /// # Errors
    /// If the remote store cannot be written to; on an interrupt. A file that is missing or damaged here is part of the
    /// result.
    pub fn push(
        &self,
        graph: &Graph,
        states: &[State],
        remote: &Remote,
        with_data: bool,
        progress: &dyn Progress,
    ) -> anyhow::Result<Pushed> {
        remote.prepare()?;
        let there = remote.list()?;
        let done = || {
            graph.ids().zip(states).filter_map(|(id, state)| match state {
                State::Done(key, action) => Some((graph.node(id).step.kind(), *key, action.as_ref())),
                _ => None,
            })
        };
        let mut files = Files::default();
        done().for_each(|(kind, _, action)| files.add(kind, action, with_data));
        let open: Vec<&(Output, String)> =
            files.wanted.values().filter(|(output, _)| !Remote::lists(&there, output)).collect();
        progress.begin(Some(open.iter().map(|(output, _)| output.size).sum()), Unit::Bytes);
        let tally = Tally::default();
        tally.all(
            &open,
            |output| remote.send(output, &self.store, progress),
            |(output, what), fault| {
                let cause = match fault {
                    Fault::Absent => "it is not in the store",
                    _ => "it is damaged in the store",
                };
                format!("{what}: {cause}: {}", self.store.object_path(output.sha256).display())
            },
        )?;
        let present = files.wanted.len() - open.len();
        let (sent, size, faults) = tally.into_parts();
        let whole = |action: &Action| !action.outputs.values().any(|output| faults.contains_key(&output.sha256));
        let records: BTreeSet<Digest> = done()
            .filter(|(_, key, action)| whole(action) && !Remote::lists_record(&there, *key))
            .map(|(_, key, _)| key)
            .collect();
        let records: Vec<Digest> = records.into_iter().collect();
        for_each(&records, |key| remote.send_record(*key, &self.store))?;
        Ok(Pushed {
            records: records.len(),
            files: sent,
            present,
            size,
            left_out: files.left_out(),
            faults: faults.into_values().collect(),
        })
    }

    /// Takes over the results of all steps that a remote store has, in the order of the plan: the key of a step follows from
    /// the records of the steps before it.
    ///
    /// # Errors
    /// If the remote store does not answer, or this store cannot be written to; on an interrupt. What was taken over before
    /// stays. A record or file that is missing or wrong there is part of the result.
    pub fn pull(
        &self,
        graph: &Graph,
        remote: &Remote,
        with_data: bool,
        progress: &dyn Progress,
    ) -> anyhow::Result<Pulled> {
        remote.check()?;
        let Records { of, new, absent, mut faults } = self.records(graph, remote)?;
        let mut files = Files::default();
        for (id, action) in of.iter().enumerate().filter_map(|(id, action)| Some((NodeId(id), action.as_ref()?))) {
            files.add(graph.node(id).step.kind(), action, with_data);
        }
        let open: Vec<&(Output, String)> =
            files.wanted.values().filter(|(output, _)| !self.store.looks_whole(output)).collect();
        progress.begin(Some(open.iter().map(|(output, _)| output.size).sum()), Unit::Bytes);
        let tally = Tally::default();
        let brought = tally.all(
            &open,
            |output| remote.bring(output, &self.store, progress),
            |(output, what), fault| format!("{what}: {}: {fault}", remote.object_address(output)),
        );
        // Also after an interrupt or a failure: what is whole is kept.
        let mut pulled = 0;
        for id in &new {
            let (kind, action) = (graph.node(*id).step.kind(), of[id.0].as_ref().expect("what is new has a record"));
            let mut needed = Files::default();
            needed.add(kind, action, with_data);
            if needed.wanted.values().all(|(output, _)| self.store.looks_whole(output)) {
                self.store.record(action)?;
                pulled += 1;
            }
        }
        brought?;
        let (brought, size, wrong) = tally.into_parts();
        faults.extend(wrong.into_values());
        let present = of.iter().flatten().count() - new.len();
        Ok(Pulled { present, pulled, absent, files: brought, size, left_out: files.left_out(), faults })
    }

    /// The records of the steps of a plan, here or else at a remote store.
    fn records(&self, graph: &Graph, remote: &Remote) -> anyhow::Result<Records> {
        let mut records = Records { of: vec![None; graph.len()], ..Records::default() };
        for level in graph.levels() {
            let found: Mutex<Vec<(NodeId, Action, bool)>> = Mutex::default();
            let (of, wrong) = (&records.of, Mutex::new(Vec::new()));
            for_each(&level, |&id| {
                let Ok(inputs) = self.inputs_of(graph, id, |from| of[from.0].as_ref().map(Ok)) else { return Ok(()) };
                if blocked(graph, id, &inputs).is_some() {
                    return Ok(());
                }
                let key = key::ingredients(&graph.node(id).step, &inputs, &self.environment).key();
                let (action, is_new) = match self.store.action(key) {
                    Some(action) => (action, false),
                    None => match remote.record(key) {
                        Ok(action) => (action, true),
                        Err(Fault::Absent) => return Ok(()),
                        Err(Fault::Failed(error)) => return Err(error),
                        Err(fault) => {
                            let text = format!(
                                "the record of `{}`: {}: {fault}",
                                graph.node(id).step.label(),
                                remote.record_address(key)
                            );
                            wrong.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                            return Ok(());
                        }
                    },
                };
                found.lock().unwrap_or_else(PoisonError::into_inner).push((id, action, is_new));
                Ok(())
            })?;
            records.faults.extend(wrong.into_inner().unwrap_or_else(PoisonError::into_inner));
            for (id, action, is_new) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
                records.of[id.0] = Some(action);
                records.new.extend(is_new.then_some(id));
            }
        }
        records.absent = records.of.iter().filter(|action| action.is_none()).count();
        records.new.sort_unstable();
        records.faults.sort_unstable();
        Ok(records)
    }
}

/// What is known of the steps of a plan.
#[derive(Default)]
struct Records {
    of: Vec<Option<Action>>,
    /// The steps whose records are not in the store here.
    new: Vec<NodeId>,
    /// The number of steps without a record.
    absent: usize,
    /// Records that are there and are wrong.
    faults: Vec<String>,
}

impl ReadThrough {
    pub fn new(remote: Remote) -> Self {
        ReadThrough { remote, checked: OnceLock::new(), failed: AtomicBool::new(false) }
    }

    pub fn remote(&self) -> &Remote {
        &self.remote
    }
}

impl Engine {
    /// The result of a step that the remote store has, taken over; none: it has to be computed, since there is no remote
    /// store, or it fails, or has no such result.
    ///
    /// # Errors
    /// If the lock of the step cannot be taken; on an interrupt.
    pub(super) fn taken_over(&self, order: &Order<'_>) -> anyhow::Result<Option<Action>> {
        let Some(source) = self.remote.as_ref().filter(|source| !source.failed.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        let key = order.ingredients.key();
        let _lock = self.store.lock(key, &self.interrupt, || {
            order.progress.note(&format!("waiting for another run to compute `{}`", order.step.label()));
        })?;
        let error = match self.take_over(source, order, key) {
            Ok(action) => return Ok(action),
            Err(error) if errors::class_of(&error) == Class::Interrupted => return Err(error),
            Err(error) => error,
        };
        if !source.failed.swap(true, Ordering::Relaxed) {
            order.progress.note(&format!("warning: {error:#}; this run goes on without the remote store"));
        }
        Ok(None)
    }

    fn take_over(&self, source: &ReadThrough, order: &Order<'_>, key: Digest) -> anyhow::Result<Option<Action>> {
        let remote = &source.remote;
        if source.checked.get().is_none() {
            remote.check()?;
            let _ = source.checked.set(());
        }
        let wrong = |address: String, fault: &Fault| {
            order.progress.note(&format!("warning: {address}: {fault}; computing `{}` instead", order.step.label()));
        };
        let known = self.store.action(key);
        let action = match known.clone().map_or_else(|| remote.record(key), Ok) {
            Ok(action) => action,
            Err(Fault::Absent) => return Ok(None),
            Err(Fault::Failed(error)) => return Err(error),
            Err(fault) => {
                wrong(remote.record_address(key), &fault);
                return Ok(None);
            }
        };
        // If the result is known, another step reads its files, whatever they are.
        let all = order.is_wanted || known.is_some();
        for (name, output) in &action.outputs {
            let is_licensed = order.step.kind().content(name).is_licensed();
            if (is_licensed && !all) || self.store.looks_whole(output) {
                continue;
            }
            match remote.bring(output, &self.store, &Silent) {
                Ok(()) => {}
                Err(Fault::Failed(error)) => return Err(error),
                // Data of others is rarely there.
                Err(Fault::Absent) if is_licensed => return Ok(None),
                Err(fault) => {
                    wrong(remote.object_address(output), &fault);
                    return Ok(None);
                }
            }
        }
        if known.is_none() {
            self.store.record(&action)?;
        }
        Ok(Some(action))
    }
}
