//! The command line: one file per subcommand, each with its arguments and a thin `run`.

mod doctor;
mod explain;
mod fetch;
mod plan;
mod project;
mod run;
mod status;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use project::Project;

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
    /// Warnings and failures only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a suite: whatever of it is not done yet
    Run(run::Args),
    /// Show the steps of a suite, what is done, what would run, and why
    Plan(plan::Args),
    /// Say in a few lines how far the suites are
    Status(status::Args),
    /// Tell why one step would run, or would not, and what its key is made of
    Explain(explain::Args),
    /// Download and verify the archives of datasets and encoders
    Fetch(fetch::Args),
    /// Look at this machine: versions, device, places, and what is missing
    Doctor(doctor::Args),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever ended it; the class of the error chooses the exit code.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let level = if self.global.quiet { "error" } else { "warn" };
        let filter = tracing_subscriber::EnvFilter::try_from_env("SEESAW_LOG").unwrap_or_else(|_| level.into());
        // A second initialisation, in tests, is no failure.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .without_time()
            .with_target(false)
            .try_init();
        match self.command {
            Command::Run(args) => run::run(&self.global, &args),
            Command::Plan(args) => plan::run(&self.global, &args),
            Command::Status(args) => status::run(&self.global, &args),
            Command::Explain(args) => explain::run(&self.global, &args),
            Command::Fetch(args) => fetch::run(&self.global, &args),
            Command::Doctor(args) => doctor::run(&self.global, &args),
        }
    }
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
