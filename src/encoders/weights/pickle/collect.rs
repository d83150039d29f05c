//! From the value of a pickle to tensors.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use tch::{Device, Tensor};

use super::MOST_VALUES;
use super::values::{Arena, Value, View};

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

/// The tensors on each storage, which all describe it alike.
pub type ByStorage<'a> = BTreeMap<&'a str, Vec<(&'a String, &'a View)>>;

/// Tensors by the keys of their storages.
///
/// # Errors
/// If a storage is described in two ways.
pub fn by_storage(found: &BTreeMap<String, View>) -> anyhow::Result<ByStorage<'_>> {
    let mut storages = ByStorage::new();
    for (name, view) in found {
        let key = &view.storage.key;
        let views = storages.entry(key).or_default();
        let alike = views.last().is_none_or(|(_, other)| other.storage == view.storage);
        ensure!(alike, "the storage {key} is described in two ways");
        views.push((name, view));
    }
    Ok(storages)
}

/// # Errors
/// If the tensors together would be much larger than the file.
pub fn check_total(found: &BTreeMap<String, View>, file: u64) -> anyhow::Result<()> {
    let wanted = found.values().map(View::bytes).fold(0, u64::saturating_add);
    let most = MOST_SHARED.saturating_mul(file);
    ensure!(wanted <= most, "the tensors have {wanted} bytes, too much for a file of {file}");
    Ok(())
}

/// The tensors on a storage, copied into row-major order.
///
/// # Panics
/// If `data` is shorter than the storage.
pub fn tensors_on(views: &[(&String, &View)], data: &[u8]) -> Vec<(String, Tensor)> {
    let Some((_, View { storage, .. })) = views.first() else { return Vec::new() };
    let whole = Tensor::from_data_size(data, &[storage.elements as i64], storage.kind);
    let copied = |(name, view): &(&String, &View)| {
        let size: Vec<i64> = view.size.iter().map(|&n| n as i64).collect();
        // The stride of an axis without a second element may be any number, and matters to nothing.
        let strides = view.size.iter().zip(&view.stride);
        let stride: Vec<i64> = strides.map(|(&n, &stride)| if n > 1 { stride as i64 } else { 1 }).collect();
        let mut tensor = Tensor::empty(size.as_slice(), (storage.kind, Device::Cpu));
        if tensor.numel() > 0 {
            tensor.copy_(&whole.as_strided(&size, &stride, view.offset as i64));
        }
        ((*name).clone(), tensor)
    };
    views.iter().map(copied).collect()
}
