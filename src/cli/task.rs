//! `seesaw task SUITE`: what the jobs of `seesaw submit` run.

use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Answer, Global, Tensors, counted, exit_code, stop_on_signals};
use crate::engine::devices::Devices;
use crate::engine::display::Style;
use crate::engine::key::Environment;
use crate::engine::slurm::script::TOO_EARLY;
use crate::progress::say;
use crate::publication::Run;
use crate::publication::cluster::{TaskList, is_too_early, run_task};
use crate::steps::execute_without_tensors;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite
    suite: String,
    /// The tasks of the job
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// The task
    #[arg(long, value_name = "N", env = "SLURM_ARRAY_TASK_ID")]
    index: usize,
}

/// Computes the steps of a task.
///
/// # Errors
/// If this node does not see what the suite was submitted with; of class interrupted if the task was stopped.
pub fn run(global: &Global, args: &Args, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let list = TaskList::load(&args.list)?;
    let (devices, execute) = match (list.stage.uses_tensors(), tensors) {
        // A node without the GPU that the keys speak of. What needs tensors is not computed here.
        (false, _) => (Devices::CPU, execute_without_tensors as crate::steps::Execute),
        (true, None) => return Ok(Answer::NeedsTensors),
        (true, Some(tensors)) => (tensors.devices(global)?, tensors.execute()),
    };
    let mut run = Run::open(&global.options, &args.suite, devices, stop_on_signals()?)?;
    if !list.stage.uses_tensors() {
        let device = if global.options.device.starts_with("cuda") { "cuda" } else { "cpu" };
        run.engine.environment = Environment { device: device.to_owned(), ..run.engine.environment };
    }
    if is_too_early(&run, &list)? {
        return Ok(Answer::Done(ExitCode::from(TOO_EARLY)));
    }
    let outcome = run_task(&run, &list, &args.list, args.index, execute, Style::Verbose)?;
    // A task that takes everything from a store would leave an empty log.
    let steps = list.tasks.get(args.index).map_or(0, Vec::len);
    say(format_args!("the task has {}; computed: {}", counted(steps, "step"), outcome.computed));
    Ok(Answer::Done(exit_code(&outcome)))
}
