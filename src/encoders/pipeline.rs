//! Runs an encoder over a list: read, decode, preprocess, disturb, encode, in parallel and with bounded memory.
//!
//! The list is cut into batches of fixed size whose composition depends on the list alone, and every batch is computed
//! on one thread, so the features do not depend on the number of workers. Each worker takes the next batch that nobody
//! has, prepares its inputs and encodes them: no more pictures are in memory than workers have batches.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use tch::{Device, Kind, Tensor};

use super::checkpoints;
use super::options::{ImageEncoderOptions, TextEncoderOptions};
use crate::archives::ZipReader;
use crate::datasets::Archives;
use crate::datasets::picture::decode_over_white;
use crate::datasets::preprocess::{Layout, Preprocessor};
use crate::impairments::{PictureItem, noisy};
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};

/// Pictures per batch: as many as leave a network's activations in the processor's caches. Part of the recipe: it may
/// change the last bits of a feature.
const PICTURES: usize = 8;
/// Texts per batch, if they are short: the more, the less often a network's weights are read, until its activations leave
/// the processor's caches. Part of the recipe.
const TEXTS: usize = 64;
/// Tokens per batch, padding included, which bounds the memory of long texts. Part of the recipe.
const TOKENS: usize = 4096;

/// How to run: nothing of it changes the features, but for the kind of device.
pub struct Run<'a> {
    pub device: Device,
    pub workers: usize,
    pub interrupt: &'a Interrupt,
    pub progress: &'a dyn Progress,
}

/// The features of pictures, float32 [items, d] on the CPU.
///
/// # Errors
/// If an archive or a picture cannot be read (naming it), or a stop was asked for.
pub fn encode_pictures(
    options: &ImageEncoderOptions,
    items: &[PictureItem],
    archives: &Archives,
    run: &Run<'_>,
) -> anyhow::Result<Tensor> {
    let encoder = checkpoints::load_image(options, archives, run.device)?;
    run.progress.begin(Some(items.len() as u64), Unit::Pictures);
    let preprocess = encoder.preprocess();
    let (side, numel) = (preprocess.size() as i64, preprocess.values());
    let batches = in_batches((0..items.len()).collect(), |_| PICTURES);
    let opened = opened(items, archives)?;
    let worker = || {
        let encoder = encoder.replicate();
        let mut preprocessor = preprocess.worker();
        let mut readers = opened.clone();
        let mut values = Vec::new();
        move |batch: &[usize]| -> anyhow::Result<Tensor> {
            values.clear();
            values.resize(batch.len() * numel, 0f32);
            for (slot, &item) in values.chunks_exact_mut(numel).zip(batch) {
                fill(&items[item], &mut readers, &mut preprocessor, slot)?;
            }
            // Channels-last memory, seen as [B, 3, H, W].
            let x = Tensor::from_slice(&values).view([-1, side, side, 3]).permute([0, 3, 1, 2]).to_device(run.device);
            encoder.encode(&x)
        }
    };
    in_parallel(&batches, items.len(), run, worker)
}

/// Every archive that pictures lie in, opened once: to read its list of members may take longer than many pictures.
fn opened(items: &[PictureItem], archives: &Archives) -> anyhow::Result<BTreeMap<String, ZipReader>> {
    let mut readers = BTreeMap::new();
    for picture in items.iter().filter_map(|item| item.picture.as_ref()) {
        if !readers.contains_key(&picture.archive) {
            readers.insert(picture.archive.clone(), archives.open(&picture.archive)?);
        }
    }
    Ok(readers)
}

/// One picture's values, channels last; the blank picture leaves its slot at 0.
fn fill(
    item: &PictureItem,
    readers: &mut BTreeMap<String, ZipReader>,
    preprocessor: &mut Preprocessor,
    slot: &mut [f32],
) -> anyhow::Result<()> {
    if let Some(picture) = &item.picture {
        let reader = readers.get_mut(&picture.archive).expect("every picture's archive was opened");
        let bytes = reader.read(&picture.member)?;
        let decoded =
            decode_over_white(&bytes).with_context(|| format!("{} in {}", picture.member, picture.archive))?;
        preprocessor.write(&decoded, Layout::ChannelsLast, slot)?;
    }
    if let Some(noise) = &item.noise {
        noisy::add_in(Layout::ChannelsLast, noise, slot);
    }
    Ok(())
}

/// The features of texts, float32 [texts, d] on the CPU.
///
/// # Errors
/// If the model cannot be read or a text cannot be tokenized, or a stop was asked for.
pub fn encode_texts(
    options: &TextEncoderOptions,
    texts: &[String],
    archives: &Archives,
    run: &Run<'_>,
) -> anyhow::Result<Tensor> {
    let encoder = checkpoints::load_text(options, archives, run.device)?;
    run.progress.begin(Some(texts.len() as u64), Unit::Texts);
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| encoder.tokenize(text)).collect::<anyhow::Result<_>>()?;
    // Texts of about equal length share a batch, so that little is padded; the longest comes first. The sort is stable:
    // ties keep their order.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(ids[text].len()));
    let batches = in_batches(order, |longest| (TOKENS / ids[longest].len().max(1)).clamp(1, TEXTS));
    let worker = || {
        let encoder = encoder.replicate();
        let ids = &ids;
        move |batch: &[usize]| encoder.encode(&batch.iter().map(|&text| ids[text].as_slice()).collect::<Vec<_>>())
    };
    in_parallel(&batches, texts.len(), run, worker)
}

fn in_batches(order: Vec<usize>, size: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let (batch, after) = rest.split_at(size(first).min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

/// Has the batches computed by workers, each made by `worker` on its own thread, and scatters the rows back to the
/// items' order.
fn in_parallel<W>(batches: &[Vec<usize>], items: usize, run: &Run<'_>, worker: impl Fn() -> W) -> anyhow::Result<Tensor>
where
    W: FnMut(&[usize]) -> anyhow::Result<Tensor> + Send,
{
    anyhow::ensure!(items > 0, "there is nothing to encode");
    // A GPU computes one batch at a time; threads beside that prepare the next ones.
    let workers = run.workers.clamp(1, batches.len());
    let next = AtomicUsize::new(0);
    let rows: Mutex<Option<(Vec<f32>, usize)>> = Mutex::new(None);
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let mut work = worker();
            let (next, rows, failure) = (&next, &rows, &failure);
            scope.spawn(move || {
                tch::set_num_threads(1);
                let _no_grad = tch::no_grad_guard();
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done =
                        run.interrupt.check().and_then(|()| work(batch)).and_then(|x| keep(&x, batch, items, rows));
                    if let Err(error) = done {
                        // The first failure is told; nobody starts another batch.
                        failure.lock().expect("nothing panics while it holds this").get_or_insert(error);
                        next.store(batches.len(), Ordering::Relaxed);
                        return;
                    }
                    run.progress.advance(batch.len() as u64);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().expect("nothing panics while it holds this") {
        return Err(error);
    }
    let rows = rows.into_inner().expect("nothing panics while it holds this");
    let (values, width) = rows.context("no batch was computed")?;
    Ok(Tensor::from_slice(&values).view([items as i64, width as i64]))
}

/// Copies a batch's rows to their places.
fn keep(x: &Tensor, batch: &[usize], items: usize, rows: &Mutex<Option<(Vec<f32>, usize)>>) -> anyhow::Result<()> {
    let (found, width) = x.size2()?;
    anyhow::ensure!(found as usize == batch.len(), "{found} features for {} items", batch.len());
    let values: Vec<f32> = x.to_kind(Kind::Float).to_device(Device::Cpu).contiguous().view(-1).try_into()?;
    let width = width as usize;
    let mut rows = rows.lock().expect("nothing panics while it holds this");
    let (all, _) = rows.get_or_insert_with(|| (vec![0.0; items * width], width));
    for (&item, row) in batch.iter().zip(values.chunks_exact(width)) {
        all[item * width..(item + 1) * width].copy_from_slice(row);
    }
    Ok(())
}
