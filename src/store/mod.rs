//! The store: what was computed, by content, and how it was made.
//!
//! ```text
//! .seesaw/
//!   objects/3f/3f9a…       content-addressed files, read-only; the name is the SHA-256 of the content
//!   actions/3f/3f9a….json  one per step that was done: its key, its ingredients in words, its outputs' digests
//!   latest/3f/3f9a…        the last key under which the step with this label was done (for `explain` only)
//!   locks/3f9a…            held while the step with this key is computed
//!   partial/               downloads that go on where they stopped
//!   quarantine/            damaged objects and wrong downloads, set aside and never used
//!   tmp/                   work in progress; what its owner left behind is swept
//! ```
//!
//! Files enter by write-to-temporary, fsync, rename, so a killed run leaves nothing half-made. Objects are verified
//! by hash when a step uses them, never by their modification time.

mod actions;
mod adopt;
mod damaged;
mod files;
mod ingredients;
mod locks;
mod objects;
mod workspace;

use std::path::{Path, PathBuf};

use anyhow::Context;

pub use actions::{Action, Output};
pub use damaged::DamagedOutput;
use files::write_atomically;
pub use ingredients::{Ingredient, Ingredients, Value};
pub use locks::KeyLock;
pub use objects::Damage;
pub use workspace::Workspace;

/// A store in a folder; cheap to clone, safe to share between threads and processes.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `root`, making it if it is not there, and sweeps what killed runs left in `tmp/`.
    ///
    /// # Errors
    /// If the folder cannot be made or written to.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let store = Store { root: root.to_owned() };
        for folder in ["objects", "actions", "latest", "locks", "partial", "quarantine", "tmp"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot make the store's folder {}", path.display()))?;
        }
        store.sweep()?;
        Ok(store)
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where downloads wait to be complete.
    pub fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Where damaged and wrong files are set aside.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    fn sharded(&self, folder: &str, name: &str, ending: &str) -> PathBuf {
        self.root.join(folder).join(&name[..2]).join(format!("{name}{ending}"))
    }
}
