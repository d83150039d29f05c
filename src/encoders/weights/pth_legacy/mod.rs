//! PyTorch's legacy format (`torch.save` before version 1.6), read without executing anything.
//!
//! The file is five pickles of protocol 2, one after another (a magic number, the protocol version, facts on the system,
//! the saved object, the list of storage keys), then for each key the number of elements and the raw elements.
//! Source: PyTorch, `torch/serialization.py`, `_legacy_save`.
//!
//! A pickle is a program for a small stack machine that can call anything. This reader knows the opcodes and the names
//! that tensors need, builds values and calls nothing; everything else is an error that says what was found. Sizes are
//! checked against the file before memory is asked for.

mod pickle;

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use tch::{Device, Tensor};

use pickle::{Arena, ElementKind, MOST_VALUES, Storage, Value, View, pickle};

/// The integer 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;
/// How deep state dictionaries may be nested.
const MOST_DEPTH: usize = 16;
/// Bytes of a tensor's name, with those of the dictionaries around it.
const MOST_NAME: usize = 1000;
/// The tensors may be this many times as large as the file: tensors may share a storage, but a few bytes should not
/// name one storage a million times.
const MOST_SHARED: u64 = 16;

/// The tensors of a file by name; names of nested dictionaries are joined with dots. Row-major, in fresh memory.
///
/// # Errors
/// If the file is damaged, of another format, or holds anything but (dictionaries of) tensors and plain numbers.
pub fn read(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let mut at = 0;
    let (magic, _) = pickle(bytes, &mut at).context("the magic number")?;
    ensure!(matches!(&magic, Value::Long(long) if **long == MAGIC), "the magic number is not that of a PyTorch file");
    let (protocol, _) = pickle(bytes, &mut at).context("the protocol version")?;
    ensure!(matches!(protocol, Value::Integer(PROTOCOL)), "the protocol version should be {PROTOCOL}, is {protocol}");
    let (system, arena) = pickle(bytes, &mut at).context("the facts on the system")?;
    check_system(&system, &arena)?;
    let (object, arena) = pickle(bytes, &mut at).context("the saved object")?;
    let mut collector = Collector { arena: &arena, found: BTreeMap::new(), visits: 0 };
    collector.collect(&object, "", 0)?;
    let found = collector.found;
    let (keys, arena) = pickle(bytes, &mut at).context("the list of storages")?;
    let Value::List(keys) = keys else { bail!("the storages should be listed") };
    let storages = storages(bytes, at, arena.of(keys), &found)?;
    let wanted: u64 =
        found.values().map(|view| view.elements() * view.storage.kind.bytes()).fold(0, u64::saturating_add);
    let most = MOST_SHARED * bytes.len() as u64;
    ensure!(wanted <= most, "the tensors have {wanted} bytes, which is too much for a file of {}", bytes.len());
    found.into_iter().map(|(name, view)| Ok((name.clone(), tensor(&name, &view, &storages)?))).collect()
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
        ensure!(prefix.len() <= MOST_NAME, "a name has more than {MOST_NAME} bytes");
        let inside = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match value {
            Value::Tensor(view) => {
                let twice = self.found.insert(prefix.to_owned(), (**view).clone()).is_some();
                ensure!(!twice, "the tensor `{prefix}` is there twice");
            }
            Value::Dict(items) => {
                for pair in self.arena.of(*items).chunks_exact(2) {
                    let name = match &pair[0] {
                        Value::Text(name) if name.len() <= MOST_NAME => name.to_string(),
                        Value::Integer(number) => number.to_string(),
                        other => bail!("a key is {other}, which is no name"),
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
            Value::Global(_) | Value::Storage(_) | Value::Mark => bail!("`{prefix}` is {value}, which is no tensor"),
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
        ensure!(!storages.contains_key(&**key), "the storage {key} is listed twice");
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
        storages.insert(key.to_string(), (storage.kind, &bytes[at..end]));
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
    let size: Vec<i64> = view.size.iter().map(|&n| n as i64).collect();
    let elements = view.elements() as usize;
    if elements == 0 {
        return Ok(Tensor::zeros(size.as_slice(), (kind.0, Device::Cpu)));
    }
    let (run, outer) = view.runs();
    let bytes = run as usize * width;
    let mut row_major = Vec::with_capacity(elements * width);
    let mut index = vec![0; outer];
    let mut at = view.offset;
    loop {
        let from = at as usize * width;
        row_major.extend_from_slice(&data[from..from + bytes]);
        // To the next run: the last axis moves fastest.
        let mut axis = outer;
        loop {
            if axis == 0 {
                return Ok(Tensor::from_data_size(&row_major, &size, kind.0));
            }
            axis -= 1;
            index[axis] += 1;
            at += view.stride[axis];
            if index[axis] < view.size[axis] {
                break;
            }
            at -= view.size[axis] * view.stride[axis];
            index[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests;
