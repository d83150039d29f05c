//! A mini mirror: archives in the exact layouts of the paper's benchmarks and tiny checkpoints in the exact layouts of the
//! encoders, made on this machine and served from it, so that the whole way from download to table can be run where
//! nothing can be downloaded.
//!
//! [`make`] writes `manifests.json` and `archives/*`, the same bytes for the same seed and number of samples; [`serve`]
//! serves such a folder, and misbehaves on request. The pictures and names are those of the offline benchmark
//! ([`crate::datasets::emoji`]); the weights are random. Neither is worth anything as data: what matters are file names,
//! formats and the faults that are found in the wild. The pictures belong to their vendors: a mirror is for the machine
//! that made it, and not to be passed on.
//!
//! | file | what |
//! |---|---|
//! | `samples` | emoji with picture, name, subgroup and words, from which samples are made |
//! | `pictures` | their files: JPEG, PNG, GIF, grey, CMYK, cut short |
//! | `food101`, `hateful_memes`, `mm_imdb`, `memotion`, `cub` | the archives of a benchmark and what is counted in them |
//! | `checkpoints` | the files of the encoders |

mod checkpoints;
mod cmyk;
mod cub;
mod food101;
mod hateful_memes;
mod memotion;
mod mm_imdb;
mod pictures;
mod samples;
pub mod serve;
mod tars;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::archives::PackWriter;
use crate::datasets::Archives;
use crate::digest::Digest;
use crate::errors;
use crate::interrupt::Interrupt;
use samples::Samples;

/// The manifests whose archives are needed to make a mirror.
pub const NEEDS: [&str; 2] = ["emoji", "all-minilm-l6-v2"];
/// The samples of a benchmark: fewer could not hold every fault, class and genre, and for more there are no five-digit
/// numbers of memes.
pub const SAMPLES: std::ops::RangeInclusive<u32> = 60..=50_000;

/// What a mirror is made from.
pub struct Making<'a> {
    /// Those of the manifests in [`NEEDS`].
    pub archives: &'a Archives,
    /// The folder of the project's manifests: the mirror's differ from them in hashes, sizes, sources and counts.
    pub manifests: &'a Path,
    /// The samples of each benchmark, all splits together.
    pub samples: u32,
    pub seed: u64,
    pub interrupt: &'a Interrupt,
}

/// What was counted in the archives of a dataset, by the names of its manifest's counts.
type Counts = BTreeMap<String, u64>;

/// Writes a mirror into a folder; an older one there is replaced, and any other file stays.
///
/// # Errors
/// If an archive does not hold what it should, or something cannot be written.
pub fn make(making: &Making<'_>, folder: &Path) -> anyhow::Result<()> {
    if !SAMPLES.contains(&making.samples) {
        let message = format!("a mirror has {} to {} samples, not {}", SAMPLES.start(), SAMPLES.end(), making.samples);
        return Err(errors::usage(message, "choose another number with --samples"));
    }
    let archives = folder.join("archives");
    fs::create_dir_all(&archives).with_context(|| format!("cannot make {}", archives.display()))?;
    // What describes the files goes first and comes last: a mirror that is half made is none.
    let list = folder.join("manifests.json");
    if list.exists() {
        fs::remove_file(&list).with_context(|| format!("cannot remove {}", list.display()))?;
    }
    let samples = Samples::read(making.archives)?;
    let mut place = Place { folder: &archives, made: BTreeMap::new(), interrupt: making.interrupt };
    let mut manifests = Vec::new();
    for (name, dataset) in DATASETS {
        let counts = dataset(making, &samples, &mut place).with_context(|| format!("cannot make {name}"))?;
        manifests.push(manifest(making.manifests, name, Some(counts), &place)?);
    }
    for (name, checkpoint) in checkpoints::ALL {
        checkpoint(making, &mut place).with_context(|| format!("cannot make {name}"))?;
        manifests.push(manifest(making.manifests, name, None, &place)?);
    }
    place.write_into(folder, "manifests.json", format!("{:#}\n", Value::from(manifests)).as_bytes())
}

type MakeDataset = fn(&Making<'_>, &Samples, &mut Place<'_>) -> anyhow::Result<Counts>;

/// By the names of their manifests.
const DATASETS: [(&str, MakeDataset); 5] = [
    ("food101", food101::make),
    ("hateful-memes", hateful_memes::make),
    ("mm-imdb", mm_imdb::make),
    ("memotion", memotion::make),
    ("cub-200-2011", cub::make),
];

/// Where archives are written, and what they were.
struct Place<'a> {
    folder: &'a Path,
    made: BTreeMap<String, (Digest, u64)>,
    interrupt: &'a Interrupt,
}

impl Place<'_> {
    /// Writes a file that is no archive of members.
    fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.interrupt.check()?;
        self.write_into(self.folder, name, bytes)?;
        self.made.insert(name.to_owned(), (Digest::of(bytes), bytes.len() as u64));
        Ok(())
    }

    fn write_into(&self, folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes a zip of these members.
    fn zip<'m>(&mut self, name: &str, members: impl IntoIterator<Item = (&'m str, &'m [u8])>) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let mut zip = PackWriter::create(&path)?;
        for (member, bytes) in members {
            self.interrupt.check()?;
            zip.append(member, bytes)?;
        }
        zip.finish()?;
        self.add(name, &path)
    }

    /// Writes a gzipped tar of these members; see [`tars::gzipped`].
    fn gzipped_tar(&mut self, name: &str, members: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let cannot = || format!("cannot write {}", path.display());
        let mut out = BufWriter::new(fs::File::create(&path).with_context(cannot)?);
        tars::gzipped(&mut out, members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
            .with_context(cannot)?;
        out.flush().with_context(cannot)?;
        self.add(name, &path)
    }

    fn add(&mut self, name: &str, path: &Path) -> anyhow::Result<()> {
        let found = Digest::of_file(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.made.insert(name.to_owned(), found);
        Ok(())
    }
}

/// A field of comma-separated values.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// The project's manifest with the mirror's archives and counts.
fn manifest(folder: &Path, name: &str, counts: Option<Counts>, place: &Place<'_>) -> anyhow::Result<Value> {
    let path = folder.join(format!("{name}.json"));
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut manifest: Value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let malformed = || format!("{}: `archives` should list objects with a `name`", path.display());
    let mut archives = Vec::new();
    for archive in manifest["archives"].as_array().with_context(malformed)? {
        let name = archive["name"].as_str().with_context(malformed)?;
        let (sha256, size) =
            place.made.get(name).with_context(|| format!("{}: the mirror does not make {name}", path.display()))?;
        let sources = json!([{ "type": "https", "urls": [format!("archives/{name}")] }]);
        archives.push(json!({ "name": name, "sha256": sha256.to_string(), "size": size, "sources": sources }));
    }
    manifest["archives"] = archives.into();
    if let Some(counts) = counts {
        // Each of these manifests serves the one dataset that has its name.
        manifest["counts"] = json!({ name: counts });
    }
    let title = manifest["title"].as_str().unwrap_or_default();
    manifest["title"] = format!("{title} (imitated: made by a mirror for tests)").into();
    Ok(manifest)
}

#[cfg(test)]
mod tests;
