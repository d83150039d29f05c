//! Runs steps on this machine: independent ones at the same time, each as soon as its inputs are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Engine;
use super::accept::Acceptance;
use super::graph::{Graph, NodeId};
use super::job::{Ending, Order, Producer};
use super::key::{self, Inputs};
use super::room::{Resource, Room};
use super::survey::blocked;
use crate::digest::Digest;
use crate::progress::Progress;
use crate::steps::{Absence, Execute, Kind, Status};
use crate::store::{Brief, Damage};
use crate::tensors;

/// Receives the events of a run.
pub trait Observer: Sync {
    /// A step begins; it reports to the progress that this returns.
    fn started(&self, id: NodeId, label: &str) -> Arc<dyn Progress>;
    /// A step was computed in this run.
    fn computed(&self, id: NodeId, action: &Brief);
    /// A step was done before, or by another run in the meantime.
    fn kept(&self, id: NodeId);
    /// A step failed, is unavailable, or was not run because of another.
    fn absent(&self, id: NodeId, label: &str, absence: &Absence);
    /// A step was stopped before its end: by an interruption, or to compute a damaged input again.
    fn stopped(&self, id: NodeId);
    /// A message that the user should see.
    fn warned(&self, message: &str);
}

/// The part of a plan that a run may compute. Every other step is done, or absent.
#[derive(Debug, Default)]
pub struct Part {
    pub steps: BTreeSet<NodeId>,
    /// Why other steps have no result, where that is known.
    pub absences: BTreeMap<NodeId, Absence>,
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
    Done(Digest, Box<Brief>),
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
    pub fn action(&self, id: NodeId) -> Option<&Brief> {
        self.nodes[id.0].action()
    }
}

impl NodeOutcome {
    /// The record of the step, if it is done.
    pub fn action(&self) -> Option<&Brief> {
        match self {
            NodeOutcome::Done(_, action) => Some(action),
            NodeOutcome::Absent(_) | NodeOutcome::NotWanted => None,
        }
    }
}

/// How often the damaged results of a step are computed again before the step that reads them fails.
const MOST_REPAIRS: usize = 2;

/// After so many computed steps, the memory between what is still in use goes back to the system. It takes milliseconds.
const STEPS_BETWEEN: usize = 1000;

/// Why a step has no result that belongs to another part of the plan.
const ELSEWHERE: &str = "the job that computes it has not finished it";

enum Progressing {
    /// An input is not known yet, or the step has to be looked up.
    Pending,
    /// All inputs are known, and there is no result.
    Ready,
    Running,
    Ended(NodeOutcome),
}

/// A run. What an event costs depends on the steps that it concerns, not on the size of the graph.
struct Run<'a> {
    engine: &'a Engine,
    graph: &'a Graph,
    observer: &'a dyn Observer,
    execute: Execute,
    part: Option<&'a Part>,
    nodes: Vec<Progressing>,
    /// The steps that use an output of each step; once for each input.
    users: Vec<Vec<NodeId>>,
    /// The number of inputs of each step that come from a step which has not ended.
    waits_for: Vec<usize>,
    /// Pending steps that wait for nothing: they are looked up next.
    settled: BTreeSet<NodeId>,
    /// The ready steps by what they need, in the order in which they start.
    ready: BTreeMap<Resource, BTreeSet<(Kind, NodeId)>>,
    /// The steps that were asked for by themselves, in order.
    wanted: Vec<NodeId>,
    /// How often the results of a step were found damaged.
    repairs: BTreeMap<NodeId, usize>,
    /// Objects whose content was verified in this run.
    verified: Arc<Mutex<BTreeSet<Digest>>>,
    /// Recorded steps that have to be computed again, since an output is damaged.
    lost: BTreeSet<NodeId>,
    /// The number of steps that have not ended, and of those that are running.
    open: usize,
    running: usize,
    room: Room,
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
        self.run_part(graph, wanted, lost, None, observer, execute)
    }

    /// As [`Engine::run`], but computes only the steps of a part (none: of the whole plan), and what of others is damaged.
    pub fn run_part(
        &self,
        graph: &Graph,
        wanted: &[NodeId],
        lost: &[NodeId],
        part: Option<&Part>,
        observer: &dyn Observer,
        execute: Execute,
    ) -> Outcome {
        let began = Instant::now();
        let mut run = Run { part, ..Run::new(self, graph, wanted, lost, observer, execute) };
        let ((give, orders), (end, endings)) = (channel(), channel());
        let orders = &Mutex::new(orders);
        std::thread::scope(|scope| {
            // Moved in, since the workers end when nobody can give orders any more.
            let give: Sender<(NodeId, Order<'_>)> = give;
            let mut workers = 0;
            while run.open > 0 {
                if !self.interrupt.raised() {
                    for order in run.startable() {
                        give.send(order).expect("the receiver outlives the scope");
                    }
                    // A worker for each running step. They stay: most steps of a large suite take less than a new thread
                    // with its memory does.
                    while workers < run.running {
                        let end = end.clone();
                        scope.spawn(move || {
                            while let Some((id, order)) = next(orders) {
                                // The receiver outlives every thread of the scope.
                                let _ = end.send((id, self.carry_out(order)));
                            }
                        });
                        workers += 1;
                    }
                }
                if run.running == 0 {
                    break;
                }
                run.wait(&endings);
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

/// Waits for an order; none if there will be no more.
fn next<T>(orders: &Mutex<Receiver<T>>) -> Option<T> {
    orders.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl<'a> Run<'a> {
    fn new(
        engine: &'a Engine,
        graph: &'a Graph,
        wanted: &[NodeId],
        lost: &[NodeId],
        observer: &'a dyn Observer,
        execute: Execute,
    ) -> Self {
        let needed = graph.needed_for(wanted);
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let mut run = Run {
            engine,
            graph,
            observer,
            execute,
            part: None,
            nodes: graph.ids().map(|_| Progressing::Ended(NodeOutcome::NotWanted)).collect(),
            users: vec![Vec::new(); graph.len()],
            waits_for: vec![0; graph.len()],
            settled: BTreeSet::new(),
            ready: BTreeMap::new(),
            wanted,
            repairs: BTreeMap::new(),
            verified: Arc::default(),
            lost: lost.iter().copied().collect(),
            open: needed.len(),
            running: 0,
            room: Room::new(engine.threads, &engine.devices),
            computed: 0,
        };
        for id in needed {
            run.nodes[id.0] = Progressing::Pending;
            for source in graph.node(id).inputs.values() {
                run.users[source.node.0].push(id);
                run.waits_for[id.0] += 1;
            }
            if run.waits_for[id.0] == 0 {
                run.settled.insert(id);
            }
        }
        run
    }

    /// Changes the state of a step, and what follows from that for the steps that use it.
    fn set(&mut self, id: NodeId, state: Progressing) {
        let entry = (self.graph.node(id).step.kind(), id);
        let was = std::mem::replace(&mut self.nodes[id.0], state);
        match was {
            Progressing::Pending => drop(self.settled.remove(&id)),
            Progressing::Ready => drop(self.queue(id).remove(&entry)),
            Progressing::Running => self.running -= 1,
            Progressing::Ended(_) => {}
        }
        let had_ended = matches!(was, Progressing::Ended(_));
        let has_ended = matches!(self.nodes[id.0], Progressing::Ended(_));
        match &self.nodes[id.0] {
            Progressing::Pending if self.waits_for[id.0] == 0 => drop(self.settled.insert(id)),
            Progressing::Pending | Progressing::Ended(_) => {}
            Progressing::Ready => drop(self.queue(id).insert(entry)),
            Progressing::Running => self.running += 1,
        }
        if had_ended == has_ended {
            return;
        }
        self.open = if has_ended { self.open - 1 } else { self.open + 1 };
        for user in self.users[id.0].clone() {
            let waits_for = &mut self.waits_for[user.0];
            *waits_for = if has_ended { *waits_for - 1 } else { *waits_for + 1 };
            match (&self.nodes[user.0], *waits_for) {
                (Progressing::Pending, 0) => drop(self.settled.insert(user)),
                (Progressing::Pending, _) => drop(self.settled.remove(&user)),
                // What it would read is being computed again.
                (Progressing::Ready, 1..) => self.set(user, Progressing::Pending),
                (Progressing::Ready | Progressing::Running | Progressing::Ended(_), _) => {}
            }
        }
    }

    fn queue(&mut self, id: NodeId) -> &mut BTreeSet<(Kind, NodeId)> {
        self.ready.entry(self.room.resource(&self.graph.node(id).step)).or_default()
    }

    /// Ends steps whose results are in the store, and starts as many of the others as there is room for. Earlier kinds
    /// start first, since more steps depend on them.
    fn startable(&mut self) -> Vec<(NodeId, Order<'a>)> {
        while let Some(id) = self.settled.first().copied() {
            let state = self.looked_up(id);
            self.set(id, state);
        }
        let mut orders = Vec::new();
        for resource in Resource::ALL {
            // In order, so that steps for one core do not overtake a step for all cores forever.
            while let Some(&(_, id)) = self.ready.get(&resource).and_then(BTreeSet::first)
                && let Some(device) = self.room.take(id, &self.graph.node(id).step)
            {
                orders.push(self.start(id, device));
            }
        }
        orders
    }

    /// The inputs of a step that waits for nothing.
    fn inputs(&self, id: NodeId) -> Inputs {
        let inputs = self.engine.inputs_of(self.graph, id, |from| match &self.nodes[from.0] {
            Progressing::Ended(NodeOutcome::Done(_, action)) => Some(Ok(action)),
            Progressing::Ended(NodeOutcome::Absent(absence)) => Some(Err(absence)),
            _ => None,
        });
        inputs.expect("a settled step waits for nothing")
    }

    /// The state of a pending step whose inputs are known or known to be absent.
    fn looked_up(&mut self, id: NodeId) -> Progressing {
        let inputs = self.inputs(id);
        if let Some(absence) = blocked(self.graph, id, &inputs) {
            return self.absent(id, absence);
        }
        let step = &self.graph.node(id).step;
        let key = key::ingredients(step, &inputs, &self.engine.environment).key();
        match self.engine.reusable(step.kind(), key) {
            Some(action) if !self.lost.contains(&id) => self.done(id, key, Box::new(action), false),
            _ => match self.part.filter(|part| !part.steps.contains(&id) && !self.lost.contains(&id)) {
                None => Progressing::Ready,
                Some(part) => {
                    let absence = part.absences.get(&id).cloned();
                    self.absent(id, absence.unwrap_or_else(|| Absence::not_run(ELSEWHERE)))
                }
            },
        }
    }

    /// Ends a step that has a result, unless the result is not accepted or is damaged.
    fn done(&mut self, id: NodeId, key: Digest, action: Box<Brief>, computed: bool) -> Progressing {
        match self.engine.acceptance(&self.graph.node(id).step, &action) {
            Acceptance::Accepted if computed => self.observer.computed(id, &action),
            Acceptance::Accepted => self.observer.kept(id),
            Acceptance::Refused(absence) => return self.absent(id, absence),
            Acceptance::Damaged(object, damage) => return self.repair(id, id, object, &damage),
        }
        Progressing::Ended(NodeOutcome::Done(key, action))
    }

    fn absent(&self, id: NodeId, absence: Absence) -> Progressing {
        self.observer.absent(id, &self.graph.node(id).step.label(), &absence);
        Progressing::Ended(NodeOutcome::Absent(absence))
    }

    /// Takes a ready step, whose tensors will be on this device, out of its queue.
    fn start(&mut self, id: NodeId, device: tch::Device) -> (NodeId, Order<'a>) {
        let step = &self.graph.node(id).step;
        self.queue(id).remove(&(step.kind(), id));
        self.nodes[id.0] = Progressing::Running;
        self.running += 1;
        (id, self.order(id, device))
    }

    fn order(&self, id: NodeId, device: tch::Device) -> Order<'a> {
        let (node, inputs) = (self.graph.node(id), self.inputs(id));
        let ingredients = key::ingredients(&node.step, &inputs, &self.engine.environment);
        let mut files = BTreeMap::new();
        let mut absent = BTreeMap::new();
        for (role, input) in inputs {
            let source = &node.inputs[&role];
            match (input, &self.nodes[source.node.0]) {
                (Ok(input), Progressing::Ended(NodeOutcome::Done(key, action))) => {
                    let repairs = self.repairs.get(&source.node).copied().unwrap_or_default();
                    let producer = Producer { node: source.node, repairs };
                    files.insert(role, (action.outputs[&*source.output], *key, producer, input.processors));
                }
                (Err(absence), _) => drop(absent.insert(role, absence)),
                (Ok(_), _) => unreachable!("a ready step waits for nothing"),
            }
        }
        Order {
            step: &node.step,
            execute: self.execute,
            ingredients,
            inputs: files,
            absent,
            device,
            progress: self.observer.started(id, &node.step.label()),
            verified: self.verified.clone(),
            is_wanted: self.wanted.binary_search(&id).is_ok(),
        }
    }

    /// Waits for a step to end, but not for long, so that an interruption is noticed.
    fn wait(&mut self, receiver: &Receiver<(NodeId, Ending)>) {
        let first = receiver.recv_timeout(Duration::from_millis(100)).ok();
        for (id, ending) in first.into_iter().chain(receiver.try_iter()) {
            self.room.give_back(id, &self.graph.node(id).step);
            let state = match ending {
                Ending::Done { key, action, computed } => {
                    self.lost.remove(&id);
                    self.computed += usize::from(computed);
                    if computed && self.computed.is_multiple_of(STEPS_BETWEEN) {
                        tensors::give_memory_back();
                    }
                    self.done(id, key, action, computed)
                }
                Ending::Absent(absence) => self.absent(id, absence),
                Ending::Interrupted => {
                    self.observer.stopped(id);
                    Progressing::Pending
                }
                Ending::Damaged { producer, object, damage } => {
                    let known = self.repairs.get(&producer.node).copied().unwrap_or_default();
                    // Another reader found the damage first: the object is being computed again, or already was.
                    if known > producer.repairs {
                        self.observer.stopped(id);
                        Progressing::Pending
                    } else {
                        self.repair(id, producer.node, object, &damage)
                    }
                }
            };
            self.set(id, state);
        }
    }

    /// Sets a damaged object aside and has its step computed again, for a step that reads it (which may be the same).
    /// Returns the state of the reader.
    fn repair(&mut self, reader: NodeId, producer: NodeId, object: Digest, damage: &Damage) -> Progressing {
        let (graph, label) = (self.graph, self.graph.node(producer).step.label());
        let step = &graph.node(reader).step;
        let repairs = self.repairs.entry(producer).or_default();
        *repairs += 1;
        if *repairs > MOST_REPAIRS {
            let cause = format!("the result of `{label}` was damaged {repairs} times");
            let detail = format!("{cause} ({damage})");
            return self.absent(reader, step.absence(Status::Failed, cause, Some("check the disk")).detailed(detail));
        }
        self.observer.stopped(reader);
        let aside = match self.engine.store.set_aside(object) {
            Err(error) => return self.absent(reader, step.absence_after(&error)),
            Ok(aside) => aside,
        };
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&object);
        let place = aside.map(|path| format!("; moved to {}", path.display())).unwrap_or_default();
        self.observer.warned(&match damage {
            // As after a pull, which leaves data of others where they are.
            Damage::Missing => format!("a file of `{label}` is needed and is not in the store; getting it again"),
            _ => format!("the result of `{label}` is damaged: {damage}{place}; computing it again"),
        });
        self.lost.insert(producer);
        if producer != reader {
            self.set(producer, Progressing::Pending);
        }
        Progressing::Pending
    }
}
