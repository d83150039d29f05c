//! What a step may touch while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::absence::Absence;
use crate::digest::Digest;
use crate::interrupt::Interrupt;
use crate::manifests::context::FetchPlaces;
use crate::progress::{Progress, Silent};
use crate::store::Processor;

/// Output name → file in the job's folder.
pub type Outputs = BTreeMap<String, PathBuf>;

/// An input of a step.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// The file; its content is verified.
    pub path: PathBuf,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// The key of the step that made it.
    pub key: Digest,
    /// The kinds of processors behind it, for a step that names them; empty if one kind is behind all of its inputs.
    pub processors: BTreeSet<Processor>,
}

/// Everything that a step may touch while it runs.
pub struct Job {
    /// Role → file.
    pub inputs: BTreeMap<Arc<str>, InputFile>,
    /// Role → why there is no such input. Only steps that tolerate absent inputs run with any.
    pub absent: BTreeMap<Arc<str>, Absence>,
    /// An empty folder of its own, on the store's filesystem.
    pub folder: PathBuf,
    pub interrupt: Interrupt,
    pub progress: Arc<dyn Progress>,
    /// The number of threads that the step may use. It never changes the result.
    pub threads: usize,
    pub device: tch::Device,
    pub downloads: FetchPlaces,
}

impl Job {
    /// A job without inputs, outside of a run: on one thread and the CPU, silent, with no place to download from.
    pub fn detached(folder: &Path) -> Self {
        Job {
            inputs: BTreeMap::new(),
            absent: BTreeMap::new(),
            folder: folder.to_owned(),
            interrupt: Interrupt::default(),
            progress: Arc::new(Silent),
            threads: 1,
            device: tch::Device::Cpu,
            downloads: FetchPlaces::new(folder.to_owned(), folder.to_owned(), Vec::new()),
        }
    }

    /// A detached job with these files, by role.
    #[cfg(test)]
    pub fn with_inputs(folder: &Path, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut job = Job::detached(folder);
        for (role, bytes) in files {
            let of = |what: &str| Digest::of(format!("{what} of {role}").as_bytes());
            let (path, sha256, key) = (folder.join(&role), of("content"), of("key"));
            std::fs::write(&path, bytes).expect("a temporary file can be written");
            job.inputs.insert(role.into(), InputFile { path, sha256, key, processors: BTreeSet::new() });
        }
        job
    }

    /// The input with this role.
    ///
    /// # Errors
    /// If the plan did not connect it, which is a bug.
    pub fn input(&self, role: &str) -> anyhow::Result<&InputFile> {
        self.inputs.get(role).with_context(|| format!("the step has no input `{role}`"))
    }

    /// Reads an input and parses it.
    ///
    /// # Errors
    /// Names the input and its content.
    pub fn parse<T>(&self, role: &str, parse: impl FnOnce(&[u8]) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let InputFile { path, sha256, .. } = self.input(role)?;
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&bytes).with_context(|| malformed(role, sha256))
    }

    /// Opens an input that is read in parts.
    ///
    /// # Errors
    /// Names the input and its content.
    pub fn open<T>(&self, role: &str, open: impl FnOnce(File) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let InputFile { path, sha256, .. } = self.input(role)?;
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        open(file).with_context(|| malformed(role, sha256))
    }

    /// Reads a JSON input.
    ///
    /// # Errors
    /// Names the input and its content.
    pub fn read_json<T: DeserializeOwned>(&self, role: &str) -> anyhow::Result<T> {
        self.parse(role, |bytes| Ok(serde_json::from_slice(bytes)?))
    }

    /// Writes an output. Returns its name and its file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<(String, PathBuf)> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok((name.to_owned(), path))
    }

    /// Writes a JSON output. Returns its name and its file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<(String, PathBuf)> {
        let mut bytes = serde_json::to_vec(value).context("the output cannot be written as JSON")?;
        bytes.push(b'\n');
        self.write(name, &bytes)
    }
}

fn malformed(role: &str, sha256: &Digest) -> String {
    format!("the input `{role}` (SHA-256 {sha256}) is malformed")
}
