//! The command line: one file per subcommand, each with its arguments and a thin `run`.

mod audit;
mod claims;
mod data;
mod doctor;
mod explain;
mod export;
mod fetch;
pub mod finish;
mod methods;
mod mirror;
mod output;
mod plan;
mod project;
mod provenance;
mod report;
mod run;
mod status;
mod trace;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use project::{Planned, Project};

use crate::errors::{self, Class};
use crate::experiments::Seeds;

/// Reproduces "See-Saw Modality Balance" (NAACL 2025) from its downloads to its tables.
///
/// Results are kept in a store by the hash of everything that they depend on, so that nothing is computed twice.
#[derive(Debug, Parser)]
#[command(name = "seesaw", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// The project's folder: the one that holds `experiments/` and `data-manifests/` [default: the nearest above]
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// The store's folder [default: `.seesaw` in the project]
    #[arg(long, global = true, value_name = "DIR", env = "SEESAW_STORE")]
    pub store: Option<PathBuf>,
    /// Where tensors live: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto")]
    pub device: String,
    /// How many cores to use; never changes a result [default: all]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Take archives from a server that brings its own manifests; results are labelled a trial
    #[arg(long, global = true, value_name = "URL")]
    pub mirror: Option<String>,
    /// Use so many samples of each split, drawn once and by class; results are labelled a trial
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub subset: Option<u32>,
    /// Train with other seeds than the suite's: how many, from 1 on, or a list such as 1,2,7
    #[arg(long, global = true, value_name = "N|LIST", value_parser = crate::experiments::seeds)]
    pub seeds: Option<Seeds>,
    /// A folder of templates that go before the project's, each by its name
    #[arg(long, global = true, value_name = "DIR")]
    pub templates: Option<PathBuf>,
    /// Warnings and failures only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a suite: whatever of it is not done yet
    Run(run::Args),
    /// Make and print one table of a suite: computes what that needs, and no more
    Table(output::TableArgs),
    /// Make one figure of a suite: computes what that needs, and no more
    Figure(output::FigureArgs),
    /// Show the steps of a suite, what is done, what would run, and why
    Plan(plan::Args),
    /// Say in a few lines how far the suites are
    Status(status::Args),
    /// Tell why one step would run, or would not, and what its key is made of
    Explain(explain::Args),
    /// Make the report of a suite from what the store holds, without computing anything
    Report(report::Args),
    /// Look inside a training: sum up its trace, draw its curves, export them
    Trace(trace::Args),
    /// List the training methods with their options, defaults and sources
    Methods(methods::Args),
    /// Download and verify the archives of datasets and encoders
    Fetch(fetch::Args),
    /// Look at a dataset: counts, what was left out and why, a few samples
    Data(data::Args),
    /// Pack a finished run into one file that others can check
    Export(export::Args),
    /// Check a file that `export` wrote: every hash, every key, every number; and train some of it again
    Verify(verify::Args),
    /// Make and serve a small imitation of the datasets and weights, to try everything without them
    Mirror(mirror::Args),
    /// Hold the paper's claims against a suite's results: a verdict for each, with its numbers
    Claims(claims::Args),
    /// Check the paper's own arithmetic: what its tables print against what follows from them
    Audit(audit::Args),
    /// Look at this machine: versions, device, places, and what is missing
    Doctor(doctor::Args),
}

impl Cli {
    /// What can be answered without libtorch, whose loading alone takes longer than most answers: everything but
    /// computing. None: the full program has to do it.
    fn run_light(&self) -> anyhow::Result<Option<ExitCode>> {
        let device = match self.command {
            // It tells what there is, whatever device is asked for.
            Command::Doctor(_) => None,
            Command::Methods(ref args) => return methods::run(args).map(Some),
            Command::Audit(ref args) => return audit::run(&self.global, args).map(Some),
            Command::Mirror(ref args) => return mirror::run(&self.global, args).map(Some),
            Command::Export(ref args) => return export::run(&self.global, args).map(Some),
            // Training alone needs libtorch.
            Command::Verify(ref args) if args.rerun.is_none() => {
                return verify::light(&self.global, args).map(Some);
            }
            Command::Verify(_) => None,
            _ => project::device_without_libtorch(&self.global.device)?,
        };
        let Some(device) = device else { return Ok(None) };
        match &self.command {
            Command::Run(args) => run::light(&self.global, args, device),
            Command::Table(args) => args.wanted()?.light(&self.global, device),
            Command::Figure(args) => args.wanted()?.light(&self.global, device),
            Command::Plan(args) => plan::light(&self.global, args, device),
            Command::Status(args) => status::run(&self.global, args, device).map(Some),
            Command::Explain(args) => explain::run(&self.global, args, device).map(Some),
            Command::Fetch(args) => fetch::run(&self.global, args, device).map(Some),
            Command::Report(args) => report::run(&self.global, args, device).map(Some),
            Command::Trace(args) => trace::run(&self.global, args, device).map(Some),
            Command::Data(args) => data::run(&self.global, args, device).map(Some),
            Command::Methods(args) => methods::run(args).map(Some),
            Command::Mirror(args) => mirror::run(&self.global, args).map(Some),
            Command::Export(args) => export::run(&self.global, args).map(Some),
            Command::Verify(_) | Command::Doctor(_) => Ok(None),
            Command::Audit(args) => audit::run(&self.global, args).map(Some),
            Command::Claims(args) => claims::run(&self.global, args, device).map(Some),
        }
    }

    /// Everything.
    fn run_full(&self) -> anyhow::Result<ExitCode> {
        let device = || project::device(&self.global.device);
        match &self.command {
            Command::Run(args) => run::run(&self.global, args, device()?),
            Command::Table(args) => args.wanted()?.run(&self.global, device()?),
            Command::Figure(args) => args.wanted()?.run(&self.global, device()?),
            Command::Plan(args) => plan::run(&self.global, args, device()?),
            Command::Status(args) => status::run(&self.global, args, device()?),
            Command::Explain(args) => explain::run(&self.global, args, device()?),
            Command::Fetch(args) => fetch::run(&self.global, args, device()?),
            Command::Report(args) => report::run(&self.global, args, device()?),
            Command::Trace(args) => trace::run(&self.global, args, device()?),
            Command::Data(args) => data::run(&self.global, args, device()?),
            Command::Methods(args) => methods::run(args),
            Command::Mirror(args) => mirror::run(&self.global, args),
            Command::Export(args) => export::run(&self.global, args),
            Command::Verify(args) => verify::run(&self.global, args, device()?),
            Command::Audit(args) => audit::run(&self.global, args),
            Command::Claims(args) => claims::run(&self.global, args, device()?),
            Command::Doctor(args) => doctor::run(&self.global, args),
        }
    }
}

/// `seesaw`: answers what it can without libtorch, else becomes `seesaw-full`, which lies beside it.
pub fn light_main() -> ExitCode {
    start(|cli| match cli.run_light()? {
        Some(code) => Ok(code),
        None => Err(become_full()),
    })
}

/// `seesaw-full`: everything, with libtorch.
pub fn full_main() -> ExitCode {
    start(Cli::run_full)
}

const CUBLAS_WORKSPACE: &str = "CUBLAS_WORKSPACE_CONFIG";

/// Replaces this process; returns only if that fails.
fn become_full() -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    let full = match std::env::current_exe() {
        Ok(light) => light.with_file_name("seesaw-full"),
        Err(error) => return anyhow::Error::new(error).context("cannot tell where this program lies"),
    };
    let mut command = std::process::Command::new(&full);
    command.args(std::env::args_os().skip(1));
    // Without it cuBLAS may sum in another order each time, and libtorch refuses to call that deterministic.
    if std::env::var_os(CUBLAS_WORKSPACE).is_none() {
        command.env(CUBLAS_WORKSPACE, ":4096:8");
    }
    let error = command.exec();
    errors::failed(
        format!("cannot start {}, the part of this program that computes: {error}", full.display()),
        "build both parts with `make` and keep them in one folder",
    )
}

/// Parses, runs, and turns an error into an exit code.
fn start(run: impl Fn(&Cli) -> anyhow::Result<ExitCode>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` arrive here too, and are no failures.
            let code = if error.use_stderr() { Class::Usage.exit_code() } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // What a library warns of while it paints a figure is nothing that a person could act on.
    let level = if cli.global.quiet { "error" } else { "warn,tiny_skia=error" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SEESAW_LOG").unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .init();
    match run(&cli) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = errors::hint_of(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(errors::class_of(&error).exit_code())
        }
    }
}

/// Whoever reads our output has seen enough (`seesaw plan smoke | head`).
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints to standard output; a closed pipe is an error that `main` does not count as one.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a value as JSON for scripts.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// clap checks the whole command line against itself.
    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
