//! `seesaw plan SUITE`

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::context::{Answer, Global, Program, Tensors, show};
use crate::engine::Engine;
use crate::engine::display::seconds;
use crate::engine::survey::State;
use crate::experiments::Suite;
use crate::interrupt::Interrupt;
use crate::planning::calibration::Calibration;
use crate::planning::estimate::Estimate;
use crate::planning::project::{Planned, Project};
use crate::steps::Kind;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// Every step, not only those that would run
    #[arg(long)]
    all: bool,
    /// The numbers alone, without a line per step
    #[arg(long, conflicts_with = "all")]
    summary: bool,
    /// Do not estimate time and disk: the first estimate on a machine measures it for some seconds
    #[arg(long)]
    no_estimate: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What would be done, for scripts.
#[derive(Serialize)]
struct Plan {
    suite: String,
    steps: Vec<PlannedStep>,
    /// Archive → what a person has to do before it can be fetched.
    unavailable: Vec<(String, String)>,
    /// None if nothing is left to do, or it was not asked for.
    estimate: Option<Estimate>,
}

/// A step of a plan.
#[derive(Serialize)]
struct PlannedStep {
    step: String,
    kind: &'static str,
    /// `done`, `would run`, or `would run after others`; `refused` is done and not what is expected, `blocked` is what needs
    /// such a step.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl PlannedStep {
    fn would_run(&self) -> bool {
        self.state.starts_with("would run")
    }
}

/// Prints the plan of a suite. Estimating what is to do may have to measure this machine first, which needs libtorch.
///
/// # Errors
/// If the suite cannot be planned, or the measurement cannot be kept.
pub fn run(global: &Global, args: &Args, device: tch::Device, program: Program) -> anyhow::Result<Answer> {
    let project = Project::find(&global.options)?;
    let interrupt = Interrupt::default();
    let planned = project.planned(&args.suite, &interrupt)?;
    let engine = project.engine(device, interrupt)?;
    let Planned { suite, manifests, graph, .. } = &planned;
    let steps = steps(&engine, &planned);
    let mut estimate = None;
    if !args.no_estimate && steps.iter().any(PlannedStep::would_run) {
        let machine = match (Calibration::load(&engine, suite), program.tensors) {
            (Some(known), _) => known,
            (None, Some(tensors)) => measure(global, &engine, suite, tensors)?,
            (None, None) => return Ok(Answer::NeedsTensors),
        };
        estimate = Some(engine.estimate(suite, manifests, graph, &machine));
    }
    let plan = Plan { suite: suite.name.clone(), steps, unavailable: engine.unavailable(graph), estimate };
    show(args.json, &plan, || text(&plan, args, &Calibration::subject(&engine)))?;
    Ok(Answer::Done(ExitCode::SUCCESS))
}

/// Measures this machine, and keeps the measurement beside the store's objects.
fn measure(global: &Global, engine: &Engine, suite: &Suite, tensors: Tensors) -> anyhow::Result<Calibration> {
    if !global.quiet {
        eprintln!("measuring this machine for the estimate; this takes a few seconds, once");
    }
    let found = (tensors.calibrate)(engine, suite)?;
    let file = Calibration::file(engine);
    let text = serde_json::to_vec_pretty(&found)?;
    engine.store.write_file(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(found)
}

fn steps(engine: &Engine, planned: &Planned) -> Vec<PlannedStep> {
    let graph = &planned.graph;
    let step = |(id, state): (_, &State)| {
        let planned = &graph.node(id).step;
        let (state, key, reason) = match state {
            State::Done(key, _) => ("done", Some(key.to_string()), None),
            State::Ready(ingredients, reason) => {
                ("would run", Some(ingredients.key().to_string()), Some(reason.to_string()))
            }
            State::Waiting(_) => ("would run after others", None, None),
            State::Refused(key, _, absence) => ("refused", Some(key.to_string()), Some(absence.to_string())),
            State::Blocked(absence) => ("blocked", None, Some(absence.to_string())),
        };
        PlannedStep { step: planned.label(), kind: planned.kind().name(), state, key, reason }
    };
    graph.ids().zip(&engine.survey(graph)).map(step).collect()
}

fn text(plan: &Plan, args: &Args, machine: &str) -> String {
    let Plan { suite, steps, unavailable, estimate } = plan;
    let done = steps.iter().filter(|step| step.state == "done").count();
    let to_do = steps.iter().filter(|step| step.would_run()).count();
    let blocked = match steps.len() - done - to_do {
        0 => String::new(),
        n => format!(", {n} refused or blocked"),
    };
    let mut text = format!("{suite}: {} steps, {done} done, {to_do} would run{blocked}\n", steps.len());
    for kind in Kind::ALL {
        let of_kind: Vec<&PlannedStep> = steps.iter().filter(|step| step.kind == kind.name()).collect();
        let done = of_kind.iter().filter(|step| step.state == "done").count();
        if !of_kind.is_empty() {
            text += &format!("  {:<9} {:>4} steps  {done:>4} done\n", kind.name(), of_kind.len());
        }
    }
    if let Some(estimate) = estimate {
        text += &estimated(estimate, machine);
    }
    for (archive, what) in unavailable {
        text += &format!("unavailable    {archive}: {what}\n");
    }
    for step in steps.iter().filter(|step| step.state == "refused") {
        text += &format!("refused    {}: {}\n", step.step, step.reason.as_deref().unwrap_or_default());
    }
    for step in
        steps.iter().filter(|step| step.state != "refused" && !args.summary && (args.all || step.state != "done"))
    {
        let key = step.key.as_deref().map_or(String::new(), |key| format!("  {}", &key[..12]));
        let reason = step.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
        let (state, reason) = match step.would_run() {
            true => ("would run", reason),
            // The cause stands above, once.
            false => (step.state, String::new()),
        };
        text += &format!("{state:<11}{}{reason}{key}\n", step.step);
    }
    text
}

fn estimated(estimate: &Estimate, machine: &str) -> String {
    let parts: Vec<String> = estimate.seconds.iter().map(|(kind, time)| format!("{kind} {}", about(*time))).collect();
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let bounded: u64 = estimate.downloads_at_most.values().sum();
    let bounded = match estimate.downloads_at_most.keys().map(String::as_str).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => String::new(),
        names => format!(" and at most {} of {names}, whose sizes no source says", gib(bounded)),
    };
    let sizes =
        if estimate.from_manifests { "; datasets that are not prepared count as their manifests tell" } else { "" };
    let mut text =
        format!("estimated  about {} here ({machine}): {}{sizes}\n", about(estimate.total_seconds()), parts.join(", "));
    text += &format!(
        "disk       about {}{bounded} to download, about {} of results\n",
        gib(estimate.downloads),
        gib(estimate.results)
    );
    text
}

/// A duration that is not more exact than an estimate.
fn about(time: f64) -> String {
    match time {
        time if time < 90.0 => seconds(time.round()),
        time if time < 90.0 * 60.0 => format!("{:.0} min", time / 60.0),
        time if time < 48.0 * 3600.0 => format!("{:.0} h", time / 3600.0),
        time => format!("{:.0} days", time / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_not_more_exact_than_an_estimate() {
        assert_eq!(
            [0.0, 80.0, 100.0, 5000.0, 6000.0, 1e6].map(about),
            ["0.0 s", "1 min 20 s", "2 min", "83 min", "2 h", "12 days"]
        );
    }
}
