//! PyTorch's legacy format (`torch.save` before version 1.6), read without executing anything.
//!
//! The file is five pickles of protocol 2, one after another (a magic number, the protocol version, facts on the system,
//! the saved object, the list of storage keys), then for each key the number of elements and the raw elements.
//! Source: `_legacy_save` in
//! <https://github.com/pytorch/pytorch/blob/31d1cf19c3c1226ef2fbe768b3b53da0e1eaf0ad/torch/serialization.py>
//!
//! A pickle is a program that can call anything. This reader knows the opcodes and the names that tensors need, builds
//! values and calls nothing; everything else is an error that says what was found. Sizes are checked against the file
//! before memory is allocated.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use tch::Tensor;

use super::pickle::{Arena, ByStorage, Value, by_storage, check_total, collect, pickle, tensors_on};

/// The integer 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// The tensors of a file by name; names of nested dictionaries are joined with dots. Row-major, in fresh memory.
///
/// # Errors
/// If the file is damaged, of another format, or holds anything but (dictionaries of) tensors and plain numbers.
pub fn read(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let mut at = 0;
    let (magic, _) = pickle(bytes, &mut at).context("the magic number")?;
    ensure!(matches!(&magic, Value::Long(long) if **long == MAGIC), "the magic number is not PyTorch's");
    let (protocol, _) = pickle(bytes, &mut at).context("the protocol version")?;
    ensure!(matches!(protocol, Value::Integer(PROTOCOL)), "the protocol version should be {PROTOCOL}, is {protocol}");
    let (system, arena) = pickle(bytes, &mut at).context("the facts on the system")?;
    check_system(&system, &arena)?;
    let (object, arena) = pickle(bytes, &mut at).context("the saved object")?;
    let found = collect(&object, &arena)?;
    let (keys, arena) = pickle(bytes, &mut at).context("the list of storages")?;
    let Value::List(keys) = keys else { bail!("the storages should be listed") };
    let used = by_storage(&found)?;
    let storages = storages(bytes, at, arena.of(keys), &used)?;
    check_total(&found, bytes.len() as u64)?;
    Ok(storages.iter().flat_map(|(key, data)| tensors_on(&used[key.as_str()], data)).collect())
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

/// Key → raw elements.
type Storages<'a> = BTreeMap<String, &'a [u8]>;

/// Finds the storages behind the pickles. The file must hold exactly those that tensors use.
fn storages<'a>(bytes: &'a [u8], mut at: usize, keys: &[Value], used: &ByStorage<'_>) -> anyhow::Result<Storages<'a>> {
    let mut storages = Storages::new();
    for key in keys {
        let Value::Text(key) = key else { bail!("a storage's key should be text") };
        ensure!(!storages.contains_key(&**key), "the storage {key} is listed twice");
        let views = used.get(&**key).with_context(|| format!("the storage {key} belongs to no tensor"))?;
        let storage = &views[0].1.storage;
        let count: [u8; 8] = bytes.get(at..at + 8).context("the file is cut short")?.try_into().expect("eight bytes");
        let count = i64::from_le_bytes(count);
        ensure!(
            u64::try_from(count).ok() == Some(storage.elements),
            "the storage {key} should have {} elements, the file says {count}",
            storage.elements
        );
        at += 8;
        let end = storage.bytes().and_then(|length| (at as u64).checked_add(length));
        let end = end.filter(|&end| end <= bytes.len() as u64).context("the file is cut short")? as usize;
        storages.insert(key.to_string(), &bytes[at..end]);
        at = end;
    }
    if let Some(missing) = used.keys().find(|key| !storages.contains_key(**key)) {
        bail!("the storage {missing} is not in the file");
    }
    ensure!(at == bytes.len(), "{} bytes are left over at the end of the file", bytes.len() - at);
    Ok(storages)
}

#[cfg(test)]
mod tests;
