//! Errors that a user can act on: what was expected, what was found, and what to do next.
//!
//! Rooms define their own error types where callers have to distinguish cases, and use [`Problem`] where only a user reads
//! the message. The class of an error alone decides the exit code.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The class of an error; each has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line or an experiment file is wrong; nothing was started. Exit code 2.
    Usage,
    /// A step failed; all finished steps are kept. Exit code 1.
    Failed,
    /// Data that only a person can get is not there; everything else was done. Exit code 3.
    Unavailable,
    /// The user or a supervisor requested a stop; all finished steps are kept. Exit code 130.
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

/// What to do if the folder of the store cannot be used.
pub const ANOTHER_STORE: &str = "name another folder for the store with --store or SEESAW_STORE";

/// A message (expected, found, where) and a hint (what to do next), printed as `error: …` and `hint: …`.
#[derive(Clone, Debug)]
pub struct Problem {
    pub class: Class,
    pub message: String,
    pub hint: Option<String>,
    /// The error that got a hint, if this was one: the errors behind it are printed after the message.
    cause: Option<Arc<anyhow::Error>>,
}

impl Problem {
    pub fn new(class: Class, message: impl Into<String>, hint: Option<String>) -> Self {
        Problem { class, message: message.into(), hint, cause: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref()?.source()
    }
}

/// A usage error with a hint.
pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    of_class(Class::Usage, message, hint)
}

/// A failure with a hint.
pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    of_class(Class::Failed, message, hint)
}

/// A usage error about a name that does not exist, with the nearest known name and all others as the hint.
pub fn unknown<'a>(message: impl Into<String>, name: &str, known: impl IntoIterator<Item = &'a str>) -> anyhow::Error {
    let known: Vec<&str> = known.into_iter().collect();
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
    usage(message, format!("{}Known: {}", near.unwrap_or_default(), known.join(", ")))
}

/// An error about data that only a person can get: what it is, and how to get it.
pub fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    of_class(Class::Unavailable, message, hint)
}

/// An error of a given class, with a hint.
pub fn of_class(class: Class, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Problem::new(class, message, Some(hint.into())).into()
}

/// Adds a hint to an error that has none. The error should have a context: its first message becomes that of the problem.
pub fn with_hint(error: anyhow::Error, hint: impl Into<String>) -> anyhow::Error {
    if hint_of(&error).is_some() {
        return error;
    }
    let problem = Problem::new(class_of(&error), error.to_string(), Some(hint.into()));
    Problem { cause: Some(Arc::new(error)), ..problem }.into()
}

/// Checks an option that should be a positive number.
///
/// # Errors
/// A message with its name and value.
pub fn positive(name: &str, x: f64) -> Result<(), String> {
    let wrong = || format!("`{name}` should be a positive number, found {x}");
    (x.is_finite() && x > 0.0).then_some(()).ok_or_else(wrong)
}

/// Checks an option that should be a number that is not negative.
///
/// # Errors
/// A message with its name and value.
pub fn non_negative(name: &str, x: f64) -> Result<(), String> {
    let wrong = || format!("`{name}` should be a non-negative number, found {x}");
    (x.is_finite() && x >= 0.0).then_some(()).ok_or_else(wrong)
}

/// The class of an error with several causes: unavailable only if all of them are.
pub fn class_of_all(classes: impl IntoIterator<Item = Class>) -> Class {
    let mut classes = classes.into_iter().peekable();
    let unavailable = classes.peek().is_some() && classes.all(|class| class == Class::Unavailable);
    if unavailable { Class::Unavailable } else { Class::Failed }
}

/// The error that long computations return after a stop was requested.
pub fn interrupted() -> anyhow::Error {
    Problem::new(Class::Interrupted, "interrupted", None).into()
}

/// The class of an error: that of the first [`Problem`] in its chain, else [`Class::Failed`].
pub fn class_of(error: &anyhow::Error) -> Class {
    problem_of(error).map_or(Class::Failed, |p| p.class)
}

/// The first hint in an error's chain.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.chain().filter_map(|e| e.downcast_ref::<Problem>()).find_map(|p| p.hint.as_deref())
}

/// Whether an error comes from the operating system: the disk fails, or a file may not be read. Then the content of the file
/// is not to blame.
pub fn is_of_the_system(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.map(std::io::Error::raw_os_error).any(|code| code.is_some())
}

/// A name without its digits.
pub fn letters(name: &str) -> String {
    name.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// The known name that a mistyped one probably means, if it is few edits away for its length. Another number of several is no
/// typo: `table11` means neither `table1` nor `table2`.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let alike = known.iter().filter(|other| letters(other) == letters(name)).count();
    let ends_in_number = name.rsplit(' ').next().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    if alike > 1 || (alike == 1 && ends_in_number) {
        return None;
    }
    let (edits, near) = known.into_iter().map(|other| (strsim::osa_distance(name, other), other)).min()?;
    (edits <= 1 + name.chars().count() / 4).then_some(near)
}

fn problem_of(error: &anyhow::Error) -> Option<&Problem> {
    error.chain().find_map(|e| e.downcast_ref::<Problem>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    /// Context hides neither the class nor the hint.
    #[test]
    fn class_and_hint_survive_context() {
        let error =
            Err::<(), _>(usage("unknown suite `smok`", "did you mean `smoke`?")).context("cannot plan").unwrap_err();
        assert_eq!(class_of(&error), Class::Usage);
        assert_eq!(hint_of(&error), Some("did you mean `smoke`?"));
        assert_eq!(class_of(&anyhow::anyhow!("plain")), Class::Failed);
    }

    #[test]
    fn a_typo_finds_the_name() {
        let known = ["baseline", "balgrad", "mslr"];
        assert_eq!(nearest("balgrd", known), Some("balgrad"));
        assert_eq!(nearest("basline", known), Some("baseline"));
        assert_eq!(nearest("agm", known), None);
        let tables = ["table1", "table2"];
        assert_eq!((nearest("tabel2", tables), nearest("table11", tables)), (Some("table2"), None));
        assert_eq!((nearest("7", ["1", "2"]), nearest("balgrad 7", ["balgrad 1"])), (None, None));
        assert_eq!(nearest("food10", ["food101", "mm-imdb"]), Some("food101"));
    }
}
