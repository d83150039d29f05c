//! Steps: pure functions of their parameters and of the content of their inputs.
//!
//! Each kind is one file: its parameters, inputs and outputs, and how it is computed; its recipe version is in
//! [`Kind::recipe`]. A step knows files and the rooms that do the work. It knows nothing of keys, plans, or the store
//! beyond the files it is given.

mod absence;
pub mod choose;
pub mod collect;
pub mod condition;
mod content;
pub mod encode;
pub mod evaluate;
#[cfg(test)]
pub(crate) mod fake;
pub mod fetch;
pub mod impair;
mod job;
mod kind;
pub mod prepare;
pub mod render;
pub mod resample;
pub mod train;

pub use absence::{Absence, Origin, Status};
pub use content::Content;
pub use job::{InputFile, Job, Outputs};
pub use kind::{Cost, Describe, StepResult};

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use self::choose::Choose;
use self::collect::Collect;
use self::encode::Encode;
use self::evaluate::Evaluate;
use self::fetch::Fetch;
use self::impair::Impair;
use self::prepare::Prepare;
use self::render::Render;
use self::resample::Resample;
use self::train::Train;
use crate::errors::{self, Class};
pub use crate::manifests::context::FetchPlaces;

macro_rules! kinds {
    ($($kind:ident = $name:literal),*) => {
        /// The kinds of steps, in the order in which data flows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub const ALL: [Kind; [$($name),*].len()] = [$(Kind::$kind),*];

            /// The first word of the step's label; part of every key.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            /// The kind with a name.
            pub fn named(name: &str) -> Option<Kind> {
                match name { $($name => Some(Kind::$kind),)* _ => None }
            }
        }

        /// A step of a plan, as data: what it computes, what it depends on, what it costs. [`execute`] computes it.
        #[derive(Clone, Debug)]
        pub enum Step {
            $($kind($kind),)*
            /// A step that a test makes up.
            #[cfg(test)]
            Fake(fake::Fake),
        }

        impl Step {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Step::$kind(_) => Kind::$kind,)*
                    #[cfg(test)]
                    Step::Fake(step) => step.kind,
                }
            }
        }

        /// A step says about itself what its kind says.
        impl Deref for Step {
            type Target = dyn Describe;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Step::$kind(step) => step,)*
                    #[cfg(test)]
                    Step::Fake(step) => step,
                }
            }
        }

        $(impl From<$kind> for Step {
            fn from(step: $kind) -> Self {
                Step::$kind(step)
            }
        })*
    };
}

kinds! {
    Fetch = "fetch", Prepare = "prepare", Impair = "impair", Encode = "encode", Train = "train", Choose = "choose",
    Evaluate = "evaluate", Resample = "resample", Collect = "collect", Render = "render"
}

impl Step {
    /// The absence of this step's results: it failed, or its data is unavailable. The cause has nothing of this machine.
    pub fn absence(&self, status: Status, cause: impl Into<String>, hint: Option<&str>) -> Absence {
        let origin = Origin { step: self.label(), kind: self.kind(), status };
        Absence { status, origin: Some(origin), cause: cause.into(), detail: None, hint: hint.map(str::to_owned) }
    }

    /// The absence of this step's results after an error.
    pub fn absence_after(&self, error: &anyhow::Error) -> Absence {
        let status = match errors::class_of(error) {
            Class::Unavailable => Status::Unavailable,
            _ => Status::Failed,
        };
        let detail = format!("{error:#}");
        let cause = self.cause(status, error).unwrap_or_else(|| detail.clone());
        self.absence(status, cause, errors::hint_of(error)).detailed(detail)
    }

    /// The absence of this step's results because a person has to get its data: how.
    pub fn unavailable(&self, how: String) -> Absence {
        let status = Status::Unavailable;
        self.absence(status, self.cause_of_kind(status).unwrap_or_else(|| how.clone()), None).detailed(how)
    }

    /// What to say of an error whose message depends on the machine. None: the message may be kept.
    fn cause(&self, status: Status, error: &anyhow::Error) -> Option<String> {
        let of_libtorch = || error.chain().any(|cause| cause.is::<tch::TchError>());
        self.cause_of_kind(status).or_else(|| match error {
            _ if errors::is_of_the_system(error) => Some("a file could not be read or written".to_owned()),
            _ if of_libtorch() => Some("libtorch ended it with an error".to_owned()),
            _ => None,
        })
    }

    /// Messages about downloads have addresses, and wording of the network.
    fn cause_of_kind(&self, status: Status) -> Option<String> {
        match (self, status) {
            (Step::Fetch(Fetch { archive }), Status::Unavailable) => {
                Some(format!("{} has to be downloaded by hand (see data-manifests/README.md)", archive.name))
            }
            (Step::Fetch(_), _) => Some("it could not be downloaded".to_owned()),
            _ => None,
        }
    }
}

/// A way to carry steps out: [`execute`], or [`execute_without_tensors`].
pub type Execute = fn(&Step, &Job) -> anyhow::Result<Outputs>;

/// Computes a step's outputs as files in the job's folder.
///
/// # Errors
/// What went wrong; an error of class interrupted if a stop was requested.
pub fn execute(step: &Step, job: &Job) -> anyhow::Result<Outputs> {
    if step.kind().uses_tensors() {
        crate::encoders::plain_numerics(job.device)?;
    }
    match step {
        Step::Encode(step) => step.compute(job),
        Step::Train(step) => step.compute(job),
        Step::Evaluate(step) => step.compute(job),
        other => execute_without_tensors(other, job),
    }
}

/// Computes the steps that need no tensors, for the program that does not load libtorch.
///
/// # Errors
/// As [`execute`]; also for a step that needs tensors.
pub fn execute_without_tensors(step: &Step, job: &Job) -> anyhow::Result<Outputs> {
    match step {
        Step::Fetch(step) => step.compute(job),
        Step::Prepare(step) => step.compute(job),
        Step::Impair(step) => step.compute(job),
        Step::Choose(step) => step.compute(job),
        Step::Resample(step) => step.compute(job),
        Step::Collect(step) => step.compute(job),
        Step::Render(step) => step.compute(job),
        #[cfg(test)]
        Step::Fake(step) => step.compute(job),
        Step::Encode(_) | Step::Train(_) | Step::Evaluate(_) => {
            anyhow::bail!("a step of kind `{}` needs libtorch", step.kind().name())
        }
    }
}
