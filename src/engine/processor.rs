//! What computes steps on tensors here. Two processors with other vector instructions give other last bits under one key, and
//! training amplifies them: each record says what computed it.

use std::process::Command;
use std::sync::OnceLock;

use crate::store::Processor;

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
    let answer = asked.args(["--query-gpu=name,driver_version", "--format=csv,noheader"]).output();
    let text = answer.ok().filter(|answer| answer.status.success()).map(|answer| answer.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(|line| line.trim().to_owned()).collect()
}
