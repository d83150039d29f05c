//! `seesaw data show DATASET`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::context::{Global, show, stop_on_signals};
use crate::datasets::{self, Archives, Reader, Sample};
use crate::engine::Engine;
use crate::engine::display::Display;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::NodeOutcome;
use crate::errors::{self, Class, Problem};
use crate::experiments::Suite;
use crate::pictures::PictureItem;
use crate::planning::plan::{self, Preparation};
use crate::planning::project::Project;
use crate::report::figure::sheet::{self, Tile};
use crate::steps::prepare::{self, About};
use crate::steps::{Status, execute_without_tensors};
use crate::store::Action;
use crate::terms::Split;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Count a dataset's samples, classes and what was left out, and draw a few samples
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A dataset's name
    dataset: String,
    /// Read it as this suite does [default: with the dataset's own defaults]
    #[arg(long)]
    suite: Option<String>,
    /// How many samples the contact sheet shows
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=600))]
    samples: u16,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What a dataset turned out to be, for scripts.
#[derive(Serialize)]
struct Report {
    dataset: &'static str,
    #[serde(flatten)]
    about: About,
    /// What the manifest expects of what was found.
    expected: BTreeMap<String, u64>,
    /// Class → split → samples that have it.
    of_class: BTreeMap<String, BTreeMap<&'static str, u64>>,
    sheet: PathBuf,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let Command::Show(args) = &args.command;
    let project = Project::find(&global.options)?;
    let engine = project.engine(device, stop_on_signals()?)?;
    let (reader, preparation) = wanted(&project, global, args)?;
    let manifests = project.load_manifests(&engine.interrupt)?;
    let mut graph = Graph::default();
    let node = plan::prepare(&mut graph, &manifests, &preparation)?;
    let display = Display::new(graph.len(), global.style());
    let outcome = engine.run(&graph, &[node], &[], &display, execute_without_tensors);
    display.finish();
    project.record_locks(&engine, &graph, &manifests, &outcome)?;
    if outcome.interrupted {
        return Err(errors::interrupted());
    }
    let action = match &outcome.nodes[node.0] {
        NodeOutcome::Done(_, action) => action,
        NodeOutcome::Absent(absence) => {
            let class = match outcome.absent(Status::Failed).next() {
                Some(_) => Class::Failed,
                None => Class::Unavailable,
            };
            let message = format!("cannot show {}: {absence}", reader.name);
            return Err(Problem { class, message, hint: absence.hint.clone() }.into());
        }
        NodeOutcome::NotWanted => anyhow::bail!("{} was not prepared", reader.name),
    };
    let about: About = read(&engine, action, "about")?;
    let archives = archives(&engine, &graph, node, |id| outcome.action(id));
    let (of_class, tiles) = look(&engine, action, reader, &about, &archives, usize::from(args.samples))?;
    let from = if global.options.mirror.is_some() { "; imitated by a mirror" } else { "" };
    let all: usize = about.samples.values().sum();
    let shown = format!("{} of {all} samples; {}{from}", tiles.len(), about_task(&about));
    let file = project.root.join("out/data").join(format!("{}.png", reader.name));
    let sheet = sheet::draw(reader.name, &shown, &tiles)?;
    engine.store.write_file(&file, &sheet).with_context(|| format!("cannot write {}", file.display()))?;
    let counts = manifests.iter().find_map(|manifest| manifest.counts.get(reader.name));
    let expected = counts.into_iter().flatten().filter(|(what, _)| about.found.contains_key(*what));
    let expected = expected.map(|(what, n)| (what.clone(), *n)).collect();
    let report = Report { dataset: reader.name, about, expected, of_class, sheet: file };
    show(args.json, &report, || text(&report))?;
    Ok(ExitCode::SUCCESS)
}

/// The dataset, read as a suite or as its defaults say.
fn wanted(project: &Project, global: &Global, args: &Show) -> anyhow::Result<(&'static Reader, Preparation)> {
    let known: Vec<&str> = datasets::READERS.iter().map(|reader| reader.name).collect();
    let reader = datasets::reader(&args.dataset).ok_or_else(|| {
        let near = errors::nearest(&args.dataset, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
        let hint = format!("{}Known: {}", near.unwrap_or_default(), known.join(", "));
        errors::usage(format!("there is no dataset `{}`", args.dataset), hint)
    })?;
    let Some(name) = &args.suite else {
        let options = reader.options(toml::Table::new()).map_err(anyhow::Error::msg)?;
        // What differs from the manifest is told, and is no reason not to look.
        let name = reader.name.to_owned();
        let counts = crate::experiments::Counts::Report;
        let preparation = Preparation { name, reader, options, subset: global.options.subset, counts };
        return Ok((reader, preparation));
    };
    let suite = Suite::load(&project.experiments(), name)?;
    let mut of_reader = suite.datasets.iter().filter(|plan| plan.reader.name == reader.name);
    let plan = of_reader.next().ok_or_else(|| {
        let used: Vec<&str> = suite.datasets.iter().map(|plan| plan.reader.name).collect();
        errors::usage(
            format!("the suite `{name}` has no dataset `{}`", reader.name),
            format!("it has: {}", used.join(", ")),
        )
    })?;
    Ok((reader, Preparation { subset: global.options.subset, ..Preparation::of(plan) }))
}

fn read<T: serde::de::DeserializeOwned>(engine: &Engine, action: &Action, name: &str) -> anyhow::Result<T> {
    let bytes = engine.store.read_output(action, name)?;
    serde_json::from_slice(&bytes).with_context(|| format!("`{name}` of the prepared dataset"))
}

/// The archives that pictures may lie in.
fn archives<'a>(
    engine: &Engine,
    graph: &Graph,
    node: NodeId,
    action: impl Fn(NodeId) -> Option<&'a Action>,
) -> Archives {
    let mut archives = Archives::default();
    for (role, source) in &graph.node(node).inputs {
        let output = action(source.node).and_then(|action| action.outputs.get(&source.output));
        if let (Some(name), Some(output)) = (role.strip_prefix("archive "), output) {
            archives.0.insert(name.to_owned(), engine.store.object_path(output.sha256));
        }
    }
    if let Some(pack) = action(node).and_then(|action| action.outputs.get(prepare::PACK)) {
        archives.0.insert(datasets::check::PACK.to_owned(), engine.store.object_path(pack.sha256));
    }
    archives
}

type Classes = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// Counts classes, and takes samples for the sheet, evenly over all splits.
fn look(
    engine: &Engine,
    action: &Action,
    reader: &Reader,
    about: &About,
    archives: &Archives,
    wanted: usize,
) -> anyhow::Result<(Classes, Vec<Tile>)> {
    let mut of_class: Classes = about.classes.iter().map(|class| (class.clone(), BTreeMap::new())).collect();
    let name = |label: &u32| about.classes.get(*label as usize).map_or("?", String::as_str);
    let total: usize = about.samples.values().sum();
    let step = (total / wanted).max(1);
    let (mut tiles, mut passed) = (Vec::new(), 0);
    let mut readers = BTreeMap::new();
    for split in Split::ALL {
        if !action.outputs.contains_key(&format!("samples.{}", split.name())) {
            continue;
        }
        let part = |what: &str| format!("{what}.{}", split.name());
        let samples: Vec<Sample> = read(engine, action, &part("samples"))?;
        let pictures: Vec<PictureItem> = read(engine, action, &part("pictures"))?;
        let texts: Vec<String> = read(engine, action, &part("texts"))?;
        for sample in &samples {
            for label in &sample.labels {
                *of_class.entry(name(label).to_owned()).or_default().entry(split.name()).or_default() += 1;
            }
            passed += 1;
            if passed % step != 0 || tiles.len() == wanted {
                continue;
            }
            let (item, text) = (pictures.get(sample.picture), texts.get(sample.text));
            let picture = item.and_then(|item| item.picture.as_ref()).context("a sample without a picture")?;
            if !readers.contains_key(&picture.archive) {
                readers.insert(picture.archive.clone(), archives.open(&picture.archive)?);
            }
            let zip = readers.get_mut(&picture.archive).context("an archive that was just opened")?;
            let labels: Vec<&str> = sample.labels.iter().map(name).collect();
            tiles.push(Tile {
                picture: crate::pictures::decode(&zip.read(&picture.member)?, reader.decoding)?,
                labels: format!("{}: {}", split.name(), if labels.is_empty() { "–".into() } else { labels.join(", ") }),
                text: text.cloned().unwrap_or_default(),
            });
        }
    }
    Ok((of_class, tiles))
}

fn about_task(about: &About) -> String {
    format!("{:?}, {} classes", about.task, about.classes.len()).to_lowercase()
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
                Some(n) => format!("  DIFFERS: {n} expected"),
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
    text += &format!("samples are drawn in {}\n", sheet.display());
    text
}
