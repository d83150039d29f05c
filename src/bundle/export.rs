//! Packs a finished run.

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
use crate::errors;
use crate::interrupt::Interrupt;
use crate::publication::record::{self, Provenance, Status, Step};
use crate::report::templates::Templates;
use crate::steps::Kind;
use crate::store::{Damage, Output, Store};

/// What to pack.
pub struct Export<'a> {
    /// The project's folder.
    pub project: &'a Path,
    /// Where the suite's templates are.
    pub templates: &'a Templates,
    /// The suite's folder under `out/`.
    pub out: &'a Path,
    pub store: &'a Store,
    pub with: &'a [Extra],
    pub interrupt: &'a Interrupt,
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Packed {
    pub file: PathBuf,
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
    pub members: usize,
    pub left_out: Vec<LeftOut>,
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
    /// Writes the bundle; the file appears when it is whole.
    ///
    /// # Errors
    /// If the run left no provenance, if a file is no longer what the run wrote or was planned from, if a record or an
    /// object is missing or damaged, or if the bundle cannot be written.
    pub fn write(&self, destination: &Path) -> anyhow::Result<Packed> {
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
            suite: provenance.suite.name,
            with,
            members: content.iter().map(|(name, (_, output))| (name.clone(), *output)).collect(),
            left_out,
        };
        self.pack(destination, &manifest, &content)?;
        let (sha256, size) =
            Digest::of_file(destination).with_context(|| format!("cannot read {}", destination.display()))?;
        let members = manifest.members.len() + 1;
        Ok(Packed { file: destination.to_owned(), size, sha256, members, left_out: manifest.left_out })
    }

    fn again(&self, what: impl std::fmt::Display) -> anyhow::Error {
        errors::failed(what.to_string(), "run the suite again with `seesaw run`, which puts it right, and export then")
    }

    fn provenance(&self) -> anyhow::Result<Provenance> {
        let path = self.out.join(record::FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(
                    self.again(format_args!("there is no finished run to export: {} is missing", path.display()))
                );
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let provenance: Provenance = serde_json::from_slice(&bytes)
            .map_err(|error| self.again(format_args!("{} is malformed: {error}", path.display())))?;
        if provenance.schema != record::SCHEMA {
            let (found, path) = (provenance.schema, path.display());
            return Err(self.again(format_args!("{path} has the layout {found}, expected {}", record::SCHEMA)));
        }
        Ok(provenance)
    }

    /// Everything in the suite's folder; what steps published must be what they gave.
    fn add_out(&self, provenance: &Provenance, members: &mut Members) -> anyhow::Result<()> {
        for path in regular_files(self.out)? {
            self.interrupt.check()?;
            let name = path.strip_prefix(self.out).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let (sha256, size) = Digest::of_file(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if let Some(published) = provenance.files.iter().find(|file| file.file == name)
                && published.sha256 != sha256
            {
                return Err(self.again(format_args!("{} is not what `{}` gave", path.display(), published.step)));
            }
            if provenance.reports.iter().any(|report| report.file == name && report.sha256 != sha256) {
                let told = record::FILE;
                return Err(self.again(format_args!("{} is not the one that {told} tells of", path.display())));
            }
            members.content.insert(format!("out/{name}"), (Member::File(path), Output { sha256, size }));
        }
        let files = provenance.files.iter().map(|file| &file.file);
        let mut files = files.chain(provenance.reports.iter().map(|report| &report.file));
        match files.find(|file| !members.content.contains_key(&format!("out/{file}"))) {
            Some(file) => Err(self.again(format_args!("{} is missing", self.out.join(file).display()))),
            None => Ok(()),
        }
    }

    fn add_sources(&self, provenance: &Provenance, members: &mut Members) -> anyhow::Result<()> {
        for source in &provenance.sources {
            let path = match source.file.strip_prefix("templates/") {
                Some(name) => self.templates.path(name),
                None => self.project.join(&source.file),
            };
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let output = Output { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
            if source.sha256 != Some(output.sha256) {
                return Err(
                    self.again(format_args!("{} was changed since the run was planned from it", path.display()))
                );
            }
            members.content.insert(format!("project/{}", source.file), (Member::Bytes(bytes), output));
        }
        Ok(())
    }

    fn add_step(&self, step: &Step, members: &mut Members) -> anyhow::Result<()> {
        self.interrupt.check()?;
        let action = step.key.and_then(|key| Some((key, self.store.action(key)?)));
        let Some((key, action)) = action else {
            return Err(self.again(format_args!("the store has no record of `{}`", step.step)));
        };
        let path = self.store.action_path(key);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let output = Output { sha256: Digest::of(&bytes), size: bytes.len() as u64 };
        members.content.insert(action_member(key), (Member::Bytes(bytes), output));
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == step.kind);
        let kind = kind.with_context(|| format!("there is no kind of step `{}`", step.kind))?;
        for (name, output) in &action.outputs {
            if let Err(why) = belongs(kind, name, self.with) {
                let (step, output, Output { sha256, size }) = (step.step.clone(), name.clone(), *output);
                members.left_out.push(LeftOut { step, output, sha256, size, why });
                continue;
            }
            if !self.store.looks_whole(output) {
                self.store.want(output.sha256, &self.store.verify(output).err().unwrap_or(Damage::Missing))?;
                return Err(self.again(format_args!("the store has no whole `{name}` of `{}`", step.step)));
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
        let folder = destination.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let cannot = || format!("cannot write {}", destination.display());
        let file = tempfile::Builder::new().prefix(".bundle-").tempfile_in(folder).with_context(cannot)?;
        let gzip = GzBuilder::new().mtime(0).write(BufWriter::new(file), Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        append(&mut tar, MANIFEST, text.len() as u64, text.as_slice()).with_context(cannot)?;
        for (name, (member, output)) in content {
            self.interrupt.check()?;
            match member {
                Member::Bytes(bytes) => append(&mut tar, name, output.size, bytes.as_slice()).with_context(cannot)?,
                Member::File(path) => {
                    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                    let mut hashed = Hashed { input: file.take(output.size), hash: sha2::Sha256::new() };
                    append(&mut tar, name, output.size, &mut hashed).with_context(cannot)?;
                    let found = Digest(hashed.hash.finalize().into());
                    if found != output.sha256 {
                        self.store.want(output.sha256, &Damage::Content { expected: output.sha256, found })?;
                        return Err(self.again(format_args!("{} is damaged", path.display())));
                    }
                }
            }
        }
        let buffer = tar.into_inner().and_then(|gzip| gzip.finish()).with_context(cannot)?;
        let file = buffer.into_inner().map_err(io::IntoInnerError::into_error).with_context(cannot)?;
        file.as_file().sync_all().with_context(cannot)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).with_context(cannot)?;
        }
        file.persist(destination).map_err(|error| error.error).with_context(cannot)?;
        Ok(())
    }
}

/// A regular file without anything of this machine in its header.
fn append(tar: &mut tar::Builder<impl Write>, name: &str, size: u64, input: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut counted = Counted { input, bytes: 0 };
    tar.append_data(&mut header, name, &mut counted)?;
    // A file that became shorter meanwhile would leave a member that is not as long as its header says.
    if counted.bytes != size {
        return Err(io::Error::other(format!("{name} should have {size} bytes, has {}", counted.bytes)));
    }
    Ok(())
}

struct Counted<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

struct Hashed<R> {
    input: R,
    hash: sha2::Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.hash.update(&out[..n]);
        Ok(n)
    }
}

/// The regular files of a folder and those below it, sorted; hidden ones are the program's own notes.
fn regular_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let place = || format!("cannot list {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let kind = entry.file_type().with_context(place)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            files.extend(regular_files(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
