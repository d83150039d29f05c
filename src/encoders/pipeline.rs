//! Runs an encoder over a list: read, decode, preprocess, add noise, encode, write; in parallel and with bounded memory.
//!
//! The list is cut into batches that depend on the list and the kind of device alone, and every batch is computed on one
//! thread, so the features do not depend on the number of workers. Each batch goes to its place in the file as soon as it
//! is done.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::features::FeatureFile;
use super::options::{ImageEncoderOptions, TextEncoderOptions};
use super::precision::Numerics;
use super::preprocess::Preprocessor;
use super::{TextEncoder, load_image, load_text};
use crate::archives::{Archives, ZipReader};
use crate::errors;
use crate::interrupt::Interrupt;
use crate::pictures::{Decoding, PictureItem, decode};
use crate::progress::{Progress, Unit};
use crate::tensors;

/// How many items share a batch. Part of the recipe: it may change the last bits of a feature.
struct BatchSizes {
    pictures: usize,
    /// The most texts, for short ones. More texts read a network's weights less often, until the activations leave the
    /// processor's caches.
    texts: usize,
    /// The most tokens, padding included, which bounds the memory of long texts.
    tokens: usize,
}

impl BatchSizes {
    fn of(device: Device) -> Self {
        if device.is_cuda() {
            // As many as keep a GPU busy.
            BatchSizes { pictures: 64, texts: 256, tokens: 32_768 }
        } else {
            // As many as leave a network's activations in the processor's caches.
            BatchSizes { pictures: 8, texts: 64, tokens: 4096 }
        }
    }
}

/// How to run. Only the kind of device changes the features.
pub struct Run<'a> {
    pub device: Device,
    pub workers: usize,
    pub interrupt: &'a Interrupt,
    pub progress: &'a dyn Progress,
}

/// Writes the features of pictures, which are decoded as asked: a safetensors file with one tensor `features`, float32
/// [items, d].
///
/// # Errors
/// If an archive or a picture cannot be read or its feature is not finite (naming it), the file cannot be written, the
/// device does not support the precision, or the run was interrupted.
pub fn encode_pictures(
    options: &ImageEncoderOptions,
    (items, decoding): (&[PictureItem], Decoding),
    archives: &Archives,
    run: &Run<'_>,
    output: &Path,
) -> anyhow::Result<()> {
    let options = options.resolved().map_err(unusable)?;
    let numerics = Numerics { precision: options.precision, tf32: options.tf32 };
    numerics.check(run.device)?;
    let encoder = load_image(&options, archives, run.device)?;
    run.progress.begin(Some(items.len() as u64), Unit::Pictures);
    let preprocess = encoder.preprocess();
    let (side, numel) = (preprocess.size() as i64, preprocess.values());
    let size = BatchSizes::of(run.device).pictures;
    let batches = in_batches((0..items.len()).collect(), |_| size);
    let opened = opened(items, archives)?;
    let preparer = || {
        let mut preprocessor = preprocess.worker();
        let mut readers = opened.clone();
        move |batch: &[usize]| -> anyhow::Result<Tensor> {
            // Channels-last memory, seen as [B, 3, H, W].
            let x = tensors::written(&[batch.len() as i64, side, side, 3], |values| {
                for (slot, &item) in values.chunks_exact_mut(numel).zip(batch) {
                    fill(&items[item], decoding, &mut readers, &mut preprocessor, slot)?;
                }
                Ok(())
            })?;
            Ok(x.permute([0, 3, 1, 2]))
        }
    };
    let coder = || {
        let encoder = encoder.clone();
        move |x: Tensor| {
            let x = x.to_device(run.device);
            numerics.run(run.device, || encoder.encode(&x))
        }
    };
    let file = FeatureFile::new(output, items.len());
    let write = |batch: &[usize], x: &Tensor| file.write(batch, x, |item| described(&items[item]));
    in_parallel(&batches, run, numerics, preparer, coder, write)?;
    file.finish()
}

fn unusable(wrong: String) -> anyhow::Error {
    errors::usage(format!("the options of an encoder are not valid: {wrong}"), "see experiments/README.md")
}

fn described(item: &PictureItem) -> String {
    match &item.picture {
        Some(picture) => format!("{} in {}", picture.member, picture.archive),
        None => "the blank picture".to_owned(),
    }
}

/// Every archive of the pictures, opened once: reading its list of members may take longer than many pictures.
fn opened(items: &[PictureItem], archives: &Archives) -> anyhow::Result<BTreeMap<String, ZipReader>> {
    let mut readers = BTreeMap::new();
    for picture in items.iter().filter_map(|item| item.picture.as_ref()) {
        if !readers.contains_key(&picture.archive) {
            readers.insert(picture.archive.clone(), archives.open(&picture.archive)?);
        }
    }
    Ok(readers)
}

/// Writes one picture's values in channels-last order. The blank picture leaves its slot at 0.
///
/// # Errors
/// If the picture cannot be read, decoded or preprocessed. Names it.
fn fill(
    item: &PictureItem,
    decoding: Decoding,
    readers: &mut BTreeMap<String, ZipReader>,
    preprocessor: &mut Preprocessor,
    slot: &mut [f32],
) -> anyhow::Result<()> {
    if let Some(picture) = &item.picture {
        let reader = readers.get_mut(&picture.archive).expect("every picture's archive was opened");
        let bytes = reader.read(&picture.member)?;
        let decoded = decode(&bytes, decoding).with_context(|| described(item))?;
        preprocessor.write(&decoded, slot).with_context(|| described(item))?;
    }
    if let Some(noise) = &item.noise {
        noise.add_to(slot);
    }
    Ok(())
}

/// Writes the features of texts: a safetensors file with one tensor `features`, float32 [texts, d].
///
/// # Errors
/// If the model cannot be read, a text cannot be tokenized or its feature is not finite (naming it), the file cannot be
/// written, the device does not support the precision, or the run was interrupted.
pub fn encode_texts(
    options: &TextEncoderOptions,
    texts: &[String],
    archives: &Archives,
    run: &Run<'_>,
    output: &Path,
) -> anyhow::Result<()> {
    let options = options.resolved().map_err(unusable)?;
    let numerics = Numerics { precision: options.precision, tf32: options.tf32 };
    numerics.check(run.device)?;
    let encoder = load_text(&options, archives, run.device)?;
    run.progress.begin(Some(texts.len() as u64), Unit::Texts);
    let ids = tokenized(&encoder, texts, run)?;
    // Texts of about equal length share a batch, to pad little; the longest come first. The sort is stable: ties keep
    // their order.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&text| std::cmp::Reverse(ids[text].len()));
    let most = BatchSizes::of(run.device);
    let batches = in_batches(order, |longest| (most.tokens / ids[longest].len().max(1)).clamp(1, most.texts));
    let ids = &ids;
    let preparer = || |batch: &[usize]| Ok(batch.iter().map(|&text| ids[text].as_slice()).collect::<Vec<_>>());
    let coder = || {
        let encoder = encoder.clone();
        move |ids: Vec<&[u32]>| numerics.run(run.device, || encoder.encode(&ids))
    };
    let file = FeatureFile::new(output, texts.len());
    let described = |text: usize| format!("the text {:?}", texts[text].chars().take(80).collect::<String>());
    let write = |batch: &[usize], x: &Tensor| file.write(batch, x, described);
    in_parallel(&batches, run, numerics, preparer, coder, write)?;
    file.finish()
}

/// The ids of all texts, in their order.
fn tokenized(encoder: &TextEncoder, texts: &[String], run: &Run<'_>) -> anyhow::Result<Vec<Vec<u32>>> {
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(run.workers.max(1)).build().context("cannot start threads")?;
    let (tokenizer, interrupt) = (&*encoder.tokenizer, run.interrupt);
    let ids = |text: &String| interrupt.check().and_then(|()| tokenizer.ids(text));
    let done: Vec<anyhow::Result<Vec<u32>>> = pool.install(|| texts.par_iter().map(ids).collect());
    // The first error of the list is the one that is shown, however the threads share it.
    done.into_iter().collect()
}

/// Cuts a list into batches; `size` is the most items of the batch that begins with the given one.
fn in_batches(order: Vec<usize>, size: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let (batch, after) = rest.split_at(size(first).clamp(1, rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

/// Prepares, encodes and writes every batch. Each thread takes the next free batch, so memory holds as many batches as there
/// are threads. `preparer` and `coder` are called once for each.
///
/// # Errors
/// The first failure or interruption. No thread starts another batch after it.
fn in_parallel<Prepared, Prepare, Encode>(
    batches: &[Vec<usize>],
    run: &Run<'_>,
    numerics: Numerics,
    preparer: impl Fn() -> Prepare,
    coder: impl Fn() -> Encode,
    write: impl Fn(&[usize], &Tensor) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()>
where
    Prepare: FnMut(&[usize]) -> anyhow::Result<Prepared> + Send,
    Encode: FnMut(Prepared) -> anyhow::Result<Tensor> + Send,
{
    anyhow::ensure!(!batches.is_empty(), "there is nothing to encode");
    // Reading a network or a tokenizer takes several times its memory.
    tensors::give_memory_back();
    // A GPU computes one batch at a time, while the workers prepare the next ones: one more thread keeps all of them busy.
    let (one_at_a_time, turn) = (run.device.is_cuda(), &Mutex::new(()));
    let threads = (run.workers.max(1) + usize::from(one_at_a_time)).min(batches.len());
    let (next, failure) = (&AtomicUsize::new(0), &Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (mut prepare, mut encode, write) = (preparer(), coder(), &write);
            let mut work = move || -> anyhow::Result<()> {
                // No threads of libtorch's own.
                tch::set_num_threads(1);
                let _no_grad = tch::no_grad_guard();
                numerics.prepare(run.device)?;
                loop {
                    run.interrupt.check()?;
                    let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(()) };
                    let prepared = prepare(batch)?;
                    let _turn = one_at_a_time.then(|| turn.lock().expect("nothing panics while it holds this"));
                    write(batch, &encode(prepared)?)?;
                    run.progress.advance(batch.len() as u64);
                }
            };
            scope.spawn(move || {
                if let Err(error) = work() {
                    failure.lock().expect("nothing panics while it holds this").get_or_insert(error);
                    next.store(batches.len(), Ordering::Relaxed);
                }
            });
        }
    });
    match failure.lock().expect("nothing panics while it holds this").take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
