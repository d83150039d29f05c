//! `seesaw verify BUNDLE`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::context::{Answer, Global, Program, print, print_json, stop_on_signals};
use crate::bundle::check::{self, Check};
use crate::bundle::rerun::{self, Compared, Repetition, Rerun, Verdict};
use crate::bundle::unpack::{self, Bundle};
use crate::engine::Engine;
use crate::engine::display::Display;
use crate::engine::key::{self, Environment};
use crate::errors::{self, Class};
use crate::interrupt::Interrupt;
use crate::manifests::fetch::FetchPlaces;
use crate::manifests::mirror;
use crate::planning::project::{Project, available_cores};
use crate::publication::machine::features;
use crate::steps::{Execute, Kind};
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that `seesaw export` wrote
    bundle: PathBuf,
    /// Train so many cells again, chosen at random, from their archives on, and compare what comes out
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub rerun: Option<u32>,
    /// Chooses the cells
    #[arg(long, value_name = "N", default_value_t = 0, requires = "rerun")]
    seed: u64,
    /// Where to unpack and to compute; what is written there is removed again [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What came of it, for scripts.
#[derive(Serialize)]
struct Report {
    bundle: PathBuf,
    suite: String,
    good: bool,
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<Repetition>,
}

/// A bundle that was unpacked and checked, and the folder that goes when this does.
struct Examined {
    scratch: tempfile::TempDir,
    bundle: Bundle,
    checks: Vec<Check>,
    interrupt: Interrupt,
}

/// Checks a bundle; with `--rerun`, trains some of its cells again.
///
/// # Errors
/// If the bundle cannot be read, or a cell cannot be trained again.
pub fn run(global: &Global, args: &Args, program: Program) -> anyhow::Result<Answer> {
    if args.rerun.is_some() && program.tensors.is_none() {
        return Ok(Answer::NeedsTensors);
    }
    let Examined { scratch, bundle, checks, interrupt } = examine(args)?;
    let rerun = match (args.rerun, program.tensors) {
        // What a damaged bundle says is nothing to compare with.
        (Some(count), Some(tensors)) if check::is_good(&checks) => {
            let device = (tensors.device)(&global.options.device)?;
            let engine = engine(global, device, &scratch.path().join("again"), interrupt)?;
            Some(repeat(global, &bundle, &engine, tensors.execute, (count as usize, args.seed))?)
        }
        _ => None,
    };
    tell(global, args, &bundle, checks, rerun).map(Answer::Done)
}

fn examine(args: &Args) -> anyhow::Result<Examined> {
    let interrupt = stop_on_signals()?;
    let root = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new().prefix("seesaw-verify-").tempdir_in(&root);
    let scratch = scratch.with_context(|| format!("cannot write in {}", root.display()))?;
    let bundle = unpack::unpack(&args.bundle, &scratch.path().join("bundle"), &interrupt)?;
    let checks = check::check(&bundle, &interrupt)?;
    Ok(Examined { scratch, bundle, checks, interrupt })
}

fn tell(
    global: &Global,
    args: &Args,
    bundle: &Bundle,
    checks: Vec<Check>,
    rerun: Option<Repetition>,
) -> anyhow::Result<ExitCode> {
    let good = check::is_good(&checks) && rerun.as_ref().is_none_or(Repetition::is_good);
    let report = Report { bundle: args.bundle.clone(), suite: bundle.manifest.suite.clone(), good, checks, rerun };
    if args.json {
        print_json(&report)?;
    } else if !global.quiet || !good {
        print(&told(&report, args.rerun.is_some()))?;
    }
    Ok(ExitCode::from(if good { 0 } else { Class::Failed.exit_code() }))
}

/// An engine with an empty store.
fn engine(global: &Global, device: tch::Device, store: &Path, interrupt: Interrupt) -> anyhow::Result<Engine> {
    let store = Store::open(store)?;
    let mut manual = vec![PathBuf::from("downloads")];
    if let Some(project) = project(global)? {
        manual.extend([project.root.join("downloads"), project.root]);
    }
    let downloads = FetchPlaces::new(store.partial(), store.quarantine(), manual);
    let threads = global.options.threads.map_or_else(available_cores, usize::from);
    Ok(Engine { store, device, environment: Environment::here(device), threads, downloads, interrupt })
}

/// The project that this was called in, if it was called in one.
fn project(global: &Global) -> anyhow::Result<Option<Project>> {
    match (Project::find(&global.options), &global.options.project) {
        (Ok(project), _) => Ok(Some(project)),
        (Err(_), None) => Ok(None),
        (Err(error), Some(_)) => Err(error),
    }
}

fn repeat(
    global: &Global,
    bundle: &Bundle,
    engine: &Engine,
    execute: Execute,
    (count, seed): (usize, u64),
) -> anyhow::Result<Repetition> {
    let provenance = check::provenance(bundle)?;
    if provenance.suite.mirror && global.options.mirror.is_none() {
        return Err(errors::usage(
            "the archives of this run came from a mirror",
            "name a mirror that serves the same ones with --mirror, or verify without --rerun",
        ));
    }
    let graph = rerun::plan(bundle, &provenance, |manifests| match &global.options.mirror {
        Some(url) => mirror::overlay(manifests, url, &engine.interrupt),
        None => Ok(()),
    })?;
    let cells = rerun::choose(&graph, &provenance, count, seed);
    if cells.is_empty() {
        return Err(errors::usage(
            "no cell of this run was trained and evaluated, so that none can be trained again",
            "verify it without --rerun",
        ));
    }
    take_over_archives(global, &graph, engine)?;
    let steps = graph.needed_for(&rerun::wanted(&graph, &cells)).len();
    let display = Display::new(steps, global.style());
    let vector_instructions = features();
    let rerun = Rerun {
        bundle,
        provenance: &provenance,
        graph: &graph,
        engine,
        vector_instructions: &vector_instructions,
        observer: &display,
        execute,
    };
    let repetition = rerun.run(&cells);
    display.finish();
    repetition
}

/// Archives count by their verified content alone, so that those of the store at hand need not be brought again.
fn take_over_archives(global: &Global, graph: &crate::engine::graph::Graph, engine: &Engine) -> anyhow::Result<()> {
    let place = match project(global)? {
        Some(project) => Some(project.store_path()),
        None => global.options.store.clone(),
    };
    let Some(place) = place.filter(|place| place.is_dir()) else { return Ok(()) };
    let theirs = Store::open(&place)?;
    for id in graph.ids().filter(|id| graph.node(*id).step.kind() == Kind::Fetch) {
        engine.interrupt.check()?;
        let ingredients = key::ingredients(&graph.node(id).step, &key::Inputs::new(), &engine.environment);
        engine.store.adopt(&theirs, ingredients.key())?;
    }
    Ok(())
}

fn told(report: &Report, wanted_rerun: bool) -> String {
    let mut text = format!("{}: a run of the suite `{}`\n", report.bundle.display(), report.suite);
    for Check { what, examined, problems, unchecked } in &report.checks {
        let word = match (problems.is_empty(), *examined) {
            (false, _) => "DIFFERS",
            (true, 0) => "-",
            (true, _) => "ok",
        };
        text += &format!("{word:<8} {what}: {examined} compared\n");
        problems.iter().for_each(|problem| text += &format!("           {problem}\n"));
        unchecked.iter().for_each(|left| text += &format!("           not compared: {left}\n"));
    }
    match &report.rerun {
        Some(rerun) => text += &told_rerun(rerun),
        None if wanted_rerun => text += "nothing was trained again: there is nothing good to compare with\n",
        None => {}
    }
    let partly = report.checks.iter().any(|check| !check.unchecked.is_empty());
    let verdict = match (report.good, partly) {
        (false, _) => "some checks failed: do not rely on this bundle",
        (true, false) => "all checks passed",
        (true, true) => "all checks passed; skipped checks are listed above",
    };
    text + verdict + "\n"
}

fn told_rerun(rerun: &Repetition) -> String {
    let mut text = String::new();
    for cell in &rerun.cells {
        text += &format!("again    {cell}\n");
    }
    text += &format!("         demanded: {}\n", rerun.demanded);
    let count = |is: fn(&Verdict) -> bool| rerun.compared.iter().filter(|compared| is(&compared.verdict)).count();
    text += &format!(
        "         {} outputs are equal to the byte, {} near, {} differ, {} were not compared\n",
        count(|verdict| matches!(verdict, Verdict::Equal)),
        count(|verdict| matches!(verdict, Verdict::Within { .. })),
        count(|verdict| matches!(verdict, Verdict::Differs { .. })),
        count(|verdict| matches!(verdict, Verdict::NotCompared { .. })),
    );
    for Compared { step, output, verdict } in &rerun.compared {
        match verdict {
            Verdict::Equal => {}
            Verdict::Within { distance, tolerance } => {
                text += &format!("           `{output}` of `{step}`: {distance:.3e}, up to {tolerance} is near\n");
            }
            Verdict::Differs { how } => text += &format!("DIFFERS    `{output}` of `{step}`: {how}\n"),
            Verdict::NotCompared { why } => text += &format!("           `{output}` of `{step}`: {why}\n"),
        }
    }
    rerun.failed.iter().for_each(|failed| text += &format!("FAILED     {failed}\n"));
    text
}
