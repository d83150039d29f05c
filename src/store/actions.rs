//! Actions: which outputs a step gave under which key.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Ingredients, Store};
use crate::digest::Digest;

/// One file that a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// A step that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The step's name for people, `train emoji-words balgrad seed 1`; not part of the key.
    pub label: String,
    /// Everything that the outputs depend on; the key is its hash.
    pub ingredients: Ingredients,
    /// Output name → object.
    pub outputs: BTreeMap<String, Output>,
    /// How long the computation took, in seconds.
    pub seconds: f64,
    /// When it ended, in seconds since 1970 (UTC).
    pub finished: u64,
}

/// The file's content: the action, and a hash of it that tells a damaged file.
#[derive(Serialize, Deserialize)]
struct Sealed {
    key: Digest,
    seal: Digest,
    action: Action,
}

fn seal(key: Digest, action: &Action) -> Digest {
    let text = serde_json::to_string(action).expect("actions are plain data");
    Digest::of(format!("{key}\n{text}").as_bytes())
}

impl Store {
    /// Where the record under this key lies, if it is there.
    pub fn action_path(&self, key: Digest) -> std::path::PathBuf {
        self.sharded("actions", &key.to_string(), ".json")
    }

    /// The action recorded under `key`. A file that is not what was written (cut, edited, of another key) counts as
    /// absent: the step is done again.
    pub fn action(&self, key: Digest) -> Option<Action> {
        let path = self.action_path(key);
        let text = std::fs::read(&path).ok()?;
        let sealed: Option<Sealed> = serde_json::from_slice(&text).ok();
        let whole =
            sealed.filter(|s| s.key == key && s.seal == seal(key, &s.action) && s.action.ingredients.key() == key);
        if whole.is_none() {
            tracing::warn!("the record {} is damaged; its step will be done again", path.display());
        }
        whole.map(|sealed| sealed.action)
    }

    /// Records a finished step. Its outputs must be in the store already.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn record(&self, action: &Action) -> anyhow::Result<Digest> {
        let key = action.ingredients.key();
        let sealed = Sealed { key, seal: seal(key, action), action: action.clone() };
        let mut text = serde_json::to_vec_pretty(&sealed).expect("actions are plain data");
        text.push(b'\n');
        let path = self.action_path(key);
        self.write_file(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        let latest = self.latest_path(&action.label);
        self.write_file(&latest, format!("{key}\n").as_bytes())
            .with_context(|| format!("cannot write {}", latest.display()))?;
        Ok(key)
    }

    /// Removes a record, so that its step is done again; the objects stay.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn forget(&self, key: Digest) -> anyhow::Result<()> {
        let path = self.action_path(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The last action that was recorded under a label, whatever its key.
    pub fn latest(&self, label: &str) -> Option<Action> {
        let key = std::fs::read_to_string(self.latest_path(label)).ok()?;
        self.action(key.trim().parse().ok()?)
    }

    fn latest_path(&self, label: &str) -> std::path::PathBuf {
        self.sharded("latest", &Digest::of(label.as_bytes()).to_string(), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(seed: u64) -> Action {
        let mut ingredients = Ingredients::default();
        ingredients.text("step", "train");
        ingredients.natural("seed", seed);
        let outputs = BTreeMap::from([("weights".to_owned(), Output { sha256: Digest::of(b"w"), size: 1 })]);
        Action { label: "train".into(), ingredients, outputs, seconds: 0.25, finished: 1 }
    }

    #[test]
    fn an_action_is_found_by_its_key_and_by_its_label() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = store.record(&action(1)).unwrap();
        let second = store.record(&action(2)).unwrap();
        assert_eq!(store.action(first), Some(action(1)));
        assert_eq!(store.action(second), Some(action(2)));
        assert_eq!(store.latest("train"), Some(action(2)));
        assert_eq!(store.action(Digest::of(b"other")), None);
    }

    /// No damaged record is believed, wherever the damage is.
    #[test]
    fn a_damaged_record_counts_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = store.record(&action(1)).unwrap();
        let path = store.sharded("actions", &key.to_string(), ".json");
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len()).filter(|&at| good[at].is_ascii_alphanumeric()) {
            let mut bad = good.clone();
            bad[at] = if bad[at] == b'1' { b'2' } else { b'1' };
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(store.action(key), None, "an edit at byte {at} was believed");
        }
        for length in 0..good.len() - 1 {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(store.action(key), None, "a file cut at {length} was believed");
        }
    }
}
