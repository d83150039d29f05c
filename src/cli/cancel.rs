//! `seesaw cancel SUITE`

use std::process::ExitCode;

use super::context::{Global, Suite, print};
use crate::planning::project::Project;
use crate::publication::cluster;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
}

/// Takes the tasks of a suite out of the queue of Slurm. What they have finished is kept.
///
/// # Errors
/// If there is no Slurm here, or it refuses.
pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    project.check_suite(&args.of.suite)?;
    let text = match cluster::cancel(&project.out(&args.of.suite))? {
        0 => format!("nothing to cancel: no task of {} is in the queue\n", args.of.suite),
        1 => "1 task is cancelled; finished steps are kept\n".to_owned(),
        tasks => format!("{tasks} tasks are cancelled; finished steps are kept\n"),
    };
    if !global.quiet {
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
