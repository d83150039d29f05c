//! How fast pictures and texts become features, and in how much memory: `cargo bench --bench encoders [WORKERS]`.
//!
//! The offline benchmark's encoders run on its pictures and texts, each stage on one thread and then the whole on all
//! workers; peak memory is that of a list and of one ten times as long. ViT-B/16 and BERT-base, with weights drawn here,
//! show the networks alone at full size. Where a Python with torch is there (`SEESAW_PYTHON`, else `python3`), PyTorch
//! eager runs the same networks in the same run.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use seesaw::datasets::{Archives, reader};
use seesaw::encoders::bert::{self, Bert};
use seesaw::encoders::layers::Tokens;
use seesaw::encoders::preprocess::Preprocess;
use seesaw::encoders::transformer::Product;
use seesaw::encoders::vit::{self, Vit};
use seesaw::encoders::weights::Weights;
use seesaw::encoders::{
    ImageEncoderOptions, Run, TextEncoderOptions, encode_pictures, encode_texts, load_image, load_text,
};
use seesaw::interrupt::Interrupt;
use seesaw::pictures::{Decoding, PictureItem, Rgb, decode_over_white};
use seesaw::progress::Silent;
use seesaw::random::Stream;
use seesaw::testing;
use tch::{Device, Kind, Tensor};

/// What an independent implementation encodes per second on two cores: pictures of 128 pixels, texts.
const PICTURES: f64 = 280.0;
const TEXTS: f64 = 880.0;
/// Items of each stage, and of the shorter list whose memory is measured.
const SOME: usize = 320;

fn main() -> anyhow::Result<()> {
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    // Cargo passes `--bench`.
    let workers = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2);
    let dataset = reader("emoji-words").expect("a dataset of this program");
    let image: ImageEncoderOptions = toml::from_str("name = \"efficientnet-lite0\"\nsize = 128")?;
    let text: TextEncoderOptions = toml::from_str("name = \"all-minilm-l6-v2\"")?;
    let (image, text) = (image.resolved().map_err(anyhow::Error::msg)?, text.resolved().map_err(anyhow::Error::msg)?);
    let names: Vec<&str> = [dataset.archives, image.needs().1, text.needs().1].into_iter().flatten().copied().collect();
    let archives = testing::archives(&names);
    let interrupt = Interrupt::default();
    let run = Run { device: Device::Cpu, workers, interrupt: &interrupt, progress: &Silent };
    let splits = testing::read_dataset(dataset.name, "", &archives)?.splits;
    let pictures: Vec<PictureItem> =
        splits.values().flat_map(|data| &data.pictures).cloned().map(PictureItem::clean).collect();
    let texts: Vec<String> = splits.values().flat_map(|data| &data.texts).cloned().collect();
    let folder = tempfile::tempdir()?;
    let output = folder.path().join("features");

    picture_stages(&image, &pictures[..SOME], &archives)?;
    text_stages(&text, &texts[..SOME], &archives)?;
    println!("{workers} workers, end to end");
    let encode =
        |items: &[PictureItem]| encode_pictures(&image, (items, Decoding::OVER_WHITE), &archives, &run, &output);
    whole("pictures", &pictures, PICTURES, encode)?;
    memory("pictures", &pictures[..SOME], &output, encode)?;
    let encode = |items: &[String]| encode_texts(&text, items, &archives, &run, &output);
    whole("texts", &texts, TEXTS, encode)?;
    memory("texts", &texts[..SOME], &output, encode)?;
    full_size()
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

fn rate(items: usize, time: Duration) -> f64 {
    items as f64 / time.as_secs_f64()
}

fn picture_stages(options: &ImageEncoderOptions, items: &[PictureItem], archives: &Archives) -> anyhow::Result<()> {
    let encoder = load_image(options, archives, Device::Cpu)?;
    let mut readers = BTreeMap::new();
    let (decode, decoded) = timed(|| {
        let mut decoded: Vec<Rgb> = Vec::new();
        for picture in items.iter().filter_map(|item| item.picture.as_ref()) {
            if !readers.contains_key(&picture.archive) {
                readers.insert(picture.archive.clone(), archives.open(&picture.archive)?);
            }
            let reader = readers.get_mut(&picture.archive).expect("just opened");
            decoded.push(decode_over_white(&reader.read(&picture.member)?)?);
        }
        Ok(decoded)
    })?;
    let preprocess = encoder.preprocess();
    let mut values = vec![0f32; decoded.len() * preprocess.values()];
    let (prepare, ()) = timed(|| {
        let mut worker = preprocess.worker();
        let slots = values.chunks_exact_mut(preprocess.values());
        decoded.iter().zip(slots).try_for_each(|(rgb, slot)| worker.write(rgb, slot))
    })?;
    let (encode, ()) = timed(|| {
        values
            .chunks(8 * preprocess.values())
            .try_for_each(|values| encoder.encode(&batch(values, preprocess)).map(drop))
    })?;
    let [decode, prepare, encode] = [decode, prepare, encode].map(|time| rate(decoded.len(), time));
    println!(
        "{} on one thread, pictures per second: {decode:.0} read and decoded, {prepare:.0} preprocessed, {encode:.0} \
         encoded",
        options.name
    );
    Ok(())
}

/// Channels-last memory, seen as [B, 3, H, W].
fn batch(values: &[f32], preprocess: &Preprocess) -> Tensor {
    let side = preprocess.size() as i64;
    Tensor::from_slice(values).view([-1, side, side, 3]).permute([0, 3, 1, 2])
}

fn text_stages(options: &TextEncoderOptions, texts: &[String], archives: &Archives) -> anyhow::Result<()> {
    let encoder = load_text(options, archives, Device::Cpu)?;
    let (tokenize, mut ids) =
        timed(|| texts.iter().map(|text| encoder.tokenize(text)).collect::<anyhow::Result<Vec<Vec<u32>>>>())?;
    ids.sort_by_key(Vec::len);
    let (encode, ()) = timed(|| {
        ids.chunks(64).try_for_each(|ids| encoder.encode(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>()).map(drop))
    })?;
    let [tokenize, encode] = [tokenize, encode].map(|time| rate(texts.len(), time));
    println!("{} on one thread, texts per second: {tokenize:.0} tokenized, {encode:.0} encoded", options.name);
    Ok(())
}

fn whole<T>(
    what: &str,
    items: &[T],
    reference: f64,
    encode: impl Fn(&[T]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (load, ()) = timed(|| encode(&items[..1]))?;
    let (all, ()) = timed(|| encode(items))?;
    let rate = rate(items.len(), all.saturating_sub(load));
    println!(
        "  {} {what}: {rate:.0} per second, {:.2} times the reference of {reference:.0}; loading took {:.2} s",
        items.len(),
        rate / reference,
        load.as_secs_f64()
    );
    Ok(())
}

/// Peak memory of a list, and of the same one ten times over.
fn memory<T: Clone>(
    what: &str,
    items: &[T],
    output: &Path,
    encode: impl Fn(&[T]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ten: Vec<T> = std::iter::repeat_n(items, 10).flatten().cloned().collect();
    let mut peaks = Vec::new();
    for items in [items, &ten] {
        // Makes the peak begin anew; where that is not possible, the second peak is at least that of both.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        encode(items)?;
        peaks.push((items.len(), peak(), std::fs::metadata(output)?.len()));
    }
    for (items, peak, written) in peaks {
        let peak = peak.map_or("unknown".to_owned(), |mebibytes| format!("{mebibytes:.0} MiB"));
        println!("  {items} {what}: peak memory {peak}, {:.1} MiB of features written", written as f64 / 1048576.0);
    }
    Ok(())
}

/// The most memory that this process had, in MiB.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

/// Draws the tensors of a checkpoint: small numbers, so that activations stay as they are in trained networks.
fn drawn(sizes: &[(String, Vec<i64>)]) -> Weights {
    let tensor = |(name, size): &(String, Vec<i64>)| {
        let mut values = vec![0f32; size.iter().product::<i64>() as usize];
        Stream::new(0, &["bench", name]).fill_normal_f32(&mut values);
        (name.clone(), Tensor::from_slice(&values).view(size.as_slice()) * 0.02)
    };
    Weights::from_tensors(sizes.iter().map(tensor).collect())
}

const D: i64 = 768;
const MLP: i64 = 3072;

/// The keys of a block, given its linear layers (outputs, inputs) and its norms.
fn blocks(linear: [(&str, i64, i64); 6], norms: [&str; 2]) -> Vec<(String, Vec<i64>)> {
    let mut sizes = Vec::new();
    for i in 0..12 {
        for (name, outputs, inputs) in linear {
            sizes.push((format!("encoder.layer.{i}.{name}.weight"), vec![outputs, inputs]));
            sizes.push((format!("encoder.layer.{i}.{name}.bias"), vec![outputs]));
        }
        for norm in norms {
            sizes.push((format!("encoder.layer.{i}.{norm}.weight"), vec![D]));
            sizes.push((format!("encoder.layer.{i}.{norm}.bias"), vec![D]));
        }
    }
    sizes
}

fn vit_b16() -> anyhow::Result<Vit> {
    let config: vit::Config = serde_json::from_str(
        r#"{"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
            "image_size": 224, "patch_size": 16, "num_channels": 3, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}"#,
    )?;
    let linear = [
        ("attention.attention.query", D, D),
        ("attention.attention.key", D, D),
        ("attention.attention.value", D, D),
        ("attention.output.dense", D, D),
        ("intermediate.dense", MLP, D),
        ("output.dense", D, MLP),
    ];
    let mut sizes = blocks(linear, ["layernorm_before", "layernorm_after"]);
    let more: [(&str, &[i64]); 6] = [
        ("embeddings.cls_token", &[1, 1, D]),
        ("embeddings.position_embeddings", &[1, 197, D]),
        ("embeddings.patch_embeddings.projection.weight", &[D, 3, 16, 16]),
        ("embeddings.patch_embeddings.projection.bias", &[D]),
        ("layernorm.weight", &[D]),
        ("layernorm.bias", &[D]),
    ];
    sizes.extend(more.map(|(name, size)| (name.to_owned(), size.to_vec())));
    Vit::load(drawn(&sizes), config)
}

fn bert_base(product: Product) -> anyhow::Result<Bert> {
    let config: bert::Config = serde_json::from_str(
        r#"{"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
            "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
            "hidden_act": "gelu"}"#,
    )?;
    let linear = [
        ("attention.self.query", D, D),
        ("attention.self.key", D, D),
        ("attention.self.value", D, D),
        ("attention.output.dense", D, D),
        ("intermediate.dense", MLP, D),
        ("output.dense", D, MLP),
    ];
    let mut sizes = blocks(linear, ["attention.output.LayerNorm", "output.LayerNorm"]);
    let more: [(&str, &[i64]); 5] = [
        ("embeddings.word_embeddings.weight", &[30522, D]),
        ("embeddings.position_embeddings.weight", &[512, D]),
        ("embeddings.token_type_embeddings.weight", &[2, D]),
        ("embeddings.LayerNorm.weight", &[D]),
        ("embeddings.LayerNorm.bias", &[D]),
    ];
    sizes.extend(more.map(|(name, size)| (name.to_owned(), size.to_vec())));
    Bert::load(drawn(&sizes), &config, product)
}

/// Shapes of the texts: how many share a batch, and their tokens.
const TEXT_SHAPES: [(i64, i64); 3] = [(64, 16), (32, 128), (8, 512)];

/// ViT-B/16 and BERT-base on one thread, against PyTorch eager; of several rounds the fastest counts.
fn full_size() -> anyhow::Result<()> {
    println!("drawn weights at full size on one thread, items per second");
    let mut ours = BTreeMap::new();
    let vit = vit_b16()?;
    for pictures in [4, 8, 16] {
        let x = Tensor::ones([pictures, 224, 224, 3], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let fastest = fastest(|| vit.forward(&x).map(drop))?;
        report(&mut ours, format!("vit-b16 {pictures}"), rate(pictures as usize, fastest));
    }
    drop(vit);
    for product in [Product::Fused, Product::Explicit] {
        let bert = bert_base(product)?;
        for (texts, tokens) in TEXT_SHAPES {
            // Half of the texts are a little shorter, so that there is a mask.
            let ids: Vec<Vec<u32>> = (0..texts).map(|n| vec![1000 + n as u32; (tokens - n % 2 * 3) as usize]).collect();
            let tokens_of = Tokens::padded(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0, Device::Cpu);
            let fastest = fastest(|| bert.forward(&tokens_of).map(drop))?;
            let name = match product {
                Product::Fused => format!("bert-base {texts}x{tokens}"),
                Product::Explicit => format!("bert-base {texts}x{tokens}, explicit product"),
            };
            report(&mut ours, name, rate(texts as usize, fastest));
        }
    }
    eager(&ours);
    Ok(())
}

fn fastest(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    work()?;
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(timed(&mut work)?.0);
    }
    Ok(best)
}

fn report(ours: &mut BTreeMap<String, f64>, name: String, rate: f64) {
    println!("  {name}: {rate:.1}");
    ours.insert(name, rate);
}

/// The same networks by PyTorch eager, if there is a Python with torch.
fn eager(ours: &BTreeMap<String, f64>) {
    let python = std::env::var("SEESAW_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/eager_encoders.py");
    // Its own libtorch, not the one that this program was linked with.
    let output = std::process::Command::new(&python).arg(script).env_remove("LD_LIBRARY_PATH").output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return println!(
            "  PyTorch eager: not measured, `{python}` has no torch (SEESAW_PYTHON may name one that has)"
        );
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((name, rate)) = line.rsplit_once(' ') else { continue };
        if let (Ok(theirs), Some(ours)) = (rate.parse::<f64>(), ours.get(name)) {
            println!("  {name}: PyTorch eager {theirs:.1}; ours is {:.2} times as fast", ours / theirs);
        }
    }
}
