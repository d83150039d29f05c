//! What `seesaw push` and `seesaw pull` share.

use std::process::ExitCode;

use serde::Serialize;

use super::context::{Global, Suite, show};
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
