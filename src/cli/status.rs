//! `seesaw status [SUITE…]`

use std::process::ExitCode;

use super::context::{Global, show};
use crate::interrupt::Interrupt;
use crate::planning::project::Project;
use crate::publication::status::Status;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suites [default: all in `experiments/`]
    suites: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, Interrupt::default())?;
    let names = if args.suites.is_empty() { project.suites()? } else { args.suites.clone() };
    let mut all = Vec::new();
    for name in names {
        let planned = project.planned(&name, &engine.interrupt)?;
        all.push(Status::of(name, &planned, &engine));
    }
    show(args.json, &all, || format!("store: {}\n", engine.store.root().display()) + &text(&all))?;
    Ok(ExitCode::SUCCESS)
}

fn text(all: &[Status]) -> String {
    let mut text = String::new();
    for Status { suite, steps, done, would_run, cells, cells_done, refused, stale } in all {
        text += &format!("{suite}: {done} of {steps} steps done, {cells_done} of {cells} trainings\n");
        if !stale.is_empty() {
            text += &format!("  out of date under out/{suite}: {}\n", stale.join(", "));
        }
        for (step, cause) in refused {
            text += &format!("  refused: {step}: {cause}\n");
        }
        if *would_run > 0 || !stale.is_empty() {
            text += &format!("  run `seesaw run {suite}` to finish\n");
        }
    }
    text
}
