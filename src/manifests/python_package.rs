//! Wheels, downloaded by the pip of this machine with its own index and proxy.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;

use super::context::{FetchContext, Reached, named_pip};
use super::expected::verify;
use super::{Archive, child, https};
use crate::errors;
use crate::interrupt::Interrupt;
use crate::progress::Unit;

/// How long a package waits for the first one, which shows whether pip has a connection: pip tries for a quarter of a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The commands that may be pip, in this order.
const PIPS: &[&[&str]] = &[&["pip3"], &["pip"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];

/// Runs `pip download --no-deps PACKAGE==VERSION` in a folder beside the destination. pip checks the hash itself, so that it
/// neither keeps nor caches another file. The file is hashed here again.
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
    let folder = tempfile::Builder::new().prefix("pip-").tempdir_in(near).context("cannot create a folder for pip")?;
    let requirements = folder.path().join("requirements.txt");
    std::fs::write(&requirements, format!("{package}=={version} --hash=sha256:{sha256}\n"))
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let wheels = folder.path().join("wheels");
    std::fs::create_dir(&wheels).with_context(|| format!("cannot create {}", wheels.display()))?;
    context.progress.begin(archive.size(), Unit::Bytes);
    let shown = format!("{} download --no-deps {package}=={version}", pip.join(" "));
    let mut command = download(&pip, &requirements, &wheels);
    let index = context.places.network.pip();
    let asking = index.wait(LONGEST_WAIT);
    if index.state() == Reached::No(None) || context.places.network.is_down() || !(context.has_route)() {
        // Each connection that fails would take a quarter of a minute.
        command.args(["--retries", "0"]);
    }
    let ended = run(command, &shown, context);
    index.is_now(if ended.is_ok() { Reached::Yes } else { Reached::No(None) });
    drop(asking);
    ended?;
    let file = wheels.join(&archive.name);
    if !file.is_file() {
        return Err(errors::failed(
            format!("`{shown}` should download {}, found {}", archive.name, list(&wheels)),
            "check which index and version of the package pip uses, or set SEESAW_PIP to another pip",
        ));
    }
    verify(archive, &file, context, &format!("`{shown}`"))?;
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
    errors::failed(message, "install Python 3 with pip, or set SEESAW_PIP to another pip")
}

/// The words that call pip: those of `SEESAW_PIP`, or the first command that works.
///
/// # Errors
/// If there is none.
pub fn pip() -> anyhow::Result<Vec<String>> {
    named_pip().map_or_else(|| find_pip(&Interrupt::default()), Ok)
}

/// The first pip that works. Searched for once per process.
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
    Err(no_pip("found no pip (tried pip3, pip, python3 -m pip, python -m pip)".to_owned()))
}

fn run(command: Command, shown: &str, context: &FetchContext) -> anyhow::Result<()> {
    let ending =
        child::run(command, &context.interrupt).map_err(|error| match error.downcast_ref::<std::io::Error>() {
            Some(cause) => no_pip(format!("cannot run `{shown}`: {cause}")),
            None => error,
        })?;
    if ending.status.success() {
        return Ok(());
    }
    if !(context.has_route)() {
        // pip says that of every package at length.
        return Err(errors::failed("pip failed, and this machine has no network", https::NETWORK));
    }
    Err(errors::failed(
        format!("`{shown}` failed ({}): {}", ending.status, ending.last_words),
        "check that the same command works in a shell, or set SEESAW_PIP to another pip",
    ))
}
