//! The local executor: independent steps at once, each as soon as its inputs are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Engine;
use super::accept::Acceptance;
use super::graph::{Graph, NodeId};
use super::job::{Ending, Order};
use super::key::Inputs;
use super::survey::{Known, State, blocked};
use crate::digest::Digest;
use crate::progress::Progress;
use crate::steps::{Absence, Cost, Execute, Status};
use crate::store::{Action, Ingredients};

/// Hears what happens in a run.
pub trait Observer: Sync {
    /// A step begins; the progress is for its own use.
    fn started(&self, id: NodeId, label: &str) -> Arc<dyn Progress>;
    /// A step ended and was computed here.
    fn computed(&self, id: NodeId, action: &Action);
    /// A step was done before, or by another run meanwhile.
    fn kept(&self, id: NodeId);
    /// A step failed, is unavailable, or was not run because of another.
    fn absent(&self, id: NodeId, label: &str, absence: &Absence);
    fn stopped(&self, id: NodeId);
    /// Something that a person should see.
    fn warned(&self, message: &str);
}

/// What became of each step.
pub struct Outcome {
    pub nodes: Vec<NodeOutcome>,
    /// Computed in this run.
    pub computed: usize,
    pub interrupted: bool,
    pub elapsed: Duration,
}

/// What became of one step.
#[derive(Clone, Debug)]
pub enum NodeOutcome {
    Done(Digest, Box<Action>),
    Absent(Absence),
    /// Nobody asked for it.
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

/// How often a step's damaged output is made again before its user gives up.
const MOST_REPAIRS: usize = 2;

enum Progressing {
    Pending,
    /// Looked up: all inputs are there and the result is not.
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
    repairs: BTreeMap<NodeId, usize>,
    verified: Arc<Mutex<BTreeSet<Digest>>>,
    /// Objects that have to be made again even though their step is recorded.
    lost: BTreeSet<NodeId>,
    network: usize,
    busy_cores: usize,
    computed: usize,
}

/// Downloads at once; more would only share the line.
const MOST_DOWNLOADS: usize = 4;

impl Engine {
    /// Runs the wanted steps and all that they need. Failures end their own branch alone; the rest goes on.
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
            while run.unfinished() {
                if !self.interrupt.raised() {
                    for (id, order) in run.startable() {
                        let sender: Sender<(NodeId, Ending)> = sender.clone();
                        scope.spawn(move || {
                            // The receiver outlives every thread of the scope.
                            let _ = sender.send((id, self.carry_out(order)));
                        });
                    }
                }
                if !run.anything_runs() {
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
    fn unfinished(&self) -> bool {
        self.nodes.iter().any(|node| !matches!(node, Progressing::Ended(_)))
    }

    fn anything_runs(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node, Progressing::Running))
    }

    /// Takes finished steps out of the store, and starts as many of the others as there is room for: earlier kinds
    /// first, so that what feeds many is done before what feeds few.
    fn startable(&mut self) -> Vec<(NodeId, Order<'a>)> {
        let graph = self.graph;
        for id in graph.ids() {
            if matches!(self.nodes[id.0], Progressing::Pending)
                && let Some(inputs) = self.settled_inputs(id)
            {
                self.nodes[id.0] = match self.engine.look_up(graph, id, &inputs) {
                    State::Done(key, action) if !self.lost.contains(&id) => self.recorded(id, key, action, inputs),
                    State::Done(_, action) => Progressing::Ready(Box::new((inputs, action.ingredients))),
                    State::Ready(ingredients, _) => Progressing::Ready(Box::new((inputs, *ingredients))),
                    State::Waiting(_) | State::Refused(..) | State::Blocked(_) => {
                        unreachable!("all inputs are settled, and what is recorded was not asked for acceptance yet")
                    }
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
            // A step that wants all cores is not overtaken for ever by steps that want one.
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

    /// A step whose result is in the store: done, refused, or to be made again because what it is refused or accepted by
    /// is damaged.
    fn recorded(&mut self, id: NodeId, key: Digest, action: Box<Action>, inputs: Inputs) -> Progressing {
        match self.engine.acceptance(&self.graph.node(id).step, &action) {
            Acceptance::Accepted => {
                self.observer.kept(id);
                Progressing::Ended(NodeOutcome::Done(key, action))
            }
            Acceptance::Refused(absence) => self.absent(id, absence),
            Acceptance::Damaged(object, damage) => {
                let what = self.graph.node(id).step.label();
                self.observer.warned(&format!("the result of `{what}` is damaged: {damage}; it is made again"));
                match self.engine.store.set_aside(object) {
                    Err(error) => self.absent(id, Absence::by_error(&self.graph.node(id).step, &error)),
                    Ok(_) => {
                        self.lost.insert(id);
                        Progressing::Ready(Box::new((inputs, action.ingredients)))
                    }
                }
            }
        }
    }

    /// A step that just ended well, unless its result is refused.
    fn done(&mut self, id: NodeId, action: Box<Action>, computed: bool) -> Progressing {
        self.lost.remove(&id);
        self.computed += usize::from(computed);
        match self.engine.acceptance(&self.graph.node(id).step, &action) {
            Acceptance::Accepted if computed => self.observer.computed(id, &action),
            Acceptance::Accepted => self.observer.kept(id),
            Acceptance::Refused(absence) => return self.absent(id, absence),
            Acceptance::Damaged(_, damage) => {
                return self.failed(id, format!("its result was damaged at once ({damage})"), "check the disk");
            }
        }
        Progressing::Ended(NodeOutcome::Done(action.ingredients.key(), action))
    }

    fn failed(&self, id: NodeId, cause: String, hint: &str) -> Progressing {
        self.absent(id, Absence::of(&self.graph.node(id).step, Status::Failed, cause, Some(hint)))
    }

    fn absent(&self, id: NodeId, absence: Absence) -> Progressing {
        self.observer.absent(id, &self.graph.node(id).step.label(), &absence);
        Progressing::Ended(NodeOutcome::Absent(absence))
    }

    /// The inputs of a step if all of them are there (or, where the step tolerates it, known to be absent). A step
    /// whose input cannot be made ends here.
    fn settled_inputs(&mut self, id: NodeId) -> Option<Inputs> {
        let graph = self.graph;
        let nodes = &self.nodes;
        let inputs = self.engine.inputs_of(graph, id, |from| match &nodes[from.0] {
            Progressing::Ended(NodeOutcome::Done(_, action)) => Known::Done(action),
            Progressing::Ended(NodeOutcome::Absent(absence)) => Known::Absent(absence),
            _ => Known::NotYet,
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

    fn wait(&mut self, receiver: &Receiver<(NodeId, Ending)>) {
        let Ok((id, ending)) = receiver.recv_timeout(Duration::from_millis(100)) else { return };
        self.ended(id, ending);
        while let Ok((id, ending)) = receiver.try_recv() {
            self.ended(id, ending);
        }
    }

    fn ended(&mut self, id: NodeId, ending: Ending) {
        self.occupy(self.graph.node(id).step.cost(), false);
        self.nodes[id.0] = match ending {
            Ending::Computed(action) => self.done(id, action, true),
            Ending::Found(action) => self.done(id, action, false),
            Ending::Absent(absence) => self.absent(id, absence),
            Ending::Interrupted => {
                self.observer.stopped(id);
                Progressing::Pending
            }
            Ending::Damaged { producer, object, damage } => self.repair(id, producer, object, &damage),
        };
    }

    /// Sets a damaged object aside and has its step done again.
    fn repair(&mut self, user: NodeId, producer: NodeId, object: Digest, damage: &crate::store::Damage) -> Progressing {
        let what = self.graph.node(producer).step.label();
        let repairs = self.repairs.entry(producer).or_default();
        *repairs += 1;
        self.observer.stopped(user);
        if *repairs > MOST_REPAIRS {
            let cause = format!("the result of `{what}` was damaged again and again ({damage})");
            return self.failed(user, cause, "check the disk");
        }
        match self.engine.store.set_aside(object) {
            Err(error) => self.absent(user, Absence::by_error(&self.graph.node(user).step, &error)),
            Ok(aside) => {
                let place = aside.map(|path| format!("; set aside as {}", path.display())).unwrap_or_default();
                self.observer.warned(&format!("the result of `{what}` is damaged: {damage}{place}; it is made again"));
                self.lost.insert(producer);
                self.nodes[producer.0] = Progressing::Pending;
                Progressing::Pending
            }
        }
    }
}
