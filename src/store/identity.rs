//! What tells one store from another, wherever it is mounted.

use std::time::SystemTime;

use anyhow::Context;

use super::Store;
use crate::digest::Digest;
use crate::files;

const FILE: &str = "identity";

impl Store {
    /// The identity of this store; none if it has none yet, as in a folder that is not the store it is taken for.
    pub fn identity(&self) -> Option<Digest> {
        std::fs::read_to_string(self.root().join(FILE)).ok()?.trim().parse().ok()
    }

    /// The identity of this store, which gets one unless it has it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn identify(&self) -> anyhow::Result<Digest> {
        if let Some(known) = self.identity() {
            return Ok(known);
        }
        self.prepare()?;
        // A name that is drawn at random, and the time.
        let drawn = files::temporary_in(&self.root().join("tmp")).context("cannot write into the store")?;
        #[expect(clippy::disallowed_methods, reason = "an identity enters no result")]
        let seed = format!("{} {:?}", drawn.path().display(), SystemTime::now());
        self.write_file(&self.root().join(FILE), format!("{}\n", Digest::of(seed.as_bytes())).as_bytes())?;
        // That of another process, if it wrote one at the same time.
        self.identity().context("the identity of the store cannot be read back")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| Store::open(&folder.path().join(name)).unwrap());
        assert_eq!(one.identity(), None);
        let identity = one.identify().unwrap();
        assert_eq!((one.identify().unwrap(), one.identity()), (identity, Some(identity)));
        assert_ne!(other.identify().unwrap(), identity);
        // Wherever it is.
        std::fs::rename(folder.path().join("one"), folder.path().join("moved")).unwrap();
        assert_eq!(Store::open(&folder.path().join("moved")).unwrap().identity(), Some(identity));
    }
}
