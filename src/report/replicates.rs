//! Scores of resampled test samples, as resampling steps write them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, ensure};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::tensors;
use crate::terms::Modality;

/// A version of the test split that a training is scored on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Full,
    /// A modality is missing in a share of the test samples.
    Missing(Modality, f64),
    Noisy(Modality),
}

impl fmt::Display for Level {
    /// As evaluations name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Full => f.write_str("full"),
            Level::Missing(modality, ratio) => write!(f, "missing {} {ratio}", modality.name()),
            Level::Noisy(modality) => write!(f, "noisy {}", modality.name()),
        }
    }
}

impl Level {
    /// All that a suite with these missing ratios evaluates.
    pub fn all(ratios: &[f64]) -> Vec<Level> {
        let missing = |modality| ratios.iter().map(move |&ratio| Level::Missing(modality, ratio));
        let impaired = Modality::ALL.map(|modality| missing(modality).chain([Level::Noisy(modality)]));
        [Level::Full].into_iter().chain(impaired.into_iter().flatten()).collect()
    }
}

/// The scores of one training at each level, by its name, in percent: first of the test samples as they are, then of the
/// same resamples for all trainings on a dataset.
pub type CellReplicates = BTreeMap<String, Vec<f64>>;

/// The scores of many trainings: (dataset, method) → scores.
pub type Replicates = BTreeMap<(String, String), MethodReplicates>;

/// The scores of a method's trainings on a dataset: a safetensors file with their `seeds`, uint64 `[n]`, and for each level
/// a matrix of float64 `[n, 1 + resamples]`. One training is in memory at a time, since those of a large suite take
/// gigabytes.
pub struct MethodReplicates {
    file: File,
    /// Seed → its row.
    seeds: BTreeMap<u64, u64>,
    /// Level → where its matrix starts, in bytes.
    levels: BTreeMap<String, u64>,
    /// Numbers in a row.
    width: usize,
}

const SEEDS: &str = "seeds";

impl MethodReplicates {
    /// Starts a file for the scores of these trainings.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(file: File, seeds: &[u64], levels: &[Level], resamples: u32) -> anyhow::Result<Self> {
        let width = 1 + resamples as usize;
        let names: Vec<String> = levels.iter().map(ToString::to_string).collect();
        let shapes = names.iter().map(|name| (name.clone(), Dtype::F64, vec![seeds.len(), width]));
        let mut end = 0;
        let mut place = |(name, dtype, shape): (String, Dtype, Vec<usize>)| {
            let start = end;
            end += 8 * shape.iter().product::<usize>();
            (name, TensorInfo { dtype, shape, data_offsets: (start, end) })
        };
        let all: Vec<_> =
            [(SEEDS.to_owned(), Dtype::U64, vec![seeds.len()])].into_iter().chain(shapes).map(&mut place).collect();
        let mut header = serde_json::to_vec(&Metadata::new(None, all)?)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let start = 8 + header.len() as u64;
        let head =
            [&(header.len() as u64).to_le_bytes(), &*header, &bytes(seeds.iter().map(|seed| seed.to_le_bytes()))];
        file.write_all_at(&head.concat(), 0)?;
        file.set_len(start + end as u64)?;
        let matrix = |(at, name): (usize, String)| (name, start + 8 * (seeds.len() + at * seeds.len() * width) as u64);
        let levels = names.into_iter().enumerate().map(matrix).collect();
        Ok(MethodReplicates { file, seeds: seeds.iter().copied().zip(0..).collect(), levels, width })
    }

    /// Writes the scores of a training at a level.
    ///
    /// # Errors
    /// If the file has no such training or level, or cannot be written.
    pub fn write(&self, seed: u64, level: Level, scores: &[f64]) -> anyhow::Result<()> {
        ensure!(scores.len() == self.width, "expected {} scores, found {}", self.width, scores.len());
        let level = level.to_string();
        let start = self.levels.get(&level).with_context(|| format!("the file has no level `{level}`"))?;
        let row = self.seeds.get(&seed).with_context(|| format!("the file has no seed {seed}"))?;
        self.file.write_all_at(&bytes(scores.iter().map(|score| score.to_le_bytes())), self.place(*start, *row))?;
        Ok(())
    }

    /// Opens what [`Self::create`] and [`Self::write`] wrote.
    ///
    /// # Errors
    /// If the file is malformed: says what was expected and what was found.
    pub fn open(file: File) -> anyhow::Result<Self> {
        let length = file.metadata()?.len();
        let (start, header) = tensors::header(&file, length).context("the resampled scores")?;
        let shape = |name: &str, dtype, shape: &[usize]| {
            let info = header.info(name).with_context(|| format!("there is no `{name}`"))?;
            ensure!(
                info.dtype == dtype && info.shape == shape,
                "`{name}`: expected {shape:?} of {dtype:?}, found {:?} of {:?}",
                info.shape,
                info.dtype
            );
            Ok(start + info.data_offsets.0 as u64)
        };
        let of = |name: &str| header.info(name).map_or(&[][..], |info| &info.shape);
        let trainings = of(SEEDS).first().copied().unwrap_or_default();
        let place = shape(SEEDS, Dtype::U64, &[trainings])?;
        let mut seeds = vec![0; 8 * trainings];
        file.read_exact_at(&mut seeds, place)?;
        let names: Vec<String> = header.offset_keys().into_iter().filter(|name| name != SEEDS).collect();
        let width = names.first().and_then(|name| of(name).get(1)).copied().unwrap_or_default();
        let level = |name: String| Ok((name.clone(), shape(&name, Dtype::F64, &[trainings, width])?));
        let levels = names.into_iter().map(level).collect::<anyhow::Result<_>>()?;
        ensure!(width > 0 || trainings == 0, "the resampled scores are empty");
        let seeds = seeds.as_chunks().0.iter().map(|seed| u64::from_le_bytes(*seed)).zip(0..).collect();
        Ok(MethodReplicates { file, seeds, levels, width })
    }

    pub fn seeds(&self) -> impl Iterator<Item = u64> {
        self.seeds.keys().copied()
    }

    /// Whether there are the scores of a training at these levels.
    pub fn has(&self, seed: u64, levels: &[Level]) -> bool {
        self.seeds.contains_key(&seed) && levels.iter().all(|level| self.levels.contains_key(&level.to_string()))
    }

    /// The scores of a training; none if the file has no such training.
    ///
    /// # Errors
    /// If the file cannot be read, or a score is not a number.
    pub fn read(&self, seed: u64) -> anyhow::Result<CellReplicates> {
        let Some(&row) = self.seeds.get(&seed) else { return Ok(CellReplicates::new()) };
        let mut bytes = vec![0; 8 * self.width];
        let mut level = |(name, &start): (&String, &u64)| {
            self.file.read_exact_at(&mut bytes, self.place(start, row))?;
            let scores: Vec<f64> = bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
            ensure!(scores.iter().all(|score| score.is_finite()), "`{name}` of seed {seed}: a score is not a number");
            Ok((name.clone(), scores))
        };
        self.levels.iter().map(&mut level).collect()
    }

    fn place(&self, start: u64, row: u64) -> u64 {
        start + row * 8 * self.width as u64
    }
}

fn bytes(numbers: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    numbers.flatten().collect()
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn levels_have_the_names_of_evaluations() {
        let names: Vec<String> = Level::all(&[0.5, 1.0]).iter().map(ToString::to_string).collect();
        let [image, text] =
            ["image", "text"].map(|it| [format!("missing {it} 0.5"), format!("missing {it} 1"), format!("noisy {it}")]);
        assert_eq!(names, [&["full".to_owned()][..], &image, &text].concat());
    }

    const LEVELS: [Level; 2] = [Level::Full, Level::Missing(Modality::Image, 0.5)];

    /// Two trainings with two resamples.
    fn written() -> MethodReplicates {
        let file = MethodReplicates::create(tempfile::tempfile().unwrap(), &[10, 2], &LEVELS, 2).unwrap();
        for (seed, shift) in [(2, 0.5), (10, 0.25)] {
            for (level, at) in LEVELS.into_iter().zip([0.0, 1.0]) {
                file.write(seed, level, &[at + shift, 0.1, 99.0]).unwrap();
            }
        }
        file
    }

    #[test]
    fn scores_survive_their_file() {
        let scores = MethodReplicates::open(written().file).unwrap();
        assert_eq!(scores.seeds().collect::<Vec<_>>(), [2, 10]);
        let of_10 = BTreeMap::from([("full", vec![0.25, 0.1, 99.0]), ("missing image 0.5", vec![1.25, 0.1, 99.0])]);
        assert_eq!(scores.read(10).unwrap(), of_10.into_iter().map(|(name, it)| (name.to_owned(), it)).collect());
        assert!(scores.read(3).unwrap().is_empty());
        assert!(scores.has(2, &LEVELS) && !scores.has(3, &LEVELS) && !scores.has(2, &Level::all(&[0.5])));
        let none = MethodReplicates::create(tempfile::tempfile().unwrap(), &[], &LEVELS, 2).unwrap();
        assert_eq!(MethodReplicates::open(none.file).unwrap().seeds().count(), 0);
    }

    /// Only what the file has room for can be written.
    #[test]
    fn scores_must_fit_their_file() {
        let error = |seed, level, scores: &[f64]| written().write(seed, level, scores).unwrap_err().to_string();
        assert_eq!(error(3, Level::Full, &[0.0; 3]), "the file has no seed 3");
        assert_eq!(error(2, Level::Noisy(Modality::Text), &[0.0; 3]), "the file has no level `noisy text`");
        assert_eq!(error(2, Level::Full, &[0.0; 4]), "expected 3 scores, found 4");
    }

    #[test]
    fn malformed_files_are_refused() {
        type Part = (&'static str, Dtype, &'static [usize], &'static [u8]);
        let error = |tensors: &[Part]| {
            let view = |&(name, dtype, shape, bytes): &(_, Dtype, &[usize], _)| {
                (name, TensorView::new(dtype, shape.to_vec(), bytes).unwrap())
            };
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&safetensors::serialize(tensors.iter().map(view), None).unwrap(), 0).unwrap();
            let read = MethodReplicates::open(file).and_then(|file| file.read(0));
            format!("{:#}", read.unwrap_err())
        };
        let seeds: Part = (SEEDS, Dtype::U64, &[1], &[0; 8]);
        let full = |dtype, shape, bytes| -> Part { ("full", dtype, shape, bytes) };
        assert_eq!(error(&[full(Dtype::F64, &[1], &[0; 8])]), "there is no `seeds`");
        assert_eq!(
            error(&[seeds, full(Dtype::F64, &[5, 1], &[0; 40])]),
            "`full`: expected [1, 1] of F64, found [5, 1] of F64"
        );
        assert_eq!(
            error(&[seeds, full(Dtype::F32, &[1, 2], &[0; 8])]),
            "`full`: expected [1, 2] of F64, found [1, 2] of F32"
        );
        assert_eq!(error(&[seeds, full(Dtype::F64, &[1, 0], &[])]), "the resampled scores are empty");
        assert_eq!(error(&[seeds, full(Dtype::F64, &[1, 1], &[255; 8])]), "`full` of seed 0: a score is not a number");
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"nothing", 0).unwrap();
        assert!(
            format!("{:#}", MethodReplicates::open(file).err().unwrap()).contains("not a well-formed safetensors file")
        );
    }
}
