//! Why a step has no results.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Kind;

/// How a step without results ended.
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

/// Why a step has no results: its status and the first cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Absence {
    pub status: Status,
    /// The step that failed or is unavailable: this one, or one that it needs. None if no step is to blame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origin: Option<Origin>,
    /// What happened there.
    pub cause: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

/// The step that caused an absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Origin {
    pub step: String,
    pub kind: Kind,
    /// Failed or unavailable.
    pub status: Status,
}

impl Absence {
    /// A step that did not run although all its inputs are there.
    pub fn not_run(cause: &str) -> Self {
        Absence { status: Status::NotRun, origin: None, cause: cause.to_owned(), hint: None }
    }

    /// The cause, and a line with what to do about it.
    pub fn with_hint(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("{self}{hint}")
    }

    /// As an ingredient of keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an absence is plain data")
    }

    /// The absence of a step that needs this one: it keeps the first cause, and leaves out the steps between.
    pub fn of_dependent(&self) -> Self {
        Absence { status: Status::NotRun, ..self.clone() }
    }
}

/// The cause in one line; if another step failed, with its label.
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
