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
    /// What happened there, as any machine would say it: without paths, ports, or wording of the operating system. Results
    /// and keys have it.
    pub cause: String,
    /// What happened there, in full, for the person who is there; none if the cause says all of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
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
        Absence { status: Status::NotRun, origin: None, cause: cause.to_owned(), detail: None, hint: None }
    }

    /// With what happened there in full.
    pub fn detailed(self, detail: String) -> Self {
        Absence { detail: (detail != self.cause).then_some(detail), ..self }
    }

    /// What happened in full, and a line with what to do about it.
    pub fn with_hint(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("{self}{hint}")
    }

    /// The cause in one line, as results have it; if another step failed, with its label.
    pub fn in_short(&self) -> String {
        self.says(&self.cause)
    }

    /// As an ingredient of keys: without what differs between machines.
    pub fn to_json(&self) -> String {
        let in_keys = Absence { detail: None, hint: None, ..self.clone() };
        serde_json::to_string(&in_keys).expect("an absence is plain data")
    }

    /// The absence of a step that needs this one: it keeps the first cause, and leaves out the steps between.
    pub fn of_dependent(&self) -> Self {
        Absence { status: Status::NotRun, ..self.clone() }
    }

    fn says(&self, what: &str) -> String {
        match &self.origin {
            Some(Origin { step, status: Status::Failed, .. }) if self.status == Status::NotRun => {
                format!("`{step}` failed: {what}")
            }
            _ => what.to_owned(),
        }
    }
}

/// What happened in full; if another step failed, with its label.
impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.says(self.detail.as_ref().unwrap_or(&self.cause)))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};
    use serde_json::json;

    use super::*;
    use crate::steps::fake::Fake;
    use crate::steps::{Fetch, Step};

    fn fetch() -> Step {
        let archive = json!({ "name": "words.zip", "at-most": 100, "sources": [
            { "type": "https", "urls": ["https://example.org/words.zip"] },
        ] });
        Fetch { archive: serde_json::from_value(archive).unwrap() }.into()
    }

    /// Ports, paths and wording of the operating system differ between machines and runs: a table that was made without a
    /// number would get another key for each of them.
    #[test]
    fn keys_have_nothing_of_the_machine() {
        let at = |port: u16| fetch().absence_after(&anyhow!("127.0.0.1:{port}: Connection refused (os error 111)"));
        assert_eq!(at(1).to_json(), at(2).to_json());
        assert_ne!(at(1).to_string(), at(2).to_string());
        assert_eq!(at(1).of_dependent().in_short(), "`fetch words.zip` failed: it could not be downloaded");

        let train = Step::Fake(Fake::new("train", ""));
        let full: Result<(), _> = Err(io::Error::from_raw_os_error(libc::ENOSPC));
        let full = train.absence_after(&full.context("cannot write /home/her/store/tmp/3/trace").unwrap_err());
        assert_eq!(full.in_short(), "a file could not be read or written");
        assert!(full.to_string().contains("/home/her"), "{full}");

        let torch = tch::TchError::Torch("out of memory\nframe #0: 0x7f3a in /opt/libtorch.so".into());
        let torch = train.absence_after(&torch.into());
        assert_eq!(torch.in_short(), "libtorch ended it with an error");

        for absence in [at(1), full, torch] {
            let key = absence.to_json();
            assert!(["/home", "/opt", "127.0.0.1", "os error"].iter().all(|word| !key.contains(word)), "{key}");
            assert_eq!(serde_json::from_str::<Absence>(&serde_json::to_string(&absence).unwrap()).unwrap(), absence);
        }
    }

    /// What the method itself says is the same everywhere.
    #[test]
    fn what_a_method_says_is_kept() {
        let train = Step::Fake(Fake::new("train", ""));
        let absence = train.absence_after(&anyhow!("balgrad: `loss_T` is NaN at step 7 (epoch 2)"));
        assert_eq!(absence.in_short(), "balgrad: `loss_T` is NaN at step 7 (epoch 2)");
        assert_eq!(absence.detail, None);
    }
}
