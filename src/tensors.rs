//! Tensors to and from safetensors files.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, bail};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use tch::{Device, Kind, Tensor};

/// The longest header of a safetensors file that is read, in bytes: the format's own limit.
const MOST_HEADER: u64 = 100_000_000;

const DAMAGED: &str = "not a well-formed safetensors file";

/// The bytes of a safetensors file. The same tensors give the same bytes, in any order.
///
/// # Errors
/// If a tensor has a kind of elements that is not supported, or a name is given twice.
pub fn to_safetensors<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> anyhow::Result<Vec<u8>> {
    let mut data: BTreeMap<&str, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.kind() {
            Kind::Float => Dtype::F32,
            Kind::Double => Dtype::F64,
            Kind::Int64 => Dtype::I64,
            Kind::Int => Dtype::I32,
            Kind::Uint8 => Dtype::U8,
            other => bail!("the tensor `{name}` has the kind {other:?}, which is not supported"),
        };
        let tensor = tensor.to_device(Device::Cpu).contiguous();
        let size: Vec<usize> = tensor.size().into_iter().map(|n| n as usize).collect();
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        anyhow::ensure!(data.insert(name, (dtype, size, bytes)).is_none(), "the tensor `{name}` is given twice");
    }
    let views: Vec<(&str, TensorView<'_>)> = data
        .iter()
        .map(|(name, (dtype, size, bytes))| Ok((*name, TensorView::new(*dtype, size.clone(), bytes)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(safetensors::serialize(views, None)?)
}

/// The tensors of a safetensors file by name, in fresh memory, so that results do not depend on the alignment of `bytes`.
///
/// # Errors
/// If the file is malformed or holds a kind of elements that is not supported.
pub fn from_safetensors(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
    read_safetensors(bytes, bytes.len() as u64)
}

/// As [`from_safetensors`], from a file of `length` bytes, each tensor into its own memory.
///
/// # Errors
/// As [`from_safetensors`].
pub fn read_safetensors(mut file: impl Read, length: u64) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let (_, metadata) = header(&mut file, length)?;
    // In the order of the file: the header's parts lie one after another, without gaps.
    let mut tensors = BTreeMap::new();
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).context(DAMAGED)?;
        let kind = kind(&name, info.dtype)?;
        let size: Vec<i64> = info.shape.iter().map(|&n| n as i64).collect();
        let length = info.data_offsets.1 - info.data_offsets.0;
        let tensor = filled(&size, kind, |bytes| {
            anyhow::ensure!(length == bytes.len(), "{DAMAGED}: `{name}` has {length} bytes");
            file.read_exact(bytes).context(DAMAGED)
        })?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// A float32 tensor on the CPU whose values, zeros at first, `write` sets.
///
/// # Errors
/// Those of `write`.
pub fn written(size: &[i64], write: impl FnOnce(&mut [f32]) -> anyhow::Result<()>) -> anyhow::Result<Tensor> {
    filled(size, Kind::Float, |bytes| {
        // SAFETY: every pattern of bits is a float, and libtorch aligns memory for every kind.
        let (before, values, after) = unsafe { bytes.align_to_mut::<f32>() };
        anyhow::ensure!(before.is_empty() && after.is_empty(), "libtorch did not align a tensor");
        write(values)
    })
}

fn filled(size: &[i64], kind: Kind, fill: impl FnOnce(&mut [u8]) -> anyhow::Result<()>) -> anyhow::Result<Tensor> {
    let tensor = Tensor::zeros(size, (kind, Device::Cpu));
    let length = tensor.numel() * kind.elt_size_in_bytes();
    match length {
        0 => fill(&mut [])?,
        // SAFETY: the tensor is new and contiguous, has this many bytes, and nobody else sees it.
        _ => fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<u8>(), length) })?,
    }
    Ok(tensor)
}

/// What a safetensors file of `length` bytes says of its tensors, and where their data starts, in bytes.
///
/// # Errors
/// If the header is malformed or does not fit the file.
pub fn header(mut file: impl Read, length: u64) -> anyhow::Result<(u64, Metadata)> {
    let mut size = [0; 8];
    file.read_exact(&mut size).context(DAMAGED)?;
    let header = u64::from_le_bytes(size);
    let data = length.checked_sub(8).and_then(|rest| rest.checked_sub(header)).filter(|_| header <= MOST_HEADER);
    let data = data.context(DAMAGED)?;
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text).context(DAMAGED)?;
    let metadata: Metadata = serde_json::from_slice(&text).context(DAMAGED)?;
    let declared = metadata.data_len();
    anyhow::ensure!(declared as u64 == data, "{DAMAGED}: {data} bytes of data, {declared} declared");
    Ok((8 + header, metadata))
}

fn kind(name: &str, dtype: Dtype) -> anyhow::Result<Kind> {
    Ok(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        other => bail!("the tensor `{name}` has the kind {other:?}, which is not supported"),
    })
}

/// Returns to the system what networks, their batches, and the results of large suites took. The allocators, of glibc for
/// libtorch and mimalloc for the rest, keep it otherwise: hundreds of megabytes that no later step needs.
pub fn give_memory_back() {
    // SAFETY: it may be called at any time, by any thread.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_survive_and_their_order_does_not_matter() {
        let (a, b) = (Tensor::from_slice(&[1.5f32, -0.0, f32::MIN]), Tensor::from_slice(&[1i64, 2]).view([2, 1]));
        let empty = Tensor::zeros([0, 3], (Kind::Float, Device::Cpu));
        let bytes = to_safetensors([("a", &a), ("b", &b), ("empty", &empty)]).unwrap();
        assert_eq!(bytes, to_safetensors([("empty", &empty), ("b", &b), ("a", &a)]).unwrap());
        let back = from_safetensors(&bytes).unwrap();
        assert_eq!((&back["a"], &back["b"], back["empty"].size()), (&a, &b, vec![0, 3]));
        assert!(from_safetensors(&bytes[..20]).is_err());
        assert!(to_safetensors([("a", &a), ("a", &a)]).is_err());
    }
}
