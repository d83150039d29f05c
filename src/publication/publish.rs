//! Files in `out/` are copies of objects in the store. A copy that someone changed or removed is written again.

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::engine::graph::Publication;
use crate::store::{Action, Store};

/// A file in a folder of `out/`, and the output that it is a copy of.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    /// Its name in the folder.
    pub file: &'a str,
    /// The record of the step that gave the output.
    pub action: &'a Action,
    /// The output's name.
    pub output: &'a str,
}

impl<'a> Copy<'a> {
    /// The copy that a plan asks for; `None` if the step is not done or gave no such output.
    pub fn of(publication: &'a Publication, action: Option<&'a Action>) -> Option<Self> {
        let (action, output) = (action?, publication.source.output.as_str());
        action.outputs.contains_key(output).then_some(Copy { file: &publication.file, action, output })
    }
}

/// The one rule for what is out of date: files whose content is not that of their object.
pub fn stale<'a>(folder: &Path, copies: impl IntoIterator<Item = Copy<'a>>) -> Vec<Copy<'a>> {
    let is_stale = |copy: &Copy| match Digest::of_file(&folder.join(copy.file)) {
        Ok((found, _)) => copy.action.outputs.get(copy.output).is_none_or(|output| found != output.sha256),
        Err(_) => true,
    };
    copies.into_iter().filter(is_stale).collect()
}

/// Writes the files that are out of date, and appends their paths to `written`.
///
/// # Errors
/// If a file cannot be written; a [`crate::store::DamagedOutput`] if an object is damaged.
pub fn update<'a>(
    store: &Store,
    folder: &Path,
    copies: impl IntoIterator<Item = Copy<'a>>,
    written: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    for Copy { file, action, output } in stale(folder, copies) {
        let (bytes, path) = (store.read_output(action, output)?, folder.join(file));
        store.write_file(&path, &bytes)?;
        written.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DamagedOutput, Ingredients};

    /// A file that was edited or removed is written again; a damaged object is an error, and is set aside.
    #[test]
    fn files_are_kept_equal_to_their_objects() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let out = folder.path().join("out");
        let output = store.put_bytes(b"a table").unwrap();
        let action = Action {
            label: "render table1".to_owned(),
            ingredients: Ingredients::default(),
            outputs: [("md".to_owned(), output)].into(),
            seconds: 0.0,
            finished: 0,
            computed_by: None,
        };
        let copies = [Copy { file: "table1.md", action: &action, output: "md" }];
        let update = || {
            let mut written = Vec::new();
            super::update(&store, &out, copies, &mut written).map(|()| written)
        };
        let file = out.join("table1.md");
        for damage in [None, Some("edited")] {
            if let Some(text) = damage {
                std::fs::write(&file, text).unwrap();
            }
            assert_eq!(update().unwrap(), [file.as_path()]);
            assert_eq!(std::fs::read(&file).unwrap(), b"a table");
        }
        assert_eq!(update().unwrap(), [""; 0].map(PathBuf::from));
        std::fs::remove_file(&file).unwrap();
        let object = store.object_path(output.sha256);
        std::fs::remove_file(&object).unwrap();
        std::fs::write(&object, "a label").unwrap();
        let error = update().unwrap_err();
        assert_eq!(DamagedOutput::of(&error).map(|damaged| damaged.object), Some(output.sha256));
        assert!(!object.exists() && !file.exists());
    }
}
