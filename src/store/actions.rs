//! Actions: the outputs of a step under its key.

use anyhow::Context;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Ingredients, Store};
use crate::digest::Digest;
use crate::map::Map;

/// One output file of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub sha256: Digest,
    /// In bytes.
    pub size: u64,
}

/// What computed a step on tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Processor {
    /// Those that can change last bits, as libtorch uses them.
    pub vector_instructions: Vec<String>,
    /// Model and driver version of each GPU, if it was computed on one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub gpus: Vec<String>,
}

impl std::fmt::Display for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let vectors = match &self.vector_instructions[..] {
            [] => "no vector instructions".to_owned(),
            names => names.join(", "),
        };
        match &self.gpus[..] {
            [] => f.write_str(&vectors),
            gpus => write!(f, "{} ({vectors})", gpus.join("; ")),
        }
    }
}

/// The record of a finished step. `I` is [`Ingredients`], or nothing in a [`Brief`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action<I = Ingredients> {
    /// The name of the step for people: `train emoji-words balgrad seed 1`. Not part of the key.
    pub label: String,
    /// Everything that the outputs depend on. The key is its hash.
    pub ingredients: I,
    /// Output name → object.
    pub outputs: Map<Output>,
    /// The time that the computation took, in seconds.
    pub seconds: f64,
    /// The time at its end, in seconds since 1970 (UTC).
    pub finished: u64,
    /// What computed it, for steps on tensors. Not part of the key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub computed_by: Option<Processor>,
}

/// A record without the ingredients: who knows the key has no use for them, and those of a large suite fill the memory.
pub type Brief = Action<()>;

/// The content of the file: the action, and a hash of it that reveals damage.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    key: Digest,
    seal: Digest,
    #[serde(borrow)]
    action: &'a RawValue,
}

/// The seal covers the key and the ingredients that it was made of.
fn seal(key: Digest, action: &RawValue) -> Digest {
    Digest::of(format!("{key}\n{action}").as_bytes())
}

fn compact(action: &Action) -> Box<RawValue> {
    serde_json::value::to_raw_value(action).expect("actions are plain data")
}

impl<I> Action<I> {
    /// The same record with other ingredients.
    pub fn with<J>(self, ingredients: J) -> Action<J> {
        let Action { label, outputs, seconds, finished, computed_by, .. } = self;
        Action { label, ingredients, outputs, seconds, finished, computed_by }
    }
}

/// As [`unsealed`], without the ingredients that the key was made of.
fn unsealed_in_brief(key: Digest, text: &[u8]) -> Option<Brief> {
    let sealed: Sealed<'_> = serde_json::from_slice(text).ok()?;
    match sealed.key == key && sealed.seal == seal(key, sealed.action) {
        true => serde_json::from_str::<Action<IgnoredAny>>(sealed.action.get()).ok().map(|action| action.with(())),
        false => unsealed(key, text).map(|action| action.with(())),
    }
}

/// The action in a file under this key. None: it is not what was written.
pub(super) fn unsealed(key: Digest, text: &[u8]) -> Option<Action> {
    let sealed: Sealed<'_> = serde_json::from_slice(text).ok()?;
    let action: Action = serde_json::from_str(sealed.action.get()).ok()?;
    // With other white space, it says the same.
    let holds = || sealed.seal == seal(key, sealed.action) || sealed.seal == seal(key, &compact(&action));
    (sealed.key == key && holds()).then_some(action)
}

impl Store {
    /// The path of the record under this key, whether it exists or not.
    pub fn action_path(&self, key: Digest) -> std::path::PathBuf {
        self.sharded("actions", &key.to_string(), ".json")
    }

    /// The action recorded under `key`. A file that is not what was written (truncated, edited, of another key) is ignored,
    /// so that the step runs again.
    pub fn action(&self, key: Digest) -> Option<Action> {
        self.read_action(key, |text| unsealed(key, text))
    }

    /// As [`Store::action`], without the ingredients. Quicker.
    pub fn brief(&self, key: Digest) -> Option<Brief> {
        self.read_action(key, |text| unsealed_in_brief(key, text))
    }

    fn read_action<I>(&self, key: Digest, unseal: impl FnOnce(&[u8]) -> Option<Action<I>>) -> Option<Action<I>> {
        let path = self.action_path(key);
        let whole = unseal(&std::fs::read(&path).ok()?);
        if whole.is_none() {
            tracing::warn!("the record {} is damaged; its step will run again", path.display());
        }
        whole
    }

    /// Records a finished step, whose outputs must be in the store already. Returns its key.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn record(&self, action: &Action) -> anyhow::Result<Digest> {
        let key = action.ingredients.key();
        let action_text = compact(action);
        let sealed = Sealed { key, seal: seal(key, &action_text), action: &action_text };
        let mut text = serde_json::to_vec(&sealed).expect("actions are plain data");
        text.push(b'\n');
        let path = self.action_path(key);
        self.write_file(&path, &text)?;
        self.write_hint(&self.latest_path(&action.label), format!("{key}\n").as_bytes())?;
        Ok(key)
    }

    /// Removes a record, so that its step runs again. The objects stay.
    ///
    /// # Errors
    /// If the record exists and cannot be removed.
    pub fn forget(&self, key: Digest) -> anyhow::Result<()> {
        let path = self.action_path(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The last action that was recorded under a label, with any key.
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
        let outputs = [("weights".to_owned(), Output { sha256: Digest::of(b"w"), size: 1 })].into_iter().collect();
        Action { label: "train".into(), ingredients, outputs, seconds: 0.25, finished: 1, computed_by: None }
    }

    #[test]
    fn an_action_is_found_by_its_key_and_by_its_label() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = store.record(&action(1)).unwrap();
        let second = store.record(&action(2)).unwrap();
        assert_eq!(store.action(first), Some(action(1)));
        assert_eq!(store.action(second), Some(action(2)));
        assert_eq!(store.brief(first), Some(action(1).with(())));
        assert_eq!(store.latest("train"), Some(action(2)));
        assert_eq!(store.action(Digest::of(b"other")), None);
    }

    /// A damaged record is ignored, wherever the damage is.
    #[test]
    fn a_damaged_record_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = store.record(&action(1)).unwrap();
        let path = store.sharded("actions", &key.to_string(), ".json");
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len()).filter(|&at| good[at].is_ascii_alphanumeric()) {
            let mut bad = good.clone();
            bad[at] = if bad[at] == b'1' { b'2' } else { b'1' };
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(store.action(key), None, "an edit at byte {at} was not noticed");
            assert!(store.brief(key).is_none(), "an edit at byte {at} was not noticed");
        }
        for length in 0..good.len() - 1 {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(store.action(key), None, "a file cut at {length} was not noticed");
        }
    }

    /// White space in a record says nothing.
    #[test]
    fn an_indented_record_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = store.record(&action(1)).unwrap();
        let path = store.action_path(key);
        let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        assert_eq!(store.action(key), Some(action(1)));
        assert_eq!(store.brief(key), Some(action(1).with(())));
    }
}
