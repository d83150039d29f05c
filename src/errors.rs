//! Failures that a person can act on: what was expected, what was found, and what to do next.
//!
//! Rooms define typed errors of their own where a caller has to tell cases apart, and use [`Problem`] where only a
//! person reads the message. The class of an error alone chooses the exit code.

use std::fmt;

/// Which kind of failure it was; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line or an experiment file is wrong: nothing was started. Exit code 2.
    Usage,
    /// A step failed; everything that was finished is kept. Exit code 1.
    Failed,
    /// Something that only a person can get is not here; everything else was done. Exit code 3.
    Unavailable,
    /// A person or a supervisor asked to stop; everything that was finished is kept. Exit code 130.
    Interrupted,
}

impl Class {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Usage => 2,
            Class::Failed => 1,
            Class::Unavailable => 3,
            Class::Interrupted => 130,
        }
    }
}

/// A message (expected, found, where) and a hint (what to do next), printed as `error: …` and `hint: …`.
#[derive(Clone, Debug)]
pub struct Problem {
    pub class: Class,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// A usage error with a hint.
pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Problem { class: Class::Usage, message: message.into(), hint: Some(hint.into()) }.into()
}

/// A failure with a hint.
pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Problem { class: Class::Failed, message: message.into(), hint: Some(hint.into()) }.into()
}

/// Something is not here that only a person can get: what it is and how, and a hint.
pub fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    of_class(Class::Unavailable, message, hint)
}

/// A failure of a class that is known from elsewhere.
pub fn of_class(class: Class, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Problem { class, message: message.into(), hint: Some(hint.into()) }.into()
}

/// The class of a failure that has several causes: something is unavailable only if nothing else went wrong.
pub fn class_of_all(classes: impl IntoIterator<Item = Class>) -> Class {
    let mut classes = classes.into_iter().peekable();
    let unavailable = classes.peek().is_some() && classes.all(|class| class == Class::Unavailable);
    if unavailable { Class::Unavailable } else { Class::Failed }
}

/// The error that every long computation returns once it was asked to stop.
pub fn interrupted() -> anyhow::Error {
    Problem { class: Class::Interrupted, message: "interrupted".into(), hint: None }.into()
}

/// The class of an error: that of the first [`Problem`] in its chain, else [`Class::Failed`].
pub fn class_of(error: &anyhow::Error) -> Class {
    problem_of(error).map_or(Class::Failed, |p| p.class)
}

/// The hint of the first [`Problem`] in an error's chain that has one.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.chain().filter_map(|e| e.downcast_ref::<Problem>()).find_map(|p| p.hint.as_deref())
}

/// Whether the operating system said no somewhere in an error's chain: a disk fails, a file may not be read. Whatever was
/// read is not to blame.
pub fn is_of_the_system(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.map(std::io::Error::raw_os_error).any(|code| code.is_some())
}

/// The known name that a mistyped one most likely means: few edits away, for its length.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (edits, near) = known.into_iter().map(|other| (strsim::levenshtein(name, other), other)).min()?;
    (edits <= 1 + name.chars().count() / 4).then_some(near)
}

fn problem_of(error: &anyhow::Error) -> Option<&Problem> {
    error.chain().find_map(|e| e.downcast_ref::<Problem>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    /// Context that is added on the way up hides neither the class nor the hint.
    #[test]
    fn class_and_hint_survive_context() {
        let error =
            Err::<(), _>(usage("unknown suite `smok`", "did you mean `smoke`?")).context("cannot plan").unwrap_err();
        assert_eq!(class_of(&error), Class::Usage);
        assert_eq!(hint_of(&error), Some("did you mean `smoke`?"));
        assert_eq!(class_of(&anyhow::anyhow!("plain")), Class::Failed);
    }

    #[test]
    fn a_typo_finds_its_word() {
        let known = ["baseline", "balgrad", "mslr"];
        assert_eq!(nearest("balgrd", known), Some("balgrad"));
        assert_eq!(nearest("basline", known), Some("baseline"));
        assert_eq!(nearest("agm", known), None);
    }
}
