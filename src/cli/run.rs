//! `seesaw run [SUITE]`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use super::context::{Answer, Consent, Global, Suite, Tensors, counted, exit_code, print, print_json, stop_on_signals};
use crate::engine::devices::Devices;
use crate::engine::display::seconds;
use crate::engine::graph::{Graph, NodeId, Publication};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::errors;
use crate::planning::project::Planned;
use crate::publication::{Run, claims};
use crate::steps::{Kind, Status};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// Fetch all data first, and start nothing else if some of it is unavailable
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    consent: Consent,
    /// Print a summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// The result of a run, for scripts.
#[derive(serde::Serialize)]
struct Summary {
    suite: String,
    steps: usize,
    computed: usize,
    failed: Vec<String>,
    /// Step that needs unavailable data → what to do.
    unavailable: BTreeMap<String, String>,
    interrupted: bool,
    seconds: f64,
    written: Vec<PathBuf>,
    out: PathBuf,
    /// How many of the paper's claims have which verdict, or that a trial is not judged; `None` if none apply.
    claims: Option<String>,
}

/// Runs the steps of a suite that are not done yet.
///
/// # Errors
/// If the suite cannot be planned, or a file cannot be written.
pub fn run(global: &Global, args: &Args, devices: Devices, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let began = Instant::now();
    let run = Run::open(&global.options, &args.of.suite, devices, stop_on_signals()?)?;
    let (outcome, written) = match run.if_finished() {
        Some(outcome) => (outcome, Vec::new()),
        None => {
            let Some(tensors) = tensors else { return Ok(Answer::NeedsTensors) };
            args.consent.ask(&run, &|_| true, tensors.calibrate(), global.quiet)?;
            if args.strict {
                run.fetch_all(tensors.execute(), global.style())?;
            }
            run.all(tensors.execute(), global.style())?
        }
    };
    // Without anything new, the answer has to be quick.
    let is_new = !outcome.interrupted && !written.is_empty();
    let claims = if is_new { claims::judge_if_any(&run.finished(&outcome))? } else { None };
    let claims = claims.map(|judged| judged.in_one_line());
    let summary = Summary::new(&run.planned, &outcome, began, written, claims);
    if args.json {
        print_json(&summary)?;
    } else if !global.quiet {
        print(&text(global, &summary, &run.planned.graph, &outcome))?;
    }
    if summary.interrupted {
        return Err(errors::interrupted());
    }
    Ok(Answer::Done(exit_code(&outcome)))
}

impl Summary {
    fn new(
        planned: &Planned,
        outcome: &Outcome,
        began: Instant,
        written: Vec<PathBuf>,
        claims: Option<String>,
    ) -> Self {
        let Planned { suite, graph, out, .. } = planned;
        let label = |id: NodeId| graph.node(id).step.label();
        Summary {
            suite: suite.name.clone(),
            steps: graph.len(),
            computed: outcome.computed,
            failed: outcome.absent(Status::Failed).map(|(id, _)| label(id)).collect(),
            unavailable: outcome
                .absent(Status::Unavailable)
                .map(|(id, absence)| (label(id), absence.hint.clone().unwrap_or_else(|| absence.to_string())))
                .collect(),
            interrupted: outcome.interrupted,
            seconds: began.elapsed().as_secs_f64(),
            written,
            out: out.clone(),
            claims,
        }
    }
}

/// The most failed steps that are listed: each was told when it failed.
const LISTED: usize = 5;

fn text(global: &Global, summary: &Summary, graph: &Graph, outcome: &Outcome) -> String {
    let mut text = String::new();
    // A step whose damaged result was repaired may have been computed twice.
    let taken = outcome.nodes.iter().filter_map(NodeOutcome::action).count().saturating_sub(summary.computed);
    let incomplete = !summary.failed.is_empty() || !summary.unavailable.is_empty();
    if summary.computed == 0 && !incomplete && !summary.interrupted {
        text += &format!("nothing to do: all {} steps of {} are done", summary.steps, summary.suite);
    } else {
        text +=
            &format!("{}: {} computed, {taken} taken from the store", summary.suite, counted(summary.computed, "step"));
        if !summary.failed.is_empty() {
            text += &format!(", {} failed", summary.failed.len());
        }
        if !summary.unavailable.is_empty() {
            text += &format!(", {} unavailable", summary.unavailable.len());
        }
    }
    text += &format!(" ({})\n", seconds(summary.seconds));
    if global.verbose && summary.computed > 0 {
        text += "total compute time, earlier runs included:\n";
        text += &times(graph, outcome);
    }
    if !summary.failed.is_empty() {
        let (first, others) = summary.failed.split_at(summary.failed.len().min(LISTED));
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        text += &format!("failed: {}{more}\n", first.join(", "));
    }
    if !summary.unavailable.is_empty() {
        text += "incomplete: download the following by hand\n";
        for (label, cause) in &summary.unavailable {
            text += &format!("  {}: {}\n", label.trim_start_matches("fetch "), cause.replace('\n', "; "));
        }
    }
    if summary.interrupted {
        return text;
    }
    let is_made = |publication: &&Publication| outcome.action(publication.source.node).is_some();
    let others: Vec<&Publication> = graph.publications.iter().filter(|publication| !is_made(publication)).collect();
    if !others.is_empty() {
        // A table has a file for each format.
        let mut names: Vec<&str> = others.iter().filter_map(|publication| publication.file.split('.').next()).collect();
        names.dedup();
        let is_old = |publication: &&Publication| summary.out.join(&publication.file).exists();
        let old = if others.iter().any(is_old) { " (files with these names are from an earlier run)" } else { "" };
        text += &format!("not made: {}{old}\n", names.join(", "));
    }
    text += &format!("results in {}\n", summary.out.display());
    let report = summary.out.join("report.html");
    if report.is_file() {
        text += &format!("report in {}\n", report.display());
    }
    if let Some(claims) = &summary.claims {
        text += &format!("claims: {claims}\n");
    }
    text
}

/// Compute time by kind of step, earlier runs included.
fn times(graph: &Graph, outcome: &Outcome) -> String {
    let mut lines = String::new();
    for kind in Kind::ALL {
        let of_kind = graph.ids().filter(|id| graph.node(*id).step.kind() == kind);
        let times: Vec<f64> = of_kind.filter_map(|id| outcome.action(id)).map(|action| action.seconds).collect();
        if !times.is_empty() {
            let total = times.iter().sum::<f64>();
            let steps = if times.len() == 1 { "step " } else { "steps" };
            lines += &format!("  {:<9} {:>4} {steps}  {:>12}\n", kind.name(), times.len(), seconds(total));
        }
    }
    lines
}
