//! The store: every result by its content, and how it was computed.
//!
//! ```text
//! .seesaw/
//!   objects/3f/3f9a…       content-addressed files, read-only; the name is the SHA-256 of the content
//!   actions/3f/3f9a….json  one per finished step: its key, its ingredients, the digests of its outputs
//!   latest/3f/3f9a…        the last key of the step with this label (for `explain` only)
//!   locks/3f9a…            held while the step with this key is computed
//!   partial/               incomplete downloads, to be resumed
//!   quarantine/            damaged objects and wrong downloads, which are never used
//!   tmp/                   work in progress; leftovers of killed runs are swept
//! ```
//!
//! Files enter by write-to-temporary, fsync, rename, so that a killed run leaves nothing half-written. Objects are verified
//! by hash when a step uses them, never by their modification time.

mod actions;
mod adopt;
mod damaged;
mod ingredients;
mod locks;
mod objects;
mod workspace;

use std::path::{Path, PathBuf};

use anyhow::Context;

pub use actions::{Action, Output};
pub use damaged::DamagedOutput;
pub use ingredients::{Ingredient, Ingredients, Value};
pub use locks::KeyLock;
pub use objects::Damage;
pub use workspace::Workspace;

/// A store in a folder. Cheap to clone, and safe to share between threads and processes.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in `root`, creates it if it does not exist, and sweeps what killed runs left in `tmp/`.
    ///
    /// # Errors
    /// If the folder cannot be created or written to.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let store = Store { root: root.to_owned() };
        for folder in ["objects", "actions", "latest", "locks", "partial", "quarantine", "tmp"] {
            let path = root.join(folder);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("cannot create the folder {} of the store", path.display()))?;
        }
        store.sweep()?;
        Ok(store)
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
