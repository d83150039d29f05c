//! Scores of resampled test samples, as the resampling steps write them.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// The levels whose predictions are resampled, by the names that evaluations give them: those of Table 1, a modality
/// being missing in all test samples.
pub const LEVELS: [&str; 5] = ["full", "missing image 1", "missing text 1", "noisy image", "noisy text"];

/// The scores of one training at each of [`LEVELS`], in percent: first of the test samples as they are, then of the
/// same resamples for all trainings on a dataset.
pub type CellReplicates = [Vec<f64>; LEVELS.len()];

/// The scores of many trainings: (dataset, method, seed) → scores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replicates(pub BTreeMap<(String, String, u64), CellReplicates>);

impl Replicates {
    pub fn cell(&self, dataset: &str, method: &str, seed: u64) -> Option<&CellReplicates> {
        self.0.get(&(dataset.to_owned(), method.to_owned(), seed))
    }
}

/// Writes the scores of a method's trainings: a safetensors file with a float64 matrix per seed, a row per level.
///
/// # Errors
/// If levels differ in their number of scores.
pub fn write(seeds: &BTreeMap<u64, CellReplicates>) -> anyhow::Result<Vec<u8>> {
    let mut matrices = Vec::new();
    for (seed, levels) in seeds {
        let columns = levels[0].len();
        ensure!(levels.iter().all(|level| level.len() == columns), "seed {seed}: levels differ in their resamples");
        let bytes: Vec<u8> = levels.iter().flatten().flat_map(|score| score.to_le_bytes()).collect();
        matrices.push((seed.to_string(), columns, bytes));
    }
    let views: Vec<(&str, TensorView<'_>)> = matrices
        .iter()
        .map(|(seed, columns, bytes)| {
            Ok((seed.as_str(), TensorView::new(Dtype::F64, vec![LEVELS.len(), *columns], bytes)?))
        })
        .collect::<anyhow::Result<_>>()?;
    safetensors::serialize(views, None).context("the resampled scores cannot be written")
}

/// Reads what [`write`] wrote: seed → scores.
///
/// # Errors
/// If the file is malformed: says what was expected and what was found.
pub fn read(bytes: &[u8]) -> anyhow::Result<BTreeMap<u64, CellReplicates>> {
    let file =
        SafeTensors::deserialize(bytes).context("the resampled scores are not a well-formed safetensors file")?;
    let mut seeds = BTreeMap::new();
    for (name, view) in file.tensors() {
        let seed: u64 =
            name.parse().with_context(|| format!("expected a matrix per seed, found one named `{name}`"))?;
        let &[levels, columns] = view.shape() else {
            anyhow::bail!("seed {seed}: expected a matrix, found the shape {:?}", view.shape());
        };
        ensure!(
            view.dtype() == Dtype::F64 && levels == LEVELS.len() && columns > 0,
            "seed {seed}: expected {} rows of float64, found {levels} of {:?}",
            LEVELS.len(),
            view.dtype()
        );
        let scores: Vec<f64> = view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        ensure!(scores.iter().all(|score| score.is_finite()), "seed {seed}: a score is not a number");
        seeds.insert(seed, std::array::from_fn(|level| scores[level * columns..(level + 1) * columns].to_vec()));
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_survive_their_file() {
        let cell = |shift: f64| [0.0, 1.0, 2.0, 3.0, 4.0].map(|level| vec![level + shift, 0.1, 99.0]);
        let seeds = BTreeMap::from([(1, cell(0.5)), (10, cell(0.25)), (2, cell(0.0))]);
        assert_eq!(read(&write(&seeds).unwrap()).unwrap(), seeds);
        assert_eq!(read(&write(&BTreeMap::new()).unwrap()).unwrap(), BTreeMap::new());
        let mut uneven = seeds;
        uneven.get_mut(&2).unwrap()[4].push(1.0);
        assert!(write(&uneven).is_err());
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        let told = |name: &str, dtype, shape: Vec<usize>, bytes: &[u8]| {
            let view = TensorView::new(dtype, shape, bytes).unwrap();
            format!("{:#}", read(&safetensors::serialize([(name, view)], None).unwrap()).unwrap_err())
        };
        assert!(
            told("one", Dtype::F64, vec![5, 1], &[0; 40])
                .starts_with("expected a matrix per seed, found one named `one`")
        );
        assert_eq!(told("1", Dtype::F64, vec![5], &[0; 40]), "seed 1: expected a matrix, found the shape [5]");
        assert_eq!(told("1", Dtype::F32, vec![5, 2], &[0; 40]), "seed 1: expected 5 rows of float64, found 5 of F32");
        assert_eq!(told("1", Dtype::F64, vec![5, 1], &[255; 40]), "seed 1: a score is not a number");
        assert!(read(b"nothing").is_err());
    }
}
