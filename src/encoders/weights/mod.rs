//! Checkpoints: reading files, and taking tensors out of them strictly.

mod pickle;
pub mod pth_legacy;
pub mod pth_zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::Path;

use anyhow::Context;
use tch::{Device, Kind, Tensor};

use crate::tensors;

/// The most problems that an error lists. A checkpoint with more is most likely one of another model.
const MOST_NAMED: usize = 5;

/// A trained tensor. A clone is another handle on the same memory, for another thread: a tensor can be sent to a thread,
/// but not shared with it.
#[derive(Debug)]
pub struct Parameter(Tensor);

impl Clone for Parameter {
    fn clone(&self) -> Self {
        Parameter(self.0.shallow_clone())
    }
}

impl From<Tensor> for Parameter {
    fn from(tensor: Tensor) -> Self {
        Parameter(tensor)
    }
}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}

/// A format of checkpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Legacy,
    Zip,
    Safetensors,
}

impl Format {
    /// By the first nine bytes.
    fn of(first: &[u8]) -> anyhow::Result<Self> {
        Ok(match first {
            [0x80, 0x02, ..] => Format::Legacy,
            [b'P', b'K', 3, 4, ..] => Format::Zip,
            // A safetensors file begins with the length of its header, and then the header, which is JSON.
            [_, _, _, _, _, _, _, _, b'{', ..] => Format::Safetensors,
            _ => anyhow::bail!("neither a safetensors file nor a PyTorch file"),
        })
    }
}

/// The tensors of a checkpoint by key. Each is taken once, with the shape that the model expects. Whatever is missing,
/// misshapen or left over is reported in one error, by full key.
#[derive(Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    problems: Vec<String>,
    device: Device,
}

impl Weights {
    /// Reads a checkpoint: safetensors, PyTorch's zip format or its legacy one, by the first bytes.
    ///
    /// # Errors
    /// If the file has another format, is damaged, or holds anything but tensors.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        Weights::from_source(Cursor::new(bytes), bytes.len() as u64)
    }

    /// As [`Weights::read`], from a file. Beside the tensors, one storage at a time is in memory; of the legacy format, the
    /// whole file.
    ///
    /// # Errors
    /// As [`Weights::read`], without the path if the content is wrong: callers know the file by another name.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let length = file.metadata()?.len();
        Weights::from_source(BufReader::new(file), length)
    }

    /// As [`Weights::open`], from a stream of `length` bytes, which is in memory whole unless it is in safetensors.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn stream(mut source: impl Read, length: u64) -> anyhow::Result<Self> {
        let mut first = Vec::new();
        source.by_ref().take(9).read_to_end(&mut first)?;
        let format = Format::of(&first)?;
        let mut source = Cursor::new(first).chain(source);
        if format == Format::Safetensors {
            return Ok(Weights::from_tensors(tensors::read_safetensors(source, length)?));
        }
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        Weights::read(&bytes)
    }

    fn from_source(mut source: impl Read + Seek, length: u64) -> anyhow::Result<Self> {
        let mut first = Vec::new();
        source.by_ref().take(9).read_to_end(&mut first)?;
        source.seek(SeekFrom::Start(0))?;
        let tensors = match Format::of(&first)? {
            Format::Legacy => {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes)?;
                pth_legacy::read(&bytes).context("the legacy PyTorch file")?
            }
            Format::Zip => pth_zip::read(source, length).context("the PyTorch file")?,
            Format::Safetensors => tensors::read_safetensors(source, length)?,
        };
        Ok(Weights::from_tensors(tensors))
    }

    /// A checkpoint of tensors in memory.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>) -> Self {
        // Floating-point kinds are widened, so that every model computes in float32.
        let widened = tensors.into_iter().map(|(key, tensor)| {
            let tensor = if matches!(tensor.kind(), Kind::Half | Kind::BFloat16 | Kind::Double) {
                tensor.to_kind(Kind::Float)
            } else {
                tensor
            };
            (key, tensor)
        });
        Weights { tensors: widened.collect(), problems: Vec::new(), device: Device::Cpu }
    }

    /// Moves every tensor to this device when it is taken.
    pub fn to_device(self, device: Device) -> Self {
        Weights { device, ..self }
    }

    /// Renames every key, before anything is taken. Two keys that become the same are a problem: only one of their tensors
    /// could be used.
    pub fn rename(mut self, name: impl Fn(&str) -> String) -> Self {
        for (key, tensor) in std::mem::take(&mut self.tensors) {
            let renamed = name(&key);
            if self.tensors.insert(renamed.clone(), tensor).is_some() {
                self.problems.push(format!("`{renamed}` occurs twice, once as `{key}`"));
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

    /// Takes a tensor. If it is missing, misshapen or not floating-point, zeros take its place until [`Weights::finish`]
    /// reports it.
    pub fn take(&mut self, key: &str, size: &[i64]) -> Parameter {
        let tensor = self.take_on_cpu(key, size);
        self.placed(tensor)
    }

    /// Moves a tensor that was computed from taken ones to the device of the others.
    pub(super) fn placed(&self, tensor: Tensor) -> Parameter {
        Parameter(tensor.to_device(self.device))
    }

    /// As [`Weights::take`], but leaves the tensor on the CPU.
    pub(super) fn take_on_cpu(&mut self, key: &str, size: &[i64]) -> Tensor {
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
        // A view of one zero: the expected tensor may be larger than memory.
        Tensor::zeros([1], (Kind::Float, Device::Cpu)).expand(size, false)
    }

    /// Drops the tensors that a model may ignore.
    pub fn ignore(&mut self, may: impl Fn(&str) -> bool) {
        self.tensors.retain(|key, _| !may(key));
    }

    /// # Errors
    /// If a tensor was missing, misshapen or left over: lists the first ones and counts the others.
    pub fn finish(self) -> anyhow::Result<()> {
        let left = self.tensors.keys().map(|key| format!("`{key}` is not a tensor of this model"));
        let mut problems: Vec<String> = self.problems.into_iter().chain(left).collect();
        if problems.len() > MOST_NAMED {
            let more = problems.len() - MOST_NAMED;
            problems.truncate(MOST_NAMED);
            problems.push(format!("and {more} more tensors that do not fit"));
        }
        anyhow::ensure!(problems.is_empty(), "the checkpoint does not fit the model: {}", problems.join("; "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixtures, own_fixtures};

    fn read(tensors: &[(&str, &Tensor)]) -> Weights {
        Weights::read(&tensors::to_safetensors(tensors.iter().copied()).unwrap()).unwrap()
    }

    #[test]
    fn everything_that_does_not_fit_is_named() {
        let one = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
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

    /// The error about another model's checkpoint stays short.
    #[test]
    fn of_many_the_first_are_named() {
        let mut weights = read(&[]);
        for key in 0..400 {
            let _ = weights.take(&format!("layer.{key}"), &[2]);
        }
        let error = weights.finish().unwrap_err().to_string();
        assert!(error.contains("`layer.4` [2] is missing; and 395 more tensors that do not fit"), "{error}");
        assert!(!error.contains("layer.5"), "{error}");
    }

    #[test]
    fn keys_that_become_one_are_named() {
        let one = Tensor::ones([1], (Kind::Float, Device::Cpu));
        let mut weights = read(&[("bert.a", &one), ("a", &one)]);
        weights = weights.rename(|key| key.strip_prefix("bert.").unwrap_or(key).to_owned());
        let _ = weights.take("a", &[1]);
        let error = weights.finish().unwrap_err().to_string();
        assert!(error.contains("`a` occurs twice, once as `bert.a`"), "{error}");
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
            assert_eq!(*weights.take(key, &[3]), Tensor::from_slice(&values), "{key}");
        }
        weights.finish().unwrap();
    }

    /// The tensors of a PyTorch file as they are, before any is widened.
    fn as_saved(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
        match bytes {
            [b'P', ..] => pth_zip::read(Cursor::new(bytes), bytes.len() as u64),
            _ => pth_legacy::read(bytes),
        }
    }

    /// Every kind, strides, offsets, shared storages, a parameter, a scalar, an empty tensor, nested names, in the zip format
    /// numbers beside; from memory, from a file and from a stream. `tests/fixtures/encoders/pth_zip/README.md` describes
    /// how the files were made.
    #[test]
    fn files_of_pytorch_give_their_tensors() {
        for folder in [own_fixtures("encoders/pth_zip"), fixtures("encoders/legacy_pth")] {
            let [pth, safetensors] = ["good.pth", "good.safetensors"].map(|file| folder.join(file));
            let (bytes, expected) = (std::fs::read(&pth).unwrap(), std::fs::read(&safetensors).unwrap());
            let (found, expected) = (as_saved(&bytes).unwrap(), tensors::from_safetensors(&expected).unwrap());
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            assert!(expected.len() > 20 || folder.ends_with("legacy_pth"));
            for (name, expected) in expected {
                assert_eq!((found[&name].kind(), found[&name].size()), (expected.kind(), expected.size()), "{name}");
                assert_eq!(found[&name], expected, "{name}");
            }
            let read = Weights::read(&bytes).unwrap();
            for path in [pth, safetensors] {
                assert_eq!(read.tensors, Weights::open(&path).unwrap().tensors);
                let bytes = std::fs::read(&path).unwrap();
                assert_eq!(read.tensors, Weights::stream(&bytes[..], bytes.len() as u64).unwrap().tensors);
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
        /// Whatever is changed in a good file, reading it ends with tensors or an error.
        #[test]
        fn changed_files_never_panic(at in 0usize..100_000, byte: u8, length in 0usize..100_000) {
            for folder in ["encoders/pth_zip", "encoders/legacy_pth"] {
                let mut bytes = std::fs::read(own_fixtures(folder).join("good.pth")).unwrap();
                let n = bytes.len();
                bytes[at % n] = byte;
                let _ = as_saved(&bytes);
                bytes.truncate(length % n);
                proptest::prop_assert!(as_saved(&bytes).is_err());
            }
        }
    }

    #[test]
    fn files_that_are_cut_short_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.safetensors");
        let whole = std::fs::read(own_fixtures("encoders/bert").join("model.safetensors")).unwrap();
        for length in [0, 5, 8, 9, 100, whole.len() - 1] {
            std::fs::write(&cut, &whole[..length]).unwrap();
            let error = format!("{:#}", Weights::open(&cut).unwrap_err());
            assert!(error.contains("safetensors"), "{error}");
        }
        assert!(Weights::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn other_formats_are_refused() {
        let error = |bytes: &[u8]| format!("{:#}", Weights::read(bytes).unwrap_err());
        assert!(error(b"").contains("neither a safetensors file"));
        assert!(error(&[b'.'; 600]).contains("neither a safetensors file"));
        assert!(error(b"PK\x03\x04....").contains("the PyTorch file: not a readable zip archive"));
        assert!(error(b"\x80\x02.").contains("legacy PyTorch file"));
        assert!(error(b"\xff\xff\xff\xff\xff\xff\xff\xff{").contains("safetensors"));
    }
}
