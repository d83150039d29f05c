//! The stack machine that a pickle is a program for, cut down to what files of tensors need: it builds values, and calls
//! nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use tch::Kind;

/// Values a pickle may make; a real checkpoint of a thousand tensors needs some twenty thousand.
pub(super) const MOST_VALUES: usize = 2_000_000;
/// Axes of a tensor.
const MOST_AXES: usize = 16;

/// A storage as tensors refer to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) kind: ElementKind,
    pub(super) key: String,
    pub(super) elements: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementKind(pub(super) Kind);

impl ElementKind {
    fn of_class(name: &str) -> Option<Self> {
        let kind = match name {
            "FloatStorage" => Kind::Float,
            "DoubleStorage" => Kind::Double,
            "HalfStorage" => Kind::Half,
            "BFloat16Storage" => Kind::BFloat16,
            "LongStorage" => Kind::Int64,
            "IntStorage" => Kind::Int,
            "ShortStorage" => Kind::Int16,
            "CharStorage" => Kind::Int8,
            "ByteStorage" => Kind::Uint8,
            "BoolStorage" => Kind::Bool,
            _ => return None,
        };
        Some(ElementKind(kind))
    }

    pub(super) fn bytes(self) -> u64 {
        self.0.elt_size_in_bytes() as u64
    }
}

/// A tensor as the pickle describes it: a window on a storage, in elements.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Rc<Storage>,
    pub(super) offset: u64,
    pub(super) size: Vec<u64>,
    pub(super) stride: Vec<u64>,
}

impl View {
    pub(super) fn elements(&self) -> u64 {
        self.size.iter().product()
    }

    /// How many elements lie in row-major order one after another, and how many axes are left outside of such a run.
    pub(super) fn runs(&self) -> (u64, usize) {
        let mut run = 1;
        for axis in (0..self.size.len()).rev() {
            if self.size[axis] != 1 && self.stride[axis] != run {
                return (run, axis + 1);
            }
            run *= self.size[axis];
        }
        (run, 0)
    }
}

/// A value on the machine's stack.
#[derive(Clone, Debug)]
pub(super) enum Value {
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

/// What a value is, in a few words for error messages: a text may be as long as the file.
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

/// The contents of a tuple, list or dictionary, by number in the arena: a list may contain itself, and nesting may be
/// as deep as the file is long, so nothing here owns what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Items(usize);

#[derive(Debug, Default)]
pub(super) struct Arena(Vec<Vec<Value>>);

impl Arena {
    fn add(&mut self, values: Vec<Value>) -> Items {
        self.0.push(values);
        Items(self.0.len() - 1)
    }

    pub(super) fn of(&self, items: Items) -> &[Value] {
        &self.0[items.0]
    }
}

/// The names that a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    OrderedDict,
    StorageClass(ElementKind),
}

impl Global {
    fn named(module: &str, name: &str) -> anyhow::Result<Self> {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor") => Ok(Global::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Global::RebuildTensorV2),
            ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
            ("collections", "OrderedDict") => Ok(Global::OrderedDict),
            ("torch", class) if ElementKind::of_class(class).is_some() => {
                Ok(Global::StorageClass(ElementKind::of_class(class).expect("just looked up")))
            }
            _ => bail!("the file mentions `{module}.{name}`, which is no part of a tensor; it is not loaded"),
        }
    }
}

/// Runs one pickle from `at`, and leaves `at` behind it.
pub(super) fn pickle(bytes: &[u8], at: &mut usize) -> anyhow::Result<(Value, Arena)> {
    let mut machine =
        Machine { bytes, at: *at, stack: Vec::new(), memo: BTreeMap::new(), arena: Arena::default(), made: 0 };
    let value = machine.run().with_context(|| format!("at byte {}", machine.at))?;
    *at = machine.at;
    Ok((value, machine.arena))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: BTreeMap<u32, Value>,
    arena: Arena,
    made: usize,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> anyhow::Result<Value> {
        ensure!(self.take(2)? == [0x80, 0x02], "a pickle of protocol 2 should begin here");
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                let value = self.pop()?;
                ensure!(self.stack.is_empty(), "the pickle leaves more than one value");
                return Ok(value);
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> anyhow::Result<()> {
        match opcode {
            b'(' => self.push(Value::Mark),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Integer(number.into()))
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Integer(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Integer(number.into()))
            }
            0x8a => self.long(),
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.text(length)
            }
            b'U' => {
                let length = self.byte()? as usize;
                self.text(length)
            }
            b')' => self.push_items(Value::Tuple, Vec::new()),
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let values = self.pop_many(n)?;
                self.push_items(Value::Tuple, values)
            }
            b't' => {
                let values = self.pop_to_mark()?;
                self.push_items(Value::Tuple, values)
            }
            b']' => self.push_items(Value::List, Vec::new()),
            b'a' => {
                let value = self.pop()?;
                self.extend_list(vec![value])
            }
            b'e' => {
                let values = self.pop_to_mark()?;
                self.extend_list(values)
            }
            b'}' => self.push_items(Value::Dict, Vec::new()),
            b's' => {
                let values = self.pop_many(2)?;
                self.extend_dict(values)
            }
            b'u' => {
                let values = self.pop_to_mark()?;
                self.extend_dict(values)
            }
            b'q' | b'r' => self.put(opcode),
            b'h' | b'j' => self.get(opcode),
            b'c' => self.global(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'Q' => self.storage(),
            other => bail!("the opcode 0x{other:02x} is no part of a file of tensors; the file is not loaded"),
        }
    }

    fn push(&mut self, value: Value) -> anyhow::Result<()> {
        self.made += 1;
        ensure!(self.made <= MOST_VALUES, "the pickle makes more than {MOST_VALUES} values");
        self.stack.push(value);
        Ok(())
    }

    fn push_items(&mut self, kind: fn(Items) -> Value, values: Vec<Value>) -> anyhow::Result<()> {
        let items = self.arena.add(values);
        self.push(kind(items))
    }

    fn pop(&mut self) -> anyhow::Result<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => bail!("a value is missing on the stack"),
            Some(value) => Ok(value),
        }
    }

    fn pop_many(&mut self, n: usize) -> anyhow::Result<Vec<Value>> {
        let mut values = (0..n).map(|_| self.pop()).collect::<anyhow::Result<Vec<_>>>()?;
        values.reverse();
        Ok(values)
    }

    fn pop_to_mark(&mut self) -> anyhow::Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).context("a mark is missing")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn take(&mut self, n: usize) -> anyhow::Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len()).context("the file is cut short")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> anyhow::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    fn line(&mut self) -> anyhow::Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(256).position(|&byte| byte == b'\n').context("a name has no end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).context("a name is not UTF-8")
    }

    fn long(&mut self) -> anyhow::Result<()> {
        let length = self.byte()? as usize;
        let bytes = self.take(length)?;
        if length <= 8 {
            let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..length].copy_from_slice(bytes);
            return self.push(Value::Integer(i64::from_le_bytes(wide)));
        }
        self.push(Value::Long(Rc::new(bytes.to_vec())))
    }

    fn text(&mut self, length: usize) -> anyhow::Result<()> {
        let text = std::str::from_utf8(self.take(length)?).context("a string is not UTF-8")?;
        self.push(Value::Text(text.into()))
    }

    fn put(&mut self, opcode: u8) -> anyhow::Result<()> {
        let at = if opcode == b'q' { self.byte()?.into() } else { u32::from_le_bytes(self.array()?) };
        let value = self.stack.last().context("nothing to remember")?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> anyhow::Result<()> {
        let at = if opcode == b'h' { self.byte()?.into() } else { u32::from_le_bytes(self.array()?) };
        let value = self.memo.get(&at).with_context(|| format!("nothing was remembered as {at}"))?.clone();
        self.push(value)
    }

    fn extend_list(&mut self, values: Vec<Value>) -> anyhow::Result<()> {
        match self.stack.last() {
            Some(Value::List(list)) => self.arena.0[list.0].extend(values),
            other => bail!("values are appended to {}, which is no list", other.unwrap_or(&Value::Mark)),
        }
        Ok(())
    }

    fn extend_dict(&mut self, values: Vec<Value>) -> anyhow::Result<()> {
        ensure!(values.len().is_multiple_of(2), "a dictionary's key has no value");
        let Some(Value::Dict(dict)) = self.stack.last() else {
            bail!("items are set on something that is no dictionary")
        };
        self.arena.0[dict.0].extend(values);
        Ok(())
    }

    fn global(&mut self) -> anyhow::Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(Value::Global(Global::named(module, name)?))
    }

    fn reduce(&mut self) -> anyhow::Result<()> {
        let Value::Tuple(arguments) = self.pop()? else { bail!("the arguments of a constructor should be a tuple") };
        let Value::Global(global) = self.pop()? else { bail!("only the constructors of tensors can be called") };
        let value = match (global, self.arena.of(arguments)) {
            (Global::OrderedDict, []) => return self.push_items(Value::Dict, Vec::new()),
            (Global::RebuildTensor, [storage, offset, size, stride])
            | (Global::RebuildTensorV2, [storage, offset, size, stride, _, _]) => {
                Value::Tensor(Rc::new(view(&self.arena, storage, offset, size, stride)?))
            }
            (Global::RebuildParameter, [Value::Tensor(tensor), _, _]) => Value::Tensor(tensor.clone()),
            (global, arguments) => bail!("{global:?} with {} arguments is no way to make a tensor", arguments.len()),
        };
        self.push(value)
    }

    /// BUILD sets an ordered dictionary's attributes (`_metadata`): nothing that matters here.
    fn build(&mut self) -> anyhow::Result<()> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_)) => Ok(()),
            other => bail!("attributes are set on {}, which is no dictionary", other.unwrap_or(&Value::Mark)),
        }
    }

    /// BINPERSID: ("storage", class, key, location, number of elements, view).
    fn storage(&mut self) -> anyhow::Result<()> {
        let Value::Tuple(id) = self.pop()? else { bail!("a persistent id should be a tuple") };
        let [Value::Text(what), class, key, Value::Text(_location), elements, view] = self.arena.of(id) else {
            bail!("a persistent id should have six parts; the file may hold whole modules, which are not loaded");
        };
        ensure!(
            **what == *"storage",
            "a persistent id should be that of a storage, begins with {}",
            Value::Text(what.clone())
        );
        let Value::Global(Global::StorageClass(kind)) = class else { bail!("{class} is no kind of storage") };
        let Value::Text(key) = key else { bail!("a storage's key should be text") };
        ensure!(matches!(view, Value::None), "views of storages (files of 2016) are not supported");
        let storage =
            Storage { kind: *kind, key: key.to_string(), elements: natural(elements, "a number of elements")? };
        self.push(Value::Storage(Rc::new(storage)))
    }
}

fn natural(value: &Value, what: &str) -> anyhow::Result<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).with_context(|| format!("{what} is negative: {number}")),
        other => bail!("{what} should be an integer, is {other}"),
    }
}

/// Checks that a tensor stays inside its storage, in arithmetic that cannot overflow.
fn view(arena: &Arena, storage: &Value, offset: &Value, size: &Value, stride: &Value) -> anyhow::Result<View> {
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
