//! `seesaw pull [SUITE]`

use std::process::ExitCode;

use indicatif::HumanCount;

use super::context::{Global, Meter, Suite, files, results, show, size, stop_on_signals};
use crate::errors::Class;
use crate::progress::say;
use crate::publication::Run;
use crate::publication::remote::PulledSuite;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// Take over archives, pictures, texts and labels as well, if they were pushed
    #[arg(long)]
    with_data: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, device, stop_on_signals()?)?;
    let pulled = run.pull(args.with_data, &Meter::new(global.quiet))?;
    pulled.pulled.faults.iter().for_each(|fault| say(format_args!("error: cannot use {fault}")));
    if args.json || !global.quiet {
        show(args.json, &pulled, || text(&pulled))?;
    }
    Ok(ExitCode::from(if pulled.pulled.faults.is_empty() { 0 } else { Class::Failed.exit_code() }))
}

fn text(PulledSuite { suite, remote, steps, pulled }: &PulledSuite) -> String {
    let mut text = format!(
        "{suite}: took over {} and {} ({}) from {remote}; {} were here\n",
        results(pulled.pulled),
        files(pulled.files),
        size(pulled.size),
        HumanCount(pulled.present as u64)
    );
    if pulled.left_out.files > 0 {
        text += &format!(
            "left out {} of others ({}): a step that needs them gets them again\n",
            files(pulled.left_out.files),
            size(pulled.left_out.size)
        );
    }
    let open = steps - pulled.present - pulled.pulled;
    text += &match open {
        0 => format!("all {} steps are done; `seesaw run {suite}` writes their results\n", HumanCount(*steps as u64)),
        _ => format!("{} of {steps} steps are not done; `seesaw run {suite}` computes them\n", HumanCount(open as u64)),
    };
    text
}
