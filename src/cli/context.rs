//! Shared by the subcommands: global options, the program that runs them, printing, signals, exit codes.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::signals;
use crate::engine::devices::Devices;
use crate::engine::display::{Style, about};
use crate::engine::run::Outcome;
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::planning::estimate::Estimate;
use crate::planning::overview::Measure;
use crate::planning::project::{self, Options};
use crate::progress::{Progress, Unit, plain, say};
use crate::publication::Run;
use crate::publication::cost::Cost;
use crate::publication::machine::Libtorch;
use crate::publication::run::Chosen;
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

/// The consent to a long run.
#[derive(Debug, clap::Args)]
pub struct Consent {
    /// Start a run of more than an hour or 5 GB of downloads without asking; without a terminal, such downloads need it
    #[arg(short, long)]
    yes: bool,
}

impl Consent {
    /// Prints what a run will take, if that is much. If it is very much, asks on a terminal whether to go on. Where nobody can
    /// be asked, only large downloads need consent.
    ///
    /// # Errors
    /// A usage error if the user does not agree, or cannot be asked about large downloads.
    pub fn ask(&self, run: &Run, chosen: Chosen<'_>, measure: Measure, quiet: bool) -> anyhow::Result<()> {
        let cost = run.cost(chosen, measure, quiet)?;
        if !cost.is_notable() {
            return Ok(());
        }
        let name = &run.planned.suite.name;
        let is_asked = cost.is_large() && !self.yes;
        if !quiet || is_asked {
            say(format_args!("{name}: {}", described(&cost)));
        }
        if !is_asked {
            return Ok(());
        }
        let plan = run.project.command("plan", &run.planned.suite);
        let hint = format!("start it with --yes; `{plan} --summary` shows more");
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            // A computation can be stopped at any time, and goes on where it stopped.
            return match cost.is_large_download() {
                true => Err(errors::usage("more than 5 GB of downloads were not agreed to", hint)),
                false => Ok(()),
            };
        }
        let mut stderr = std::io::stderr();
        write!(stderr, "Start it? [y/N] ").and_then(|()| stderr.flush()).context("cannot write to the terminal")?;
        signals::wait_for_input(&run.engine.interrupt)?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("cannot read from the terminal")?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(errors::usage("nothing was started", hint)),
        }
    }
}

fn described(cost: &Cost) -> String {
    let counted = |n: usize, what: &str| (n > 0).then(|| counted(n, what));
    let Estimate { results, downloads_at_most, .. } = &cost.estimate;
    let at_most = if downloads_at_most.is_empty() { "" } else { "at most " };
    let download = cost.download();
    let parts = [
        counted(cost.trainings, "training"),
        counted(cost.encodings, "encoding"),
        Some(format!("about {} here", about(cost.estimate.total_seconds()))),
        (download > 0).then(|| format!("{at_most}{} to download", HumanBytes(download))),
        (*results > 0).then(|| format!("about {} of results", HumanBytes(*results))),
        counted(cost.unavailable.len(), "archive")
            .map(|archives| format!("without {archives} that you have to download")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A number of bytes for people.
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number of things for people: `1 result`, `2,000 results`.
pub fn counted(n: usize, one: &str) -> String {
    format!("{} {one}{}", HumanCount(n as u64), if n == 1 { "" } else { "s" })
}

/// A bar on a terminal.
pub struct Meter(ProgressBar);

impl Meter {
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
        let style = "{bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left";
        Meter(bar.with_style(ProgressStyle::with_template(style).expect("the template is right")))
    }
}

impl Progress for Meter {
    fn begin(&self, total: Option<u64>, _unit: Unit) {
        total.iter().for_each(|total| self.0.set_length(*total));
    }

    fn advance(&self, n: u64) {
        self.0.inc(n);
    }

    fn note(&self, message: &str) {
        self.0.println(message);
    }
}

/// The result of a command.
pub enum Answer {
    Done(ExitCode),
    /// The command has to start again, with libtorch.
    NeedsTensors,
}

/// What needs libtorch. Who has one of these may call it: libtorch is loaded.
#[derive(Clone, Copy)]
pub struct Tensors(());

impl Tensors {
    /// Of a process that libtorch was loaded into.
    pub(super) fn loaded() -> Self {
        Tensors(())
    }

    /// The devices that the user asks for.
    ///
    /// # Errors
    /// A usage error if one of them does not exist.
    pub fn devices(self, global: &Global) -> anyhow::Result<Devices> {
        project::devices(&global.options.device)
    }

    pub fn execute(self) -> Execute {
        crate::steps::execute
    }

    pub fn calibrate(self) -> Measure {
        crate::planning::calibration::measure
    }

    pub fn libtorch(self) -> Libtorch {
        Libtorch::look()
    }
}

/// The devices that the user asks for; `None` if only libtorch knows.
///
/// # Errors
/// A usage error if one of them does not exist.
pub fn devices(global: &Global, tensors: Option<Tensors>) -> anyhow::Result<Option<Devices>> {
    match tensors {
        Some(tensors) => tensors.devices(global).map(Some),
        None => project::devices_without_libtorch(&global.options.device),
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

/// Signals within this time are one: Slurm sends them to a script and to what it runs, and the script passes its own on.
const TOGETHER: Duration = Duration::from_secs(1);

/// The first Ctrl-C (or SIGTERM, or SIGHUP) raises the interrupt; a later one ends the process at once. A signal that the
/// caller has the process ignore, as `nohup` does with SIGHUP, stays ignored.
pub fn stop_on_signals() -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let ignored = signals::ignored();
    let (raised, mut first) = (interrupt.clone(), None::<Instant>);
    ctrlc::set_handler(move || match first {
        None => {
            first = Some(Instant::now());
            raised.raise();
            say("stopping; finished steps are kept (press Ctrl-C again to exit at once)");
        }
        Some(first) if first.elapsed() < TOGETHER => {}
        // Without the destructors of libtorch, in which other threads compute.
        // SAFETY: nothing of this process is used after it.
        Some(_) => unsafe { libc::_exit(i32::from(Class::Interrupted.exit_code())) },
    })?;
    signals::ignore(&ignored);
    Ok(interrupt)
}
