//! What a pickle of tensors is made of.

use std::fmt;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use tch::Kind;

/// The most axes of a tensor.
const MOST_AXES: usize = 16;

/// A storage as tensors refer to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Storage {
    pub kind: Kind,
    pub key: String,
    pub elements: u64,
}

impl Storage {
    /// Its length in bytes, if that is a number.
    pub fn bytes(&self) -> Option<u64> {
        self.elements.checked_mul(self.kind.elt_size_in_bytes() as u64)
    }
}

/// A tensor as the pickle describes it: a window on a storage, in elements.
#[derive(Clone, Debug)]
pub struct View {
    pub storage: Rc<Storage>,
    pub offset: u64,
    pub size: Vec<u64>,
    pub stride: Vec<u64>,
}

impl View {
    pub fn bytes(&self) -> u64 {
        self.size.iter().product::<u64>() * self.storage.kind.elt_size_in_bytes() as u64
    }
}

/// A value on the machine's stack.
#[derive(Clone, Debug)]
pub enum Value {
    None,
    Bool(bool),
    Integer(i64),
    /// An integer of more than 64 bits, little-endian.
    Long(Rc<Vec<u8>>),
    Float,
    Text(Rc<str>),
    Tuple(Items),
    List(Items),
    /// Keys and values in turn.
    Dict(Items),
    Global(Global),
    Storage(Rc<Storage>),
    Tensor(Rc<View>),
    Mark,
}

/// A short description for error messages: a text may be as long as the file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(value) => write!(f, "the truth value {value}"),
            Value::Integer(number) => write!(f, "the number {number}"),
            Value::Long(_) => f.write_str("an integer of more than 64 bits"),
            Value::Float => f.write_str("a fractional number"),
            Value::Text(text) => write!(f, "the text {:?}", text.chars().take(60).collect::<String>()),
            Value::Tuple(_) => f.write_str("a tuple"),
            Value::List(_) => f.write_str("a list"),
            Value::Dict(_) => f.write_str("a dictionary"),
            Value::Global(_) => f.write_str("the name of a constructor"),
            Value::Storage(_) => f.write_str("a storage"),
            Value::Tensor(_) => f.write_str("a tensor"),
            Value::Mark => f.write_str("nothing"),
        }
    }
}

/// The contents of a tuple, list or dictionary, by number in the arena. A list may contain itself, and nesting may be as
/// deep as the file is long, so no value owns its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Items(pub usize);

#[derive(Debug, Default)]
pub struct Arena(pub Vec<Vec<Value>>);

impl Arena {
    pub fn add(&mut self, values: Vec<Value>) -> Items {
        self.0.push(values);
        Items(self.0.len() - 1)
    }

    pub fn of(&self, items: Items) -> &[Value] {
        &self.0[items.0]
    }
}

/// The names that a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    OrderedDict,
    StorageClass(Kind),
}

impl Global {
    pub fn named(module: &str, name: &str) -> anyhow::Result<Self> {
        Ok(match (module, name) {
            ("torch._utils", "_rebuild_tensor") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensorV2,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch", "FloatStorage") => Global::StorageClass(Kind::Float),
            ("torch", "DoubleStorage") => Global::StorageClass(Kind::Double),
            ("torch", "HalfStorage") => Global::StorageClass(Kind::Half),
            ("torch", "BFloat16Storage") => Global::StorageClass(Kind::BFloat16),
            ("torch", "LongStorage") => Global::StorageClass(Kind::Int64),
            ("torch", "IntStorage") => Global::StorageClass(Kind::Int),
            ("torch", "ShortStorage") => Global::StorageClass(Kind::Int16),
            ("torch", "CharStorage") => Global::StorageClass(Kind::Int8),
            ("torch", "ByteStorage") => Global::StorageClass(Kind::Uint8),
            ("torch", "BoolStorage") => Global::StorageClass(Kind::Bool),
            _ => bail!("the file mentions `{module}.{name}`, which is not part of a tensor; it is not loaded"),
        })
    }
}

pub fn natural(value: &Value, what: &str) -> anyhow::Result<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).with_context(|| format!("{what} is negative: {number}")),
        other => bail!("{what} should be an integer, is {other}"),
    }
}

/// Checks that a tensor stays inside its storage, in arithmetic that cannot overflow.
pub fn view(arena: &Arena, storage: &Value, offset: &Value, size: &Value, stride: &Value) -> anyhow::Result<View> {
    let Value::Storage(storage) = storage else { bail!("a tensor should lie on a storage") };
    let (Value::Tuple(size), Value::Tuple(stride)) = (size, stride) else { bail!("size and stride should be tuples") };
    let numbers = |tuple: Items, what: &str| -> anyhow::Result<Vec<u64>> {
        arena.of(tuple).iter().map(|value| natural(value, what)).collect()
    };
    let view = View {
        storage: storage.clone(),
        offset: natural(offset, "an offset")?,
        size: numbers(*size, "a size")?,
        stride: numbers(*stride, "a stride")?,
    };
    let (sizes, strides) = (view.size.len(), view.stride.len());
    ensure!(sizes == strides, "a tensor has {sizes} sizes and {strides} strides");
    ensure!(sizes <= MOST_AXES, "a tensor has {sizes} axes");
    let (mut elements, mut without_empty, mut last) = (1u128, 1u128, u128::from(view.offset));
    for (&size, &stride) in view.size.iter().zip(&view.stride) {
        elements = elements.saturating_mul(u128::from(size));
        without_empty = without_empty.saturating_mul(u128::from(size.max(1)));
        last = last.saturating_add(u128::from(size.saturating_sub(1)) * u128::from(stride));
    }
    // An empty tensor has no elements, whatever its other sizes are; but libtorch multiplies them.
    ensure!(without_empty <= 1 << 48, "a tensor has the sizes {:?}", view.size);
    let there = u128::from(storage.elements);
    ensure!(elements <= there, "a tensor has {elements} elements on a storage of {there}");
    ensure!(elements == 0 || last < there, "a tensor reaches to element {last} of a storage of {there}");
    Ok(view)
}
