//! What running steps occupy: connections, cores and GPUs.

use std::collections::BTreeMap;

use tch::Device;

use super::devices::Devices;
use super::graph::NodeId;
use crate::steps::{Cost, Step};

/// The number of downloads at the same time; more would only share the bandwidth.
const MOST_DOWNLOADS: usize = 4;

/// What a step waits for when there is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    Network,
    Cores,
    /// One GPU, whichever is free. Such a step keeps no core from others: it decodes pictures, or starts kernels and waits.
    Gpu,
}

impl Resource {
    pub(super) const ALL: [Resource; 3] = [Resource::Network, Resource::Cores, Resource::Gpu];
}

/// The room of this machine. Steps take it when they start, and return it when they end.
pub(super) struct Room {
    cores: usize,
    free_cores: usize,
    free_connections: usize,
    has_gpus: bool,
    /// The last one is taken first.
    free_gpus: Vec<Device>,
    taken_gpus: BTreeMap<NodeId, Device>,
}

impl Room {
    pub(super) fn new(cores: usize, devices: &Devices) -> Self {
        let mut free_gpus: Vec<Device> = devices.iter().filter(|device| device.is_cuda()).collect();
        free_gpus.reverse();
        Room {
            cores,
            free_cores: cores,
            free_connections: MOST_DOWNLOADS,
            has_gpus: devices.are_gpus(),
            free_gpus,
            taken_gpus: BTreeMap::new(),
        }
    }

    /// What a step takes room on.
    pub(super) fn resource(&self, step: &Step) -> Resource {
        match step.cost() {
            Cost::Network => Resource::Network,
            Cost::OneCore | Cost::AllCores if self.has_gpus && step.kind().uses_tensors() => Resource::Gpu,
            Cost::OneCore | Cost::AllCores => Resource::Cores,
        }
    }

    /// Takes room for a step. Returns the device for its tensors; `None` if there is no room.
    pub(super) fn take(&mut self, id: NodeId, step: &Step) -> Option<Device> {
        match self.resource(step) {
            Resource::Network => {
                self.free_connections = self.free_connections.checked_sub(1)?;
                Some(Device::Cpu)
            }
            Resource::Cores => {
                self.free_cores = self.free_cores.checked_sub(self.cores_of(step))?;
                Some(Device::Cpu)
            }
            Resource::Gpu => {
                let gpu = self.free_gpus.pop()?;
                self.taken_gpus.insert(id, gpu);
                Some(gpu)
            }
        }
    }

    /// Returns the room of a step that has ended.
    pub(super) fn give_back(&mut self, id: NodeId, step: &Step) {
        match self.resource(step) {
            Resource::Network => self.free_connections += 1,
            Resource::Cores => self.free_cores += self.cores_of(step),
            Resource::Gpu => self.free_gpus.extend(self.taken_gpus.remove(&id)),
        }
    }

    fn cores_of(&self, step: &Step) -> usize {
        if step.cost() == Cost::AllCores { self.cores } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use super::super::Engine;
    use super::super::graph::{Graph, Source};
    use super::super::key::Environment;
    use super::super::tests::{Heard, engine};
    use super::*;
    use crate::steps::fake::Fake;
    use crate::steps::{Job, Kind, Status, execute_without_tensors};

    fn with_gpus(root: &std::path::Path, gpus: &[usize]) -> Engine {
        let engine = engine(root);
        let environment = Environment { device: "cuda".into(), ..engine.environment.clone() };
        Engine { devices: Devices::gpus(gpus.iter().copied()).unwrap(), environment, ..engine }
    }

    fn run(engine: &Engine, graph: &Graph) -> super::super::run::Outcome {
        engine.run(graph, &graph.ids().collect::<Vec<_>>(), &[], &Heard::default(), execute_without_tensors)
    }

    fn fake(kind: Kind, label: &str) -> Fake {
        let mut fake = Fake::new(label, label);
        fake.kind = kind;
        fake
    }

    /// What was seen of steps on devices: those that are busy, all that ever were, and the most at once.
    #[derive(Default)]
    struct Seen {
        busy: BTreeSet<usize>,
        used: BTreeSet<usize>,
        most: usize,
        on_cpu: usize,
    }

    /// Waits until as many GPUs are busy at once as there are, then lets all go on.
    fn watched(fake: Fake, seen: &Arc<(Mutex<Seen>, Condvar)>, gpus: usize, end: fn() -> anyhow::Result<()>) -> Fake {
        let seen = seen.clone();
        fake.doing(move |job: &Job| {
            let (seen, changed) = &*seen;
            let Device::Cuda(index) = job.device else {
                seen.lock().unwrap().on_cpu += 1;
                return end();
            };
            {
                let mut seen = seen.lock().unwrap();
                assert!(seen.busy.insert(index), "two steps at once on GPU {index}");
                seen.used.insert(index);
                seen.most = seen.most.max(seen.busy.len());
                changed.notify_all();
                let (mut seen, late) =
                    changed.wait_timeout_while(seen, Duration::from_secs(20), |seen| seen.most < gpus).unwrap();
                assert!(!late.timed_out(), "only {} GPUs were busy at once", seen.most);
                seen.busy.remove(&index);
            }
            end()
        })
    }

    /// Each GPU computes one step at a time, all are used, whatever the number of cores; a step that fails or panics leaves its
    /// GPU to others. Steps without tensors go on beside them.
    #[test]
    fn every_gpu_computes_one_step_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let engine = with_gpus(folder.path(), &[5, 0, 2]);
        assert!(engine.threads < 3);
        let seen = Arc::default();
        let mut graph = Graph::default();
        for n in 0..24 {
            let kind = [Kind::Encode, Kind::Train, Kind::Evaluate, Kind::Prepare][n % 4];
            let end: fn() -> anyhow::Result<()> = match n {
                5 => || anyhow::bail!("out of memory"),
                9 => || panic!("index out of range"),
                _ => || Ok(()),
            };
            let mut step = watched(fake(kind, &format!("step {n}")), &seen, 3, end);
            step.cost = if kind == Kind::Encode { Cost::AllCores } else { Cost::OneCore };
            graph.add(step.step(), []);
        }
        let outcome = run(&engine, &graph);
        assert_eq!((outcome.computed, outcome.absent(Status::Failed).count()), (22, 2));
        let seen = seen.0.lock().unwrap();
        assert_eq!((&seen.used, seen.most, seen.on_cpu), (&BTreeSet::from([0, 2, 5]), 3, 6));
    }

    /// What one GPU computed is done for others.
    #[test]
    fn the_number_of_gpus_changes_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut graph = Graph::default();
        let first = graph.add(fake(Kind::Encode, "encode").step(), []);
        for n in 0..6 {
            let input = Source { node: first, output: "text".into() };
            graph.add(fake(Kind::Train, &format!("train {n}")).step(), [("in".into(), input)]);
        }
        assert_eq!(run(&with_gpus(folder.path(), &[0, 1, 2]), &graph).computed, 7);
        assert_eq!(run(&with_gpus(folder.path(), &[1]), &graph).computed, 0);
        assert_eq!(run(&engine(folder.path()), &graph).computed, 7, "a CPU is another kind of device");
    }

    /// A step that ends early, since what it reads is damaged, gives the only GPU back to the step that makes it good.
    #[test]
    fn a_stopped_step_gives_its_gpu_back() {
        let folder = tempfile::tempdir().unwrap();
        let engine = with_gpus(folder.path(), &[0]);
        let graph = |text: &str| {
            let mut graph = Graph::default();
            let node = graph.add(fake(Kind::Encode, "encode").step(), []);
            graph.add(fake(Kind::Train, text).step(), [("in".into(), Source { node, output: "text".into() })]);
            graph
        };
        let outcome = run(&engine, &graph("first"));
        let object = outcome.action(NodeId(0)).unwrap().outputs["text"].sha256;
        super::super::tests::replace(&engine, object, "ENCODE");
        assert_eq!(run(&engine, &graph("second")).computed, 2);
    }
}
