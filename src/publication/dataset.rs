//! A dataset as it was read: samples, classes, what was left out and why, and a contact sheet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::datasets::{self, Archives, Reader, Sample};
use crate::engine::Engine;
use crate::engine::display::{Display, Style};
use crate::engine::graph::{Graph, NodeId};
use crate::engine::run::{NodeOutcome, Outcome};
use crate::errors::{self, Class, Problem};
use crate::experiments::{Counts, Suite};
use crate::files;
use crate::pictures;
use crate::pictures::PictureItem;
use crate::planning::plan;
use crate::planning::project::Project;
use crate::report::figure::sheet::{self, Tile};
use crate::steps::prepare::{self, About, Prepare};
use crate::steps::{Status, execute_without_tensors};
use crate::store::Brief;
use crate::terms::Split;

/// A dataset, for people and scripts.
#[derive(Serialize)]
pub struct Report {
    pub dataset: &'static str,
    #[serde(flatten)]
    pub about: About,
    /// Counts that the manifest expects.
    pub expected: BTreeMap<String, u64>,
    /// Class → split → number of samples.
    pub of_class: Classes,
    /// The contact sheet.
    pub sheet: PathBuf,
}

/// Class → split → number of samples.
pub type Classes = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// The folder of contact sheets in a project.
const SHEETS: &str = "out/data";

/// Prepares a dataset, counts it, and draws a contact sheet into `out/data/`.
///
/// # Arguments
/// `suite` is the suite whose options apply; without it, the dataset's defaults do. `samples` is the number of samples on
/// the sheet.
///
/// # Errors
/// A usage error if there is no such dataset; if it is unavailable or cannot be prepared, or a file cannot be written.
pub fn show(
    project: &Project,
    engine: &Engine,
    (dataset, suite): (&str, Option<&str>),
    samples: usize,
    style: Style,
) -> anyhow::Result<Report> {
    let preparation = find(project, dataset, suite)?;
    let reader = preparation.0.reader;
    let manifests = project.load_manifests(&engine.interrupt)?;
    let mut graph = Graph::default();
    let node = plan::prepare(&mut graph, &manifests, preparation)?;
    let sheets = project.root.join(SHEETS);
    files::try_folder(&sheets)?;
    let display = Display::new(&graph, &graph.needed_for(&[node]), style);
    let mut outcome = engine.run(&graph, &[node], &[], &display, execute_without_tensors);
    display.finish();
    project.record_locks(engine, &graph, &manifests, &mut outcome)?;
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
            return Err(Problem::new(class, message, absence.hint.clone()).into());
        }
        NodeOutcome::NotWanted => anyhow::bail!("{} was not prepared", reader.name),
    };
    let about: About = read(engine, action, "about")?;
    let archives = archives(engine, &graph, node, &outcome);
    let (of_class, tiles) = look(engine, action, reader, &about, &archives, samples)?;
    let mirrored = if project.options.mirror.is_some() { "; from a mirror" } else { "" };
    let all: usize = about.samples.values().sum();
    let subtitle = format!("{} of {all} samples; {}{mirrored}", tiles.len(), about_task(&about));
    let file = sheets.join(format!("{}.png", reader.name));
    let sheet = sheet::draw(reader.name, &subtitle, &tiles)?;
    engine.store.write_file(&file, &sheet)?;
    let counts = manifests.iter().find_map(|manifest| manifest.counts.get(reader.name));
    let expected = counts.into_iter().flatten().filter(|(what, _)| about.found.contains_key(*what));
    let expected = expected.map(|(what, n)| (what.clone(), *n)).collect();
    Ok(Report { dataset: reader.name, about, expected, of_class, sheet: file })
}

/// The dataset, with the options of a suite or its own defaults.
fn find(project: &Project, dataset: &str, suite: Option<&str>) -> anyhow::Result<(Prepare, Counts)> {
    let subset = project.options.subset;
    let reader = datasets::reader(dataset).ok_or_else(|| {
        let known = datasets::READERS.iter().map(|reader| reader.name);
        errors::unknown(format!("there is no dataset `{dataset}`"), dataset, known)
    })?;
    let Some(name) = suite else {
        let options = reader.options(toml::Table::new()).map_err(anyhow::Error::msg)?;
        // The report shows differences from the manifest; they are no reason to stop.
        return Ok((Prepare::new(reader.name, reader, options, subset), Counts::Report));
    };
    let suite = Suite::load(&project.experiments(), name)?;
    let plan = suite.datasets.iter().find(|plan| plan.reader.name == reader.name).ok_or_else(|| {
        let used = suite.datasets.iter().map(|plan| plan.reader.name);
        errors::unknown(format!("the suite `{name}` has no dataset `{}`", reader.name), reader.name, used)
    })?;
    Ok(plan::preparation(plan, subset))
}

fn read<T: DeserializeOwned>(engine: &Engine, action: &Brief, name: &str) -> anyhow::Result<T> {
    let bytes = engine.store.read_output(action, name)?;
    serde_json::from_slice(&bytes).with_context(|| format!("`{name}` of the prepared dataset"))
}

/// The archives that hold the pictures.
fn archives(engine: &Engine, graph: &Graph, node: NodeId, outcome: &Outcome) -> Archives {
    let mut archives = Archives::default();
    for (role, source) in &graph.node(node).inputs {
        let output = outcome.action(source.node).and_then(|action| action.outputs.get(&*source.output));
        if let (Some(name), Some(output)) = (role.strip_prefix("archive "), output) {
            archives.0.insert(name.to_owned(), engine.store.object_path(output.sha256));
        }
    }
    if let Some(pack) = outcome.action(node).and_then(|action| action.outputs.get(prepare::PACK)) {
        archives.0.insert(datasets::check::PACK.to_owned(), engine.store.object_path(pack.sha256));
    }
    archives
}

/// Counts classes, and takes samples for the sheet, evenly over all splits.
fn look(
    engine: &Engine,
    action: &Brief,
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
                picture: pictures::decode(&zip.read(&picture.member)?, reader.decoding)?,
                labels: format!("{}: {}", split.name(), if labels.is_empty() { "–".into() } else { labels.join(", ") }),
                text: text.cloned().unwrap_or_default(),
            });
        }
    }
    Ok((of_class, tiles))
}

/// The task and its number of classes: `multiclass, 10 classes`.
pub fn about_task(about: &About) -> String {
    format!("{:?}, {} classes", about.task, about.classes.len()).to_lowercase()
}
