//! Tests of the engine with steps that join texts.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use proptest::prelude::*;

use super::graph::{Graph, NodeId, Source};
use super::key::Environment;
use super::reuse::Reuse;
use super::run::{NodeOutcome, Observer, Outcome, Part};
use super::survey::{Reason, State};
use super::{Engine, explain};
use crate::digest::Digest;
use crate::engine::devices::Devices;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Silent};
use crate::steps::fake::Fake;
use crate::steps::{Absence, Cost, FetchPlaces, Kind, Status, execute};
use crate::store::{Brief, Store};

#[derive(Default)]
pub(super) struct Heard {
    warnings: Mutex<Vec<String>>,
}

impl Observer for Heard {
    fn started(&self, _: NodeId, _: &str) -> Arc<dyn Progress> {
        Arc::new(Silent)
    }
    fn computed(&self, _: NodeId, _: &Brief) {}
    fn kept(&self, _: NodeId) {}
    fn absent(&self, _: NodeId, _: &str, _: &Absence) {}
    fn stopped(&self, _: NodeId) {}
    fn warned(&self, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }
}

pub(crate) fn engine(root: &std::path::Path) -> Engine {
    Engine {
        store: Store::open(root).unwrap(),
        devices: Devices::CPU,
        environment: Environment { device: "cpu".into(), architecture: "test".into(), libtorch: "0".into() },
        threads: 2,
        downloads: FetchPlaces::new(root.join("partial"), root.join("quarantine"), vec![]),
        remote: None,
        reuse: Reuse::Any,
        interrupt: Interrupt::default(),
    }
}

fn place() -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    (folder, engine)
}

/// These steps in order, each with the labels of its inputs.
fn graph(steps: &[(&Fake, &[&str])]) -> Graph {
    let mut graph = Graph::default();
    for (step, inputs) in steps {
        let sources: Vec<_> = inputs.iter().map(|name| source(name, graph.find(name).unwrap())).collect();
        graph.add(step.step(), sources);
    }
    graph
}

fn source(role: &str, node: NodeId) -> (Arc<str>, Source) {
    (role.into(), Source { node, output: "text".into() })
}

fn run(engine: &Engine, graph: &Graph) -> Outcome {
    engine.run(graph, &graph.ids().collect::<Vec<_>>(), &[], &Heard::default(), execute)
}

fn text(engine: &Engine, graph: &Graph, outcome: &Outcome, label: &str) -> String {
    let action = outcome.action(graph.find(label).unwrap()).expect("the step was done");
    String::from_utf8(engine.store.read(&action.outputs["text"]).unwrap()).unwrap()
}

/// A step runs once. If it gives the same bytes as before, no step after it runs again.
#[test]
fn inputs_matter_by_content() {
    let (_folder, engine) = place();
    let b = Fake::new("b", "y");
    for (a, computed, runs, joined) in
        [("x|1", 2, 1, "xy"), ("x|1", 0, 1, "xy"), ("x|2", 1, 1, "xy"), ("z|2", 2, 2, "zy")]
    {
        let graph = graph(&[(&Fake::new("a", a), &[]), (&b, &["a"])]);
        let outcome = run(&engine, &graph);
        assert_eq!((outcome.computed, b.runs(), text(&engine, &graph, &outcome, "b")), (computed, runs, joined.into()));
    }
}

/// Puts another text in the place of an object, which its size and time do not show.
pub(super) fn replace(engine: &Engine, object: Digest, text: &str) {
    let path = engine.store.object_path(object);
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_failure_ends_its_branch_alone() {
    let (_folder, engine) = place();
    let bad = Fake::new("bad", "bad").doing(|_| Err(anyhow::anyhow!("the loss is not finite at step 7")));
    let panics = Fake::new("panics", "panics").doing(|_| panic!("index out of range"));
    let (good, after) = (Fake::new("good", "g"), Fake::new("after", "!"));
    let mut table = Fake::new("table", "");
    table.tolerant = true;
    let graph = graph(&[
        (&bad, &[]),
        (&panics, &[]),
        (&good, &[]),
        (&after, &["bad"]),
        (&table, &["after", "bad", "good", "panics"]),
    ]);
    let outcome = run(&engine, &graph);
    assert_eq!(outcome.absent(Status::Failed).count(), 2);
    assert_eq!(after.runs(), 0);
    let table = text(&engine, &graph, &outcome, "table");
    assert!(table.starts_with('g'), "{table}");
    assert!(table.contains("<after: not run: `bad` failed: the loss is not finite at step 7>"), "{table}");
    assert!(table.contains("the step panicked: index out of range"), "{table}");
    // A failure is not remembered: the next run tries again.
    run(&engine, &graph);
    assert_eq!((bad.runs(), good.runs()), (2, 1));
}

/// A part of a plan computes its own steps alone. The others are absent, for the cause that is known.
#[test]
fn a_part_computes_its_own_steps() {
    let (_folder, engine) = place();
    let (a, b, c) = (Fake::new("a", "x"), Fake::new("b", "y"), Fake::new("c", "z"));
    let mut table = Fake::new("table", "");
    table.tolerant = true;
    let graph = graph(&[(&a, &[]), (&b, &[]), (&c, &["a"]), (&table, &["b", "c"])]);
    let failed = graph.node(NodeId(1)).step.absence(Status::Failed, "no memory", None);
    let part = Part { steps: [NodeId(2), NodeId(3)].into(), absences: [(NodeId(1), failed)].into() };
    let run_part = || engine.run_part(&graph, &[NodeId(3)], &[], Some(&part), &Heard::default(), execute);
    let outcome = run_part();
    assert_eq!((a.runs(), b.runs(), c.runs(), outcome.computed), (0, 0, 0, 1));
    let elsewhere = "<c: not run: the job that computes it has not finished it>";
    assert_eq!(text(&engine, &graph, &outcome, "table"), format!("<b: failed: no memory>{elsewhere}"));
    // What is done is no longer absent.
    engine.run(&graph, &[NodeId(0), NodeId(1)], &[], &Heard::default(), execute);
    let outcome = run_part();
    assert_eq!((outcome.computed, text(&engine, &graph, &outcome, "table")), (2, "yxz".into()));
    // A damaged input is computed again, whoever it belongs to.
    replace(&engine, outcome.action(NodeId(0)).unwrap().outputs["text"].sha256, "X");
    let NodeOutcome::Done(key, _) = outcome.nodes[2] else { panic!("it was done") };
    engine.store.forget(key).unwrap();
    let outcome = run_part();
    assert_eq!((a.runs(), text(&engine, &graph, &outcome, "table")), (2, "yxz".into()));
}

/// An object that was edited in place, with the same size and time, is noticed by the step that reads it, and computed again.
#[test]
fn a_damaged_input_is_computed_again() {
    let (_folder, engine) = place();
    let (a, b) = (Fake::new("a", "x"), Fake::new("b", "y"));
    let first = graph(&[(&a, &[]), (&b, &["a"])]);
    let outcome = run(&engine, &first);
    let object = outcome.action(NodeId(0)).unwrap().outputs["text"];
    replace(&engine, object.sha256, "X");

    assert_eq!(run(&engine, &first).computed, 0, "nothing needs the damaged object");
    let c = Fake::new("c", "z");
    let second = graph(&[(&a, &[]), (&b, &["a"]), (&c, &["a"])]);
    let heard = Heard::default();
    let outcome = engine.run(&second, &[NodeId(2)], &[], &heard, execute);
    assert_eq!(text(&engine, &second, &outcome, "c"), "xz");
    assert_eq!((a.runs(), b.runs(), c.runs()), (2, 1, 1));
    let warnings = heard.warnings.into_inner().unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("`a` is damaged"), "{warnings:?}");
    assert!(matches!(outcome.nodes[1], NodeOutcome::NotWanted));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is damaged and however many steps share it: everything ends done, with the right results, and each
    /// damaged object is computed again once.
    #[test]
    fn damage_is_repaired_once(
        damages in proptest::collection::vec((0..6usize, any::<bool>()), 1..6),
        threads in 1..5usize,
        pause in 0..4u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = engine(folder.path());
        engine.threads = threads;
        let base: Vec<Fake> = (0..6).map(|i| Fake::new(&format!("base {i}"), &format!("<{i}>"))).collect();
        let readers = |round: usize| -> Vec<Fake> {
            let reader = |i: usize| Fake::new(&format!("reader {i}"), &format!("{i}|{round}"));
            (0..12).map(|i| reader(i).doing(move |_| {
                std::thread::sleep(std::time::Duration::from_millis(pause * (i as u64 % 3)));
                Ok(())
            })).collect()
        };
        // `base 3` to `base 5` read the ones before; each reader reads three of them.
        let inputs = |i: usize| [i % 6, (i + 1) % 6, (i + 3) % 6].map(|n| format!("base {n}"));
        let plan = |readers: &[Fake]| {
            let mut graph = Graph::default();
            for (i, step) in base.iter().enumerate() {
                let below = i.checked_sub(3).map(|n| format!("base {n}"));
                let sources: Vec<_> = below.iter().map(|name| source(name, graph.find(name).unwrap())).collect();
                graph.add(step.step(), sources);
            }
            for (i, reader) in readers.iter().enumerate() {
                let sources: Vec<_> = inputs(i).iter().map(|name| source(name, graph.find(name).unwrap())).collect();
                graph.add(reader.step(), sources);
            }
            graph
        };
        let first = readers(0);
        let graph = plan(&first);
        let before = run(&engine, &graph);
        let texts = |graph: &Graph, outcome: &Outcome| -> Vec<String> {
            (0..12).map(|i| text(&engine, graph, outcome, &format!("reader {i}"))).collect()
        };
        let expected = texts(&graph, &before);
        let mut damaged = std::collections::BTreeSet::new();
        for (at, remove) in damages {
            let object = before.action(NodeId(at)).unwrap().outputs["text"].sha256;
            if damaged.insert(at) {
                replace(&engine, object, if at < 3 { "***" } else { "******" });
                if remove {
                    std::fs::remove_file(engine.store.object_path(object)).unwrap();
                }
            }
        }
        let runs: Vec<usize> = base.iter().map(Fake::runs).collect();
        let second = readers(1);
        let graph = plan(&second);
        let after = run(&engine, &graph);
        prop_assert_eq!(texts(&graph, &after), expected);
        for (at, step) in base.iter().enumerate() {
            prop_assert_eq!(step.runs() - runs[at], usize::from(damaged.contains(&at)), "base {}", at);
        }
    }
}

/// Runs that share a store at the same time compute each step once.
#[test]
fn concurrent_runs_compute_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let slow = |name: &str| {
        Fake::new(name, name).doing(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(())
        })
    };
    let steps: Vec<Fake> = ["a", "b", "c", "d"].map(slow).into();
    let graph = graph(&[(&steps[0], &[]), (&steps[1], &["a"]), (&steps[2], &["a"]), (&steps[3], &["b", "c"])]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let engine = engine(folder.path());
                let outcome = run(&engine, &graph);
                assert_eq!(text(&engine, &graph, &outcome, "d"), "abacd");
            });
        }
    });
    assert_eq!(steps.iter().map(Fake::runs).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn an_interrupted_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let engine1 = engine(folder.path());
    let (a, c) = (Fake::new("a", "x"), Fake::new("c", "z"));
    let b = Fake::new("b", "y").doing(|job| {
        job.interrupt.raise();
        job.interrupt.check()
    });
    let outcome = run(&engine1, &graph(&[(&a, &[]), (&b, &["a"]), (&c, &["b"])]));
    assert!(outcome.interrupted);
    assert!(matches!(&outcome.nodes[2], NodeOutcome::Absent(absence) if absence.cause.contains("interrupted")));
    let engine2 = engine(folder.path());
    let graph = graph(&[(&a, &[]), (&Fake::new("b", "y"), &["a"]), (&c, &["b"])]);
    let outcome = run(&engine2, &graph);
    assert_eq!((a.runs(), text(&engine2, &graph, &outcome, "c")), (1, "xyz".into()));
}

/// A step that wants all cores runs alone, and gets its turn. A worker for each core computes all of them: each thread takes
/// memory of its own.
#[test]
fn cores_are_never_overbooked() {
    let (_folder, engine) = place();
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let workers: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
    let mut graph = Graph::default();
    for n in 0..12 {
        let (busy, most, workers) = (busy.clone(), most.clone(), workers.clone());
        let (cost, cores) = if n % 4 == 0 { (Cost::AllCores, 2) } else { (Cost::OneCore, 1) };
        let mut step = Fake::new(&format!("step {n}"), &n.to_string()).doing(move |_| {
            workers.lock().unwrap().insert(std::thread::current().id());
            most.fetch_max(busy.fetch_add(cores, Ordering::SeqCst) + cores, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(5));
            busy.fetch_sub(cores, Ordering::SeqCst);
            Ok(())
        });
        step.cost = cost;
        graph.add(step.step(), []);
    }
    assert_eq!(run(&engine, &graph).computed, 12);
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(workers.lock().unwrap().len() <= 2);
}

#[test]
fn the_first_difference_explains_a_step() {
    let (_folder, engine) = place();
    let make = |text: &str| graph(&[(&Fake::new("a", text), &[]), (&Fake::new("b", "y"), &["a"])]);
    let explained = |text: &str, id: usize| -> explain::Explanation { engine.explain(&make(text), NodeId(id)) };
    assert_eq!(explained("x", 0).verdict, "would run: never done in this store");
    assert_eq!(explained("x", 1).verdict, "would run after `a`, whose results are part of its key");
    run(&engine, &make("x"));
    assert_eq!(explained("x", 1).verdict, "done: nothing in its key has changed");
    assert_eq!(explained("z", 0).verdict, "would run: changed: `text` was `x`, is `z`");
    let states = engine.survey(&make("z"));
    assert!(matches!(&states[0], State::Ready(_, Reason::Changed(_))));
    assert!(matches!(&states[1], State::Waiting(on) if on == &[NodeId(0)]));
}

/// The environment is part of the keys of steps that compute with tensors, and of no others.
#[test]
fn the_environment_matters_to_tensors() {
    let (_folder, mut engine) = place();
    let mut train = Fake::new("train", "w");
    train.kind = Kind::Train;
    let graph = graph(&[(&train, &[]), (&Fake::new("words", "w"), &[])]);
    run(&engine, &graph);
    engine.environment.libtorch = "1".into();
    engine.threads = 7;
    let states = engine.survey(&graph);
    assert!(matches!(&states[0], State::Ready(_, Reason::Changed(d)) if d.to_string() == "`libtorch` was `0`, is `1`"));
    assert!(matches!(&states[1], State::Done(..)));
}

/// Steps that compute the same from the same inputs are one step with several labels.
#[test]
fn a_step_may_have_several_labels() {
    let mut graph = Graph::default();
    let first = graph.add(Fake::new("a", "x").step(), []);
    assert_eq!(graph.add(Fake::new("another", "x").step(), []), first);
    let one = graph.add(Fake::new("b", "x").step(), [source("in", first)]);
    let other = graph.add(Fake::new("c", "y").step(), [source("in", first)]);
    assert!(one != first && one != other);
    assert_eq!((graph.len(), graph.find("a"), graph.find("another")), (3, Some(first), Some(first)));
}

/// A label names one step.
#[test]
#[should_panic(expected = "two steps are called `a`")]
fn two_steps_cannot_have_one_label() {
    let mut graph = Graph::default();
    graph.add(Fake::new("a", "x").step(), []);
    graph.add(Fake::new("a", "y").step(), []);
}

/// A result is computed once. A step that expects another result refuses it, whether it was computed just now or before.
#[test]
fn expectations_refuse_results_and_change_none() {
    let (_folder, engine) = place();
    let given = Fake::new("given", "five");
    let (five, six) = (given.clone().expecting("five"), given.clone().expecting("six"));
    let after = Fake::new("after", "");
    let graph = |step: &Fake| graph(&[(step, &[]), (&after, &["given"])]);
    for _ in 0..2 {
        let outcome = run(&engine, &graph(&six));
        let NodeOutcome::Absent(absence) = &outcome.nodes[0] else { panic!("it should be refused") };
        let absence = (absence.status, absence.cause.as_str(), absence.hint.as_deref());
        assert_eq!(absence, (Status::Failed, "expected six, found five", Some("expect less")));
    }
    assert!(matches!(&engine.survey(&graph(&five))[..], [State::Done(..), State::Ready(..)]));
    let states = engine.survey(&graph(&six));
    let [State::Refused(_, _, refused), State::Blocked(blocked)] = &states[..] else { panic!("{states:?}") };
    assert_eq!(refused.to_string(), "expected six, found five");
    assert_eq!(blocked.to_string(), "`given` failed: expected six, found five");
    let outcome = run(&engine, &graph(&five));
    assert_eq!((outcome.computed, given.runs()), (1, 1));

    // If the output that decides is damaged, it is computed again.
    replace(&engine, outcome.action(NodeId(0)).unwrap().outputs["text"].sha256, "four");
    assert!(matches!(&engine.survey(&graph(&five))[0], State::Ready(_, Reason::Damaged(_))));
    let outcome = run(&engine, &graph(&five));
    assert_eq!((outcome.action(NodeId(0)).is_some(), given.runs()), (true, 2));
}
