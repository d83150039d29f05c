//! PyTorch's zip format (`torch.save` since version 1.6), read without executing anything.
//!
//! A zip archive of members without compression: `NAME/data.pkl`, one pickle of protocol 2, as safely read as
//! the legacy format's; `NAME/data/KEY`, the raw elements of each storage; `NAME/byteorder`, in newer files. Sources:
//! `_save` in <https://github.com/pytorch/pytorch/blob/31d1cf19c3c1226ef2fbe768b3b53da0e1eaf0ad/torch/serialization.py> and
//! <https://github.com/pytorch/pytorch/blob/3834689c5e3caabf546aa98d83f47387ca50e684/caffe2/serialize/inline_container.cc>
//!
//! Storages are read one after another, so a file is never in memory beside its tensors.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use anyhow::{Context, bail, ensure};
use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{by_storage, check_total, collect, pickle, tensors_on};

/// The longest pickle, in bytes; that of a thousand tensors has some hundred thousand.
const MOST_PICKLE: u64 = 64 << 20;

/// The tensors of a file of `length` bytes by name; names of nested dictionaries are joined with dots. Row-major, in
/// fresh memory.
///
/// # Errors
/// If the file is damaged, of another format, or holds anything but (dictionaries of) tensors and plain numbers.
pub fn read(file: impl Read + Seek, length: u64) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let mut members = Members::open(file, length)?;
    if let Some(order) = members.find("byteorder")? {
        ensure!(order == b"little", "the file should be little-endian, says {}", shown(&order));
    }
    let pickled = members.find("data.pkl")?.context("the file has no pickle")?;
    let mut at = 0;
    let (object, arena) = pickle(&pickled, &mut at).context("data.pkl")?;
    ensure!(at == pickled.len(), "data.pkl: {} bytes are left over behind the pickle", pickled.len() - at);
    let found = collect(&object, &arena)?;
    check_total(&found, length)?;
    // One storage at a time, each for all of its tensors.
    let mut tensors = BTreeMap::new();
    for (key, views) in by_storage(&found)? {
        let expected = views[0].1.storage.bytes().context("a storage overflows")?;
        tensors.extend(tensors_on(&views, &members.storage(key, expected)?));
    }
    Ok(tensors)
}

/// The members of the archive, all under one folder.
struct Members<R> {
    zip: ZipArchive<R>,
    /// `NAME/`
    folder: String,
    length: u64,
}

impl<R: Read + Seek> Members<R> {
    fn open(file: R, length: u64) -> anyhow::Result<Self> {
        let zip = ZipArchive::new(file).context("not a readable zip archive")?;
        ensure!(!zip.has_duplicate_names(), "two members of the archive have one name");
        let mut folders = Vec::new();
        for name in zip.file_names() {
            let name = name.context("a member's name is not UTF-8")?;
            folders.extend(
                name.strip_suffix("data.pkl").filter(|folder| folder.matches('/').count() == 1).map(str::to_owned),
            );
        }
        match folders.as_slice() {
            [folder] if folder.ends_with('/') => Ok(Members { folder: folder.clone(), zip, length }),
            [] => bail!("the archive holds no `NAME/data.pkl`, so torch.save did not write it"),
            _ => bail!("the archive holds {} members named `NAME/data.pkl`, not one", folders.len()),
        }
    }

    /// A small member, if it is there.
    fn find(&mut self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = format!("{}{name}", self.folder);
        match self.zip.index_for_name(&path) {
            Some(_) => self.member(&path, None).map(Some),
            None => Ok(None),
        }
    }

    fn storage(&mut self, key: &str, expected: u64) -> anyhow::Result<Vec<u8>> {
        let path = format!("{}data/{key}", self.folder);
        ensure!(self.zip.index_for_name(&path).is_some(), "the storage {} is not in the file", shown(key.as_bytes()));
        self.member(&path, Some(expected))
    }

    /// Reads a member of the expected length, or of at most that of a pickle. Memory is allocated only after the length is
    /// checked against the file.
    fn member(&mut self, path: &str, expected: Option<u64>) -> anyhow::Result<Vec<u8>> {
        let name = shown(path.as_bytes());
        let mut member = self.zip.by_name(path).with_context(|| format!("the member {name}"))?;
        // torch.save compresses nothing, and a member without compression cannot be a bomb.
        ensure!(
            member.compression() == CompressionMethod::Stored && member.size() == member.compressed_size(),
            "the member {name} is compressed, which torch.save never does; it is not read"
        );
        let size = member.size();
        ensure!(size <= self.length, "the member {name} declares {size} bytes in a file of {}", self.length);
        match expected {
            Some(expected) => ensure!(size == expected, "the member {name} should have {expected} bytes, has {size}"),
            None => ensure!(size <= MOST_PICKLE, "the member {name} has {size} bytes, more than {MOST_PICKLE}"),
        }
        let mut content = Vec::with_capacity(size as usize);
        member.by_ref().take(size + 1).read_to_end(&mut content).with_context(|| format!("the member {name}"))?;
        ensure!(content.len() as u64 == size, "the member {name} does not have the {size} bytes that it declares");
        Ok(content)
    }
}

/// The beginning of a text for error messages.
fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes).chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests;
