//! `seesaw pull [SUITE]`

use std::process::ExitCode;

use indicatif::HumanCount;

use super::context::{Global, Meter, counted, size, stop_on_signals};
use super::transfer::{Args, not_done};
use crate::engine::devices::Devices;
use crate::publication::Run;
use crate::publication::remote::PulledSuite;

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, devices, stop_on_signals()?)?;
    let pulled = run.pull(args.with_data, &Meter::new(global.quiet))?;
    args.tell(global, &pulled, || text(&pulled, &run), ("use", &pulled.pulled.faults))
}

fn text(PulledSuite { suite, remote, steps, pulled }: &PulledSuite, run: &Run) -> String {
    let mut text = format!(
        "{suite}: took over {} and {} ({}) from {remote}; here before: {}\n",
        counted(pulled.pulled, "result"),
        counted(pulled.files, "file"),
        size(pulled.size),
        counted(pulled.present, "result")
    );
    if pulled.left_out.files > 0 {
        text += &format!(
            "left out {} of others ({}): a step that needs them gets them again\n",
            counted(pulled.left_out.files, "file"),
            size(pulled.left_out.size)
        );
    }
    let open = steps - pulled.present - pulled.pulled;
    let command = run.project.command("run", &run.planned.suite);
    text += &match open {
        0 => format!("all {} steps are done; `{command}` writes their results\n", HumanCount(*steps as u64)),
        1 => format!("{}; `{command}` computes it\n", not_done(open, *steps)),
        _ => format!("{}; `{command}` computes them\n", not_done(open, *steps)),
    };
    text
}
