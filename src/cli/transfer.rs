//! What `seesaw push` and `seesaw pull` share.

use std::process::ExitCode;

use indicatif::HumanCount;
use serde::Serialize;

use super::context::{Global, Suite, counted, show};
use crate::errors::Class;
use crate::progress::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub of: Suite,
    /// Transfer archives, pictures, texts and labels as well; mind their licences, which `push` shows
    #[arg(long)]
    pub with_data: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Some steps of a suite are not done: `1 of 38 steps is not done`.
pub fn not_done(open: usize, steps: usize) -> String {
    let verb = if open == 1 { "is" } else { "are" };
    format!("{} of {} {verb} not done", HumanCount(open as u64), counted(steps, "step"))
}

impl Args {
    /// Tells what was transferred, and what could not be. The exit code is 1 if there is such.
    ///
    /// # Errors
    /// If it cannot be printed.
    pub fn tell(
        &self,
        global: &Global,
        transferred: &impl Serialize,
        text: impl FnOnce() -> String,
        faults: (&str, &[String]),
    ) -> anyhow::Result<ExitCode> {
        let (what, faults) = faults;
        faults.iter().for_each(|fault| say(format_args!("error: cannot {what} {fault}")));
        if self.json || !global.quiet {
            show(self.json, transferred, text)?;
        }
        Ok(ExitCode::from(if faults.is_empty() { 0 } else { Class::Failed.exit_code() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_is_not_done_and_two_are_not() {
        assert_eq!(not_done(1, 38), "1 of 38 steps is not done");
        assert_eq!(not_done(2, 2), "2 of 2 steps are not done");
    }
}
