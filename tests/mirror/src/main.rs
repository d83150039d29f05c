//! `seesaw-mirror make FOLDER`, `seesaw-mirror serve FOLDER`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use seesaw::errors;
use seesaw_mirror::serve::{FaultyPath, Server};

/// Imitates the datasets and checkpoints of the paper, so that everything can be tried without them.
#[derive(Parser)]
#[command(name = "seesaw-mirror", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write archives and checkpoints in the layouts of the real ones, made of emoji and random weights
    Make {
        /// The folder to write to
        folder: PathBuf,
        /// The number of samples of each benchmark, all splits together
        #[arg(long, value_name = "N", default_value_t = 300)]
        samples: u32,
        /// The seed that samples are drawn with
        #[arg(long, value_name = "S", default_value_t = 0)]
        seed: u64,
    },
    /// Print an address of this machine, and serve the folder there until interrupted
    Serve {
        /// The folder that `make` wrote
        folder: PathBuf,
        /// The port to listen on; 0 picks a free one
        #[arg(long, value_name = "P", default_value_t = 0)]
        port: u16,
        /// Answer requests for PATH with a fault: cut:N, slow:MS, status:CODE, length:N, bytes, norange, redirect or
        /// stall; append :TIMES to stop after that many requests; may be given more than once
        #[arg(long, value_name = "PATH=FAULT")]
        faults: Vec<FaultyPath>,
    },
}

fn main() -> ExitCode {
    let Err(error) = run(Cli::parse().command) else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    if let Some(hint) = errors::hint_of(&error) {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(errors::class_of(&error).exit_code())
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Make { folder, samples, seed } => {
            seesaw_mirror::make(&folder, samples, seed)?;
            println!("made {}; run `seesaw-mirror serve {0}` to serve it", folder.display());
            Ok(())
        }
        Command::Serve { folder, port, faults } => {
            let server = Server::start(&folder, port, faults)?;
            println!("{}", server.url());
            std::io::stdout().flush()?;
            loop {
                std::thread::park();
            }
        }
    }
}
