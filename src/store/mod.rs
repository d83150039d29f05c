//! The store: every result by its content, and how it was computed.
//!
//! ```text
//! .seesaw/
//!   seesaw-store           marks the folder as a store, and holds the version of its form
//!   identity               tells this store from others, for the tasks of a cluster
//!   objects/3f/3f9a…       content-addressed files, read-only; the name is the SHA-256 of the content
//!   actions/3f/3f9a….json  one per finished step: its key, its ingredients, the digests of its outputs
//!   latest/3f/3f9a…        the last key of the step with this label (for `explain` only)
//!   locks/3f9a…            held while the step with this key is computed
//!   locks/kind             which kind of locks all processes use: `flock` or `lease`
//!   partial/               incomplete downloads, to be resumed
//!   quarantine/            damaged objects and wrong downloads, which are never used
//!   tmp/                   work in progress; leftovers of killed runs are swept
//! ```
//!
//! Opening a store creates nothing: the first write does. A folder with files and without the mark is somebody else's, and
//! is refused.
//!
//! Files enter by write-to-temporary, fsync, rename, so that a killed run leaves nothing half-written. Objects are verified
//! by hash when a step uses them, never by their modification time.
//!
//! A [`Remote`] store has `objects/` and `actions/` as well, on S3, GCS, Azure, behind HTTP(S) or in a folder: others push
//! results there, and take them over from there.

mod actions;
mod adopt;
mod census;
mod damaged;
mod identity;
mod ingredients;
mod locks;
mod objects;
mod remote;
mod workspace;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;

pub use actions::{Action, Brief, Output, Processor};
pub use census::{Alone, Census, Object, Removed};
pub use damaged::DamagedOutput;
pub use ingredients::{Difference, Ingredient, Ingredients, Value};
pub use objects::Damage;
pub use remote::{Fault, Place, Remote, for_each};
pub use workspace::Workspace;

use crate::errors::{self, ANOTHER_STORE};
use crate::files;
use crate::locks::Locks;

/// A store in a folder. Cheap to clone, and safe to share between threads and processes.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Set once the folders exist and were swept.
    ready: Arc<OnceLock<Locks>>,
}

/// The file that marks a folder as a store.
const MARK: &str = "seesaw-store";

/// The content of the mark. Raise the version when a store of the old form would be misread.
const FORM: &str = "seesaw store 1\n";

impl Store {
    /// Opens the store in `root`, which need not exist yet. Creates nothing.
    ///
    /// # Errors
    /// If `root` is something other than a store: a folder with other files, a file, a link that leads nowhere, or a store
    /// of another version.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let refuse = |what: String| errors::usage(format!("{} {what}", root.display()), ANOTHER_STORE);
        let unused = || Store { root: root.to_owned(), ready: Arc::default() };
        match files::look(root)? {
            None => return Ok(unused()),
            Some(data) if data.is_dir() => {}
            Some(_) => return Err(refuse("is not a folder".into())),
        }
        let mark = root.join(MARK);
        match std::fs::read_to_string(&mark) {
            // A run that was killed while it created the store left an empty mark.
            Ok(text) if text == FORM || text.is_empty() => {}
            Ok(text) => {
                let (found, known) = (text.lines().next().unwrap_or_default(), FORM.trim_end());
                return Err(refuse(format!("is a store of another version: expected `{known}`, found {found:?}")));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let entries = std::fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))?;
                let other = entries.filter_map(Result::ok).find(|entry| entry.file_name() != MARK);
                // Another process may have created the store since: its mark was there before anything else.
                if let Some(entry) = other.filter(|_| !mark.exists()) {
                    let first = entry.file_name();
                    return Err(refuse(format!("is not a store: it holds {first:?}, and no file `{MARK}`")));
                }
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", mark.display())),
        }
        Ok(unused())
    }

    /// Creates the folders of the store unless they exist, and sweeps what killed runs left in `tmp/`. All that writes calls
    /// this first.
    ///
    /// # Errors
    /// If the folders cannot be created or written to.
    pub fn prepare(&self) -> anyhow::Result<()> {
        self.locks().map(drop)
    }

    /// As [`Store::prepare`]; the kind of locks that all processes use on this store.
    ///
    /// # Errors
    /// As [`Store::prepare`], or if another kind was chosen for this process.
    pub fn locks(&self) -> anyhow::Result<Locks> {
        if let Some(locks) = self.ready.get() {
            return Ok(*locks);
        }
        let unusable = |error: anyhow::Error| errors::with_hint(error, ANOTHER_STORE);
        files::create_folder(&self.root).map_err(unusable)?;
        // The mark comes first: another process that opens the store from now on sees nothing or a mark.
        let mark = self.root.join(MARK);
        if !std::fs::read_to_string(&mark).is_ok_and(|text| text == FORM) {
            std::fs::write(&mark, FORM)
                .with_context(|| format!("cannot write {}", mark.display()))
                .map_err(unusable)?;
        }
        for folder in ["objects", "actions", "latest", "locks", "partial", "quarantine", "tmp"] {
            files::create_folder(&self.root.join(folder)).map_err(unusable)?;
        }
        let locks = self.agree_on_locks()?;
        self.sweep(locks)?;
        Ok(*self.ready.get_or_init(|| locks))
    }

    /// Whether anything was ever written to the store.
    pub fn exists(&self) -> bool {
        self.root.join(MARK).is_file()
    }

    /// The folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of incomplete downloads.
    pub fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// The folder of damaged and wrong files.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    fn sharded(&self, folder: &str, name: &str, ending: &str) -> PathBuf {
        self.root.join(folder).join(&name[..2]).join(format!("{name}{ending}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.sort();
        names
    }

    /// A store appears with the first write, not when somebody looks.
    #[test]
    fn looking_creates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/store");
        let store = Store::open(&root).unwrap();
        assert!(store.action(crate::digest::Digest::of(b"")).is_none() && store.wanted().is_empty());
        assert!(!root.exists() && !folder.path().join("a").exists());
        store.put_bytes(b"content").unwrap();
        assert_eq!(std::fs::read_to_string(root.join(MARK)).unwrap(), FORM);
        Store::open(&root).unwrap();
    }

    /// Somebody else's folder is refused, and stays as it is.
    #[test]
    fn a_folder_of_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let refused = |what: &str| {
            let error = Store::open(root).unwrap_err();
            assert_eq!(errors::class_of(&error), errors::Class::Usage);
            assert!(error.to_string().contains(what), "{error}");
            assert_eq!(errors::hint_of(&error), Some(ANOTHER_STORE));
        };
        std::fs::create_dir_all(root.join("tmp/thesis")).unwrap();
        std::fs::write(root.join("tmp/thesis/chapter1.tex"), "x").unwrap();
        refused("is not a store: it holds \"tmp\"");
        assert_eq!((names(root), names(&root.join("tmp/thesis"))), (vec!["tmp".into()], vec!["chapter1.tex".into()]));
        std::fs::write(root.join(MARK), "seesaw store 9\n").unwrap();
        refused("expected `seesaw store 1`, found \"seesaw store 9\"");
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(Store::open(&file).unwrap_err().to_string().ends_with("is not a folder"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("unmounted"), &link).unwrap();
        let error = Store::open(&link).unwrap_err().to_string();
        assert!(error.contains("is a link to") && error.contains("unmounted"), "{error}");
    }

    /// Who looks while another process creates the store sees a folder without a mark, and then one with everything in it.
    #[test]
    fn a_store_may_be_created_meanwhile() {
        for _ in 0..200 {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            std::thread::scope(|scope| {
                let others =
                    [(); 3].map(|()| scope.spawn(|| (0..40).try_for_each(|_| Store::open(folder.path()).map(drop))));
                store.prepare().unwrap();
                others.into_iter().for_each(|other| other.join().unwrap().unwrap());
            });
        }
    }

    /// An empty folder becomes a store, also if a run was killed after it created the mark.
    #[test]
    fn a_new_store_may_be_half_made() {
        for left in [None, Some("")] {
            let folder = tempfile::tempdir().unwrap();
            left.iter().for_each(|text| std::fs::write(folder.path().join(MARK), text).unwrap());
            Store::open(folder.path()).unwrap().put_bytes(b"content").unwrap();
            assert_eq!(std::fs::read_to_string(folder.path().join(MARK)).unwrap(), FORM);
        }
    }
}
