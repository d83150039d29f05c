//! Which signals this process ignores, and how it waits for input without missing one.

use std::io;
use std::time::Duration;

use anyhow::Context;

use crate::interrupt::Interrupt;

/// The signals that end a run. Their handlers are installed by the crate `ctrlc`.
const ENDING: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Those of the signals that end a run which the caller of this process has it ignore.
pub fn ignored() -> Vec<libc::c_int> {
    let is_ignored = |signal: &libc::c_int| {
        // SAFETY: `action` is plain data that the call fills in; without a new action, it changes nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(*signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        }
    };
    ENDING.into_iter().filter(is_ignored).collect()
}

/// Ignores signals.
pub fn ignore(signals: &[libc::c_int]) {
    for signal in signals {
        // SAFETY: no handler of ours is running, and ignoring a signal needs no handler.
        unsafe { libc::signal(*signal, libc::SIG_IGN) };
    }
}

/// How often an interrupt is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until standard input has a line, or has ended.
///
/// # Errors
/// On an interrupt; if it cannot be read.
pub fn wait_for_input(interrupt: &Interrupt) -> anyhow::Result<()> {
    let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    loop {
        interrupt.check()?;
        // SAFETY: the call fills in one `pollfd`, which outlives it.
        let ready = unsafe { libc::poll(&raw mut input, 1, LOOK.as_millis() as libc::c_int) };
        match (ready, io::Error::last_os_error()) {
            (1.., _) => return Ok(()),
            (0, _) => {}
            (_, error) if error.kind() == io::ErrorKind::Interrupted => {}
            (_, error) => return Err(error).context("cannot wait for the terminal"),
        }
    }
}

/// Turns a limit on the size of files (`ulimit -f`) into an error of the write that exceeds it. By itself, the signal ends
/// the process without a word.
pub fn survive_limits() {
    ignore(&[libc::SIGXFSZ]);
}
