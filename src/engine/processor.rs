//! What computes steps on tensors here. Two processors with other vector instructions give other last bits under one key, and
//! training amplifies them: each record says what computed it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::settings::variable;
use crate::store::Processor;

/// A tool that does not answer within this time counts as not found.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The processor of this machine that computes on a device.
pub fn here(device: tch::Device) -> Processor {
    let gpus = match device {
        tch::Device::Cuda(index) => gpus().get(index).cloned().into_iter().collect(),
        _ => Vec::new(),
    };
    Processor { vector_instructions: vector_instructions(), gpus }
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

/// Model and driver version of each GPU that this process sees, by CUDA's index.
fn gpus() -> &'static [String] {
    static GPUS: OnceLock<Vec<String>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let mut asked = Command::new("nvidia-smi");
        let text = answer(asked.args(["--query-gpu=uuid,name,driver_version", "--format=csv,noheader"]));
        visible(&text.unwrap_or_default(), variable("CUDA_VISIBLE_DEVICES").as_deref())
    })
}

/// Of the GPUs that `nvidia-smi` lists, each as `UUID, MODEL, DRIVER`, those that `CUDA_VISIBLE_DEVICES` names, in its order.
/// As in CUDA, the first entry that names none ends the list.
fn visible(listed: &str, visible: Option<&str>) -> Vec<String> {
    let listed = listed.lines().filter_map(|line| line.split_once(',')).map(|(uuid, what)| (uuid.trim(), what.trim()));
    let listed: Vec<(&str, &str)> = listed.collect();
    let Some(visible) = visible else { return listed.iter().map(|(_, what)| (*what).to_owned()).collect() };
    let named = |entry: &str| match entry.trim().parse::<usize>() {
        Ok(index) => listed.get(index),
        Err(_) if entry.trim().is_empty() => None,
        Err(_) => listed.iter().find(|(uuid, _)| uuid.starts_with(entry.trim())),
    };
    visible.split(',').map_while(named).map(|(_, what)| (*what).to_owned()).collect()
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

    /// Results of a machine with two models name the one that computed them.
    #[test]
    fn gpus_are_those_that_are_visible() {
        let listed = "GPU-aa11, NVIDIA A100, 550.1\nGPU-bb22, NVIDIA H100, 550.1\nGPU-bc33, NVIDIA T4, 550.1\n";
        let (a100, h100, t4) = ("NVIDIA A100, 550.1", "NVIDIA H100, 550.1", "NVIDIA T4, 550.1");
        assert_eq!(visible(listed, None), [a100, h100, t4]);
        assert_eq!(visible(listed, Some("2,0")), [t4, a100]);
        assert_eq!(visible(listed, Some("GPU-bb, GPU-aa11")), [h100, a100]);
        assert_eq!(visible(listed, Some("1,-1,0")), [h100]);
        assert!(visible(listed, Some("")).is_empty() && visible("", None).is_empty());
    }

    #[test]
    fn a_failing_or_unknown_command_gives_no_answer() {
        assert_eq!(answer(Command::new("sh").args(["-c", "echo yes"])).as_deref(), Some("yes\n"));
        assert_eq!(answer(Command::new("sh").args(["-c", "echo no; exit 3"])), None);
        assert_eq!(answer(&mut Command::new("seesaw-no-such-program")), None);
    }
}
