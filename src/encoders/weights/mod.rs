//! Checkpoints: reading them, and taking tensors out of them strictly.

pub mod pth_legacy;

use std::collections::BTreeMap;

use anyhow::Context;
use tch::{Kind, Tensor};

use crate::tensors;

/// The tensors of a checkpoint by key. Each is taken once, with the shape that the model expects; what is missing,
/// misshapen or left over is reported by its full key, all of it in one error.
#[derive(Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    problems: Vec<String>,
}

impl Weights {
    /// Reads a checkpoint: safetensors, or PyTorch's legacy format, told apart by the first bytes.
    ///
    /// # Errors
    /// If the file is neither, is damaged, or holds anything but tensors.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let tensors = match bytes {
            [0x80, 0x02, ..] => pth_legacy::read(bytes).context("the legacy PyTorch file")?,
            [b'P', b'K', 3, 4, ..] => anyhow::bail!("PyTorch's zip format is not read yet; use a safetensors file"),
            _ => tensors::from_safetensors(bytes)?,
        };
        // Floating-point kinds are widened, so that every model computes in float32.
        let widened = tensors.into_iter().map(|(key, tensor)| {
            let tensor = if matches!(tensor.kind(), Kind::Half | Kind::BFloat16 | Kind::Double) {
                tensor.to_kind(Kind::Float)
            } else {
                tensor
            };
            (key, tensor)
        });
        Ok(Weights { tensors: widened.collect(), problems: Vec::new() })
    }

    /// Renames every key, before anything is taken.
    pub fn rename(mut self, name: impl Fn(&str) -> String) -> Self {
        self.tensors = self.tensors.into_iter().map(|(key, tensor)| (name(&key), tensor)).collect();
        self
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// The size of a tensor that is there.
    pub fn size(&self, key: &str) -> Option<Vec<i64>> {
        self.tensors.get(key).map(Tensor::size)
    }

    /// Takes a tensor. One that is missing or misshapen is noted, and zeros stand for it until [`Weights::finish`]
    /// reports it.
    pub fn take(&mut self, key: &str, size: &[i64]) -> Tensor {
        match self.tensors.remove(key) {
            Some(tensor) if tensor.size() == size => return tensor,
            Some(tensor) => self.problems.push(format!("`{key}` should be {size:?}, is {:?}", tensor.size())),
            None => self.problems.push(format!("`{key}` {size:?} is missing")),
        }
        Tensor::zeros(size, (Kind::Float, tch::Device::Cpu))
    }

    /// Drops the tensors that a model may ignore.
    pub fn ignore(&mut self, may: impl Fn(&str) -> bool) {
        self.tensors.retain(|key, _| !may(key));
    }

    /// # Errors
    /// Everything that was missing, misshapen or left over.
    pub fn finish(self) -> anyhow::Result<()> {
        let left = self.tensors.keys().map(|key| format!("`{key}` is not a tensor of this model"));
        let problems: Vec<String> = self.problems.into_iter().chain(left).collect();
        anyhow::ensure!(problems.is_empty(), "the checkpoint does not fit the model: {}", problems.join("; "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_does_not_fit_is_named() {
        let one = Tensor::ones([2, 3], (Kind::Half, tch::Device::Cpu));
        let bytes =
            tensors::to_safetensors([("a", &one.to_kind(Kind::Float)), ("b", &one.to_kind(Kind::Double))]).unwrap();
        let mut weights = Weights::read(&bytes).unwrap();
        assert_eq!(weights.take("b", &[2, 3]).kind(), Kind::Float);
        let _ = weights.take("a", &[3, 2]);
        let _ = weights.take("c", &[1]);
        let error = weights.finish().unwrap_err().to_string();
        for part in ["`a` should be [3, 2], is [2, 3]", "`c` [1] is missing"] {
            assert!(error.contains(part), "{error}");
        }
        let error = Weights::read(&bytes).unwrap().finish().unwrap_err().to_string();
        assert!(error.contains("`a` is not a tensor") && error.contains("`b` is not a tensor"), "{error}");
    }
}
