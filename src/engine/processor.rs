//! What computes steps on tensors here. Two processors with other vector instructions give other last bits under one key, and
//! training amplifies them: each record says what computed it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::store::Processor;

/// A tool that does not answer within this time counts as not found.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The processor of this machine that computes on a device.
pub fn here(device: tch::Device) -> Processor {
    static GPUS: OnceLock<Vec<String>> = OnceLock::new();
    let gpus = || GPUS.get_or_init(gpus).clone();
    Processor { vector_instructions: vector_instructions(), gpus: if device.is_cuda() { gpus() } else { Vec::new() } }
}

/// The vector instructions of this machine that can change the last bits of a tensor.
pub fn vector_instructions() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let found: [(&str, bool); 0] = [];
    found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name.to_owned()).collect()
}

/// Model and driver version of each GPU that `nvidia-smi` lists.
pub fn gpus() -> Vec<String> {
    let mut asked = Command::new("nvidia-smi");
    let text = answer(asked.args(["--query-gpu=name,driver_version", "--format=csv,noheader"])).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// The standard output of a command, if it starts, succeeds and ends in time.
pub fn answer(command: &mut Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    // Read on another thread, so that the command cannot block on a full pipe.
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < TIMEOUT => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let text = reader.join().ok()?;
    status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_or_unknown_command_gives_no_answer() {
        assert_eq!(answer(Command::new("sh").args(["-c", "echo yes"])).as_deref(), Some("yes\n"));
        assert_eq!(answer(Command::new("sh").args(["-c", "echo no; exit 3"])), None);
        assert_eq!(answer(&mut Command::new("seesaw-no-such-program")), None);
    }
}
