//! How fast the offline benchmark is encoded: `cargo bench --bench encoders [WORKERS]`.

use std::time::{Duration, Instant};

use seesaw::datasets::reader;
use seesaw::encoders::{ImageEncoderOptions, Run, TextEncoderOptions, encode_pictures, encode_texts};
use seesaw::impairments::PictureItem;
use seesaw::interrupt::Interrupt;
use seesaw::progress::Silent;
use seesaw::testing;

/// What an independent implementation encodes per second on two cores: pictures of 128 pixels, texts.
const PICTURES: f64 = 280.0;
const TEXTS: f64 = 880.0;

fn main() -> anyhow::Result<()> {
    // Cargo passes `--bench`.
    let workers = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(2);
    let dataset = reader("emoji-words").expect("a dataset of this program");
    let image: ImageEncoderOptions = toml::from_str("name = \"efficientnet-lite0\"\nsize = 128")?;
    let text: TextEncoderOptions = toml::from_str("name = \"all-minilm-l6-v2\"")?;
    let names: Vec<&str> = [dataset.archives, image.needs().1, text.needs().1].into_iter().flatten().copied().collect();
    let archives = testing::archives(&names);
    let interrupt = Interrupt::default();
    let run = Run { device: tch::Device::Cpu, workers, interrupt: &interrupt, progress: &Silent };
    let splits = testing::read_dataset(dataset.name, "", &archives)?.splits;
    let pictures: Vec<PictureItem> =
        splits.values().flat_map(|data| &data.pictures).cloned().map(PictureItem::clean).collect();
    let texts: Vec<String> = splits.values().flat_map(|data| &data.texts).cloned().collect();

    println!("{workers} workers");
    let (load, _) = timed(|| encode_pictures(&image, &pictures[..1], &archives, &run))?;
    let (all, _) = timed(|| encode_pictures(&image, &pictures, &archives, &run))?;
    report("pictures", pictures.len(), load, all, PICTURES);
    let (load, _) = timed(|| encode_texts(&text, &texts[..1], &archives, &run))?;
    let (all, _) = timed(|| encode_texts(&text, &texts, &archives, &run))?;
    report("texts", texts.len(), load, all, TEXTS);
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed(), result))
}

fn report(what: &str, n: usize, load: Duration, all: Duration, reference: f64) {
    let seconds = all.saturating_sub(load).as_secs_f64();
    let rate = n as f64 / seconds;
    println!(
        "{n} {what}: {rate:.0} per second, {:.2} times the reference of {reference:.0}; loading took {:.2} s",
        rate / reference,
        load.as_secs_f64()
    );
}
