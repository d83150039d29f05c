//! Packs a finished run into a bundle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use serde::Serialize;
use sha2::Digest as _;
use tar::{EntryType, Header};

use super::contents::{Extra, belongs};
use super::{LeftOut, MANIFEST, Manifest, SCHEMA, action_member, object_member};
use crate::digest::Digest;
use crate::interrupt::Interrupt;
use crate::planning::project::Project;
use crate::publication::record::{self, Provenance, Status, Step};
use crate::publication::ro_crate;
use crate::steps::Kind;
use crate::store::{Damage, Output, Store};
use crate::{errors, files};

/// A bundle that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    pub file: PathBuf,
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
    pub members: usize,
    /// What the run lacks; none if it is complete.
    pub incomplete: Option<String>,
    pub left_out: Vec<LeftOut>,
}

/// Packs the files and records of a finished run.
struct Export<'a> {
    project: &'a Project,
    /// The suite's folder in `out/`.
    out: &'a Path,
    store: &'a Store,
    with: &'a [Extra],
    interrupt: &'a Interrupt,
}

/// Exports the run in a suite's folder of `out/`. The file appears when it is complete.
///
/// # Arguments
/// `destination` defaults to the folder's name with `.tar.gz`, in the current folder.
///
/// # Errors
/// If there is no finished run; if a file is no longer what the run wrote or was planned from; if a record or an object is
/// missing or damaged; if the bundle cannot be written.
pub fn export(
    project: &Project,
    suite: &str,
    destination: Option<&Path>,
    with: &[Extra],
    interrupt: &Interrupt,
) -> anyhow::Result<Exported> {
    let (out, store) = (project.out(suite), Store::open(&project.store_path())?);
    let name = out.file_name().map_or_else(|| suite.into(), |name| name.to_string_lossy());
    let destination = destination.map_or_else(|| PathBuf::from(format!("{name}.tar.gz")), Path::to_owned);
    Export { project, out: &out, store: &store, with, interrupt }.write(&destination)
}

/// A member before it is packed.
enum Member {
    File(PathBuf),
    Bytes(Vec<u8>),
}

#[derive(Default)]
struct Members {
    content: BTreeMap<String, (Member, Output)>,
    left_out: Vec<LeftOut>,
}

impl Export<'_> {
    fn write(&self, destination: &Path) -> anyhow::Result<Exported> {
        let provenance = self.provenance()?;
        let mut members = Members::default();
        self.add_out(&provenance, &mut members)?;
        self.add_sources(&provenance, &mut members)?;
        for step in provenance.steps.iter().filter(|step| step.status == Status::Done) {
            self.add_step(step, &mut members)?;
        }
        let Members { content, left_out } = members;
        let mut with = self.with.to_vec();
        with.sort_unstable();
        with.dedup();
        let manifest = Manifest {
            schema: SCHEMA,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            incomplete: provenance.incomplete(),
            suite: provenance.suite.name,
            with,
            members: content.iter().map(|(name, (_, output))| (name.clone(), *output)).collect(),
            left_out,
        };
        self.pack(destination, &manifest, &content)?;
        let (sha256, size) =
            Digest::of_file(destination).with_context(|| format!("cannot read {}", destination.display()))?;
        let (members, Manifest { incomplete, left_out, .. }) = (manifest.members.len() + 1, manifest);
        Ok(Exported { file: destination.to_owned(), size, sha256, members, incomplete, left_out })
    }

    fn provenance(&self) -> anyhow::Result<Provenance> {
        let path = self.out.join(record::FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(outdated(format_args!(
                    "there is no finished run to export: {} is missing",
                    path.display()
                )));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Provenance::parse(&bytes).map_err(|error| outdated(format_args!("{}: {error:#}", path.display())))
    }

    /// Adds the files that the provenance lists, which must be as it lists them, and those that describe it.
    fn add_out(&self, provenance: &Provenance, members: &mut Members) -> anyhow::Result<()> {
        let published = provenance.files.iter().map(|file| (file.file.as_str(), Some(file.sha256)));
        let reports = provenance.reports.iter().map(|report| (report.file.as_str(), Some(report.sha256)));
        for (name, listed) in published.chain(reports).chain([(record::FILE, None), (ro_crate::FILE, None)]) {
            self.interrupt.check()?;
            let path = self.out.join(name);
            if files::look(&path)?.is_none() {
                return Err(outdated(format_args!("{} is missing", path.display())));
            }
            let (sha256, size) = Digest::of_file(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if listed.is_some_and(|listed| listed != sha256) {
                return Err(outdated(format_args!("{} is not the file that {} lists", path.display(), record::FILE)));
            }
            members.content.insert(format!("out/{name}"), (Member::File(path), Output { sha256, size }));
        }
        Ok(())
    }

    fn add_sources(&self, provenance: &Provenance, members: &mut Members) -> anyhow::Result<()> {
        for source in &provenance.sources {
            let path = match source.file.strip_prefix("templates/") {
                Some(name) => self.project.templates().path(name),
                None => self.project.root.join(&source.file),
            };
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let output = Output { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
            if source.sha256 != Some(output.sha256) {
                return Err(outdated(format_args!("{} has changed since the run was planned from it", path.display())));
            }
            members.content.insert(format!("project/{}", source.file), (Member::Bytes(bytes), output));
        }
        Ok(())
    }

    fn add_step(&self, step: &Step, members: &mut Members) -> anyhow::Result<()> {
        self.interrupt.check()?;
        let action = step.key.and_then(|key| Some((key, self.store.action(key)?)));
        let Some((key, action)) = action else {
            return Err(outdated(format_args!("the store has no record of `{}`", step.step)));
        };
        let path = self.store.action_path(key);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let output = Output { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
        members.content.insert(action_member(key), (Member::Bytes(bytes), output));
        let kind = Kind::named(&step.kind).with_context(|| format!("there is no kind of step `{}`", step.kind))?;
        for (name, output) in &action.outputs {
            if let Err(why) = belongs(kind, name, self.with) {
                let (step, output, Output { sha256, size }) = (step.step.to_string(), name.clone(), *output);
                members.left_out.push(LeftOut { step, output, sha256, size, why });
                continue;
            }
            if !self.store.looks_whole(output) {
                self.store.want(output.sha256, &self.store.verify(output).err().unwrap_or(Damage::Missing))?;
                return Err(outdated(format_args!("the store has no intact `{name}` of `{}`", step.step)));
            }
            let object = Member::File(self.store.object_path(output.sha256));
            members.content.insert(object_member(output.sha256), (object, *output));
        }
        Ok(())
    }

    fn pack(
        &self,
        destination: &Path,
        manifest: &Manifest,
        content: &BTreeMap<String, (Member, Output)>,
    ) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", destination.display());
        let file = files::temporary_in(files::folder_of(destination)).with_context(cannot)?;
        let gzip = GzBuilder::new().mtime(0).write(BufWriter::new(file), Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        append(&mut tar, MANIFEST, text.len() as u64, text.as_slice()).with_context(cannot)?;
        for (name, (member, output)) in content {
            self.interrupt.check()?;
            match member {
                Member::Bytes(bytes) => {
                    append(&mut tar, name, output.size, bytes.as_slice()).with_context(cannot)?;
                }
                Member::File(path) => {
                    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                    let found = append(&mut tar, name, output.size, file.take(output.size)).with_context(cannot)?;
                    if found != output.sha256 {
                        self.store.want(output.sha256, &Damage::Content { expected: output.sha256, found })?;
                        return Err(outdated(format_args!("{} is damaged", path.display())));
                    }
                }
            }
        }
        let buffer = tar.into_inner().and_then(|gzip| gzip.finish()).with_context(cannot)?;
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
        files::persist(file, destination).with_context(cannot)
    }
}

/// Appends a regular file, with nothing about this machine in its header. Returns the SHA-256 of the content.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, size: u64, input: impl Read) -> io::Result<Digest> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut input = Hashed { input, hash: sha2::Sha256::new(), bytes: 0 };
    tar.append_data(&mut header, name, &mut input)?;
    // If the file has become shorter, the member would be shorter than its header says.
    if input.bytes != size {
        return Err(io::Error::other(format!("{name} should have {size} bytes, has {}", input.bytes)));
    }
    Ok(Digest(input.hash.finalize().into()))
}

/// Hashes and counts what is read.
struct Hashed<R> {
    input: R,
    hash: sha2::Sha256,
    bytes: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.hash.update(&out[..n]);
        self.bytes += n as u64;
        Ok(n)
    }
}

/// An error about a run that is no longer complete.
fn outdated(what: impl std::fmt::Display) -> anyhow::Error {
    errors::failed(what.to_string(), "run the suite again with `seesaw run`, then export it")
}
