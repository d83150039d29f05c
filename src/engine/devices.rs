//! The devices that the steps on tensors share.

use tch::Device;

/// The CPU, whose cores such steps share with all others, or GPUs, each of which computes one step at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    first: Device,
    others: Vec<Device>,
}

impl Devices {
    pub const CPU: Devices = Devices { first: Device::Cpu, others: Vec::new() };

    /// GPUs by index, as CUDA counts those that are visible to this process. `None` without an index.
    pub fn gpus(indices: impl IntoIterator<Item = usize>) -> Option<Self> {
        let mut gpus = indices.into_iter().map(Device::Cuda);
        Some(Devices { first: gpus.next()?, others: gpus.collect() })
    }

    pub fn are_gpus(&self) -> bool {
        self.first.is_cuda()
    }

    /// The one that stands for all where one is enough, as for a measurement.
    pub fn first(&self) -> Device {
        self.first
    }

    pub fn iter(&self) -> impl Iterator<Item = Device> {
        [self.first].into_iter().chain(self.others.iter().copied())
    }

    /// The number of steps on tensors at the same time, on a machine with so many cores.
    pub fn workers(&self, cores: usize) -> usize {
        if self.are_gpus() { 1 + self.others.len() } else { cores }
    }
}
