//! Taking over steps from another store.

use anyhow::Context;

use super::Store;
use crate::digest::Digest;

impl Store {
    /// Takes over a finished step of another store with its outputs, and verifies each of them. Returns false if the step
    /// is not there or one of its outputs is damaged.
    ///
    /// # Errors
    /// If this store cannot be written to.
    pub fn adopt(&self, from: &Store, key: Digest) -> anyhow::Result<bool> {
        let Some(action) = from.action(key).filter(|action| action.ingredients.key() == key) else { return Ok(false) };
        let workspace = self.workspace()?;
        for output in action.outputs.values() {
            if !from.looks_whole(output) {
                return Ok(false);
            }
            let (theirs, file) = (from.object_path(output.sha256), workspace.path().join(output.sha256.to_string()));
            // Objects are read-only, so both stores can share a file, unless they are on different filesystems.
            if std::fs::hard_link(&theirs, &file).is_err() {
                std::fs::copy(&theirs, &file).with_context(|| format!("cannot copy {}", theirs.display()))?;
            }
            if self.put_file(&file)? != *output {
                return Ok(false);
            }
        }
        self.record(&action)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {

    use super::super::{Action, Ingredients};
    use super::*;

    #[test]
    fn a_whole_step_is_taken_over_and_a_damaged_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = Store::open(&folder.path().join("theirs")).unwrap();
        let output = theirs.put_bytes(b"content").unwrap();
        let mut ingredients = Ingredients::default();
        ingredients.text("step", "fetch");
        let outputs = [("archive".to_owned(), output)].into_iter().collect();
        let action =
            Action { label: "fetch x".into(), ingredients, outputs, seconds: 1.0, finished: 1, computed_by: None };
        let key = theirs.record(&action).unwrap();

        let ours = Store::open(&folder.path().join("ours")).unwrap();
        assert!(!ours.adopt(&theirs, Digest::of(b"another")).unwrap());
        assert!(ours.adopt(&theirs, key).unwrap());
        assert_eq!(ours.action(key), Some(action));
        ours.verify(&output).unwrap();

        let third = Store::open(&folder.path().join("third")).unwrap();
        let path = theirs.object_path(output.sha256);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "CONTENT").unwrap();
        assert!(!third.adopt(&theirs, key).unwrap());
        assert_eq!(third.action(key), None);
    }
}
