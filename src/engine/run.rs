//! Runs steps on this machine: independent ones at the same time, each as soon as its inputs are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Engine;
use super::accept::Acceptance;
use super::graph::{Graph, NodeId};
use super::job::{Ending, Order};
use super::key::{self, Inputs};
use super::survey::blocked;
use crate::digest::Digest;
use crate::progress::Progress;
use crate::steps::{Absence, Cost, Execute, Status};
use crate::store::{Action, Damage, Ingredients};

/// Receives the events of a run.
pub trait Observer: Sync {
    /// A step begins; it reports to the progress that this returns.
    fn started(&self, id: NodeId, label: &str) -> Arc<dyn Progress>;
    /// A step was computed in this run.
    fn computed(&self, id: NodeId, action: &Action);
    /// A step was done before, or by another run in the meantime.
    fn kept(&self, id: NodeId);
    /// A step failed, is unavailable, or was not run because of another.
    fn absent(&self, id: NodeId, label: &str, absence: &Absence);
    /// A step was stopped before its end: by an interruption, or to compute a damaged input again.
    fn stopped(&self, id: NodeId);
    /// A message that the user should see.
    fn warned(&self, message: &str);
}

/// The result of a run.
pub struct Outcome {
    pub nodes: Vec<NodeOutcome>,
    /// The number of steps computed in this run.
    pub computed: usize,
    pub interrupted: bool,
    pub elapsed: Duration,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub enum NodeOutcome {
    Done(Digest, Box<Action>),
    Absent(Absence),
    /// Neither this step nor one that needs it was asked for.
    NotWanted,
}

impl Outcome {
    /// The steps with this status, and why.
    pub fn absent(&self, status: Status) -> impl Iterator<Item = (NodeId, &Absence)> {
        self.nodes.iter().enumerate().filter_map(move |(i, node)| match node {
            NodeOutcome::Absent(absence) if absence.status == status => Some((NodeId(i), absence)),
            _ => None,
        })
    }

    /// The record of a step, if it is done.
    pub fn action(&self, id: NodeId) -> Option<&Action> {
        self.nodes[id.0].action()
    }
}

impl NodeOutcome {
    /// The record of the step, if it is done.
    pub fn action(&self) -> Option<&Action> {
        match self {
            NodeOutcome::Done(_, action) => Some(action),
            NodeOutcome::Absent(_) | NodeOutcome::NotWanted => None,
        }
    }
}

/// How often the damaged results of a step are computed again before the step that reads them fails.
const MOST_REPAIRS: usize = 2;

/// The number of downloads at the same time; more would only share the bandwidth.
const MOST_DOWNLOADS: usize = 4;

enum Progressing {
    Pending,
    /// All inputs are known, and there is no result.
    Ready(Box<(Inputs, Ingredients)>),
    Running,
    Ended(NodeOutcome),
}

struct Run<'a> {
    engine: &'a Engine,
    graph: &'a Graph,
    observer: &'a dyn Observer,
    execute: Execute,
    nodes: Vec<Progressing>,
    /// How often the results of a step were found damaged.
    repairs: BTreeMap<NodeId, usize>,
    /// Objects whose content was verified in this run.
    verified: Arc<Mutex<BTreeSet<Digest>>>,
    /// Recorded steps that have to be computed again, since an output is damaged.
    lost: BTreeSet<NodeId>,
    network: usize,
    busy_cores: usize,
    computed: usize,
}

impl Engine {
    /// Runs the wanted steps and all that they need, and computes the `lost` ones of them even if they are recorded. If a
    /// step fails, the steps that need it are not run; all others are.
    pub fn run(
        &self,
        graph: &Graph,
        wanted: &[NodeId],
        lost: &[NodeId],
        observer: &dyn Observer,
        execute: Execute,
    ) -> Outcome {
        let began = Instant::now();
        let needed: BTreeSet<NodeId> = graph.needed_for(wanted).into_iter().collect();
        let start = |id: NodeId| match needed.contains(&id) {
            true => Progressing::Pending,
            false => Progressing::Ended(NodeOutcome::NotWanted),
        };
        let mut run = Run {
            engine: self,
            graph,
            observer,
            execute,
            nodes: graph.ids().map(start).collect(),
            repairs: BTreeMap::new(),
            verified: Arc::default(),
            lost: lost.iter().copied().collect(),
            network: 0,
            busy_cores: 0,
            computed: 0,
        };
        let (sender, receiver) = channel();
        std::thread::scope(|scope| {
            while run.nodes.iter().any(|node| !matches!(node, Progressing::Ended(_))) {
                if !self.interrupt.raised() {
                    for (id, order) in run.startable() {
                        let sender: Sender<(NodeId, Ending)> = sender.clone();
                        scope.spawn(move || {
                            // The receiver outlives every thread of the scope.
                            let _ = sender.send((id, self.carry_out(order)));
                        });
                    }
                }
                if !run.nodes.iter().any(|node| matches!(node, Progressing::Running)) {
                    break;
                }
                run.wait(&receiver);
            }
        });
        let interrupted = self.interrupt.raised();
        let nodes = run.nodes.into_iter().map(|node| match node {
            Progressing::Ended(outcome) => outcome,
            _ => NodeOutcome::Absent(Absence::not_run("the run was interrupted")),
        });
        Outcome { nodes: nodes.collect(), computed: run.computed, interrupted, elapsed: began.elapsed() }
    }
}

impl<'a> Run<'a> {
    /// Ends steps whose results are in the store, and starts as many of the others as there is room for. Earlier kinds
    /// start first, since more steps depend on them.
    fn startable(&mut self) -> Vec<(NodeId, Order<'a>)> {
        let graph = self.graph;
        for id in graph.ids() {
            // A recorded step whose result turns out to be damaged is pending once more.
            while matches!(self.nodes[id.0], Progressing::Pending)
                && let Some(inputs) = self.settled_inputs(id)
            {
                let ingredients = key::ingredients(&graph.node(id).step, &inputs, &self.engine.environment);
                self.nodes[id.0] = match self.engine.store.action(ingredients.key()) {
                    Some(action) if !self.lost.contains(&id) => self.done(id, Box::new(action), false),
                    _ => Progressing::Ready(Box::new((inputs, ingredients))),
                };
            }
        }
        let mut ready: Vec<NodeId> =
            graph.ids().filter(|id| matches!(self.nodes[id.0], Progressing::Ready(_))).collect();
        ready.sort_by_key(|id| (graph.node(*id).step.kind(), *id));
        let mut orders = Vec::new();
        let mut all_cores_wanted = false;
        for id in ready {
            let cost = graph.node(id).step.cost();
            // Steps for one core do not overtake a step for all cores forever.
            if !self.has_room(cost) || (all_cores_wanted && cost != Cost::Network) {
                all_cores_wanted |= cost == Cost::AllCores;
                continue;
            }
            self.occupy(cost, true);
            if let Progressing::Ready(ready) = std::mem::replace(&mut self.nodes[id.0], Progressing::Running) {
                orders.push((id, self.order(id, ready.0, ready.1)));
            }
        }
        orders
    }

    /// Ends a step that has a result, unless the result is not accepted or is damaged.
    fn done(&mut self, id: NodeId, action: Box<Action>, computed: bool) -> Progressing {
        match self.engine.acceptance(&self.graph.node(id).step, &action) {
            Acceptance::Accepted if computed => self.observer.computed(id, &action),
            Acceptance::Accepted => self.observer.kept(id),
            Acceptance::Refused(absence) => return self.absent(id, absence),
            Acceptance::Damaged(object, damage) => return self.repair(id, id, object, &damage),
        }
        Progressing::Ended(NodeOutcome::Done(action.ingredients.key(), action))
    }

    fn absent(&self, id: NodeId, absence: Absence) -> Progressing {
        self.observer.absent(id, &self.graph.node(id).step.label(), &absence);
        Progressing::Ended(NodeOutcome::Absent(absence))
    }

    /// The inputs of a step, if each of them is known or known to be absent. A step that does not tolerate an absent input
    /// ends here.
    fn settled_inputs(&mut self, id: NodeId) -> Option<Inputs> {
        let graph = self.graph;
        let nodes = &self.nodes;
        let inputs = self.engine.inputs_of(graph, id, |from| match &nodes[from.0] {
            Progressing::Ended(NodeOutcome::Done(_, action)) => Some(Ok(action)),
            Progressing::Ended(NodeOutcome::Absent(absence)) => Some(Err(absence)),
            _ => None,
        });
        let inputs = inputs.ok()?;
        if let Some(absence) = blocked(graph, id, &inputs) {
            self.nodes[id.0] = self.absent(id, absence);
            return None;
        }
        Some(inputs)
    }

    fn order(&self, id: NodeId, inputs: Inputs, ingredients: Ingredients) -> Order<'a> {
        let node = self.graph.node(id);
        let mut files = BTreeMap::new();
        let mut absent = BTreeMap::new();
        for (role, input) in inputs {
            let source = &node.inputs[&role];
            match (input, &self.nodes[source.node.0]) {
                (Ok(_), Progressing::Ended(NodeOutcome::Done(key, action))) => {
                    files.insert(role, (action.outputs[&source.output], *key, source.node));
                }
                (Err(absence), _) => drop(absent.insert(role, absence)),
                (Ok(_), _) => unreachable!("a known input comes from a step that is done"),
            }
        }
        Order {
            step: &node.step,
            execute: self.execute,
            ingredients,
            inputs: files,
            absent,
            progress: self.observer.started(id, &node.step.label()),
            verified: self.verified.clone(),
        }
    }

    fn has_room(&self, cost: Cost) -> bool {
        match cost {
            Cost::Network => self.network < MOST_DOWNLOADS,
            Cost::OneCore => self.busy_cores < self.engine.threads,
            Cost::AllCores => self.busy_cores == 0,
        }
    }

    fn occupy(&mut self, cost: Cost, take: bool) {
        let (counter, n) = match cost {
            Cost::Network => (&mut self.network, 1),
            Cost::OneCore => (&mut self.busy_cores, 1),
            Cost::AllCores => (&mut self.busy_cores, self.engine.threads),
        };
        if take { *counter += n } else { *counter -= n }
    }

    /// Waits for a step to end, but not for long, so that an interruption is noticed.
    fn wait(&mut self, receiver: &Receiver<(NodeId, Ending)>) {
        let first = receiver.recv_timeout(Duration::from_millis(100)).ok();
        for (id, ending) in first.into_iter().chain(receiver.try_iter()) {
            self.occupy(self.graph.node(id).step.cost(), false);
            self.nodes[id.0] = match ending {
                Ending::Done { action, computed } => {
                    self.lost.remove(&id);
                    self.computed += usize::from(computed);
                    self.done(id, action, computed)
                }
                Ending::Absent(absence) => self.absent(id, absence),
                Ending::Interrupted => {
                    self.observer.stopped(id);
                    Progressing::Pending
                }
                Ending::Damaged { producer, object, damage } => self.repair(id, producer, object, &damage),
            };
        }
    }

    /// Sets a damaged object aside and has its step computed again, for a step that reads it (which may be the same).
    fn repair(&mut self, reader: NodeId, producer: NodeId, object: Digest, damage: &Damage) -> Progressing {
        let (graph, label) = (self.graph, self.graph.node(producer).step.label());
        let step = &graph.node(reader).step;
        let repairs = self.repairs.entry(producer).or_default();
        *repairs += 1;
        if *repairs > MOST_REPAIRS {
            let cause = format!("the result of `{label}` was damaged {repairs} times ({damage})");
            return self.absent(reader, step.absence(Status::Failed, cause, Some("check the disk")));
        }
        self.observer.stopped(reader);
        match self.engine.store.set_aside(object) {
            Err(error) => self.absent(reader, step.absence_after(&error)),
            Ok(aside) => {
                let place = aside.map(|path| format!("; moved to {}", path.display())).unwrap_or_default();
                self.observer
                    .warned(&format!("the result of `{label}` is damaged: {damage}{place}; computing it again"));
                self.lost.insert(producer);
                self.nodes[producer.0] = Progressing::Pending;
                Progressing::Pending
            }
        }
    }
}
