//! What tests and benchmarks of several rooms share: fixtures, and the archives of the offline benchmark.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};

use crate::archives::PackWriter;
use crate::datasets::{self, Archives, Dataset, Reading};
use crate::digest::Digest;
use crate::interrupt::Interrupt;
use crate::manifests;
use crate::manifests::context::{FetchContext, FetchPlaces};
use crate::manifests::fetch::fetch_archive;
use crate::progress::Silent;

/// A folder of fixtures: under `SEESAW_FIXTURES` if that is set, so that other recordings of the same format can be
/// checked, else the one in this repository.
pub fn fixtures(folder: &str) -> PathBuf {
    match std::env::var_os("SEESAW_FIXTURES") {
        Some(root) => PathBuf::from(root).join(folder),
        None => own_fixtures(folder),
    }
}

/// A folder of fixtures of this repository.
pub fn own_fixtures(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

/// Archives of the offline benchmark, by their file names. Those that are not here yet are downloaded.
///
/// # Panics
/// If one of them is unavailable: a test without its data has not passed.
pub fn archives(names: &[&str]) -> Archives {
    Archives(names.iter().map(|name| ((*name).to_owned(), archive(name))).collect())
}

/// The same for programs.
///
/// # Errors
/// If one of them is unavailable.
pub fn find_archives(names: &[&str]) -> anyhow::Result<Archives> {
    let found = names.iter().map(|name| Ok(((*name).to_owned(), find_archive(name).context((*name).to_owned())?)));
    found.collect::<anyhow::Result<_>>().map(Archives)
}

/// A dataset as its reader finds it in these archives, with these options (TOML).
///
/// # Errors
/// Those of the reader, and of its options.
pub fn read_dataset(name: &str, options: &str, archives: &Archives) -> anyhow::Result<Dataset> {
    let reader = datasets::reader(name).with_context(|| format!("no dataset {name}"))?;
    let options = reader.options(toml::from_str(options)?).map_err(anyhow::Error::msg)?;
    reader.read(&Reading { archives, options: &options, interrupt: &Interrupt::default() })
}

/// A zip by its name, and its members by theirs.
pub type Zip<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

/// A dataset as its reader finds it in zips.
///
/// # Errors
/// As [`read_dataset`].
pub fn read_zips(name: &str, options: &str, zips: &[Zip<'_>]) -> anyhow::Result<Dataset> {
    let folder = tempfile::tempdir()?;
    let place = |file: &str| (file.to_owned(), folder.path().join(file));
    zips.iter().for_each(|(file, members)| zip(&folder.path().join(file), members));
    read_dataset(name, options, &Archives(zips.iter().map(|(file, _)| place(file)).collect()))
}

/// A zip of members, in their order.
pub fn zip(path: &Path, members: &[(&str, &[u8])]) {
    let mut pack = PackWriter::create(path).expect("a temporary file can be written");
    members.iter().for_each(|(name, bytes)| pack.append(name, bytes).expect("a member can be written"));
    pack.finish().expect("a zip can be finished");
}

/// The gzipped tar of members, in their order.
pub fn tar_gz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).expect("a member can be written");
    }
    tar.into_inner().and_then(|gzip| gzip.finish()).expect("a tar can be finished")
}

/// One archive of the offline benchmark; see [`archives`].
pub fn archive(name: &str) -> PathBuf {
    find_archive(name).unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

fn find_archive(name: &str) -> anyhow::Result<PathBuf> {
    let manifests = manifests::load_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests"))?;
    let archive = manifests.iter().find_map(|manifest| manifest.archive(name).ok()).context("no manifest lists it")?;
    let sha256 = archive.expected().context("its manifest has no SHA-256")?;
    match std::env::var_os("SEESAW_WHEELS") {
        Some(folder) => verified(&Path::new(&folder).join(name), sha256),
        None => kept(&downloads()?, name, sha256, |folder| {
            let places = FetchPlaces::new(folder.join("partial"), folder.join("quarantine"), Vec::new());
            let context = FetchContext::new(Interrupt::default(), Arc::new(Silent), places);
            fetch_archive(archive, &folder.join(name), &context)
                .with_context(|| format!("set SEESAW_WHEELS to a folder that holds {name} to do without a download"))
        }),
    }
}

/// Beside the build, so that every checkout that shares it downloads once.
fn downloads() -> anyhow::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    // target/PROFILE/PROGRAM, or target/PROFILE/deps/TEST-HASH
    let profile =
        executable.parent().map(|folder| if folder.ends_with("deps") { folder.join("..") } else { folder.into() });
    Ok(profile.context("a program lies in a folder")?.join("../test-archives"))
}

/// The file under its hash, downloaded if it is missing or damaged. If several threads and processes ask at once, one
/// downloads it and the others wait.
fn kept(
    root: &Path,
    file: &str,
    sha256: Digest,
    download: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = root.join(sha256.to_string());
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).with_context(|| format!("cannot write in {}", folder.display()))?;
    lock.lock().context("cannot lock the folder of downloads")?;
    let place = folder.join(file);
    if verified(&place, sha256).is_err() {
        let temporary = tempfile::tempdir_in(&folder)?;
        download(temporary.path())?;
        let arrived = verified(&temporary.path().join(file), sha256)?;
        fs::rename(&arrived, &place).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(place)
}

fn verified(path: &Path, sha256: Digest) -> anyhow::Result<PathBuf> {
    let (found, size) = Digest::of_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(found == sha256, "{} ({size} bytes): expected the SHA-256 {sha256}, found {found}", path.display());
    Ok(path.to_owned())
}

/// Whether a process ends within ten seconds. A zombie, which waits for a parent that may never ask, has ended.
pub fn ends(process: u32) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::time::Instant::now() < end {
        let state = Command::new("ps").args(["-o", "stat=", "-p"]).arg(process.to_string()).output().expect("ps runs");
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        if state.is_empty() || state.starts_with('Z') {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// However many ask at once, an archive is downloaded once; a damaged one is downloaded again.
    #[test]
    fn archives_are_downloaded_once_and_verified() {
        let root = tempfile::tempdir().unwrap();
        let downloads = AtomicUsize::new(0);
        let ask = || {
            kept(root.path(), "a.whl", Digest::of(b"wheel"), |folder| {
                downloads.fetch_add(1, Ordering::SeqCst);
                Ok(fs::write(folder.join("a.whl"), b"wheel")?)
            })
        };
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking
                .into_iter()
                .for_each(|thread| assert_eq!(fs::read(thread.join().unwrap().unwrap()).unwrap(), b"wheel"));
        });
        assert_eq!(downloads.load(Ordering::SeqCst), 1);
        fs::write(ask().unwrap(), b"whale").unwrap();
        assert_eq!(fs::read(ask().unwrap()).unwrap(), b"wheel");
        assert_eq!(downloads.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_wrong_archive_is_never_kept() {
        let root = tempfile::tempdir().unwrap();
        let (right, wrong) = (Digest::of(b"wheel"), Digest::of(b"other"));
        let download = |folder: &Path| Ok(fs::write(folder.join("a.whl"), b"other")?);
        let error = kept(root.path(), "a.whl", right, download).unwrap_err().to_string();
        assert!(error.contains(&right.to_string()) && error.contains(&wrong.to_string()), "{error}");
        assert!(!root.path().join(right.to_string()).join("a.whl").exists());
    }
}
