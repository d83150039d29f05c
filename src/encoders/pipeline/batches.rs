//! Distributes batches among threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tch::{Device, Tensor};

use super::super::precision::Numerics;
use super::Run;

/// How the work is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scheme {
    /// Each worker takes the next free batch, prepares it and encodes it. Memory holds as many batches as there are
    /// workers.
    Apart,
    /// The workers prepare batches, and one more thread runs the device, one batch at a time. At most [`AHEAD`] batches
    /// wait for it, so memory holds at most workers + AHEAD + 1.
    Ahead,
}

/// Prepared batches that may wait for the device.
const AHEAD: usize = 4;

impl Scheme {
    pub(super) fn of(device: Device) -> Self {
        if device.is_cuda() { Scheme::Ahead } else { Scheme::Apart }
    }
}

/// Cuts a list into batches; `size` is the most items of the batch that begins with the given one.
pub(super) fn in_batches(order: Vec<usize>, size: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let (batch, after) = rest.split_at(size(first).clamp(1, rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

/// Prepares, encodes and writes every batch. `preparer` and `coder` are called once for each thread that prepares or
/// encodes.
///
/// # Errors
/// The first failure or interruption. No thread starts another batch after it.
pub(super) fn in_parallel<Prepared, Prepare, Encode>(
    batches: &[Vec<usize>],
    run: &Run<'_>,
    scheme: Scheme,
    numerics: Numerics,
    preparer: impl Fn() -> Prepare,
    coder: impl Fn() -> Encode,
    write: impl Fn(&[usize], &Tensor) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()>
where
    Prepared: Send,
    Prepare: FnMut(&[usize]) -> anyhow::Result<Prepared> + Send,
    Encode: FnMut(Prepared) -> anyhow::Result<Tensor> + Send,
{
    anyhow::ensure!(!batches.is_empty(), "there is nothing to encode");
    let workers = run.workers.clamp(1, batches.len());
    let work = Work { batches, run, numerics, next: AtomicUsize::new(0), failure: Mutex::new(None) };
    let (work, write) = (&work, &write);
    std::thread::scope(|scope| match scheme {
        Scheme::Apart => {
            for _ in 0..workers {
                let (mut prepare, mut encode) = (preparer(), coder());
                scope.spawn(move || {
                    work.guarded(|| {
                        while let Some(batch) = work.next()? {
                            write(batch, &encode(prepare(batch)?)?)?;
                            run.progress.advance(batch.len() as u64);
                        }
                        Ok(())
                    })
                });
            }
        }
        Scheme::Ahead => {
            let (sender, receiver) = sync_channel(AHEAD);
            for _ in 0..workers {
                let (prepare, sender) = (preparer(), sender.clone());
                scope.spawn(move || work.guarded(|| work.prepare_all(prepare, &sender)));
            }
            // The device's thread sees the end when the last worker has dropped its sender.
            drop(sender);
            let encode = coder();
            scope.spawn(move || work.guarded(|| work.encode_all(encode, receiver, write)));
        }
    });
    match work.failure.lock().expect("nothing panics while it holds this").take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Work<'a> {
    batches: &'a [Vec<usize>],
    run: &'a Run<'a>,
    numerics: Numerics,
    next: AtomicUsize,
    failure: Mutex<Option<anyhow::Error>>,
}

impl<'a> Work<'a> {
    /// The next free batch.
    fn next(&self) -> anyhow::Result<Option<&'a [usize]>> {
        self.run.interrupt.check()?;
        Ok(self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice))
    }

    /// Runs one thread, without threads of libtorch's own. Its failure stops the others.
    fn guarded(&self, work: impl FnOnce() -> anyhow::Result<()>) {
        tch::set_num_threads(1);
        let _no_grad = tch::no_grad_guard();
        if let Err(error) = self.numerics.prepare(self.run.device).and_then(|()| work()) {
            self.failure.lock().expect("nothing panics while it holds this").get_or_insert(error);
            self.next.store(self.batches.len(), Ordering::Relaxed);
        }
    }

    fn prepare_all<Prepared>(
        &self,
        mut prepare: impl FnMut(&[usize]) -> anyhow::Result<Prepared>,
        sender: &SyncSender<(&'a [usize], Prepared)>,
    ) -> anyhow::Result<()> {
        while let Some(batch) = self.next()? {
            // The device's thread has failed and keeps the error.
            if sender.send((batch, prepare(batch)?)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn encode_all<Prepared>(
        &self,
        mut encode: impl FnMut(Prepared) -> anyhow::Result<Tensor>,
        receiver: Receiver<(&'a [usize], Prepared)>,
        write: impl Fn(&[usize], &Tensor) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for (batch, prepared) in receiver {
            self.run.interrupt.check()?;
            write(batch, &encode(prepared)?)?;
            self.run.progress.advance(batch.len() as u64);
        }
        Ok(())
    }
}
