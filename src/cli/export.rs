//! `seesaw export [SUITE]`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Global, Suite, counted, print, print_json, stop_on_signals};
use crate::bundle::contents::{Extra, Why};
use crate::bundle::export::{Exported, export};
use crate::planning::project::Project;
use crate::progress::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// The file to write [default: SUITE.tar.gz in the current folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Include optional contents; datasets and archives are never included
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    with: Vec<Extra>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let exported = export(&project, &args.of.suite, args.out.as_deref(), &args.with, &stop_on_signals()?)?;
    if let Some(what) = &exported.incomplete {
        say(format_args!("warning: this run is incomplete: {what}; the bundle says so"));
    }
    if args.json {
        print_json(&exported)?;
    } else if !global.quiet {
        print(&text(&exported))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(exported: &Exported) -> String {
    let Exported { file, size, sha256, members, left_out, incomplete: _ } = exported;
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut text = format!("{}: {members} members, {}\nSHA-256 {sha256}\n", file.display(), megabytes(*size));
    let mut reasons: BTreeMap<Why, (usize, u64)> = BTreeMap::new();
    for left in left_out.iter().filter(|left| left.why != Why::IsPublished) {
        let (count, bytes) = reasons.entry(left.why).or_default();
        (*count, *bytes) = (*count + 1, *bytes + left.size);
    }
    for (why, (count, bytes)) in reasons {
        text += &format!("left out: {}, {} ({why})\n", counted(count, "file"), megabytes(bytes));
    }
    text + "run `seesaw verify FILE` to check it, or `seesaw verify FILE --rerun 1` to train a cell again\n"
}
