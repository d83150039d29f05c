//! Divides steps into the tasks of job arrays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::graph::{Graph, NodeId};
use crate::steps::Kind;

/// The jobs of a plan, in the order in which they run: each waits for the one before to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Prepare,
    Encode,
    Train,
    /// One task, which also publishes; it runs whether or not the tasks before it did well.
    Finish,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Prepare, Stage::Encode, Stage::Train, Stage::Finish];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Encode => "encode",
            Stage::Train => "train",
            Stage::Finish => "finish",
        }
    }

    /// Where steps of a kind are computed; none for downloads, since nodes that compute often have no network.
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Fetch => None,
            Kind::Prepare | Kind::Impair => Some(Stage::Prepare),
            Kind::Encode => Some(Stage::Encode),
            Kind::Train | Kind::Choose | Kind::Evaluate => Some(Stage::Train),
            Kind::Resample | Kind::Collect | Kind::Render => Some(Stage::Finish),
        }
    }

    /// Whether its steps compute with tensors, so that a GPU would be of use.
    pub fn uses_tensors(self) -> bool {
        matches!(self, Stage::Encode | Stage::Train)
    }
}

/// How long tasks should be, in seconds, and how many a job may have.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// A task takes at least this long, if there is enough to do.
    pub least: f64,
    /// And at most this long, unless it is one chain of steps.
    pub most: f64,
    pub tasks: usize,
    /// How many steps a task computes at the same time: one on each of its GPUs, or of its cores. It has as many chains of
    /// steps, if there are enough and they do not take too long: one chain alone keeps one of them busy.
    pub at_once: usize,
}

/// The steps of a task, and the estimate of its time in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub steps: Vec<NodeId>,
    /// With all its devices busy.
    pub seconds: f64,
    /// How many groups of steps need nothing of each other.
    pub chains: usize,
}

/// What a step costs beside its own work, in seconds.
const OVERHEAD: f64 = 0.05;

/// Divides the steps of a stage into tasks. Steps that need each other stay together; the order is that of the graph.
///
/// `seconds` estimates every step of the graph.
pub fn tasks(graph: &Graph, steps: &[NodeId], stage: Stage, seconds: &[f64], packing: Packing) -> Vec<Task> {
    let units = units(graph, steps);
    let units = units.into_iter().map(|steps| {
        let seconds = steps.iter().map(|id| seconds[id.0] + OVERHEAD).sum();
        Task { steps, seconds, chains: 1 }
    });
    if stage == Stage::Finish {
        return units.reduce(joined).into_iter().collect();
    }
    let units: Vec<Task> = units.collect();
    let total: f64 = units.iter().map(|unit| unit.seconds).sum();
    // A job has few tasks rather than tasks that are too many for Slurm.
    let enough = packing.least.max(total / packing.tasks as f64);
    let most = packing.most.max(enough);
    let mut tasks: Vec<Task> = Vec::new();
    for unit in units {
        match tasks.last_mut() {
            Some(last)
                if (last.seconds < enough || last.chains < packing.at_once) && last.seconds + unit.seconds <= most =>
            {
                *last = joined(std::mem::take(last), unit);
            }
            _ => tasks.push(unit),
        }
    }
    if let [.., before, last] = &mut tasks[..]
        && last.seconds < enough
        && before.seconds + last.seconds <= most
    {
        *before = joined(std::mem::take(before), std::mem::take(last));
        tasks.pop();
    }
    // Rounding, and units that did not fit into the task before them, may leave more.
    while tasks.len() > packing.tasks {
        let shortest = (1..tasks.len()).min_by(|&a, &b| {
            let both = |at: usize| tasks[at - 1].seconds + tasks[at].seconds;
            both(a).total_cmp(&both(b))
        });
        let at = shortest.expect("there is more than one task");
        let task = tasks.remove(at);
        tasks[at - 1] = joined(std::mem::take(&mut tasks[at - 1]), task);
    }
    tasks
}

fn joined(mut first: Task, second: Task) -> Task {
    first.steps.extend(second.steps);
    Task { seconds: first.seconds + second.seconds, chains: first.chains + second.chains, ..first }
}

/// The steps in groups that need nothing of each other.
fn units(graph: &Graph, steps: &[NodeId]) -> Vec<Vec<NodeId>> {
    let mut group: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<NodeId>> = Vec::new();
    for &id in steps {
        let mut with: Vec<usize> =
            graph.node(id).inputs.values().filter_map(|source| group.get(&source.node).copied()).collect();
        with.sort_unstable();
        with.dedup();
        let Some((&into, others)) = with.split_first() else {
            group.insert(id, groups.len());
            groups.push(vec![id]);
            continue;
        };
        for &other in others {
            let moved = std::mem::take(&mut groups[other]);
            group.extend(moved.iter().map(|id| (*id, into)));
            groups[into].extend(moved);
        }
        group.insert(id, into);
        groups[into].push(id);
    }
    groups.retain(|group| !group.is_empty());
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::graph::Source;
    use crate::steps::fake::Fake;

    /// Chains of trainings: every step needs the one `chains` places before it.
    fn graph(steps: usize, chains: usize) -> Graph {
        let mut graph = Graph::default();
        for n in 0..steps {
            let mut step = Fake::new(&format!("train {n}"), &n.to_string());
            step.kind = Kind::Train;
            let before =
                n.checked_sub(chains).map(|n| ("in".into(), Source { node: NodeId(n), output: "text".into() }));
            graph.add(step.step(), before);
        }
        graph
    }

    fn packed(graph: &Graph, seconds: &[f64], packing: Packing) -> Vec<Task> {
        tasks(graph, &graph.ids().collect::<Vec<_>>(), Stage::Train, seconds, packing)
    }

    #[test]
    fn steps_that_need_each_other_stay_together() {
        let graph = graph(6, 3);
        let packing = Packing { least: 15.0, most: 100.0, tasks: 10, at_once: 1 };
        let found: Vec<Vec<usize>> =
            packed(&graph, &[10.0; 6], packing).iter().map(|task| task.steps.iter().map(|id| id.0).collect()).collect();
        assert_eq!(found, [[0, 3], [1, 4], [2, 5]]);
        // A step that joins two chains joins their groups.
        let mut graph = graph;
        let mut last = Fake::new("choose", "c");
        last.kind = Kind::Choose;
        let inputs = [3, 5].map(|n| (n.to_string().into(), Source { node: NodeId(n), output: "text".into() }));
        graph.add(last.step(), inputs);
        assert_eq!(
            units(&graph, &graph.ids().collect::<Vec<_>>()),
            [vec![0, 2, 3, 5, 6], vec![1, 4]].map(|group| group.into_iter().map(NodeId).collect::<Vec<_>>())
        );
    }

    /// A task has a chain for each of its GPUs, though fewer would fill its time, unless they take too long together.
    #[test]
    fn every_gpu_of_a_task_has_work() {
        let (graph, seconds) = (graph(16, 8), [10.0; 16]);
        let chains = |at_once, most| {
            let packing = Packing { least: 15.0, most, tasks: 10, at_once };
            packed(&graph, &seconds, packing).iter().map(|task| task.chains).collect::<Vec<_>>()
        };
        assert_eq!(chains(1, 100.0), [1; 8]);
        assert_eq!(chains(4, 100.0), [4; 2]);
        assert_eq!(chains(4, 50.0), [2; 4]);
    }

    /// The last job is one task, however long.
    #[test]
    fn the_end_is_one_task() {
        let graph = graph(9, 9);
        let packing = Packing { least: 1.0, most: 2.0, tasks: 4, at_once: 1 };
        let all: Vec<NodeId> = graph.ids().collect();
        assert_eq!(tasks(&graph, &all, Stage::Finish, &[10.0; 9], packing).len(), 1);
        assert!(tasks(&graph, &[], Stage::Finish, &[10.0; 9], packing).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Each step is in one task, with what it needs of the stage; no more tasks than a job may have; none is longer than
        /// allowed unless it is one chain or the job would have too many; none but those that would become too long is shorter.
        #[test]
        fn every_step_has_one_task(
            seconds in proptest::collection::vec(0.0..50.0f64, 1..60),
            chains in 1..20usize,
            least in 1.0..100.0f64,
            more in 0.0..100.0f64,
            most_tasks in 1..12usize,
            at_once in 1..9usize,
        ) {
            let graph = graph(seconds.len(), chains);
            let packing = Packing { least, most: least + more, tasks: most_tasks, at_once };
            let tasks = packed(&graph, &seconds, packing);
            let mut steps: Vec<usize> = tasks.iter().flat_map(|task| task.steps.iter().map(|id| id.0)).collect();
            steps.sort_unstable();
            prop_assert_eq!(steps, (0..seconds.len()).collect::<Vec<_>>());
            prop_assert!(tasks.len() <= most_tasks);
            // Where there is too much for so many tasks of that length, each may take its share.
            let share = tasks.iter().map(|task| task.seconds).sum::<f64>() / most_tasks as f64;
            let most = packing.most.max(share);
            for task in &tasks {
                let mut chains_of: Vec<usize> = task.steps.iter().map(|id| id.0 % chains).collect();
                chains_of.sort_unstable();
                chains_of.dedup();
                let whole: usize = (0..seconds.len()).filter(|n| chains_of.contains(&(n % chains))).count();
                prop_assert_eq!(whole, task.steps.len());
                let squeezed = tasks.len() == most_tasks;
                prop_assert!(chains_of.len() == 1 || squeezed || task.seconds <= most + 1e-9, "{:?}", task);
            }
        }
    }
}
