//! Decodes every picture before samples use it. One that cannot be decoded is left out, counted by its reason, and never ends
//! a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use rayon::prelude::*;

use super::subset::Draws;
use super::{Archives, Dataset, Picture};
use crate::archives::{Archive, PackWriter, ZipReader, is_damage};
use crate::interrupt::Interrupt;
use crate::pictures::{Decoding, decode};
use crate::progress::{Progress, Unit};

/// The longest file of a picture, in bytes.
const MOST_BYTES: u64 = 64 << 20;
/// The most pictures that are read and then decoded together, and the most bytes.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 64 << 20;

/// The name under which samples find pictures that were copied out of an archive without random access.
pub const PACK: &str = "pictures";

/// How to check pictures.
pub struct Looking<'a> {
    pub decoding: Decoding,
    /// The number of samples of each split; none: all.
    pub subset: Option<usize>,
    /// The zip that pictures are copied to if they cannot be read in place.
    pub pack: &'a Path,
    pub interrupt: &'a Interrupt,
    pub progress: &'a dyn Progress,
    pub threads: usize,
}

/// Decodes every picture that a sample uses, drops the samples of bad pictures, and copies the others out of archives
/// without random access. For a subset, only the pictures of drawn samples are decoded, until there are enough good ones.
///
/// # Errors
/// If an archive cannot be read, the copy cannot be written, or the run was interrupted; never because of a picture.
pub fn check_pictures(dataset: &mut Dataset, archives: &Archives, looking: &Looking<'_>) -> anyhow::Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(looking.threads).build().context("cannot start threads")?;
    let opened = opened(dataset, archives)?;
    let draws = Draws::of(dataset, looking.subset.unwrap_or(usize::MAX));
    let mut pack = PackWriter::create(looking.pack)?;
    let mut faults: BTreeMap<Picture, &'static str> = BTreeMap::new();
    let mut seen: BTreeSet<&Picture> = BTreeSet::new();
    for round in 0.. {
        let wanted = wanted(dataset, &draws, round, &faults, &seen);
        if wanted.is_empty() {
            break;
        }
        looking.progress.begin(Some(wanted.len() as u64), Unit::Pictures);
        let mut of_archives: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for picture in &wanted {
            of_archives.entry(&picture.archive).or_default().insert(&picture.member);
        }
        for (name, members) in of_archives {
            let (archive, in_place) = &opened[name];
            let bad = match archive.zip().filter(|_| *in_place) {
                Some(zip) => pool.install(|| in_place_faults(zip, &members, looking))?,
                None => pool.install(|| copied_faults(archive, &members, &mut pack, looking))?,
            };
            let picture = |member: String| Picture { archive: name.to_owned(), member };
            faults.extend(bad.into_iter().map(|(member, reason)| (picture(member), reason)));
        }
        seen.extend(wanted);
    }
    pack.finish()?;
    let packed = opened.into_iter().filter(|(_, (_, in_place))| !in_place).map(|(name, _)| name).collect();
    leave_out(dataset, &draws, &faults, &packed);
    Ok(())
}

/// The archives of the pictures by their names, and whether pictures are read in place after the check.
fn opened(dataset: &Dataset, archives: &Archives) -> anyhow::Result<BTreeMap<String, (Archive, bool)>> {
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for picture in dataset.splits.values().flat_map(|data| &data.pictures) {
        members.entry(&picture.archive).or_default().insert(&picture.member);
    }
    let open = |(name, members): (&str, BTreeSet<&str>)| {
        let archive = archives.archive(name)?;
        let there = |zip: &ZipReader| {
            let there: BTreeSet<&str> = zip.names().iter().map(String::as_str).collect();
            members.is_subset(&there)
        };
        let in_place = archive.zip().is_some_and(there);
        Ok((name.to_owned(), (archive, in_place)))
    };
    members.into_iter().map(open).collect()
}

/// The pictures to check next: those of the samples that are drawn given the faults known so far.
fn wanted<'a>(
    dataset: &'a Dataset,
    draws: &Draws,
    round: u32,
    faults: &BTreeMap<Picture, &'static str>,
    seen: &BTreeSet<&Picture>,
) -> BTreeSet<&'a Picture> {
    let mut wanted = BTreeSet::new();
    for (split, data) in &dataset.splits {
        let picture = |at: usize| &data.pictures[data.samples[at].picture];
        let usable = |at: usize| !faults.contains_key(picture(at));
        let unseen =
            |places: BTreeSet<usize>| places.into_iter().map(picture).filter(|picture| !seen.contains(picture));
        if unseen(draws.drawn(*split, &usable)).next().is_some() {
            wanted.extend(unseen(draws.ahead(*split, round, &usable)));
        }
    }
    wanted
}

type Faults = BTreeMap<String, &'static str>;

/// Why a file cannot be decoded.
fn fault(bytes: &[u8], decoding: Decoding) -> Option<&'static str> {
    decode(bytes, decoding).err().map(|fault| fault.reason())
}

fn in_place_faults(zip: &ZipReader, members: &BTreeSet<&str>, looking: &Looking<'_>) -> anyhow::Result<Faults> {
    let members: Vec<&str> = members.iter().copied().collect();
    let looked = members.par_iter().map_init(
        || zip.clone(),
        |zip, member| {
            looking.interrupt.check()?;
            let reason = match zip.read(member) {
                Ok(bytes) if bytes.len() as u64 > MOST_BYTES => Some("file longer than 64 MiB"),
                Ok(bytes) => fault(&bytes, looking.decoding),
                // One damaged member does not stop the run; the others have checksums of their own.
                Err(error) if is_damage(&error) => Some("damaged in the archive"),
                Err(error) => return Err(error),
            };
            looking.progress.advance(1);
            Ok(reason.map(|reason| ((*member).to_owned(), reason)))
        },
    );
    looked.filter_map(Result::transpose).collect()
}

fn copied_faults(
    archive: &Archive,
    members: &BTreeSet<&str>,
    pack: &mut PackWriter,
    looking: &Looking<'_>,
) -> anyhow::Result<Faults> {
    let mut faults = Faults::new();
    let mut batch: Vec<(String, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    let mut flush = |batch: &mut Vec<(String, Vec<u8>)>, faults: &mut Faults| -> anyhow::Result<()> {
        let reasons: Vec<_> = batch.par_iter().map(|(_, bytes)| fault(bytes, looking.decoding)).collect();
        looking.progress.advance(batch.len() as u64);
        for ((member, bytes), reason) in batch.drain(..).zip(reasons) {
            match reason {
                Some(reason) => drop(faults.insert(member, reason)),
                None => pack.append(&member, &bytes)?,
            }
        }
        Ok(())
    };
    archive.walk(looking.interrupt, &mut |entry, content| {
        if !members.contains(entry.name.as_str()) {
            return Ok(());
        }
        if entry.size > MOST_BYTES {
            faults.insert(entry.name.clone(), "file longer than 64 MiB");
            looking.progress.advance(1);
            return Ok(());
        }
        batch.push((entry.name.clone(), content.read_all(MOST_BYTES)?));
        bytes += entry.size as usize;
        if batch.len() >= BATCH || bytes >= BATCH_BYTES {
            bytes = 0;
            flush(&mut batch, &mut faults)?;
        }
        Ok(())
    })?;
    flush(&mut batch, &mut faults)?;
    Ok(faults)
}

/// Removes the samples of bad pictures and those that were not drawn, and points the others at the copies.
fn leave_out(
    dataset: &mut Dataset,
    draws: &Draws,
    faults: &BTreeMap<Picture, &'static str>,
    packed: &BTreeSet<String>,
) {
    for (split, data) in &mut dataset.splits {
        let whole = std::mem::take(data);
        let reasons: Vec<Option<&str>> =
            whole.samples.iter().map(|sample| faults.get(&whole.pictures[sample.picture]).copied()).collect();
        for reason in reasons.iter().flatten() {
            *dataset.dropped.entry(format!("picture: {reason}")).or_default() += 1;
        }
        let drawn = draws.drawn(*split, &|at| reasons[at].is_none());
        *data = whole.keep(|at| drawn.contains(&at));
        for picture in data.pictures.iter_mut().filter(|picture| packed.contains(&picture.archive)) {
            PACK.clone_into(&mut picture.archive);
        }
    }
}

#[cfg(test)]
mod tests;
