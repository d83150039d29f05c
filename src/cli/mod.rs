//! The command line: one file per subcommand, each with its arguments and a thin `run`.

mod audit;
mod claims;
mod context;
mod data;
mod doctor;
mod explain;
mod export;
mod fetch;
mod methods;
mod output;
mod plan;
mod report;
mod run;
mod status;
mod trace;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::context::{Answer, Global, Program, Tensors};
use crate::errors::{self, Class};
use crate::planning::project;
use crate::publication::machine::Libtorch;

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
    /// Hold the paper's claims against a suite's results: a verdict for each, with its numbers
    Claims(claims::Args),
    /// Check the paper's own arithmetic: what its tables print against what follows from them
    Audit(audit::Args),
    /// Look at this machine: versions, device, places, and what is missing
    Doctor(doctor::Args),
}

impl Cli {
    fn run(&self, program: Program) -> anyhow::Result<Answer> {
        let global = &self.global;
        let done = |code: anyhow::Result<ExitCode>| code.map(Answer::Done);
        let on_device = |run: &dyn Fn(tch::Device) -> anyhow::Result<Answer>| match program.device(global)? {
            Some(device) => run(device),
            None => Ok(Answer::NeedsTensors),
        };
        match &self.command {
            Command::Run(args) => on_device(&|device| run::run(global, args, device, program)),
            Command::Table(args) => on_device(&|device| args.wanted()?.run(global, device, program)),
            Command::Figure(args) => on_device(&|device| args.wanted()?.run(global, device, program)),
            Command::Plan(args) => on_device(&|device| plan::run(global, args, device, program)),
            Command::Status(args) => on_device(&|device| done(status::run(global, args, device))),
            Command::Explain(args) => on_device(&|device| done(explain::run(global, args, device))),
            Command::Report(args) => on_device(&|device| done(report::run(global, args, device))),
            Command::Trace(args) => on_device(&|device| done(trace::run(global, args, device))),
            Command::Methods(args) => done(methods::run(args)),
            Command::Fetch(args) => on_device(&|device| done(fetch::run(global, args, device))),
            Command::Data(args) => on_device(&|device| done(data::run(global, args, device))),
            Command::Export(args) => done(export::run(global, args)),
            Command::Verify(args) => verify::run(global, args, program),
            Command::Claims(args) => on_device(&|device| done(claims::run(global, args, device))),
            Command::Audit(args) => done(audit::run(global, args)),
            Command::Doctor(args) => doctor::run(global, args, program),
        }
    }
}

/// `seesaw`: answers what it can without libtorch, else becomes `seesaw-full`, which lies beside it.
pub fn light_main() -> ExitCode {
    start(Program { tensors: None })
}

/// `seesaw-full`: everything, with libtorch.
pub fn full_main() -> ExitCode {
    let tensors = Tensors {
        device: project::device,
        execute: crate::steps::execute,
        calibrate: crate::planning::calibration::measure,
        libtorch: Libtorch::look,
    };
    start(Program { tensors: Some(tensors) })
}

const CUBLAS_WORKSPACE: &str = "CUBLAS_WORKSPACE_CONFIG";

/// Replaces this process; returns only if that fails.
fn continue_with_libtorch() -> anyhow::Error {
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
fn start(program: Program) -> ExitCode {
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
    let answer = cli.run(program).and_then(|answer| match answer {
        Answer::Done(code) => Ok(code),
        Answer::NeedsTensors => Err(continue_with_libtorch()),
    });
    match answer {
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    /// clap checks the whole command line against itself.
    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
