//! Whether a result may be used: what a step expects of it beyond its key.

use std::cell::RefCell;

use super::Engine;
use super::job::told;
use crate::errors;
use crate::steps::Step;
use crate::store::{Action, Damage, Digest};

/// What [`Step::accept`] came to.
pub(super) enum Acceptance {
    Accepted,
    /// What was expected and found.
    Refused(String),
    /// An output that had to be read is not what was kept.
    Damaged(Digest, Damage),
}

impl Engine {
    /// Asks a step whether it accepts a result that is recorded under its key.
    pub(super) fn acceptance(&self, step: &dyn Step, action: &Action) -> Acceptance {
        let damaged = RefCell::new(None);
        let read = |name: &str| {
            let output = action.outputs.get(name);
            let output = output.ok_or_else(|| anyhow::anyhow!("`{}` gave no `{name}`", action.label))?;
            self.store.read(output).map_err(|damage| {
                let error = errors::failed(format!("`{name}` is damaged: {damage}"), "run the same command again");
                damaged.replace(Some((output.sha256, damage)));
                error
            })
        };
        let accepted = step.accept(&read);
        match (damaged.into_inner(), accepted) {
            (Some((object, damage)), Err(_)) => Acceptance::Damaged(object, damage),
            (_, Err(error)) => Acceptance::Refused(told(&error)),
            (_, Ok(())) => Acceptance::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::graph::{Graph, NodeId, Source};
    use super::super::run::{NodeOutcome, Outcome};
    use super::super::survey::{Reason, State};
    use super::super::tests::{Heard, engine};
    use super::*;
    use crate::steps::{Absence, Job, Kind, Outputs, Step, StepResult};
    use crate::store::Ingredients;

    /// Gives always the same, and expects something of it.
    struct Given {
        expected: &'static str,
    }

    /// Needs what is given.
    struct After;

    impl Step for After {
        fn kind(&self) -> Kind {
            Kind::Encode
        }

        fn label(&self) -> String {
            "after".into()
        }

        fn ingredients(&self, _list: &mut Ingredients) {}
    }

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    impl Step for Given {
        fn kind(&self) -> Kind {
            Kind::Prepare
        }

        fn label(&self) -> String {
            "given".into()
        }

        fn ingredients(&self, _list: &mut Ingredients) {}

        fn accept(&self, result: &StepResult<'_>) -> anyhow::Result<()> {
            let found = String::from_utf8(result("text")?)?;
            match found == self.expected {
                true => Ok(()),
                false => Err(errors::failed(format!("expected {}, found {found}", self.expected), "expect less")),
            }
        }
    }

    fn execute(_step: &dyn Step, job: &Job) -> anyhow::Result<Outputs> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        Ok(BTreeMap::from([("text".to_owned(), job.write("text", b"five")?)]))
    }

    fn run(engine: &Engine, expected: &'static str) -> Outcome {
        let mut graph = Graph::default();
        let id = graph.add(Given { expected }, []);
        engine.run(&graph, &[id], &[], &Heard::default(), &execute)
    }

    /// It is computed once, refused by who expects something else, computed just now or not, and accepted by others.
    #[test]
    fn expectations_refuse_results_and_make_none() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        for _ in 0..2 {
            let outcome = run(&engine, "six");
            let NodeOutcome::Absent(Absence::Failed(cause)) = &outcome.nodes[0] else { panic!("it should be refused") };
            assert_eq!(cause, "expected six, found five\nhint: expect less");
        }
        let outcome = run(&engine, "five");
        assert_eq!((outcome.computed, RUNS.load(Ordering::SeqCst)), (0, 1));
        let action = outcome.action(NodeId(0)).unwrap();
        // Before anything runs, it is told.
        let state = |expected: &'static str| {
            let mut graph = Graph::default();
            let id = graph.add(Given { expected }, []);
            graph.add(After, [("text".to_owned(), Source { node: id, output: "text".into() })]);
            engine.survey(&graph)
        };
        assert!(matches!(&state("five")[..], [State::Done(..), State::Ready(..)]));
        let told = "expected six, found five\nhint: expect less";
        let [State::Refused(_, _, cause), State::HeldUp(held)] = &state("six")[..] else { panic!() };
        assert_eq!((cause.as_str(), held), (told, &format!("`given` failed: {told}")));

        // What it was to be accepted by is damaged: it is made again.
        let path = engine.store.object_path(action.outputs["text"].sha256);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "four").unwrap();
        assert!(matches!(&state("five")[0], State::Ready(_, Reason::Damaged(_))));
        assert!(run(&engine, "five").action(NodeId(0)).is_some());
        assert_eq!(RUNS.load(Ordering::SeqCst), 2);
    }
}
