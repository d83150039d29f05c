//! `out/`: copies of objects of the store under names for people. A copy that someone changed or removed is written again.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::digest::Digest;
use crate::store::{Output, Store};

/// A file of a folder in `out/`, and the object that it is a copy of.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Its name in the folder.
    pub file: &'a str,
    pub output: Output,
}

/// The one rule for what is out of date: the files whose content is not that of their object.
pub fn stale<'a>(folder: &Path, copies: impl IntoIterator<Item = Copy<'a>>) -> Vec<Copy<'a>> {
    let is_stale = |copy: &Copy| match Digest::of_file(&folder.join(copy.file)) {
        Ok((found, _)) => found != copy.output.sha256,
        Err(_) => true,
    };
    copies.into_iter().filter(is_stale).collect()
}

/// Writes files anew from their objects.
///
/// # Returns
/// The paths of the files that were written, and the objects that turned out to be damaged: they are set aside, and the
/// steps that gave them have to run again.
///
/// # Errors
/// If a file cannot be written.
pub fn copy(store: &Store, folder: &Path, copies: &[Copy]) -> anyhow::Result<(Vec<PathBuf>, Vec<Digest>)> {
    let (mut written, mut damaged) = (Vec::new(), Vec::new());
    for Copy { file, output } in copies {
        match store.read(output) {
            Ok(bytes) => {
                let path = folder.join(file);
                store.write_file(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
                written.push(path);
            }
            Err(damage) => {
                tracing::warn!("the object behind {file} is damaged: {damage}; computing it again");
                store.set_aside(output.sha256)?;
                damaged.push(output.sha256);
            }
        }
    }
    Ok((written, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was edited or removed is written again; a damaged object is reported and set aside.
    #[test]
    fn files_are_kept_equal_to_their_objects() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let out = folder.path().join("out");
        let output = store.put_bytes(b"a table").unwrap();
        let copies = [Copy { file: "table1.md", output }];
        let file = out.join("table1.md");
        for damage in [None, Some("edited")] {
            if let Some(text) = damage {
                std::fs::write(&file, text).unwrap();
            }
            let stale = stale(&out, copies);
            assert_eq!(stale.len(), 1, "{damage:?}");
            assert_eq!(copy(&store, &out, &stale).unwrap().0, [file.as_path()]);
            assert_eq!(std::fs::read(&file).unwrap(), b"a table");
        }
        assert!(stale(&out, copies).is_empty());
        std::fs::remove_file(&file).unwrap();
        let object = store.object_path(output.sha256);
        std::fs::remove_file(&object).unwrap();
        std::fs::write(&object, "a label").unwrap();
        assert_eq!(copy(&store, &out, &stale(&out, copies)).unwrap(), (vec![], vec![output.sha256]));
        assert!(!object.exists() && !file.exists());
    }
}
