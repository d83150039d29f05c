//! `seesaw submit SUITE`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::context::{Answer, Global, Suite, Tensors, counted, exit_code, print, stop_on_signals};
use crate::engine::devices::Devices;
use crate::engine::display::about;
use crate::engine::key::Environment;
use crate::engine::slurm::profile::Profile;
use crate::engine::slurm::queue;
use crate::engine::slurm::script::quoted;
use crate::planning::overview::measured;
use crate::publication::Run;
use crate::publication::cluster::{Submit, Submitted};
use crate::steps::execute_without_tensors;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// What each task asks Slurm for [default: `cluster.toml` in the project, if it is there]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Print the jobs and their scripts, and submit nothing
    #[arg(long)]
    dry_run: bool,
}

/// Downloads what is not there, and submits what is pending and not in the queue.
///
/// # Errors
/// If the suite cannot be planned, the profile is wrong, or Slurm refuses a job. The exit code is that of a run with the same
/// downloads.
pub fn run(global: &Global, args: &Args, devices: Devices, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let interrupt = stop_on_signals()?;
    let open = || Run::open(&global.options, &args.of.suite, devices.clone(), interrupt.clone());
    let mut run = open()?;
    run.check_for_cluster()?;
    let own = Some(run.project.root.join("cluster.toml")).filter(|file| file.is_file());
    let profile = match args.profile.clone().or(own) {
        Some(file) => Profile::load(&file)?,
        None => Profile::default(),
    };
    if !args.dry_run {
        // Better to know now than after a download of hours.
        queue::queued()?;
    }
    run.engine.threads = usize::from(profile.cpus);
    if profile.gpus == 0 {
        // What the tasks compute on is measured, whatever else this machine has.
        (run.engine.devices, run.engine.environment.device) = (Devices::CPU, profile.device().to_owned());
    }
    let measure = tensors.map(Tensors::calibrate);
    let Some(mut machine) = measured(&run.engine, &run.planned.suite, measure, global.quiet)? else {
        return Ok(Answer::NeedsTensors);
    };
    if profile.gpus > 0 && !run.engine.devices.are_gpus() {
        machine = machine.as_of_gpus(&run.engine);
    }
    let fetched = match args.dry_run {
        true => None,
        false => Some(run.fetch(execute_without_tensors, global.style())?),
    };
    if fetched.as_ref().is_some_and(|fetched| fetched.computed > 0) {
        // A plan with the checksums that were recorded.
        run = open()?;
        run.engine.threads = usize::from(profile.cpus);
    }
    // The tasks may have a GPU, whatever this machine has.
    run.engine.environment = Environment { device: profile.device().to_owned(), ..run.engine.environment };
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let submit = Submit { run: &run, profile: &profile, machine: &machine, program };
    let submitted = match &fetched {
        None => submit.dry_run()?,
        Some(fetched) => submit.submit(fetched)?,
    };
    if !global.quiet {
        print(&text(&submitted, args, &run))?;
    }
    // As of a run: that a download failed counts before unavailable data.
    Ok(Answer::Done(fetched.map_or(ExitCode::SUCCESS, |fetched| exit_code(&fetched))))
}

fn text(submitted: &Submitted, args: &Args, run: &Run) -> String {
    let Submitted { jobs, queued, absent } = submitted;
    let mut text = String::new();
    for (job, number) in jobs {
        let (tasks, all) = (job.seconds.len(), job.seconds.iter().sum::<f64>());
        let longest = job.seconds.iter().copied().fold(0.0, f64::max);
        text += &format!(
            "{:<8} {}, {}, about {} in all, the longest {}",
            job.stage.name(),
            counted(tasks, "task"),
            counted(job.steps, "step"),
            about(all),
            about(longest)
        );
        text += &number.map_or_else(String::new, |number| format!(": job {number}"));
        text.push('\n');
        if args.dry_run {
            let command: Vec<String> = job.command.iter().map(|word| quoted(word)).collect();
            text += &format!("$ {}\n{}\n", command.join(" "), job.script);
        }
    }
    if *absent > 0 {
        let steps = counted(*absent, "step");
        text += &format!("{steps} cannot be computed, because data is unavailable or a download failed\n");
    }
    let suite = &args.of.suite;
    match (jobs.is_empty(), args.dry_run, queued) {
        (true, _, 0) if *absent > 0 => text += &format!("nothing to submit: all other steps of {suite} are done\n"),
        (true, _, 0) => text += &format!("nothing to submit: {suite} is done\n"),
        (true, _, queued) => {
            let (steps, verb) = (counted(*queued, "step"), if *queued == 1 { "is" } else { "are" });
            text += &format!("nothing to submit: {steps} of {suite} {verb} in the queue\n");
        }
        (false, true, _) => text += "nothing was submitted\n",
        (false, false, _) => {
            let Run { project, planned, .. } = run;
            // Cancelling takes no templates.
            let (status, cancel) = (project.command("status", &planned.suite), planned.suite.command("cancel"));
            text += &format!("`{status}` shows the tasks, `{cancel}` stops them\n");
        }
    }
    text
}
