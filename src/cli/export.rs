//! `seesaw export SUITE`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Global, print, print_json, stop_on_signals};
use crate::bundle::contents::{Extra, Why};
use crate::bundle::export::{Export, Packed};
use crate::planning::project::Project;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// The file to write [default: SUITE.tar.gz in the current folder, SUITE as its folder under `out/` is called]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to pack beside what is always there; datasets and their archives never are
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    with: Vec<Extra>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let interrupt = stop_on_signals()?;
    let out = project.out(&args.suite);
    let store = crate::store::Store::open(&project.store_path())?;
    let name = out.file_name().map_or_else(|| args.suite.clone(), |name| name.to_string_lossy().into_owned());
    let destination = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    let export = Export {
        project: &project.root,
        templates: &project.templates(),
        out: &out,
        store: &store,
        with: &args.with,
        interrupt: &interrupt,
    };
    let packed = export.write(&destination)?;
    if args.json {
        print_json(&packed)?;
    } else if !global.quiet {
        print(&told(&packed))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(packed: &Packed) -> String {
    let Packed { file, size, sha256, members, left_out } = packed;
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut text = format!("{}: {members} members, {}\nSHA-256 {sha256}\n", file.display(), megabytes(*size));
    let mut reasons: BTreeMap<Why, (usize, u64)> = BTreeMap::new();
    for left in left_out.iter().filter(|left| left.why != Why::IsPublished) {
        let (count, bytes) = reasons.entry(left.why).or_default();
        (*count, *bytes) = (*count + 1, *bytes + left.size);
    }
    for (why, (count, bytes)) in reasons {
        text += &format!("left out: {count} files, {} ({})\n", megabytes(bytes), why.told());
    }
    text + "anybody can check it: `seesaw verify FILE`, or `seesaw verify FILE --rerun 1` to train a cell again\n"
}
