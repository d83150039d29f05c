//! Results by way of a remote store: pushed to it, pulled from it, and read through it before a step is computed.
//!
//! Objects always go before the record that names them, so that what is stopped halfway leaves no record without objects.
//! Data of others (archives, pictures, texts, labels) is left out unless it is asked for. A record without them is complete
//! all the same: a step is done if it is recorded, and its outputs matter only to steps that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Engine;
use super::graph::{Graph, NodeId};
use super::job::Order;
use super::key;
use super::survey::{State, blocked};
use crate::digest::Digest;
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Silent, Unit};
use crate::steps::Kind;
use crate::store::{Action, Brief, Fault, Output, Place, Remote, for_each};

/// A remote store that is asked before a step is computed. After its first failure it is not asked again.
pub struct ReadThrough {
    place: Place,
    /// Once it has answered.
    remote: Mutex<Option<Arc<Remote>>>,
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

/// An output of a step.
struct File<'a> {
    output: Output,
    name: &'a str,
    label: &'a str,
    /// Whether it belongs to others, whatever other steps have the same file.
    is_licensed: bool,
}

/// The outputs of steps, each file once.
fn files<'a, I: 'a>(actions: impl Iterator<Item = (Kind, &'a Action<I>)>) -> Vec<File<'a>> {
    let mut files: BTreeMap<Digest, File<'a>> = BTreeMap::new();
    for (kind, action) in actions {
        for (name, output) in &action.outputs {
            let is_licensed = kind.content(name).is_licensed();
            let file = File { output: *output, name, label: &action.label, is_licensed };
            files.entry(output.sha256).or_insert(file).is_licensed &= is_licensed;
        }
    }
    files.into_values().collect()
}

/// The sum of sizes, which are those that records state.
fn size<'a>(files: impl IntoIterator<Item = &'a File<'a>>) -> u64 {
    files.into_iter().fold(0, |sum, file| sum.saturating_add(file.output.size))
}

/// What became of files.
#[derive(Default)]
struct Transferred {
    done: usize,
    /// In bytes.
    size: u64,
    left_out: LeftOut,
    /// Why others were not transferred.
    faults: BTreeMap<Digest, String>,
}

impl Transferred {
    fn leave_out(&mut self, file: &File<'_>) {
        self.left_out.files += 1;
        self.left_out.size = self.left_out.size.saturating_add(file.output.size);
    }
}

/// Transfers files. One that is wrong or absent is noted, with what `fault` says of it, and the others follow.
///
/// # Returns
/// What became of them, and the failure that ended it.
fn transfer(
    files: &[&File<'_>],
    one: impl Fn(&Output) -> Result<(), Fault> + Sync,
    fault: impl Fn(&Output, &Fault) -> String + Sync,
) -> (Transferred, anyhow::Result<()>) {
    let transferred: Mutex<Transferred> = Mutex::default();
    let ended = for_each(files, |file| {
        let result = one(&file.output);
        let mut transferred = transferred.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                transferred.done += 1;
                transferred.size = transferred.size.saturating_add(file.output.size);
            }
            Err(Fault::Failed(error)) => return Err(error),
            // Who has no data cannot give any.
            Err(Fault::Absent) if file.is_licensed => transferred.leave_out(file),
            Err(wrong) => {
                let text = format!("`{}` of `{}`: {}", file.name, file.label, fault(&file.output, &wrong));
                transferred.faults.insert(file.output.sha256, text);
            }
        }
        Ok(())
    });
    (transferred.into_inner().unwrap_or_else(PoisonError::into_inner), ended)
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
        with_data: Option<&dyn Fn()>,
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
        let all = files(done().map(|(kind, _, action)| (kind, action)));
        let (wanted, licensed): (Vec<&File<'_>>, Vec<&File<'_>>) =
            all.iter().partition(|file| with_data.is_some() || !file.is_licensed);
        let (present, open): (Vec<&File<'_>>, Vec<&File<'_>>) =
            wanted.into_iter().partition(|file| Remote::lists(&there, &file.output));
        let is_here = |file: &File<'_>| file.is_licensed && self.store.looks_whole(&file.output);
        if let Some(before) = with_data.filter(|_| open.iter().any(|file| is_here(file))) {
            before();
        }
        progress.begin(Some(size(open.iter().copied())), Unit::Bytes);
        let send = |output: &Output| remote.send(output, &self.store, progress);
        let (mut sent, ended) = transfer(&open, send, |output, fault| {
            let what = if matches!(fault, Fault::Absent) { "is not in the store" } else { "is damaged in the store" };
            format!("{} {what}", self.store.object_path(output.sha256).display())
        });
        ended?;
        licensed.into_iter().for_each(|file| sent.leave_out(file));
        let is_whole = |action: &Brief| !action.outputs.values().any(|output| sent.faults.contains_key(&output.sha256));
        let is_new = |key: Digest| !Remote::lists_record(&there, key);
        let records = done().filter(|(_, key, action)| is_new(*key) && is_whole(action)).map(|(_, key, _)| key);
        let records: Vec<Digest> = records.collect::<BTreeSet<Digest>>().into_iter().collect();
        for_each(&records, |key| remote.send_record(*key, &self.store))?;
        Ok(Pushed {
            records: records.len(),
            files: sent.done,
            present: present.len(),
            size: sent.size,
            left_out: sent.left_out,
            faults: sent.faults.into_values().collect(),
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
        let kind = |id: NodeId| graph.node(id).step.kind();
        let known = graph.ids().filter_map(|id| Some((kind(id), of[id.0].as_ref()?)));
        let all = files(known);
        let not_here = all.iter().filter(|file| !self.store.looks_whole(&file.output));
        let (open, licensed): (Vec<&File<'_>>, Vec<&File<'_>>) =
            not_here.partition(|file| with_data || !file.is_licensed);
        progress.begin(Some(size(open.iter().copied())), Unit::Bytes);
        let bring = |output: &Output| remote.bring(output, &self.store, progress);
        let (mut brought, ended) =
            transfer(&open, bring, |output, fault| format!("{}: {fault}", remote.object_address(output)));
        licensed.into_iter().for_each(|file| brought.leave_out(file));
        // Also after an interrupt or a failure: what is whole is kept.
        let mut pulled = 0;
        for &id in &new {
            let Some(action) = &of[id.0] else { continue };
            let needed = files([(kind(id), action)].into_iter());
            if needed.iter().all(|file| file.is_licensed || self.store.looks_whole(&file.output)) {
                self.store.record(action)?;
                pulled += 1;
            }
        }
        ended?;
        faults.extend(brought.faults.into_values());
        let present = of.iter().flatten().count() - new.len();
        let (files, size, left_out) = (brought.done, brought.size, brought.left_out);
        Ok(Pulled { present, pulled, absent, files, size, left_out, faults })
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
    pub fn new(place: Place) -> Self {
        ReadThrough { place, remote: Mutex::default(), failed: AtomicBool::new(false) }
    }

    /// The connection, which the first step that is asked for makes.
    fn remote(&self, interrupt: &Interrupt) -> anyhow::Result<Arc<Remote>> {
        let mut known = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = &*known {
            return Ok(remote.clone());
        }
        let remote = Arc::new(Remote::open(&self.place, interrupt)?);
        remote.check()?;
        Ok(known.insert(remote).clone())
    }
}

impl Engine {
    /// The result of a step that the remote store has, taken over; none: it has to be computed, since there is no remote
    /// store, or it fails, or has no such result.
    ///
    /// # Errors
    /// If the lock of the step cannot be taken; on an interrupt.
    pub(super) fn taken_over(&self, order: &Order<'_>, key: Digest) -> anyhow::Result<Option<Brief>> {
        let Some(source) = self.remote.as_ref().filter(|source| !source.failed.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
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

    fn take_over(&self, source: &ReadThrough, order: &Order<'_>, key: Digest) -> anyhow::Result<Option<Brief>> {
        let remote = source.remote(&self.interrupt)?;
        let wrong = |address: String, fault: &Fault| {
            order.progress.note(&format!("warning: {address}: {fault}; computing `{}` instead", order.step.label()));
        };
        let kind = order.step.kind();
        let known = self.reusable(kind, key);
        let found = match known.is_none().then(|| remote.record(key)) {
            None => None,
            Some(Ok(action)) if self.refusal(kind, &action).is_some() => return Ok(None),
            Some(Ok(action)) => Some(action),
            Some(Err(Fault::Absent)) => return Ok(None),
            Some(Err(Fault::Failed(error))) => return Err(error),
            Some(Err(fault)) => {
                wrong(remote.record_address(key), &fault);
                return Ok(None);
            }
        };
        let in_brief = || found.clone().map(|found| found.with(()));
        let Some(action) = known.clone().or_else(in_brief) else { return Ok(None) };
        // If the result is known, another step reads its files, whatever they are.
        let all = order.is_wanted || known.is_some();
        for (name, output) in &action.outputs {
            let is_licensed = kind.content(name).is_licensed();
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
        if let Some(found) = &found {
            self.store.record(found)?;
        }
        Ok(Some(action))
    }
}
