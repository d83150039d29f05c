//! `seesaw verify BUNDLE`

use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Answer, Global, Tensors, print, print_json, stop_on_signals};
use crate::bundle::check::{Check, Verdict};
use crate::bundle::rerun::{self, Compared, Repetition};
use crate::bundle::verify::{Cells, Report, Verification};
use crate::errors::Class;

/// The exit code if nothing differs, but something could not be confirmed.
const INCOMPLETE: u8 = 4;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file from `seesaw export`
    bundle: PathBuf,
    /// Train K random cells again, starting from their archives, and compare the outputs
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    rerun: Option<u32>,
    /// Select the cells by this seed
    #[arg(long, value_name = "N", default_value_t = 0, requires = "rerun")]
    seed: u64,
    /// Work in this folder; all files are removed again [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks a bundle; with `--rerun`, trains some of its cells again.
///
/// # Errors
/// If the bundle cannot be read, or a cell cannot be trained again.
pub fn run(global: &Global, args: &Args, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let rerun = match (args.rerun, tensors) {
        (None, _) => None,
        (Some(_), None) => return Ok(Answer::NeedsTensors),
        (Some(count), Some(tensors)) => {
            let devices = tensors.devices(global)?;
            Some(Cells { count: count as usize, seed: args.seed, devices, execute: tensors.execute() })
        }
    };
    let report = Verification {
        bundle: &args.bundle,
        scratch: &args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        options: &global.options,
        rerun,
        style: global.style(),
        interrupt: stop_on_signals()?,
    }
    .run()?;
    if args.json {
        print_json(&report)?;
    } else if !global.quiet || report.verdict != Verdict::Good {
        print(&text(&report, args.rerun.is_some()))?;
    }
    Ok(Answer::Done(ExitCode::from(match report.verdict {
        Verdict::Good => 0,
        Verdict::Differs => Class::Failed.exit_code(),
        Verdict::Incomplete => INCOMPLETE,
    })))
}

fn text(report: &Report, wanted_rerun: bool) -> String {
    let mut text = format!("{}: a run of the suite `{}`\n", report.bundle.display(), report.suite);
    for Check { what, examined, problems, unchecked, unconfirmed } in &report.checks {
        let word = match (problems.is_empty(), unconfirmed.is_empty(), *examined) {
            (false, ..) => "DIFFERS",
            (true, false, _) => "?",
            (true, true, 0) => "-",
            (true, true, _) => "ok",
        };
        text += &format!("{word:<8} {what}: {examined} compared\n");
        problems.iter().for_each(|problem| text += &format!("           {problem}\n"));
        unconfirmed.iter().for_each(|unknown| text += &format!("           not confirmed: {unknown}\n"));
        unchecked.iter().for_each(|skipped| text += &format!("           skipped: {skipped}\n"));
    }
    match &report.rerun {
        Some(rerun) => text += &rerun_text(rerun),
        None if wanted_rerun => text += "no cell was trained again: the bundle is damaged\n",
        None => {}
    }
    let partly = report.checks.iter().any(|check| !check.unchecked.is_empty());
    let verdict = match (report.verdict, partly) {
        (Verdict::Differs, _) => "some checks failed: do not rely on this bundle",
        (Verdict::Incomplete, _) => {
            "incomplete: nothing that was compared differs, but parts could not be confirmed; they are listed above"
        }
        (Verdict::Good, false) => "good: all checks passed",
        (Verdict::Good, true) => "good: all checks passed; what bundles may leave out is listed above as skipped",
    };
    text + verdict + "\n"
}

/// What came of training cells again.
pub(super) fn rerun_text(rerun: &Repetition) -> String {
    let mut text = String::new();
    for cell in &rerun.cells {
        text += &format!("again    {cell}\n");
    }
    text += &format!("         required: {}\n", rerun.demanded);
    let count =
        |is: fn(&rerun::Verdict) -> bool| rerun.compared.iter().filter(|compared| is(&compared.verdict)).count();
    text += &format!(
        "         {} outputs are equal, {} within tolerance, {} differ, {} skipped\n",
        count(|verdict| matches!(verdict, rerun::Verdict::Equal)),
        count(|verdict| matches!(verdict, rerun::Verdict::Within { .. })),
        count(|verdict| matches!(verdict, rerun::Verdict::Differs { .. })),
        count(|verdict| matches!(verdict, rerun::Verdict::NotCompared { .. })),
    );
    for Compared { step, output, verdict } in &rerun.compared {
        match verdict {
            rerun::Verdict::Equal => {}
            rerun::Verdict::Within { distance, tolerance } => {
                text += &format!("           `{output}` of `{step}`: {distance:.3e}, tolerance {tolerance}\n");
            }
            rerun::Verdict::Differs { how, .. } => text += &format!("DIFFERS    `{output}` of `{step}`: {how}\n"),
            rerun::Verdict::NotCompared { why } => text += &format!("           `{output}` of `{step}`: {why}\n"),
        }
    }
    rerun.failed.iter().for_each(|failed| text += &format!("FAILED     {failed}\n"));
    text
}
