//! `seesaw completions SHELL`, and the pages of the manual

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::Shell;

use super::command;
use super::context::print;
use crate::files;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct ManualArgs {
    /// The folder to write the pages to
    folder: PathBuf,
}

/// Prints the completions for a shell.
///
/// # Errors
/// If they cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "seesaw", &mut script);
    print(&String::from_utf8(script).context("the completions are no text")?)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `seesaw.1`, and a page for each subcommand.
///
/// # Errors
/// If a page cannot be written.
pub fn manual(args: &ManualArgs) -> anyhow::Result<ExitCode> {
    files::create_folder(&args.folder)?;
    let written = clap_mangen::generate_to(command(), &args.folder);
    written.with_context(|| format!("cannot write to {}", args.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_listed_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        manual(&ManualArgs { folder: pages.clone() }).unwrap();
        for command in command().get_subcommands() {
            let page = pages.join(format!("seesaw-{}.1", command.get_name()));
            assert_eq!(page.is_file(), !command.is_hide_set(), "{}", page.display());
        }
        let run = std::fs::read_to_string(pages.join("seesaw-run.1")).unwrap();
        assert!(run.contains("\\-\\-strict") && run.contains("GLOBAL OPTIONS"), "{run}");
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "seesaw", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("prune") && script.contains("keep-days"), "{shell}");
        }
    }
}
