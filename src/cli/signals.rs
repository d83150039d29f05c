//! Which signals this process ignores.

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

/// Turns a limit on the size of files (`ulimit -f`) into an error of the write that exceeds it. By itself, the signal ends
/// the process without a word.
pub fn survive_limits() {
    ignore(&[libc::SIGXFSZ]);
}
