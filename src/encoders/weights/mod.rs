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
            // A safetensors file begins with the length of its header, and then the header, which is JSON.
            [_, _, _, _, _, _, _, _, b'{', ..] => tensors::from_safetensors(bytes)?,
            _ => anyhow::bail!("neither a safetensors file nor PyTorch's format of before 2020 (no other is read)"),
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

    /// Renames every key, before anything is taken. Two keys that become one are a problem: only one of their tensors
    /// could be used, and nobody would know which.
    pub fn rename(mut self, name: impl Fn(&str) -> String) -> Self {
        for (key, tensor) in std::mem::take(&mut self.tensors) {
            let renamed = name(&key);
            if self.tensors.insert(renamed.clone(), tensor).is_some() {
                self.problems.push(format!("`{renamed}` is there twice, once as `{key}`"));
            }
        }
        self
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// A tensor's size, if it is there.
    pub fn size(&self, key: &str) -> Option<Vec<i64>> {
        self.tensors.get(key).map(Tensor::size)
    }

    /// Takes a tensor. One that is missing, misshapen or no float is noted, and zeros stand for it until
    /// [`Weights::finish`] reports it.
    pub fn take(&mut self, key: &str, size: &[i64]) -> Tensor {
        match self.tensors.remove(key) {
            Some(tensor) if tensor.size() != size => {
                self.problems.push(format!("`{key}` should be {size:?}, is {:?}", tensor.size()));
            }
            Some(tensor) if tensor.kind() != Kind::Float => {
                self.problems.push(format!("`{key}` should be floating-point, is {:?}", tensor.kind()));
            }
            Some(tensor) => return tensor,
            None => self.problems.push(format!("`{key}` {size:?} is missing")),
        }
        // One zero, seen as many: what is expected may be larger than any memory.
        Tensor::zeros([1], (Kind::Float, tch::Device::Cpu)).expand(size, false)
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

    fn read(tensors: &[(&str, &Tensor)]) -> Weights {
        Weights::read(&tensors::to_safetensors(tensors.iter().copied()).unwrap()).unwrap()
    }

    #[test]
    fn everything_that_does_not_fit_is_named() {
        let one = Tensor::ones([2, 3], (Kind::Float, tch::Device::Cpu));
        let file = || read(&[("a", &one), ("b", &one.to_kind(Kind::Double)), ("n", &one.to_kind(Kind::Int64))]);
        let mut weights = file();
        assert_eq!(weights.take("b", &[2, 3]).kind(), Kind::Float);
        assert_eq!(weights.take("a", &[3, 2]).size(), [3, 2]);
        assert_eq!(weights.take("c", &[1 << 30, 1 << 30]).size(), [1 << 30, 1 << 30]);
        let _ = weights.take("n", &[2, 3]);
        let error = weights.finish().unwrap_err().to_string();
        for part in [
            "`a` should be [3, 2], is [2, 3]",
            "`c` [1073741824, 1073741824] is missing",
            "`n` should be floating-point, is Int64",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = file().finish().unwrap_err().to_string();
        assert!(error.contains("`a` is not a tensor") && error.contains("`b` is not a tensor"), "{error}");
    }

    #[test]
    fn keys_that_become_one_are_named() {
        let one = Tensor::ones([1], (Kind::Float, tch::Device::Cpu));
        let mut weights = read(&[("bert.a", &one), ("a", &one)]);
        weights = weights.rename(|key| key.strip_prefix("bert.").unwrap_or(key).to_owned());
        let _ = weights.take("a", &[1]);
        let error = weights.finish().unwrap_err().to_string();
        assert!(error.contains("`a` is there twice, once as `bert.a`"), "{error}");
    }

    /// Half precision, in files of either kind, is widened without loss.
    #[test]
    fn half_precision_is_widened() {
        let values = [1.5f32, -0.0078125, 3.0];
        let header = r#"{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[6,12]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()));
        bytes.extend(values.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()));
        let mut weights = Weights::read(&bytes).unwrap();
        for key in ["a", "b"] {
            assert_eq!(weights.take(key, &[3]), Tensor::from_slice(&values), "{key}");
        }
        weights.finish().unwrap();
    }

    #[test]
    fn other_formats_are_told_apart() {
        let tell = |bytes: &[u8]| format!("{:#}", Weights::read(bytes).unwrap_err());
        assert!(tell(b"").contains("neither a safetensors file"));
        assert!(tell(&[b'.'; 600]).contains("neither a safetensors file"));
        assert!(tell(b"PK\x03\x04....").contains("zip format"));
        assert!(tell(b"\x80\x02.").contains("legacy PyTorch file"));
        assert!(tell(b"\xff\xff\xff\xff\xff\xff\xff\xff{").contains("safetensors"));
    }
}
