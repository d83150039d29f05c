//! The command line: one file per subcommand, each with its arguments and a thin `run`.

mod audit;
mod cancel;
mod claims;
mod compare;
mod completions;
mod context;
mod data;
mod diff;
mod doctor;
mod environment;
mod explain;
mod export;
mod fetch;
mod methods;
mod output;
mod plan;
mod prune;
mod pull;
mod push;
mod recheck;
mod report;
mod run;
mod signals;
mod status;
mod store;
mod submit;
mod task;
mod trace;
mod transfer;
mod verify;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::context::{Answer, Global, Tensors};
use crate::engine::devices::Devices;
use crate::errors::{self, Class};
use crate::planning::project;
use crate::progress::{Word, has_colours, tell};
use crate::settings::variable;

/// Reproduces "See-Saw Modality Balance" (NAACL 2025) from its downloads to its tables.
///
/// Results are stored by the hash of everything that they depend on, so nothing is computed twice.
#[derive(Debug, Parser)]
#[command(name = "seesaw", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Global options")]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// A failed step counts before unavailable data.
const EXIT_CODES: &str = "Exit codes: 0 done, 1 a step or a check failed, 2 wrong usage and nothing started, 3 only data that \
                          you have to download is missing, 4 a check could not be made in full, 130 interrupted. Where both 1 \
                          and 3 apply, it is 1.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the steps of a suite that are not done yet
    Run(run::Args),
    /// Make and print one table, computing only what it needs
    Table(output::TableArgs),
    /// Make one figure, computing only what it needs
    Figure(output::FigureArgs),
    /// List the steps that would run, and why
    Plan(plan::Args),
    /// Show the progress of the suites
    Status(status::Args),
    /// Hand what is pending of a suite to Slurm
    Submit(submit::Args),
    /// Take the tasks of a suite out of the queue of Slurm
    Cancel(cancel::Args),
    /// Compute the steps of one task of a submitted suite
    #[command(hide = true)]
    Task(task::Args),
    /// Explain why a step would run or not, and list the ingredients of its key
    Explain(explain::Args),
    /// Make the report of a suite again, without computing any results
    Report(report::Args),
    /// Summarise, draw and export the trace of a training
    Trace(trace::Args),
    /// List the training methods with their options, defaults and sources
    Methods(methods::Args),
    /// Download and verify the archives of datasets and encoders
    Fetch(fetch::Args),
    /// Show a dataset: counts, what was left out and why, some samples
    Data(data::Args),
    /// Pack a finished run into one file that others can check
    Export(export::Args),
    /// Check a bundle from `seesaw export`, and optionally train some of its cells again
    Verify(verify::Args),
    /// Send a suite's results to a remote store
    Push(transfer::Args),
    /// Take over a suite's results from a remote store
    Pull(transfer::Args),
    /// Train some finished cells again, and compare them with the store
    Recheck(recheck::Args),
    /// Judge the paper's claims by the results of a suite
    Claims(claims::Args),
    /// Compare each number that the paper prints with ours
    Compare(compare::Args),
    /// Show what moved between two runs: numbers, verdicts, and what they were made of
    Diff(diff::Args),
    /// Check the arithmetic of the paper's own tables
    Audit(audit::Args),
    /// Show what takes the space in the store
    Store(store::Args),
    /// Remove results that no suite of the project needs
    Prune(prune::Args),
    /// Check this machine: versions, device, disk space, tools
    Doctor(doctor::Args),
    /// Print the completions for a shell
    Completions(completions::Args),
    /// Write the pages of the manual
    #[command(hide = true)]
    Manual(completions::ManualArgs),
}

/// The options of a suite and of the project that its results depend on.
const OF_A_SUITE: [&str; 7] = ["project", "store", "device", "mirror", "subset", "seeds", "templates"];

/// The options of [`project::Options`] that each command takes. Others are refused: nobody should think that they did
/// something. All commands take `--quiet` and `--verbose`.
const TAKES: &[(&str, &[&[&str]])] = &[
    ("run", &[&OF_A_SUITE, &["threads", "remote", "reuse"]]),
    ("table", &[&OF_A_SUITE, &["threads", "remote", "reuse"]]),
    ("figure", &[&OF_A_SUITE, &["threads", "remote", "reuse"]]),
    ("plan", &[&OF_A_SUITE, &["threads", "reuse"]]),
    ("status", &[&OF_A_SUITE, &["reuse"]]),
    // Device and cores are those of its profile, and its tasks compute on processors that nobody knows yet.
    ("submit", &[&["project", "store", "remote", "mirror", "subset", "seeds", "templates"]]),
    ("cancel", &[&["project", "mirror", "subset", "seeds"]]),
    ("task", &[&OF_A_SUITE, &["threads", "remote"]]),
    ("explain", &[&OF_A_SUITE, &["reuse"]]),
    ("report", &[&OF_A_SUITE]),
    ("trace", &[&OF_A_SUITE]),
    ("methods", &[]),
    ("fetch", &[&["project", "store", "remote", "mirror"]]),
    ("data", &[&["project", "store", "remote", "threads", "mirror", "subset"]]),
    ("export", &[&["project", "store", "mirror", "subset", "seeds", "templates"]]),
    ("verify", &[&["project", "store", "device", "threads", "mirror"]]),
    ("push", &[&OF_A_SUITE, &["remote"]]),
    ("pull", &[&OF_A_SUITE, &["remote"]]),
    ("recheck", &[&OF_A_SUITE, &["threads"]]),
    ("claims", &[&OF_A_SUITE]),
    ("compare", &[&OF_A_SUITE]),
    ("diff", &[&["project"]]),
    ("audit", &[&["project"]]),
    ("store", &[&["project", "store", "device"]]),
    ("prune", &[&["project", "store", "device"]]),
    ("doctor", &[&["project", "store", "threads", "mirror"]]),
    ("completions", &[]),
    ("manual", &[]),
];

/// Options that are taken even where they do nothing: they tell where things are and how many cores to use, as scripts do for
/// all of their commands, and change no result.
const EVERYWHERE: [&str; 3] = ["project", "store", "threads"];

/// The names of all options of [`project::Options`].
fn options() -> impl Iterator<Item = clap::Arg> {
    let command = project::Options::augment_args(clap::Command::new("options"));
    command.get_arguments().cloned().collect::<Vec<_>>().into_iter()
}

fn takes(command: &str, option: &str) -> bool {
    let of_command = TAKES.iter().filter(|(name, _)| *name == command);
    of_command.flat_map(|(_, lists)| *lists).any(|list| list.contains(&option))
}

/// The command line, in which the help of each command lists the options that it takes.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        let others = options().filter(|option| !takes(&name, option.get_id().as_str()));
        command.args(others.map(|option| option.hide(true)))
    })
}

/// Parses the command line.
///
/// # Errors
/// If it is wrong, or has an option that its command does not take.
fn parse() -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    if let Some((name, given)) = matches.subcommand() {
        let is_given = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
        let is_refused = |id: &str| !takes(name, id) && !EVERYWHERE.contains(&id);
        let mut refused = options().filter(|option| is_refused(option.get_id().as_str()));
        if let Some(option) = refused.find(|option| is_given(option.get_id().as_str())) {
            let message = format!("`seesaw {name}` takes no option `--{}`", option.get_long().unwrap_or_default());
            let at_fault = command.find_subcommand_mut(name);
            return Err(at_fault.map_or_else(
                || clap::Error::raw(ErrorKind::UnknownArgument, &message),
                |at_fault| at_fault.error(ErrorKind::UnknownArgument, &message),
            ));
        }
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    if !matches.subcommand_name().is_some_and(|name| takes(name, "remote")) {
        // A variable names a remote store for all commands; one that does not use it should not fail because of it.
        cli.global.options.remote = None;
    }
    Ok(cli)
}

impl Cli {
    fn run(&self, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
        let global = &self.global;
        let done = |code: anyhow::Result<ExitCode>| code.map(Answer::Done);
        let on_devices = |run: &dyn Fn(Devices) -> anyhow::Result<Answer>| match context::devices(global, tensors)? {
            Some(devices) => run(devices),
            None => Ok(Answer::NeedsTensors),
        };
        match &self.command {
            Command::Run(args) => on_devices(&|devices| run::run(global, args, devices, tensors)),
            Command::Table(args) => on_devices(&|devices| output::table(global, args, devices, tensors)),
            Command::Figure(args) => on_devices(&|devices| output::figure(global, args, devices, tensors)),
            Command::Plan(args) => on_devices(&|devices| plan::run(global, args, devices, tensors)),
            Command::Status(args) => on_devices(&|devices| done(status::run(global, args, devices))),
            Command::Submit(args) => on_devices(&|devices| submit::run(global, args, devices, tensors)),
            Command::Cancel(args) => done(cancel::run(global, args)),
            Command::Task(args) => task::run(global, args, tensors),
            Command::Explain(args) => on_devices(&|devices| done(explain::run(global, args, devices))),
            Command::Report(args) => on_devices(&|devices| done(report::run(global, args, devices))),
            Command::Trace(args) => on_devices(&|devices| done(trace::run(global, args, devices))),
            Command::Methods(args) => done(methods::run(args)),
            Command::Fetch(args) => on_devices(&|devices| done(fetch::run(global, args, devices))),
            Command::Data(args) => on_devices(&|devices| done(data::run(global, args, devices))),
            Command::Export(args) => done(export::run(global, args)),
            Command::Verify(args) => verify::run(global, args, tensors),
            Command::Push(args) => on_devices(&|devices| done(push::run(global, args, devices))),
            Command::Pull(args) => on_devices(&|devices| done(pull::run(global, args, devices))),
            Command::Recheck(args) => recheck::run(global, args, tensors),
            Command::Claims(args) => on_devices(&|devices| done(claims::run(global, args, devices))),
            Command::Compare(args) => on_devices(&|devices| done(compare::run(global, args, devices))),
            Command::Diff(args) => done(diff::run(global, args)),
            Command::Audit(args) => done(audit::run(global, args)),
            Command::Store(args) => on_devices(&|devices| done(store::run(global, args, devices))),
            Command::Prune(args) => on_devices(&|devices| done(prune::run(global, args, devices))),
            Command::Doctor(args) => doctor::run(global, args, tensors),
            Command::Completions(args) => done(completions::run(args)),
            Command::Manual(args) => done(completions::manual(args)),
        }
    }
}

/// Runs the command of the command line. It starts without libtorch, whose loading alone takes longer than most answers;
/// where tensors are needed, the same program starts again with libtorch.
pub fn main() -> ExitCode {
    signals::survive_limits();
    let libtorch = environment::restore();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, but not to the user.
            let code = if error.use_stderr() { Class::Usage.exit_code() } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // tiny_skia warns about details of figures that a user cannot change.
    let level = if cli.global.quiet { "error" } else { "warn,tiny_skia=error" };
    let filter = variable("SEESAW_LOG").and_then(|filter| filter.parse().ok());
    let filter: tracing_subscriber::EnvFilter = filter.unwrap_or_else(|| level.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours())
        // A message about a message that could not be written would end in a panic.
        .log_internal_errors(false)
        .without_time()
        .with_target(false)
        .init();
    let answer = libtorch.and_then(|tensors| match cli.run(tensors)? {
        Answer::Done(code) => Ok(code),
        Answer::NeedsTensors => Err(environment::start_with_libtorch()),
    });
    match answer {
        Ok(code) => code,
        Err(error) => {
            tell(Word::Error, format_args!("{error:#}"));
            if let Some(hint) = errors::hint_of(&error) {
                tell(Word::Hint, hint);
            }
            ExitCode::from(errors::class_of(&error).exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap checks that names, defaults and conflicts of all options are consistent.
    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    /// The help of a command lists an option of the project if and only if the command takes it.
    #[test]
    fn every_command_says_which_options_it_takes() {
        let mut command = command();
        command.build();
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let listed: Vec<&str> = TAKES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names[..listed.len()], listed);
        for of in command.get_subcommands().take(listed.len()) {
            for option in options() {
                let id = option.get_id().as_str();
                let shown =
                    of.get_arguments().find(|known| known.get_id() == id).is_some_and(|known| !known.is_hide_set());
                assert_eq!(shown, takes(of.get_name(), id), "{} --{id}", of.get_name());
            }
        }
        let known: Vec<String> = options().map(|option| option.get_id().to_string()).collect();
        for option in TAKES.iter().flat_map(|(_, lists)| *lists).flat_map(|list| *list) {
            assert!(known.iter().any(|known| known == option), "{option}");
        }
    }
}
