//! Why a step gave nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Kind, Step};
use crate::errors;

/// What became of a step that gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It ended with an error.
    Failed,
    /// It needs data that only a person can get.
    Unavailable,
    /// It did not run: an input is unavailable or failed, or the run was interrupted.
    NotRun,
}

impl Status {
    /// The name in keys and in files.
    pub fn name(self) -> &'static str {
        match self {
            Status::Failed => "failed",
            Status::Unavailable => "unavailable",
            Status::NotRun => "not run",
        }
    }
}

/// Why a step gave nothing: what became of it, and the first cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Absence {
    pub status: Status,
    /// The step in which the cause lies: itself, or one that it needs. None: no step is to blame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<Origin>,
    /// What happened there.
    pub cause: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// The step in which the cause of an absence lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Origin {
    pub step: String,
    pub kind: Kind,
    /// Failed or unavailable.
    pub status: Status,
}

impl Absence {
    /// A step that failed, or whose data is unavailable.
    pub fn of(step: &Step, status: Status, cause: impl Into<String>, hint: Option<&str>) -> Self {
        let origin = Origin { step: step.label(), kind: step.kind(), status };
        Absence { status, origin: Some(origin), cause: cause.into(), hint: hint.map(str::to_owned) }
    }

    /// A step that ended with this error.
    pub fn by_error(step: &Step, error: &anyhow::Error) -> Self {
        let status = match errors::class_of(error) {
            errors::Class::Unavailable => Status::Unavailable,
            _ => Status::Failed,
        };
        Absence::of(step, status, format!("{error:#}"), errors::hint_of(error))
    }

    /// A step that did not run although nothing that it needs is absent.
    pub fn not_run(cause: &str) -> Self {
        Absence { status: Status::NotRun, origin: None, cause: cause.to_owned(), hint: None }
    }

    /// For keys, which hold why a step went on without an input.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an absence is plain data")
    }

    /// What that means for a step that needs the absent one: the first cause, not the whole chain of steps between.
    pub fn of_dependent(&self) -> Self {
        Absence { status: Status::NotRun, ..self.clone() }
    }
}

/// The cause in one line; where another step failed, with that step.
impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(Origin { step, status: Status::Failed, .. }) if self.status == Status::NotRun => {
                write!(f, "`{step}` failed: {}", self.cause)
            }
            _ => f.write_str(&self.cause),
        }
    }
}
