//! `seesaw plan [SUITE]`

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::Serialize;

use super::context::{Answer, Global, Suite, Tensors, print_json, show, size};
use crate::engine::devices::Devices;
use crate::engine::display::about;
use crate::interrupt::Interrupt;
use crate::planning::calibration::Calibration;
use crate::planning::estimate::Estimate;
use crate::planning::overview::{Overview, PlannedStep, StepState};
use crate::publication::Run;
use crate::steps::Kind;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: Suite,
    /// List finished steps too
    #[arg(long)]
    all: bool,
    /// Print only the numbers of steps, not each step
    #[arg(long, conflicts_with = "all")]
    summary: bool,
    /// Skip the estimate of time and disk; the first one on a machine takes a few seconds of measuring
    #[arg(long)]
    no_estimate: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the plan of a suite. The estimate may have to measure this machine first, which needs libtorch.
///
/// # Errors
/// If the suite cannot be planned, or the measurement cannot be written.
pub fn run(global: &Global, args: &Args, devices: Devices, tensors: Option<Tensors>) -> anyhow::Result<Answer> {
    let Run { engine, planned, .. } = Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    let states = engine.survey(&planned.graph);
    let mut plan = Overview::of(&planned, &engine, &states);
    let measure = tensors.map(Tensors::calibrate);
    let wants_estimate = !args.no_estimate && plan.has_work();
    if wants_estimate && !plan.add_estimate(&planned, &engine, &states, measure, global.quiet)? {
        return Ok(Answer::NeedsTensors);
    }
    if args.json && args.summary {
        let counts = Summary {
            suite: &plan.suite,
            kinds: counts(&plan.steps),
            unavailable: &plan.unavailable,
            estimate: &plan.estimate,
        };
        print_json(&counts)?;
        return Ok(Answer::Done(ExitCode::SUCCESS));
    }
    show(args.json, &plan, || text(&plan, args, &Calibration::subject(&engine)))?;
    Ok(Answer::Done(ExitCode::SUCCESS))
}

/// A plan without its steps, for scripts.
#[derive(Serialize)]
struct Summary<'a> {
    suite: &'a str,
    kinds: BTreeMap<Kind, Counts>,
    unavailable: &'a [(String, String)],
    estimate: &'a Option<Estimate>,
}

/// The steps of a kind.
#[derive(Default, Serialize)]
struct Counts {
    steps: usize,
    done: usize,
    would_run: usize,
}

fn counts(steps: &[PlannedStep]) -> BTreeMap<Kind, Counts> {
    let mut counts: BTreeMap<Kind, Counts> = BTreeMap::new();
    for step in steps {
        let of = counts.entry(step.kind).or_default();
        of.steps += 1;
        of.done += usize::from(step.state == StepState::Done);
        of.would_run += usize::from(step.state.would_run());
    }
    counts
}

fn text(plan: &Overview, args: &Args, machine: &str) -> String {
    let Overview { suite, steps, unavailable, estimate } = plan;
    let done = steps.iter().filter(|step| step.state == StepState::Done).count();
    let to_do = steps.iter().filter(|step| step.state.would_run()).count();
    let blocked = match steps.len() - done - to_do {
        0 => String::new(),
        n => format!(", {n} refused or blocked"),
    };
    let mut text = format!("{suite}: {} steps, {done} done, {to_do} would run{blocked}\n", steps.len());
    for (kind, Counts { steps, done, .. }) in counts(steps) {
        let word = if steps == 1 { "step " } else { "steps" };
        text += &format!("  {:<9} {steps:>4} {word}  {done:>4} done\n", kind.name());
    }
    if let Some(estimate) = estimate {
        text += &estimated(estimate, machine);
    }
    for (archive, what) in unavailable {
        text += &format!("unavailable    {archive}: {what}\n");
    }
    for step in steps.iter().filter(|step| step.state == StepState::Refused) {
        text += &format!("refused    {}: {}\n", step.step, step.reason.as_deref().unwrap_or_default());
    }
    let is_listed = |step: &&PlannedStep| match step.state {
        StepState::Refused => false,
        StepState::Done => args.all,
        StepState::WouldRun | StepState::WouldRunAfterOthers | StepState::Blocked => !args.summary,
    };
    for step in steps.iter().filter(is_listed) {
        let key = step.key.as_deref().map_or(String::new(), |key| format!("  {}", &key[..12]));
        let (state, reason) = match (step.state, &step.reason) {
            (StepState::Done, _) => ("done", String::new()),
            // The cause is printed once, with the refused step.
            (StepState::Blocked, _) => ("blocked", String::new()),
            (_, None) => ("would run", String::new()),
            (_, Some(reason)) => ("would run", format!(" ({reason})")),
        };
        text += &format!("{state:<11}{}{reason}{key}\n", step.step);
    }
    text
}

fn estimated(estimate: &Estimate, machine: &str) -> String {
    let parts: Vec<String> = estimate.seconds.iter().map(|(kind, time)| format!("{kind} {}", about(*time))).collect();
    let bounded: u64 = estimate.downloads_at_most.values().sum();
    let bounded = match estimate.downloads_at_most.keys().map(String::as_str).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => String::new(),
        names => format!(" and at most {} of {names}, whose sizes are unknown", size(bounded)),
    };
    let sizes = if estimate.from_manifests { "; sizes of unprepared datasets come from their manifests" } else { "" };
    let mut text =
        format!("estimated  about {} here ({machine}): {}{sizes}\n", about(estimate.total_seconds()), parts.join(", "));
    text += &format!(
        "disk       about {}{bounded} to download, about {} of results\n",
        size(estimate.downloads),
        size(estimate.results)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small suite needs some disk too.
    #[test]
    fn sizes_have_their_units() {
        let estimate = Estimate { downloads: 8 << 20, results: 200 << 20, ..Estimate::default() };
        let text = estimated(&estimate, "cpu");
        assert!(text.ends_with("disk       about 8.00 MiB to download, about 200.00 MiB of results\n"), "{text}");
    }
}
