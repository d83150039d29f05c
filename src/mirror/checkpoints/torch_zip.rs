//! What `torch.save` has written since PyTorch 1.6: a zip of stored members, of which one is a pickle of an OrderedDict
//! and the others are the bytes of its storages. Sources: pytorch, `torch/serialization.py`, `torch/_utils.py`.

use std::collections::BTreeMap;

use super::tensors::{Elements, Tensor, Tensors};
use crate::mirror::Place;

/// SETITEMS comes in lots of so many, as Python's pickler has it.
const LOT: usize = 1000;

const PROTO_2: [u8; 2] = [0x80, 2];
const STOP: u8 = b'.';
const MARK: u8 = b'(';
const FALSE: u8 = 0x89;
const EMPTY_TUPLE: u8 = b')';
const TUPLE: u8 = b't';
const EMPTY_DICT: u8 = b'}';
const SETITEM: u8 = b's';
const SETITEMS: u8 = b'u';
const REDUCE: u8 = b'R';
const BUILD: u8 = b'b';
const BINPERSID: u8 = b'Q';

/// Writes a checkpoint.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(place: &mut Place<'_>, name: &str, tensors: &Tensors<'_>) -> anyhow::Result<()> {
    let mut members = vec![("archive/data.pkl".to_owned(), pickle(&tensors.all)?)];
    members.push(("archive/byteorder".to_owned(), b"little".to_vec()));
    for (i, tensor) in tensors.all.values().enumerate() {
        members.push((format!("archive/data/{i}"), tensor.elements.bytes()));
    }
    members.push(("archive/version".to_owned(), b"3\n".to_vec()));
    place.zip(name, members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// An OrderedDict of tensors with the attribute `_metadata`, as a module's state has it.
fn pickle(tensors: &BTreeMap<String, Tensor>) -> anyhow::Result<Vec<u8>> {
    let mut out = Pickle(PROTO_2.to_vec());
    out.ordered_dict();
    let numbered: Vec<_> = tensors.iter().enumerate().collect();
    for lot in numbered.chunks(LOT) {
        out.op(MARK);
        for (i, (name, tensor)) in lot {
            out.text(name)?;
            out.tensor(*i, tensor)?;
        }
        out.op(SETITEMS);
    }
    out.op(EMPTY_DICT);
    out.text("_metadata")?;
    out.ordered_dict();
    out.op(SETITEM);
    out.op(BUILD);
    out.op(STOP);
    Ok(out.0)
}

struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, op: u8) {
        self.0.push(op);
    }

    fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").bytes());
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.op(EMPTY_TUPLE);
        self.op(REDUCE);
    }

    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.op(b'X');
        self.0.extend(u32::try_from(text.len())?.to_le_bytes());
        self.0.extend(text.bytes());
        Ok(())
    }

    fn number(&mut self, number: usize) -> anyhow::Result<()> {
        self.op(b'J');
        self.0.extend(i32::try_from(number)?.to_le_bytes());
        Ok(())
    }

    fn numbers(&mut self, numbers: &[usize]) -> anyhow::Result<()> {
        self.op(MARK);
        numbers.iter().try_for_each(|number| self.number(*number))?;
        self.op(TUPLE);
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    fn tensor(&mut self, storage: usize, tensor: &Tensor) -> anyhow::Result<()> {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.op(MARK);
        self.op(MARK);
        self.text("storage")?;
        let class = match tensor.elements {
            Elements::Float(_) => "FloatStorage",
            Elements::Long(_) => "LongStorage",
        };
        self.global("torch", class);
        self.text(&storage.to_string())?;
        self.text("cpu")?;
        self.number(tensor.elements.len())?;
        self.op(TUPLE);
        self.op(BINPERSID);
        self.number(0)?;
        self.numbers(&tensor.shape)?;
        self.numbers(&strides(&tensor.shape))?;
        self.op(FALSE);
        self.ordered_dict();
        self.op(TUPLE);
        self.op(REDUCE);
        Ok(())
    }
}

/// In elements, the last axis without gaps.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders::weights::Weights;
    use crate::interrupt::Interrupt;

    #[test]
    fn strides_are_those_of_rows() {
        assert_eq!(strides(&[2, 3, 5]), [15, 5, 1]);
        assert_eq!(strides(&[]), [0usize; 0]);
    }

    /// More tensors than one lot holds, read back value by value. (PyTorch's own `torch.load(weights_only=True)` was
    /// shown such files once, and read the same.)
    #[test]
    fn what_is_written_is_read() {
        let mut tensors = Tensors::new(3, "test");
        tensors.normal("scalar", &[], 1.0, 2.0);
        for i in 0..LOT + 20 {
            tensors.normal(&format!("many.{i}.weight"), &[i % 3 + 1, 2], 0.0, 1.0);
        }
        tensors.long("positions", &[1, 3], vec![0, -1, i64::MAX]);
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let mut place = Place { folder: folder.path(), made: BTreeMap::new(), interrupt: &interrupt };
        write(&mut place, "file.pth", &tensors).unwrap();
        let mut weights = Weights::open(&folder.path().join("file.pth")).unwrap();
        assert_eq!(weights.size("positions"), Some(vec![1, 3]));
        weights.ignore(|key| key == "positions");
        for (name, tensor) in tensors.all.iter().filter(|(name, _)| *name != "positions") {
            let shape: Vec<i64> = tensor.shape.iter().map(|&n| n as i64).collect();
            let found = Vec::<f32>::try_from(weights.take(name, &shape).flatten(0, -1)).unwrap();
            assert_eq!(Elements::Float(found), tensor.elements, "{name}");
        }
        weights.finish().unwrap();
    }
}
