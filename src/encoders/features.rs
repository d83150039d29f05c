//! A file of features that is written while they are computed, so that any list fits in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Device, Kind, Tensor};

/// The name of the tensor in the file.
pub(super) const NAME: &str = "features";

/// A safetensors file with one tensor `features`, float32 [items, d]. Rows may come in any order.
pub(super) struct FeatureFile {
    path: PathBuf,
    items: usize,
    /// None until the first rows, which set the number of features.
    open: Mutex<Option<Open>>,
}

struct Open {
    file: File,
    /// Where the first row begins.
    start: u64,
    width: usize,
}

impl FeatureFile {
    /// Nothing is written before the first rows.
    pub(super) fn new(path: &Path, items: usize) -> Self {
        FeatureFile { path: path.to_owned(), items, open: Mutex::new(None) }
    }

    /// Writes the features of some items, [items of the batch, d].
    ///
    /// # Errors
    /// If there are not as many rows as items, one is not finite (which `name` names), or the file cannot be written.
    pub(super) fn write(&self, batch: &[usize], x: &Tensor, name: impl Fn(usize) -> String) -> anyhow::Result<()> {
        let (found, width) = x.size2()?;
        anyhow::ensure!(found as usize == batch.len(), "{found} features for {} items", batch.len());
        anyhow::ensure!(width > 0, "the encoder returned features of width 0");
        let values: Vec<f32> = x.to_kind(Kind::Float).to_device(Device::Cpu).contiguous().view(-1).try_into()?;
        let width = width as usize;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            anyhow::bail!(
                "the encoder returned a feature that is not finite, {}, for {}",
                values[at],
                name(batch[at / width])
            );
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut open = self.open.lock().expect("no thread panics while it holds the lock");
        let mut write = || -> anyhow::Result<()> {
            if open.is_none() {
                *open = Some(Open::new(&self.path, self.items, width)?);
            }
            open.as_mut().expect("just opened").write(batch, width, &bytes)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// # Errors
    /// If nothing was written.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let open = self.open.into_inner().expect("no thread panics while it holds the lock");
        open.map(|_| ()).context("no features were computed")
    }
}

impl Open {
    fn new(path: &Path, items: usize, width: usize) -> anyhow::Result<Self> {
        let (header, length) = header(items, width)?;
        let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(&header)?;
        let start = header.len() as u64;
        file.set_len(start + length)?;
        Ok(Open { file, start, width })
    }

    /// Rows of neighbours at once.
    fn write(&mut self, batch: &[usize], width: usize, bytes: &[u8]) -> anyhow::Result<()> {
        anyhow::ensure!(width == self.width, "an item has {width} features, others have {}", self.width);
        let row = 4 * width;
        let mut at = 0;
        while at < batch.len() {
            let neighbours = (at..batch.len()).take_while(|&next| batch[next] == batch[at] + (next - at)).count();
            self.file.seek(SeekFrom::Start(self.start + (batch[at] * row) as u64))?;
            self.file.write_all(&bytes[at * row..(at + neighbours) * row])?;
            at += neighbours;
        }
        Ok(())
    }
}

/// The bytes before the rows, as the `safetensors` crate writes them, and the length of the rows in bytes.
fn header(items: usize, width: usize) -> anyhow::Result<(Vec<u8>, u64)> {
    let length = items.checked_mul(width).and_then(|n| n.checked_mul(4)).context("too many features for a file")?;
    let info = TensorInfo { dtype: Dtype::F32, shape: vec![items, width], data_offsets: (0, length) };
    let metadata = Metadata::new(None::<HashMap<String, String>>, vec![(NAME.to_owned(), info)])?;
    let mut text = serde_json::to_vec(&metadata)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend(text);
    Ok((header, length as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::to_safetensors;

    /// Whatever the order of the rows, the file is what the whole tensor would give.
    #[test]
    fn rows_in_any_order_give_the_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        for (items, width) in [(7, 5), (1, 1), (1000, 3)] {
            let all = Tensor::arange(items * width, (Kind::Float, Device::Cpu)).view([items, width]) - 17.5;
            let path = folder.path().join("features");
            let file = FeatureFile::new(&path, items as usize);
            let mut order: Vec<usize> = (0..items as usize).collect();
            order.sort_by_key(|n| (n % 4, *n));
            for batch in order.chunks(3) {
                let index: Vec<i64> = batch.iter().map(|&n| n as i64).collect();
                file.write(batch, &all.index_select(0, &Tensor::from_slice(&index)), |n| n.to_string()).unwrap();
            }
            file.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), to_safetensors([(NAME, &all)]).unwrap());
        }
    }

    #[test]
    fn rows_that_cannot_be_kept_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let file = FeatureFile::new(&folder.path().join("features"), 4);
        let rows = |values: &[f32], width: i64| Tensor::from_slice(values).view([-1, width]);
        let name = |n: usize| format!("item {n}");
        for (bad, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            let error = file.write(&[2, 0], &rows(&[1.0, 2.0, 3.0, bad], 2), name).unwrap_err().to_string();
            assert!(error.contains("not finite") && error.contains("item 0") && error.contains(shown), "{error}");
        }
        assert!(file.write(&[0], &rows(&[1.0, 2.0], 1), name).unwrap_err().to_string().contains("2 features for 1"));
        file.write(&[0], &rows(&[1.0, 2.0], 2), name).unwrap();
        let error = format!("{:#}", file.write(&[1], &rows(&[1.0], 1), name).unwrap_err());
        assert!(error.contains("1 features, others have 2"), "{error}");
        assert!(FeatureFile::new(&folder.path().join("none"), 4).finish().is_err());
        let nowhere = FeatureFile::new(&folder.path().join("no/such/folder"), 1);
        assert!(format!("{:#}", nowhere.write(&[0], &rows(&[1.0], 1), name).unwrap_err()).contains("no/such/folder"));
    }
}
