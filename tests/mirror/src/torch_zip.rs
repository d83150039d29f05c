//! What `torch.save` has written since PyTorch 1.6: a zip of stored members, of which one is a pickle of an OrderedDict
//! and the others are the bytes of its storages. Sources: pytorch, `torch/serialization.py`, `torch/_utils.py`.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::Members;
use super::checkpoints::Tensor;

/// The members of a checkpoint.
pub(super) fn members(tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<Members> {
    let mut members = Members::from([
        ("archive/data.pkl".to_owned(), pickle(tensors)?),
        ("archive/byteorder".to_owned(), b"little".to_vec()),
        ("archive/version".to_owned(), b"3\n".to_vec()),
    ]);
    let storages = tensors.values().enumerate();
    members.extend(storages.map(|(i, tensor)| (format!("archive/data/{i}"), tensor.bytes.clone())));
    Ok(members)
}

const PROTO_2: &[u8] = &[0x80, 2];
const STOP: &[u8] = b".";
const MARK: &[u8] = b"(";
const FALSE: &[u8] = &[0x89];
const TUPLE: &[u8] = b"t";
const EMPTY_DICT: &[u8] = b"}";
const SETITEM: &[u8] = b"s";
const SETITEMS: &[u8] = b"u";
const REDUCE: &[u8] = b"R";
const BUILD: &[u8] = b"b";
const BINPERSID: &[u8] = b"Q";
/// GLOBAL, EMPTY_TUPLE, REDUCE.
const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";

/// An OrderedDict of tensors with the attribute `_metadata`, like the state of a module.
fn pickle(tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<Vec<u8>> {
    let mut out = [PROTO_2, ORDERED_DICT].concat();
    let numbered: Vec<_> = tensors.iter().enumerate().collect();
    // Python's pickler sets 1000 items at a time.
    for items in numbered.chunks(1000) {
        out.extend(MARK);
        for (i, (name, tensor)) in items {
            text(&mut out, name)?;
            rebuild(&mut out, *i, tensor)?;
        }
        out.extend(SETITEMS);
    }
    out.extend(EMPTY_DICT);
    text(&mut out, "_metadata")?;
    out.extend([ORDERED_DICT, SETITEM, BUILD, STOP].concat());
    Ok(out)
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
fn rebuild(out: &mut Vec<u8>, storage: usize, tensor: &Tensor) -> anyhow::Result<()> {
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n");
    out.extend([MARK, MARK].concat());
    text(out, "storage")?;
    let class = if tensor.dtype == Dtype::I64 { "LongStorage" } else { "FloatStorage" };
    out.extend(format!("ctorch\n{class}\n").bytes());
    text(out, &storage.to_string())?;
    text(out, "cpu")?;
    number(out, tensor.shape.iter().product())?;
    out.extend([TUPLE, BINPERSID].concat());
    number(out, 0)?;
    numbers(out, &tensor.shape)?;
    // In elements, the last axis without gaps.
    let strides: Vec<usize> = (1..=tensor.shape.len()).map(|axis| tensor.shape[axis..].iter().product()).collect();
    numbers(out, &strides)?;
    out.extend([FALSE, ORDERED_DICT, TUPLE, REDUCE].concat());
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> anyhow::Result<()> {
    out.push(b'X');
    out.extend(u32::try_from(text.len())?.to_le_bytes());
    out.extend(text.bytes());
    Ok(())
}

fn number(out: &mut Vec<u8>, number: usize) -> anyhow::Result<()> {
    out.push(b'J');
    out.extend(i32::try_from(number)?.to_le_bytes());
    Ok(())
}

fn numbers(out: &mut Vec<u8>, numbers: &[usize]) -> anyhow::Result<()> {
    out.extend(MARK);
    numbers.iter().try_for_each(|n| number(out, *n))?;
    out.extend(TUPLE);
    Ok(())
}
