//! Shared by the subcommands: global options, the program that runs them, printing, signals, exit codes.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use super::signals;
use crate::engine::display::Style;
use crate::engine::run::Outcome;
use crate::errors::Class;
use crate::interrupt::Interrupt;
use crate::planning::overview::Measure;
use crate::planning::project::{self, Options};
use crate::progress::{plain, say};
use crate::publication::machine::Libtorch;
use crate::steps::{Execute, Status};

/// Options of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    #[command(flatten)]
    pub options: Options,
    /// Print only warnings and failures
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print a line for each step
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
}

impl Global {
    /// How much progress to show.
    pub fn style(&self) -> Style {
        match (self.quiet, self.verbose) {
            (true, _) => Style::Quiet,
            (_, true) => Style::Verbose,
            _ => Style::Automatic,
        }
    }
}

/// The suite of a command, by its place.
#[derive(Debug, clap::Args)]
pub struct Suite {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    #[arg(default_value = "paper")]
    pub suite: String,
}

/// The suite of a command that is about a part of it.
#[derive(Debug, clap::Args)]
pub struct OfSuite {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    #[arg(long, default_value = "paper")]
    pub suite: String,
}

/// The result of a command.
pub enum Answer {
    Done(ExitCode),
    /// The command has to continue in the program with libtorch.
    NeedsTensors,
}

/// Functions of the program with libtorch. `seesaw` does not link them, and so starts without libtorch.
#[derive(Clone, Copy)]
pub struct Tensors {
    pub device: fn(&str) -> anyhow::Result<tch::Device>,
    pub execute: Execute,
    pub calibrate: Measure,
    pub libtorch: fn() -> Libtorch,
}

/// The program that runs a command: `seesaw`, or `seesaw-full`, which has tensors.
#[derive(Clone, Copy)]
pub struct Program {
    pub tensors: Option<Tensors>,
}

impl Program {
    /// The device that the user asks for; `None` if only libtorch knows.
    ///
    /// # Errors
    /// A usage error if there is no such device.
    pub fn device(self, global: &Global) -> anyhow::Result<Option<tch::Device>> {
        match self.tensors {
            Some(tensors) => (tensors.device)(&global.options.device).map(Some),
            None => project::device_without_libtorch(&global.options.device),
        }
    }
}

/// Prints to standard output. A reader that has closed the pipe is not an error.
///
/// # Errors
/// If it cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(plain(text).as_bytes()).and_then(|()| out.flush()) {
        // As in `seesaw plan smoke | head`: the command ends as it would have ended.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints a result as text or as JSON.
pub fn show(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    if json { print_json(value) } else { print(&text()) }
}

/// 1 if a step failed, else 3 if data is unavailable, else 0.
pub fn exit_code(outcome: &Outcome) -> ExitCode {
    let any = |status| outcome.absent(status).next().is_some();
    ExitCode::from(match (any(Status::Failed), any(Status::Unavailable)) {
        (true, _) => Class::Failed.exit_code(),
        (false, true) => Class::Unavailable.exit_code(),
        (false, false) => 0,
    })
}

/// The first Ctrl-C (or SIGTERM, or SIGHUP) raises the interrupt; the second one ends the process at once. A signal that the
/// caller has the process ignore, as `nohup` does with SIGHUP, stays ignored.
pub fn stop_on_signals() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let ignored = signals::ignored();
    let raised = interrupt.clone();
    ctrlc::set_handler(move || {
        if raised.raised() {
            std::process::exit(i32::from(Class::Interrupted.exit_code()));
        }
        raised.raise();
        say("stopping; finished steps are kept (press Ctrl-C again to exit at once)");
    })?;
    signals::ignore(&ignored);
    Ok(interrupt)
}
