//! What lies in the store as a whole: to show what takes the space, to check all of it, and to remove what nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use rayon::prelude::*;

use super::{Action, Damage, Output, Store};
use crate::digest::Digest;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::locks::Lock;

/// All records and objects of a store.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Key → record. None: the record is not what was written.
    pub actions: BTreeMap<Digest, Option<Action>>,
    /// Key → when its record was put into the store.
    pub recorded: BTreeMap<Digest, SystemTime>,
    pub objects: BTreeMap<Digest, Object>,
}

/// An object as its folder lists it.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// In bytes.
    pub size: u64,
    /// When it was put into the store.
    pub since: SystemTime,
}

impl Census {
    /// The objects that these records name.
    pub fn outputs<'a>(actions: impl IntoIterator<Item = &'a Action>) -> BTreeSet<Digest> {
        actions.into_iter().flat_map(|action| action.outputs.values()).map(|output| output.sha256).collect()
    }

    /// The size of these objects, as far as they exist, in bytes.
    pub fn size<'a>(&self, objects: impl IntoIterator<Item = &'a Digest>) -> u64 {
        objects.into_iter().filter_map(|digest| self.objects.get(digest)).map(|object| object.size).sum()
    }
}

/// A store in which nothing is computed: steps that want to begin wait until this is dropped. It must not be written to
/// meanwhile, which would wait for ever.
#[derive(Debug)]
pub struct Alone<'a> {
    store: &'a Store,
    door: Lock,
}

/// What was removed from a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Removed {
    pub actions: usize,
    pub objects: usize,
    /// In bytes.
    pub size: u64,
}

impl Store {
    /// Reads all records, and lists all objects.
    ///
    /// # Errors
    /// If a folder cannot be listed, or a record cannot be read: nobody knows whether it is damaged.
    pub fn census(&self) -> anyhow::Result<Census> {
        let keys = self.names("actions", ".json")?;
        let read = |(key, _): &(Digest, Metadata)| {
            let path = self.action_path(*key);
            if let Err(error) = File::open(&path) {
                return match error.kind() {
                    ErrorKind::NotFound => Ok(None),
                    _ => Err(error).with_context(|| format!("cannot read {}", path.display())),
                };
            }
            Ok(Some((*key, self.action(*key))))
        };
        let actions = keys.par_iter().filter_map(|key| read(key).transpose()).collect::<anyhow::Result<_>>()?;
        let since = |data: &Metadata| data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let recorded = keys.iter().map(|(key, data)| (*key, since(data))).collect();
        let object = |(digest, data): (Digest, Metadata)| (digest, Object { size: data.len(), since: since(&data) });
        let objects = self.names("objects", "")?.into_iter().map(object).collect();
        Ok(Census { actions, recorded, objects })
    }

    /// The objects of finished steps that are missing or not what their records say; each is read and hashed. `looked` is
    /// called with the size of each. After an interrupt the rest is not looked at.
    pub fn damaged<'a>(
        &self,
        outputs: &'a [Output],
        interrupt: &Interrupt,
        looked: impl Fn(u64) + Sync,
    ) -> Vec<(&'a Output, Damage)> {
        let look = |output: &'a Output| {
            interrupt.check().ok()?;
            let damage = self.verify(output).err();
            looked(output.size);
            Some((output, damage?))
        };
        outputs.par_iter().filter_map(look).collect()
    }

    /// The size of the files in a folder of the store, such as `quarantine`, in bytes.
    pub fn size_of(&self, folder: &Path) -> u64 {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).filter(Metadata::is_file).map(|data| data.len()).sum()
    }

    /// Keeps all that compute from the store, for as long as the result lives.
    ///
    /// # Errors
    /// If a step is being computed.
    pub fn alone(&self) -> anyhow::Result<Alone<'_>> {
        match self.locks()?.try_to_close(&self.door_path())? {
            Some(door) if !self.is_computing()? => Ok(Alone { store: self, door }),
            _ => Err(errors::failed(
                format!("the store {} is in use: steps are being computed", self.root().display()),
                "wait for the run to end, or stop it, and try again",
            )),
        }
    }

    /// The files in the shards of a folder whose names are digests with this ending. Others are not the store's.
    fn names(&self, folder: &str, ending: &str) -> anyhow::Result<Vec<(Digest, Metadata)>> {
        let folder = self.root().join(folder);
        let list = |folder: &Path| -> anyhow::Result<Vec<PathBuf>> {
            match std::fs::read_dir(folder) {
                Ok(entries) => Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).collect()),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
                Err(error) => Err(error).with_context(|| format!("cannot list {}", folder.display())),
            }
        };
        let shards: Vec<Vec<PathBuf>> = list(&folder)?.iter().map(|shard| list(shard)).collect::<Result<_, _>>()?;
        let file = |path: &PathBuf| {
            let digest = path.file_name()?.to_str()?.strip_suffix(ending)?.parse().ok()?;
            // Removed since it was listed, or not a file.
            let data = std::fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
            Some((digest, data))
        };
        Ok(shards.concat().par_iter().filter_map(file).collect())
    }
}

impl Alone<'_> {
    /// Removes records, and then objects.
    ///
    /// # Errors
    /// If a file cannot be removed, or on an interrupt: what was removed before stays removed.
    pub fn remove(&self, actions: &[Digest], objects: &[Digest], interrupt: &Interrupt) -> anyhow::Result<Removed> {
        let mut removed = Removed::default();
        // A removal that is stopped leaves objects without a record, for the next one, and no record without objects.
        for key in actions {
            interrupt.check()?;
            self.door.check()?;
            self.store.forget(*key)?;
            removed.actions += 1;
        }
        for object in objects {
            interrupt.check()?;
            self.door.check()?;
            let path = self.store.object_path(*object);
            let size = std::fs::metadata(&path).map_or(0, |data| data.len());
            match std::fs::remove_file(&path) {
                Ok(()) => removed = Removed { objects: removed.objects + 1, size: removed.size + size, ..removed },
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot remove {}", path.display())),
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ingredients;
    use super::*;

    fn record(store: &Store, text: &str) -> (Digest, Output) {
        let output = store.put_bytes(text.as_bytes()).unwrap();
        let mut ingredients = Ingredients::default();
        ingredients.text("text", text);
        let outputs = [("text".to_owned(), output)].into_iter().collect();
        let action = Action { label: text.into(), ingredients, outputs, seconds: 0.0, finished: 0, computed_by: None };
        (store.record(&action).unwrap(), output)
    }

    #[test]
    fn all_is_found_and_what_is_named_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        assert!(store.census().unwrap().actions.is_empty());
        let (first, _) = record(&store, "first");
        let (second, output) = record(&store, "second!");
        std::fs::write(store.root().join("objects/notes.txt"), "somebody's").unwrap();
        let census = store.census().unwrap();
        assert_eq!(census.actions.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&first, &second]));
        assert_eq!(census.size(census.objects.keys()), 12);
        let all: Vec<Output> = Census::outputs(census.actions.values().flatten())
            .into_iter()
            .map(|sha256| Output { sha256, size: census.objects[&sha256].size })
            .collect();
        assert!(store.damaged(&all, &Interrupt::default(), |_| ()).is_empty());

        let workspace = store.workspace().unwrap();
        let error = store.alone().unwrap_err().to_string();
        assert!(error.contains("is in use"), "{error}");
        drop(workspace);
        let stopped = Interrupt::default();
        stopped.raise();
        assert!(store.alone().unwrap().remove(&[second], &[output.sha256], &stopped).is_err());
        assert!(store.action(second).is_some());
        let removed = store.alone().unwrap().remove(&[second], &[output.sha256], &Interrupt::default()).unwrap();
        assert_eq!(removed, Removed { actions: 1, objects: 1, size: 7 });
        let census = store.census().unwrap();
        assert_eq!((census.actions.len(), census.objects.len()), (1, 1));
        let damaged = store.damaged(&all, &Interrupt::default(), |_| ());
        assert!(matches!(damaged[..], [(found, Damage::Missing)] if *found == output), "{damaged:?}");
        assert!(store.root().join("objects/notes.txt").exists());
    }

    #[test]
    fn a_damaged_record_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let (key, _) = record(&store, "first");
        std::fs::write(store.action_path(key), "{").unwrap();
        assert_eq!(store.census().unwrap().actions, BTreeMap::from([(key, None)]));
    }
}
