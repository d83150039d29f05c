//! PyTorch's legacy format (`torch.save` before version 1.6), read without executing anything.
//!
//! The file is five pickles of protocol 2, one after another (a magic number, the protocol version, facts on the system,
//! the saved object, the list of storage keys), then for each key the number of elements and the raw elements.
//! Source: PyTorch, `torch/serialization.py`, `_legacy_save`.
//!
//! A pickle is a program for a small stack machine that can call anything. This reader knows the opcodes and the names
//! that tensors need, builds values and calls nothing; everything else is an error that says what was found. Sizes are
//! checked against the file before memory is asked for.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use tch::{Device, Kind, Tensor};

/// The integer 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;
/// Values a pickle may make; a real checkpoint of a thousand tensors needs some twenty thousand.
const MOST_VALUES: usize = 2_000_000;
/// How deep state dictionaries may be nested.
const MOST_DEPTH: usize = 16;

/// The tensors of a file by name; names of nested dictionaries are joined with dots. Row-major, in fresh memory.
///
/// # Errors
/// If the file is damaged, of another format, or holds anything but (dictionaries of) tensors and plain numbers.
pub fn read(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let mut at = 0;
    let (magic, _) = pickle(bytes, &mut at).context("the magic number")?;
    ensure!(matches!(&magic, Value::Long(long) if **long == MAGIC), "the magic number is not that of a PyTorch file");
    let (protocol, _) = pickle(bytes, &mut at).context("the protocol version")?;
    ensure!(matches!(protocol, Value::Integer(PROTOCOL)), "the protocol version should be {PROTOCOL}, is {protocol:?}");
    let (system, arena) = pickle(bytes, &mut at).context("the facts on the system")?;
    check_system(&system, &arena)?;
    let (object, arena) = pickle(bytes, &mut at).context("the saved object")?;
    let mut collector = Collector { arena: &arena, found: BTreeMap::new(), visits: 0 };
    collector.collect(&object, "", 0)?;
    let found = collector.found;
    let (keys, arena) = pickle(bytes, &mut at).context("the list of storages")?;
    let Value::List(keys) = keys else { bail!("the storages should be listed") };
    let storages = storages(bytes, at, arena.of(keys), &found)?;
    found.into_iter().map(|(name, view)| Ok((name.clone(), tensor(&name, &view, &storages)?))).collect()
}

/// A storage as tensors refer to it.
#[derive(Debug, PartialEq, Eq)]
struct Storage {
    kind: ElementKind,
    key: String,
    elements: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ElementKind(Kind);

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

    fn bytes(self) -> u64 {
        self.0.elt_size_in_bytes() as u64
    }
}

/// A tensor as the pickle describes it: a window on a storage, in elements.
#[derive(Clone, Debug)]
struct View {
    storage: Rc<Storage>,
    offset: u64,
    size: Vec<u64>,
    stride: Vec<u64>,
}

/// A value on the machine's stack.
#[derive(Clone, Debug)]
enum Value {
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

/// The contents of a tuple, list or dictionary, by number in the arena: a list may contain itself, and nesting may be
/// as deep as the file is long, so nothing here owns what it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Items(usize);

#[derive(Debug, Default)]
struct Arena(Vec<Vec<Value>>);

impl Arena {
    fn add(&mut self, values: Vec<Value>) -> Items {
        self.0.push(values);
        Items(self.0.len() - 1)
    }

    fn of(&self, items: Items) -> &[Value] {
        &self.0[items.0]
    }
}

/// The names that a pickle may mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
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
fn pickle(bytes: &[u8], at: &mut usize) -> anyhow::Result<(Value, Arena)> {
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
            other => bail!("values are appended to {other:?}, which is no list"),
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
            other => bail!("attributes are set on {other:?}, which is no dictionary"),
        }
    }

    /// BINPERSID: ("storage", class, key, location, number of elements, view).
    fn storage(&mut self) -> anyhow::Result<()> {
        let Value::Tuple(id) = self.pop()? else { bail!("a persistent id should be a tuple") };
        let [Value::Text(what), class, key, Value::Text(_location), elements, view] = self.arena.of(id) else {
            bail!("a persistent id should have six parts; the file may hold whole modules, which are not loaded");
        };
        ensure!(**what == *"storage", "the persistent id of a `{what}` is no storage");
        let Value::Global(Global::StorageClass(kind)) = class else { bail!("{class:?} is no kind of storage") };
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
        other => bail!("{what} should be an integer, is {other:?}"),
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
    let mut elements: u128 = 1;
    let mut last = u128::from(view.offset);
    for (&size, &stride) in view.size.iter().zip(&view.stride) {
        elements = elements.saturating_mul(u128::from(size));
        last = last.saturating_add(u128::from(size.saturating_sub(1)) * u128::from(stride));
    }
    let there = u128::from(storage.elements);
    ensure!(elements <= there, "a tensor has {elements} elements on a storage of {there}");
    ensure!(elements == 0 || last < there, "a tensor reaches to element {last} of a storage of {there}");
    Ok(view)
}

fn check_system(system: &Value, arena: &Arena) -> anyhow::Result<()> {
    let Value::Dict(facts) = system else { bail!("the facts on the system should be a dictionary") };
    let little = arena.of(*facts).chunks_exact(2).find_map(|pair| match pair {
        [Value::Text(key), Value::Bool(little)] if **key == *"little_endian" => Some(*little),
        _ => None,
    });
    ensure!(little == Some(true), "the file should be little-endian");
    Ok(())
}

/// Collects the tensors of nested dictionaries; plain numbers and texts beside them are passed over.
struct Collector<'a> {
    arena: &'a Arena,
    found: BTreeMap<String, View>,
    /// Values looked at: a dictionary may be reached in many ways.
    visits: usize,
}

impl Collector<'_> {
    fn collect(&mut self, value: &Value, prefix: &str, depth: usize) -> anyhow::Result<()> {
        self.visits += 1;
        ensure!(self.visits <= MOST_VALUES, "the saved object has more than {MOST_VALUES} parts");
        ensure!(depth <= MOST_DEPTH, "dictionaries are nested more than {MOST_DEPTH} deep");
        let inside = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match value {
            Value::Tensor(view) => {
                let twice = self.found.insert(prefix.to_owned(), (**view).clone()).is_some();
                ensure!(!twice, "the tensor `{prefix}` is there twice");
            }
            Value::Dict(items) => {
                for pair in self.arena.of(*items).chunks_exact(2) {
                    let name = match &pair[0] {
                        Value::Text(name) => name.to_string(),
                        Value::Integer(number) => number.to_string(),
                        other => bail!("the key {other:?} is no name"),
                    };
                    self.collect(&pair[1], &inside(&name), depth + 1)?;
                }
            }
            Value::List(items) | Value::Tuple(items) => {
                for (number, value) in self.arena.of(*items).iter().enumerate() {
                    self.collect(value, &inside(&number.to_string()), depth + 1)?;
                }
            }
            Value::None | Value::Bool(_) | Value::Integer(_) | Value::Long(_) | Value::Float | Value::Text(_) => {}
            Value::Global(_) | Value::Storage(_) | Value::Mark => bail!("`{prefix}` is {value:?}, which is no tensor"),
        }
        Ok(())
    }
}

/// Key → kind and raw elements.
type Storages<'a> = BTreeMap<String, (ElementKind, &'a [u8])>;

/// Finds every storage behind the pickles; the file must hold exactly those that tensors use or that are listed.
fn storages<'a>(
    bytes: &'a [u8],
    mut at: usize,
    keys: &[Value],
    found: &BTreeMap<String, View>,
) -> anyhow::Result<Storages<'a>> {
    let mut used: BTreeMap<&str, &Storage> = BTreeMap::new();
    for view in found.values() {
        if let Some(other) = used.insert(&view.storage.key, &view.storage) {
            ensure!(*other == *view.storage, "the storage {} is described in two ways", other.key);
        }
    }
    let mut storages = Storages::new();
    for key in keys {
        let Value::Text(key) = key else { bail!("a storage's key should be text") };
        let storage = used.get(&**key).with_context(|| format!("the storage {key} belongs to no tensor"))?;
        let count: [u8; 8] = bytes.get(at..at + 8).context("the file is cut short")?.try_into().expect("eight bytes");
        let count = i64::from_le_bytes(count);
        ensure!(
            u64::try_from(count).ok() == Some(storage.elements),
            "the storage {key} should have {} elements, the file says {count}",
            storage.elements
        );
        at += 8;
        let end = storage.elements.checked_mul(storage.kind.bytes()).and_then(|length| (at as u64).checked_add(length));
        let end = end.filter(|&end| end <= bytes.len() as u64).context("the file is cut short")? as usize;
        ensure!(
            storages.insert(key.to_string(), (storage.kind, &bytes[at..end])).is_none(),
            "the storage {key} is listed twice"
        );
        at = end;
    }
    if let Some(missing) = used.keys().find(|key| !storages.contains_key(**key)) {
        bail!("the storage {missing} is not in the file");
    }
    ensure!(at == bytes.len(), "{} bytes are left over at the end of the file", bytes.len() - at);
    Ok(storages)
}

/// Copies a tensor's elements into row-major order.
fn tensor(name: &str, view: &View, storages: &Storages<'_>) -> anyhow::Result<Tensor> {
    let (kind, data) = storages.get(&view.storage.key).with_context(|| format!("the storage of `{name}`"))?;
    let width = kind.bytes() as usize;
    let elements = view.size.iter().product::<u64>() as usize;
    let size: Vec<i64> = view.size.iter().map(|&n| n as i64).collect();
    if elements == 0 {
        return Ok(Tensor::zeros(size.as_slice(), (kind.0, Device::Cpu)));
    }
    let mut row_major = Vec::with_capacity(elements * width);
    let mut index = vec![0u64; view.size.len()];
    for _ in 0..elements {
        let at: u64 = view.offset + index.iter().zip(&view.stride).map(|(i, stride)| i * stride).sum::<u64>();
        let at = at as usize * width;
        row_major.extend_from_slice(&data[at..at + width]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < view.size[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(Tensor::from_data_size(&row_major, &size, kind.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensors::from_safetensors;
    use crate::testing::{fixtures, own_fixtures};
    use proptest::prelude::*;

    /// Every kind, strides, offsets, shared storages, a parameter, a scalar, an empty tensor, nested names.
    #[test]
    fn a_good_file_gives_its_tensors() {
        let folder = fixtures("encoders/legacy_pth");
        let found = read(&std::fs::read(folder.join("good.pth")).unwrap()).unwrap();
        let expected = from_safetensors(&std::fs::read(folder.join("good.safetensors")).unwrap()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, expected) in expected {
            assert_eq!((found[&name].kind(), found[&name].size()), (expected.kind(), expected.size()), "{name}");
            assert_eq!(found[&name], expected, "{name}");
        }
    }

    #[test]
    fn bad_files_are_refused_with_a_reason() {
        let mut refused = 0;
        for entry in std::fs::read_dir(fixtures("encoders/legacy_pth").join("refuse")).unwrap() {
            let path = entry.unwrap().path();
            let began = std::time::Instant::now();
            let error = format!("{:#}", read(&std::fs::read(&path).unwrap()).unwrap_err());
            assert!(!error.is_empty() && error.len() < 1000, "{}: {error}", path.display());
            assert!(began.elapsed().as_secs() < 5, "{} took long", path.display());
            refused += 1;
        }
        assert!(refused >= 20, "only {refused} files");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Whatever is changed in a good file, reading it ends with tensors or an error.
        #[test]
        fn changed_files_never_panic(at in 0usize..10_000, byte: u8, length in 0usize..10_000) {
            let mut bytes = std::fs::read(own_fixtures("encoders/legacy_pth").join("good.pth")).unwrap();
            let n = bytes.len();
            bytes[at % n] = byte;
            let _ = read(&bytes);
            bytes.truncate(length % n);
            prop_assert!(read(&bytes).is_err());
        }
    }
}
