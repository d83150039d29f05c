//! How fast pictures of the offline benchmark become a network's input, on one core: `cargo bench --bench pictures`.

use std::hint::black_box;
use std::time::Instant;

use seesaw::datasets::emoji::PICTURES;
use seesaw::datasets::picture::{Rgb, decode_over_white};
use seesaw::datasets::preprocess::{Layout, Preprocess};
use seesaw::datasets::{Archives, reader};
use seesaw::impairments::{PictureNoise, noisy};
use seesaw::testing;

/// What an independent implementation decodes and lays over white, per second on one core.
const REFERENCE: f64 = 4200.0;

fn main() -> anyhow::Result<()> {
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
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let mut worker = preprocess.worker();
        let (_, done) = timed(&format!("resize 72 to 128, normalise, {layout:?}"), pictures.len(), || {
            pictures.iter().try_for_each(|picture| worker.write(black_box(picture), layout, black_box(&mut slot)))
        });
        done?;
        let noises: Vec<PictureNoise> =
            (0..1000).map(|n| PictureNoise { sigma: 0.5, seed: 0, sample: format!("sample {n}") }).collect();
        let (rate, ()) = timed(&format!("add noise, {layout:?}"), noises.len(), || {
            noises.iter().for_each(|noise| noisy::add_in(layout, noise, black_box(&mut slot)));
        });
        println!("{:>66.2} ns a value", 1e9 / rate / slot.len() as f64);
    }
    Ok(())
}

/// Times work on `n` pictures; gives pictures per second and the work's result.
fn timed<T>(what: &str, n: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = black_box(work());
    let seconds = start.elapsed().as_secs_f64();
    println!("{what:<45} {:>9.0} pictures/s {:>9.1} µs each", n as f64 / seconds, 1e6 * seconds / n as f64);
    (n as f64 / seconds, result)
}
