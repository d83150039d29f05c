//! A step for tests of the engine: joins its inputs and its text, and counts how often it ran.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::job::{Job, Outputs};
use super::kind::{Cost, Describe, StepResult};
use super::{Kind, Step};
use crate::errors;
use crate::store::Ingredients;

type Action = Arc<dyn Fn(&Job) -> anyhow::Result<()> + Send + Sync>;

/// Its output is `text`.
#[derive(Clone)]
pub struct Fake {
    pub label: String,
    /// What follows `|` is a parameter that does not change the result.
    pub text: String,
    pub kind: Kind,
    pub cost: Cost,
    pub tolerant: bool,
    /// The only result that is accepted.
    pub expected: Option<String>,
    runs: Arc<AtomicUsize>,
    before: Action,
}

impl Fake {
    pub fn new(label: &str, text: &str) -> Self {
        Fake {
            label: label.into(),
            text: text.into(),
            kind: Kind::Prepare,
            cost: Cost::OneCore,
            tolerant: false,
            expected: None,
            runs: Arc::default(),
            before: Arc::new(|_| Ok(())),
        }
    }

    pub fn doing(mut self, before: impl Fn(&Job) -> anyhow::Result<()> + Send + Sync + 'static) -> Self {
        self.before = Arc::new(before);
        self
    }

    pub fn expecting(mut self, result: &str) -> Self {
        self.expected = Some(result.into());
        self
    }

    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    pub fn step(&self) -> Step {
        Step::Fake(self.clone())
    }

    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        (self.before)(job)?;
        let mut joined = String::new();
        for input in job.inputs.values() {
            joined += &std::fs::read_to_string(&input.path).expect("an input can be read");
        }
        for (role, absence) in &job.absent {
            joined += &format!("<{role}: {}: {absence}>", absence.status.name());
        }
        joined += self.text.split('|').next().unwrap_or_default();
        Ok(Outputs::from([job.write("text", joined.as_bytes())?]))
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fake").field("label", &self.label).field("text", &self.text).finish_non_exhaustive()
    }
}

impl Describe for Fake {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn ingredients(&self, list: &mut Ingredients) {
        list.text("text", &self.text);
    }

    fn cost(&self) -> Cost {
        self.cost
    }

    fn accept(&self, result: &StepResult<'_>) -> anyhow::Result<()> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let found = String::from_utf8(result("text")?)?;
        match found == *expected {
            true => Ok(()),
            false => Err(errors::failed(format!("expected {expected}, found {found}"), "expect less")),
        }
    }

    fn tolerates_absent_inputs(&self) -> bool {
        self.tolerant
    }
}
