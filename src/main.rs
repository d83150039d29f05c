//! Parses, dispatches, and turns an error into an exit code.

use std::process::ExitCode;

use clap::Parser;
use seesaw::cli::Cli;
use seesaw::errors;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` arrive here too, and are no failures.
            let code = if error.use_stderr() { errors::Class::Usage.exit_code() } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli.run() {
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
