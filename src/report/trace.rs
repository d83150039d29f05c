//! Reads traces: what a training recorded, step by step. Needs no tensors.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use safetensors::{Dtype, SafeTensors};

/// A trace's columns by name, all of one length: a value per step.
pub(crate) type Columns = BTreeMap<String, Vec<f32>>;

/// Reads a trace, a safetensors file with one float32 vector per column.
///
/// # Errors
/// If the file is malformed, a column is not a float32 vector, columns differ in length, or there are none.
pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Columns> {
    let file = SafeTensors::deserialize(bytes).context("the trace is not a valid safetensors file")?;
    let mut columns = Columns::new();
    let mut length = None;
    // Sorted by name, so that the same file always gives the same error.
    let mut tensors = file.tensors();
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, view) in &tensors {
        if view.dtype() != Dtype::F32 {
            bail!("the column `{name}` of the trace should hold float32 numbers, found {:?}", view.dtype());
        }
        let &[steps] = view.shape() else {
            bail!("the column `{name}` of the trace should be a vector, found the shape {:?}", view.shape());
        };
        let numbers: Vec<f32> = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        ensure!(
            numbers.len() == steps,
            "the column `{name}` of the trace should have {steps} numbers, found {}",
            numbers.len()
        );
        let (first, expected) = length.get_or_insert_with(|| (name.clone(), steps));
        ensure!(
            steps == *expected,
            "the column `{name}` of the trace should have {expected} steps, as `{first}` has, found {steps}"
        );
        columns.insert(name.clone(), numbers);
    }
    ensure!(!columns.is_empty(), "the trace has no columns");
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    type Column<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

    fn file(columns: &[Column<'_>]) -> Vec<u8> {
        let view = |(name, kind, shape, data)| (name, TensorView::new(kind, <[usize]>::to_vec(shape), data).unwrap());
        safetensors::serialize(columns.iter().map(|(name, kind, shape, data)| view((*name, *kind, *shape, data))), None)
            .unwrap()
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn columns_survive_their_file() {
        let bytes = file(&[
            ("loss_T", Dtype::F32, &[2], floats(&[1.5, -0.25])),
            ("cos_T_kl", Dtype::F32, &[2], floats(&[f32::NAN, 1.0])),
        ]);
        let columns = read(&bytes).unwrap();
        assert_eq!(columns.keys().collect::<Vec<_>>(), ["cos_T_kl", "loss_T"]);
        assert_eq!(columns["loss_T"], [1.5, -0.25]);
        assert!(columns["cos_T_kl"][0].is_nan() && columns["cos_T_kl"][1] == 1.0);
    }

    /// The error says which column is wrong, what was expected and what was found.
    #[test]
    fn malformed_traces_are_refused() {
        let good = file(&[("loss_T", Dtype::F32, &[3], floats(&[1.0, 2.0, 3.0]))]);
        for cut in 0..good.len() {
            read(&good[..cut]).unwrap_err();
        }
        for (columns, expected) in [
            (vec![], "the trace has no columns"),
            (
                vec![("a", Dtype::I32, &[1][..], vec![0; 4])],
                "the column `a` of the trace should hold float32 numbers, found I32",
            ),
            (
                vec![("a", Dtype::F32, &[1, 1], vec![0; 4])],
                "the column `a` of the trace should be a vector, found the shape [1, 1]",
            ),
            (
                vec![("a", Dtype::F32, &[1], vec![0; 4]), ("b", Dtype::F32, &[2], vec![0; 8])],
                "the column `b` of the trace should have 1 steps, as `a` has, found 2",
            ),
        ] {
            assert_eq!(read(&file(&columns)).unwrap_err().to_string(), expected);
        }
    }
}
