//! Whether a result may be used: what a step expects of it beyond its key.

use std::cell::RefCell;

use super::Engine;
use crate::digest::Digest;
use crate::errors;
use crate::steps::{Absence, Step};
use crate::store::{Action, Damage};

/// What [`Step::accept`] came to.
pub(super) enum Acceptance {
    Accepted,
    /// What was expected and found.
    Refused(Absence),
    /// An output that had to be read is not what was kept.
    Damaged(Digest, Damage),
}

impl Engine {
    /// Asks a step whether it accepts a result that is recorded under its key.
    pub(super) fn acceptance(&self, step: &Step, action: &Action) -> Acceptance {
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
            (_, Err(error)) => Acceptance::Refused(Absence::by_error(step, &error)),
            (_, Ok(())) => Acceptance::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Graph, NodeId, Source};
    use super::super::run::{NodeOutcome, Outcome};
    use super::super::survey::{Reason, State};
    use super::super::tests::{Heard, engine};
    use super::*;
    use crate::steps::fake::Fake;
    use crate::steps::{Status, execute};

    fn run(engine: &Engine, step: &Fake) -> Outcome {
        let mut graph = Graph::default();
        let id = graph.add(step.step(), []);
        engine.run(&graph, &[id], &[], &Heard::default(), execute)
    }

    /// A result is computed once. A step that expects something else refuses it, just computed or not; others accept it.
    #[test]
    fn expectations_refuse_results_and_make_none() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let given = Fake::new("given", "five");
        let (five, six) = (given.clone().expecting("five"), given.clone().expecting("six"));
        for _ in 0..2 {
            let outcome = run(&engine, &six);
            let NodeOutcome::Absent(absence) = &outcome.nodes[0] else { panic!("it should be refused") };
            assert_eq!(absence.status, Status::Failed);
            assert_eq!(
                (absence.cause.as_str(), absence.hint.as_deref()),
                ("expected six, found five", Some("expect less"))
            );
        }
        let outcome = run(&engine, &five);
        assert_eq!((outcome.computed, given.runs()), (0, 1));
        let action = outcome.action(NodeId(0)).unwrap();
        // A survey says so before anything runs.
        let state = |step: &Fake| {
            let mut graph = Graph::default();
            let id = graph.add(step.step(), []);
            graph.add(Fake::new("after", "").step(), [("text".to_owned(), Source { node: id, output: "text".into() })]);
            engine.survey(&graph)
        };
        assert!(matches!(&state(&five)[..], [State::Done(..), State::Ready(..)]));
        let states = state(&six);
        let [State::Refused(_, _, refused), State::Blocked(blocked)] = &states[..] else { panic!("{states:?}") };
        assert_eq!(refused.to_string(), "expected six, found five");
        assert_eq!(blocked.to_string(), "`given` failed: expected six, found five");

        // Where the output that decides is damaged, it is computed again.
        let path = engine.store.object_path(action.outputs["text"].sha256);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "four").unwrap();
        assert!(matches!(&state(&five)[0], State::Ready(_, Reason::Damaged(_))));
        assert!(run(&engine, &five).action(NodeId(0)).is_some());
        assert_eq!(given.runs(), 2);
    }
}
