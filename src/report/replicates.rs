//! Scores of resampled test samples, as resampling steps write them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, ensure};
use safetensors::tensor::View;
use safetensors::{Dtype, SafeTensors};

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

/// The scores of many trainings: (dataset, method, seed) → scores.
pub type Replicates = BTreeMap<(String, String, u64), CellReplicates>;

/// Writes the scores of a method's trainings: a safetensors file with a vector of float64 per seed and level, `SEED LEVEL`.
///
/// # Errors
/// If levels differ in their number of scores.
pub fn write(seeds: &BTreeMap<u64, CellReplicates>) -> anyhow::Result<Vec<u8>> {
    let vector = |seed: &u64, (level, scores): (&String, _)| (format!("{seed} {level}"), Vector::of(scores));
    let vectors: Vec<(String, Vector<'_>)> =
        seeds.iter().flat_map(|(seed, levels)| levels.iter().map(move |level| vector(seed, level))).collect();
    let even = vectors.iter().all(|(_, vector)| vector.shape == vectors[0].1.shape);
    ensure!(even, "levels differ in their resamples");
    safetensors::serialize(vectors, None).context("the resampled scores cannot be written")
}

/// Scores as a tensor, whose bytes are made one vector at a time.
struct Vector<'a> {
    scores: &'a [f64],
    shape: [usize; 1],
}

impl<'a> Vector<'a> {
    fn of(scores: &'a Vec<f64>) -> Self {
        Vector { scores, shape: [scores.len()] }
    }
}

impl View for Vector<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F64
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.scores.iter().flat_map(|score| score.to_le_bytes()).collect()
    }
    fn data_len(&self) -> usize {
        size_of_val(self.scores)
    }
}

/// Reads what [`write()`] wrote: seed → level → scores.
///
/// # Errors
/// If the file is malformed: says what was expected and what was found.
pub fn read(bytes: &[u8]) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
    let file =
        SafeTensors::deserialize(bytes).context("the resampled scores are not a well-formed safetensors file")?;
    let mut seeds: BTreeMap<u64, CellReplicates> = BTreeMap::new();
    let mut resamples = None;
    for (name, view) in file.tensors() {
        let place = name.split_once(' ').and_then(|(seed, level)| Some((seed.parse::<u64>().ok()?, level)));
        let (seed, level) =
            place.with_context(|| format!("expected vectors called `SEED LEVEL`, found one called `{name}`"))?;
        let known = *resamples.get_or_insert(view.data().len() / size_of::<f64>());
        ensure!(
            view.dtype() == Dtype::F64 && view.shape() == [known] && known > 0,
            "`{name}`: expected {known} numbers of float64, found {:?} of {:?}",
            view.shape(),
            view.dtype()
        );
        let scores: Vec<f64> = view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        ensure!(scores.iter().all(|score| score.is_finite()), "`{name}`: a score is not a number");
        seeds.entry(seed).or_default().insert(level.to_owned(), scores);
    }
    Ok(seeds)
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

    #[test]
    fn scores_survive_their_file() {
        let cell = |shift: f64| -> CellReplicates {
            let level = |(level, at): (Level, u32)| (level.to_string(), vec![f64::from(at) + shift, 0.1, 99.0]);
            Level::all(&[0.0, 1.0]).into_iter().zip(0..).map(level).collect()
        };
        let seeds = BTreeMap::from([(1, cell(0.5)), (10, cell(0.25)), (2, cell(0.0))]);
        assert_eq!(read(&write(&seeds).unwrap()).unwrap(), seeds);
        assert_eq!(read(&write(&BTreeMap::new()).unwrap()).unwrap(), BTreeMap::new());
        let mut uneven = seeds;
        uneven.get_mut(&2).unwrap().get_mut("full").unwrap().push(1.0);
        assert!(write(&uneven).is_err());
    }

    #[test]
    fn malformed_files_are_refused() {
        let error = |name: &str, dtype, shape: Vec<usize>, bytes: &[u8]| {
            let view = TensorView::new(dtype, shape, bytes).unwrap();
            format!("{:#}", read(&safetensors::serialize([(name, view)], None).unwrap()).unwrap_err())
        };
        assert_eq!(
            error("one", Dtype::F64, vec![1], &[0; 8]),
            "expected vectors called `SEED LEVEL`, found one called `one`"
        );
        assert_eq!(
            error("1 full", Dtype::F64, vec![5, 1], &[0; 40]),
            "`1 full`: expected 5 numbers of float64, found [5, 1] of F64"
        );
        assert!(
            error("1 full", Dtype::F32, vec![2], &[0; 8]).contains("expected 1 numbers of float64, found [2] of F32")
        );
        assert_eq!(error("1 full", Dtype::F64, vec![1], &[255; 8]), "`1 full`: a score is not a number");
        assert!(read(b"nothing").is_err());
    }
}
