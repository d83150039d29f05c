//! How fast pictures of the offline benchmark, and JPEGs of usual sizes, become a network's input, on one core:
//! `cargo bench --bench pictures`.

#![allow(clippy::print_stdout, reason = "benches print what they measure")]

use std::hint::black_box;
use std::time::Instant;

use seesaw::datasets::emoji::PICTURES;
use seesaw::datasets::{Archives, reader};
use seesaw::encoders::preprocess::Preprocess;
use seesaw::pictures::{Decoding, PictureNoise, Rgb, decode, decode_over_white};
use seesaw::testing;

/// What an independent implementation decodes and lays over white, per second on one core.
const REFERENCE: f64 = 4200.0;

fn main() -> anyhow::Result<()> {
    emoji()?;
    jpegs()
}

fn emoji() -> anyhow::Result<()> {
    let archives: Archives = testing::archives(reader("emoji-words").expect("a dataset of this program").archives);
    let dataset = testing::read_dataset("emoji-words", "", &archives)?;
    let members: Vec<&str> =
        dataset.splits.values().flat_map(|data| &data.pictures).map(|picture| picture.member.as_str()).collect();
    let mut zip = archives.open(PICTURES)?;
    let read = || members.iter().map(|member| zip.read(member)).collect::<anyhow::Result<Vec<_>>>();
    let (_, files) = timed("read from the archive", members.len(), read);
    let files = files?;
    let decode = || files.iter().map(|file| decode_over_white(file)).collect::<anyhow::Result<Vec<Rgb>>>();
    let (rate, pictures) = timed("decode, lay over white", files.len(), decode);
    let pictures = pictures?;
    println!("{:>66.1} times the reference of {REFERENCE:.0}", rate / REFERENCE);

    let preprocess = Preprocess::lite(128);
    let mut slot = vec![0.0; preprocess.values()];
    let mut worker = preprocess.worker();
    let (_, done) = timed("resize 72 to 128, normalize", pictures.len(), || {
        pictures.iter().try_for_each(|picture| worker.write(black_box(picture), black_box(&mut slot)))
    });
    done?;
    let noises: Vec<PictureNoise> =
        (0..1000).map(|n| PictureNoise { sigma: 0.5, seed: 0, sample: format!("sample {n}") }).collect();
    let (rate, ()) =
        timed("add noise", noises.len(), || noises.iter().for_each(|noise| noise.add_to(black_box(&mut slot))));
    println!("{:>66.2} ns a value", 1e9 / rate / slot.len() as f64);
    Ok(())
}

/// JPEGs as the paper's benchmarks have them, decoded and preprocessed for ViT.
fn jpegs() -> anyhow::Result<()> {
    let preprocess = Preprocess::vit(224);
    let mut slot = vec![0.0; preprocess.values()];
    for (width, height, times) in [(512, 512, 200), (4000, 3000, 5)] {
        let file = jpeg(width, height)?;
        let decoded = || (0..times).map(|_| decode(black_box(&file), Decoding::PILLOW)).collect::<Result<Vec<_>, _>>();
        let (rate, pictures) =
            timed(&format!("decode JPEG {width} × {height}, {} kB", file.len() / 1000), times, decoded);
        println!("{:>66.0} million pixels/s", rate * f64::from(width * height) / 1e6);
        let pictures = pictures?;
        let mut worker = preprocess.worker();
        let (_, done) = timed(&format!("preprocess {width} × {height} for ViT"), times, || {
            pictures.iter().try_for_each(|picture| worker.write(black_box(picture), black_box(&mut slot)))
        });
        done?;
    }
    Ok(())
}

/// Waves in three colours with some grain, which a JPEG of usual quality keeps in about as many bytes as a photograph.
fn jpeg(width: u32, height: u32) -> anyhow::Result<Vec<u8>> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)) >> 28;
        let wave = |a: f32, b: f32| ((x as f32 / a + y as f32 / b).sin() * 100.0 + 120.0) as u8;
        image::Rgb(
            [wave(31.0, 47.0), wave(53.0, -29.0), wave(-17.0, 90.0)].map(|level| level.saturating_add(grain as u8)),
        )
    });
    let mut bytes = Vec::new();
    picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 85))?;
    Ok(bytes)
}

/// Times work on `n` pictures; gives pictures per second and the work's result.
fn timed<T>(what: &str, n: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = black_box(work());
    let seconds = start.elapsed().as_secs_f64();
    println!("{what:<45} {:>9.0} pictures/s {:>9.1} µs each", n as f64 / seconds, 1e6 * seconds / n as f64);
    (n as f64 / seconds, result)
}
