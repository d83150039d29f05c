//! Child processes that end with this process, with all their own children, however it ends.

use std::io::Read;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::interrupt::Interrupt;

/// How long the children of a child may keep its standard error open after it has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The most bytes of standard error that are kept.
const MOST_STDERR: u64 = 1 << 20;

/// How a child ended.
pub(super) struct Ending {
    pub status: ExitStatus,
    /// The last lines of its standard error.
    pub last_words: String,
}

/// Runs a command to its end. Kills it and its children on an interrupt.
///
/// # Errors
/// If it cannot be started ([`std::io::Error`] in the chain); on an interrupt.
pub(super) fn run(mut command: Command, interrupt: &Interrupt) -> anyhow::Result<Ending> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut group = Group::start(command)?;
    let stderr = group.child.stderr.take().context("standard error is a pipe")?;
    let reader = std::thread::spawn(move || last_words(stderr));
    let status = loop {
        interrupt.check()?;
        if let Some(status) = group.child.try_wait().context("cannot wait for a child process")? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let last_words = await_end(reader, &group, interrupt)?;
    Ok(Ending { status, last_words })
}

/// Waits for the end of standard error. Processes of the group that keep it open are killed after [`GRACE`]; those that
/// left the group are not waited for.
fn await_end(reader: JoinHandle<String>, group: &Group, interrupt: &Interrupt) -> anyhow::Result<String> {
    let begun = Instant::now();
    while !reader.is_finished() {
        interrupt.check()?;
        if begun.elapsed() > GRACE * 2 {
            return Ok("(its standard error stays open)".to_owned());
        }
        if begun.elapsed() > GRACE {
            group.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(reader.join().unwrap_or_default())
}

/// Reads standard error to its end, on a thread of its own, so that the child never blocks on a full pipe.
fn last_words(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // An error here loses lines of a message; the exit status decides.
    let _ = stderr.by_ref().take(MOST_STDERR).read_to_end(&mut said);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join(" / ")
}

/// A child in a process group of its own, with a watcher that kills the group when this process ends.
///
/// A `pip` is often a script that starts another one, so it is not enough to end the child alone. The watcher is a shell
/// that waits for a line on a pipe from this process: if the pipe closes without one, this process is gone.
struct Group {
    child: Child,
    watcher: Child,
}

impl Group {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
        let mut child = command.spawn()?;
        let watcher = Command::new("/bin/sh")
            .args(["-c", r#"read -r ended || kill -s KILL -- "-$0""#])
            .arg(child.id().to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Group { child, watcher }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(anyhow::anyhow!("cannot start /bin/sh, which watches child processes: {error}"))
            }
        }
    }

    fn kill(&self) {
        // SAFETY: sends a signal and touches no memory. The number still belongs to this group: either the child was not
        // waited for, or others are left in the group.
        unsafe {
            libc::kill(-(self.child.id() as i32), libc::SIGKILL);
        }
    }
}

impl Drop for Group {
    /// Kills what still runs, and ends the watcher.
    fn drop(&mut self) {
        use std::io::Write;
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill();
            let _ = self.child.wait();
        }
        if let Some(mut pipe) = self.watcher.stdin.take() {
            let _ = pipe.write_all(b"ended\n");
        }
        let _ = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_child_ends_with_its_status_and_last_words() {
        let ending = run(shell("for i in 1 2 3 4 5; do echo line $i >&2; done; echo; exit 3"), &Interrupt::default());
        let ending = ending.unwrap();
        assert_eq!(ending.status.code(), Some(3));
        assert_eq!(ending.last_words, "line 3 / line 4 / line 5");
    }

    /// More than a pipe holds, and more than is kept.
    #[test]
    fn much_output_does_not_block_a_child() {
        let ending = run(shell("head -c 3000000 /dev/zero >&2"), &Interrupt::default()).unwrap();
        assert!(ending.status.success());
    }

    /// A process that a child leaves with its standard error open is killed and does not block.
    #[test]
    fn processes_that_a_child_leaves_are_killed() {
        let begun = Instant::now();
        let ending = run(shell("sleep 300 & echo $! >&2"), &Interrupt::default()).unwrap();
        assert!(ending.status.success() && begun.elapsed() < Duration::from_secs(10));
        assert!(crate::testing::ends(ending.last_words.parse().unwrap()), "{}", ending.last_words);
    }

    #[test]
    fn a_missing_command_is_an_error() {
        let error = run(Command::new("/no/such/command"), &Interrupt::default()).err().unwrap();
        assert!(error.downcast_ref::<std::io::Error>().is_some());
    }
}
