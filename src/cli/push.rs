//! `seesaw push [SUITE]`

use std::process::ExitCode;

use super::context::{Global, Meter, counted, size, stop_on_signals};
use super::transfer::{Args, not_done};
use crate::engine::devices::Devices;
use crate::progress::say;
use crate::publication::Run;
use crate::publication::remote::PushedSuite;

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let mut run = Run::open(&global.options, &args.of.suite, devices, stop_on_signals()?)?;
    let licences: Vec<String> = run
        .materials()
        .map(|manifest| {
            let licence = &manifest.licence;
            let url = licence.url.as_ref().map(|url| format!(" <{url}>")).unwrap_or_default();
            format!("  {}: {}. {}{url}", manifest.title, licence.id, licence.note)
        })
        .collect();
    let tell_licences = || {
        if !global.quiet {
            say("sending data of others, under these licences:");
            licences.iter().for_each(say);
        }
    };
    let with_data: Option<&dyn Fn()> = if args.with_data { Some(&tell_licences) } else { None };
    let pushed = run.push(with_data, &Meter::new(global.quiet))?;
    args.tell(global, &pushed, || text(&pushed, &run), ("send", &pushed.pushed.faults))
}

fn text(PushedSuite { suite, remote, steps, done, pushed }: &PushedSuite, run: &Run) -> String {
    let mut text = format!(
        "{suite}: sent {} and {} ({}) to {remote}; there before: {}\n",
        counted(pushed.records, "result"),
        counted(pushed.files, "file"),
        size(pushed.size),
        counted(pushed.present, "file")
    );
    if done < steps {
        text += &format!("{} yet, and not sent\n", not_done(steps - done, *steps));
    }
    if pushed.left_out.files > 0 {
        text += &format!(
            "left out {} of others ({}): archives, pictures, texts, labels; --with-data sends those that are here\n",
            counted(pushed.left_out.files, "file"),
            size(pushed.left_out.size)
        );
    }
    if !pushed.faults.is_empty() {
        let command = run.project.command("run", &run.planned.suite);
        text += &format!("`{command}` computes again what is missing here; then push again\n");
    }
    text
}
