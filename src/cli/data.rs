//! `seesaw data show DATASET`

use std::process::ExitCode;

use super::context::{Global, show, stop_on_signals};
use crate::engine::devices::Devices;
use crate::planning::project::Project;
use crate::publication::dataset::{self, Report, about_task};
use crate::terms::Split;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count a dataset's samples and classes, list what was left out, and draw some samples
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The dataset
    dataset: String,
    /// Use the options of this suite [default: the dataset's own defaults]
    #[arg(long)]
    suite: Option<String>,
    /// Number of samples on the contact sheet
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=600))]
    samples: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let Command::Show(args) = &args.command;
    let project = Project::find(&global.options)?;
    let engine = project.engine(devices, stop_on_signals()?)?;
    let what = (args.dataset.as_str(), args.suite.as_deref());
    let report = dataset::show(&project, &engine, what, usize::from(args.samples), global.style())?;
    show(args.json, &report, || text(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn text(report: &Report) -> String {
    let Report { dataset, about, expected, of_class, sheet } = report;
    let mut text = format!("{dataset}: {}, scored by {}\n", about_task(about), about.metric().name());
    for split in Split::ALL {
        text +=
            &format!("  {:<6} {:>7} samples\n", split.name(), about.samples.get(split.name()).copied().unwrap_or(0));
    }
    if !about.found.is_empty() {
        text += "found in the archives\n";
        for (what, found) in &about.found {
            let remark = match expected.get(what) {
                Some(n) if n == found => "  as expected".to_owned(),
                Some(n) => format!("  DIFFERS: expected {n}"),
                None => String::new(),
            };
            text += &format!("  {found:>7} {what}{remark}\n");
        }
    }
    text += if about.dropped.is_empty() { "nothing was left out\n" } else { "left out\n" };
    for (reason, n) in &about.dropped {
        text += &format!("  {n:>7} {reason}\n");
    }
    text += &format!("{:<40} {:>7} {:>7} {:>7}\n", "class", "train", "val", "test");
    for class in &about.classes {
        let n = |split: Split| of_class.get(class).and_then(|of| of.get(split.name())).copied().unwrap_or(0);
        let name: String = class.chars().take(40).collect();
        text += &format!("{name:<40} {:>7} {:>7} {:>7}\n", n(Split::Train), n(Split::Val), n(Split::Test));
    }
    text += &format!("contact sheet in {}\n", sheet.display());
    text
}
