//! Where templates are: in the project, and before it in a folder of the user's.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::store::Digest;

/// Folders of templates; what an earlier one has goes before what a later one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(pub Vec<PathBuf>);

impl From<&Path> for Templates {
    fn from(folder: &Path) -> Self {
        Templates(vec![folder.to_owned()])
    }
}

impl Templates {
    /// The file of a template: the first there is, else where the last folder should have it.
    pub fn path(&self, name: &str) -> PathBuf {
        let mut paths = self.0.iter().map(|folder| folder.join(name));
        paths.clone().find(|path| path.is_file()).or_else(|| paths.next_back()).unwrap_or_else(|| PathBuf::from(name))
    }

    /// A template's text.
    ///
    /// # Errors
    /// If none of the folders has it, or it cannot be read.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read the template {}", path.display()))
    }

    /// The names of templates with the hashes of their content.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn digests(&self, names: impl IntoIterator<Item = String>) -> anyhow::Result<Vec<(String, Digest)>> {
        names.into_iter().map(|name| Ok((name.clone(), Digest::of(self.read(&name)?.as_bytes())))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_template_goes_before_ours() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let templates = Templates(vec![theirs.path().to_owned(), ours.path().to_owned()]);
        std::fs::write(ours.path().join("a.j2"), "ours").unwrap();
        assert_eq!(templates.read("a.j2").unwrap(), "ours");
        std::fs::write(theirs.path().join("a.j2"), "theirs").unwrap();
        assert_eq!(templates.read("a.j2").unwrap(), "theirs");
        assert_eq!(templates.digests(["a.j2".to_owned()]).unwrap(), [("a.j2".to_owned(), Digest::of(b"theirs"))]);
        let error = format!("{:#}", templates.read("b.j2").unwrap_err());
        assert!(error.contains(&ours.path().join("b.j2").display().to_string()), "{error}");
    }
}
