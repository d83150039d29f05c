//! From the value of a pickle to tensors.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use tch::{Device, Tensor};

use super::MOST_VALUES;
use super::values::{Arena, Storage, Value, View};

/// The deepest nesting of state dictionaries.
const MOST_DEPTH: usize = 16;
/// The longest name of a tensor with those of the dictionaries around it, in bytes.
const MOST_NAME: usize = 1000;
/// Tensors may share a storage, and together be this many times as large as the file. A few bytes should not name one
/// storage a million times.
const MOST_SHARED: u64 = 16;

/// The tensors of nested dictionaries by name, as views on storages; names are joined with dots. Plain numbers and texts
/// are skipped.
///
/// # Errors
/// If the value holds anything else.
pub fn collect(object: &Value, arena: &Arena) -> anyhow::Result<BTreeMap<String, View>> {
    let mut collector = Collector { arena, found: BTreeMap::new(), visits: 0 };
    collector.collect(object, "", 0)?;
    Ok(collector.found)
}

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
                ensure!(!twice, "the tensor `{prefix}` occurs twice");
            }
            Value::Dict(items) => {
                for pair in self.arena.of(*items).chunks_exact(2) {
                    let name = match &pair[0] {
                        Value::Text(name) if name.len() <= MOST_NAME => name.to_string(),
                        Value::Integer(number) => number.to_string(),
                        other => bail!("a key is {other}, which is not a name"),
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
            Value::Global(_) | Value::Storage(_) | Value::Mark => bail!("`{prefix}` is {value}, which is not a tensor"),
        }
        Ok(())
    }
}

/// The storages that tensors lie on, by key.
///
/// # Errors
/// If one is described in two ways.
pub fn storages_of(found: &BTreeMap<String, View>) -> anyhow::Result<BTreeMap<&str, &Storage>> {
    let mut used: BTreeMap<&str, &Storage> = BTreeMap::new();
    for view in found.values() {
        if let Some(other) = used.insert(&view.storage.key, &view.storage) {
            ensure!(*other == *view.storage, "the storage {} is described in two ways", other.key);
        }
    }
    Ok(used)
}

/// # Errors
/// If the tensors together would be much larger than the file.
pub fn check_total(found: &BTreeMap<String, View>, file: u64) -> anyhow::Result<()> {
    let bytes = found.values().map(|view| view.elements() * view.storage.kind.bytes());
    let wanted = bytes.fold(0, u64::saturating_add);
    let most = MOST_SHARED.saturating_mul(file);
    ensure!(wanted <= most, "the tensors have {wanted} bytes, too much for a file of {file}");
    Ok(())
}

/// Copies a tensor's elements into row-major order.
///
/// # Panics
/// If `data` is shorter than the view's storage.
pub fn tensor(view: &View, data: &[u8]) -> Tensor {
    let kind = view.storage.kind;
    let width = kind.bytes() as usize;
    let size: Vec<i64> = view.size.iter().map(|&n| n as i64).collect();
    let elements = view.elements() as usize;
    if elements == 0 {
        return Tensor::zeros(size.as_slice(), (kind.0, Device::Cpu));
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
                return Tensor::from_data_size(&row_major, &size, kind.0);
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
