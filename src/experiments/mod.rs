//! Experiments: `experiments/*.toml`, read into a checked [`Suite`].
//!
//! A suite declares and never computes: datasets, encoders, methods, seeds, impairments, hyperparameters, and the tables
//! and figures wanted. Its datasets, with the methods and seeds that are trained on each, are its cells. The grammar is [`file::SuiteFile`];
//! unknown names anywhere are refused.

mod file;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::datasets::{self, DatasetOptions, Reader};
use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::errors;
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::methods::{self, MethodOptions};
use crate::report::SuiteKind;
use crate::report::target::{self, Target};
use crate::training::config::TrainConfig;

pub use file::{Counts, Output, SuiteFile};

/// The file among the suites that is none: what the paper claims, see [`crate::report`].
const CLAIMS: &str = "claims";

/// A checked suite.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The file's name without `.toml`.
    pub name: String,
    pub kind: SuiteKind,
    pub title: String,
    pub seeds: Vec<u64>,
    pub datasets: Vec<DatasetPlan>,
    pub methods: Vec<MethodPlan>,
    pub missing: MissingOptions,
    pub noisy: NoisyOptions,
    pub outputs: Vec<OutputPlan>,
    /// How many samples of each split are used [default: all].
    pub subset: Option<u32>,
}

/// Seeds that a person asks for in place of a suite's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

impl std::fmt::Display for Seeds {
    /// As folders are called: `3` for the first three, `1-2-7` for a list.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seeds(seeds) = self;
        if seeds.iter().copied().eq(1..=seeds.len() as u64) {
            return write!(f, "{}", seeds.len());
        }
        let words: Vec<String> = seeds.iter().map(u64::to_string).collect();
        // One seed is not as many seeds.
        write!(f, "{}{}", if seeds.len() == 1 { "only-" } else { "" }, words.join("-"))
    }
}

/// The most seeds: a training for each of them per dataset and method.
const MOST_SEEDS: u64 = 1000;

/// Reads `3`, the seeds 1 to 3, or a list such as `1,2,7`; a list of one seed ends with a comma.
///
/// # Errors
/// If it is neither, or names a seed twice.
pub fn seeds(text: &str) -> Result<Seeds, String> {
    let number = |word: &str| word.trim().parse::<u64>().map_err(|_| format!("expected a number, found `{word}`"));
    if !text.contains(',') {
        let many = number(text)?;
        let range = (1..=MOST_SEEDS).contains(&many);
        return range
            .then(|| Seeds((1..=many).collect()))
            .ok_or(format!("expected 1 to {MOST_SEEDS} seeds, found {many}"));
    }
    let seeds: Vec<u64> = text.trim_end_matches(',').split(',').map(number).collect::<Result<_, _>>()?;
    let distinct: std::collections::BTreeSet<u64> = seeds.iter().copied().collect();
    if distinct.len() == seeds.len() { Ok(Seeds(seeds)) } else { Err("a seed is named twice".into()) }
}

/// A dataset of a suite, with everything that its cells share.
#[derive(Clone, Debug)]
pub struct DatasetPlan {
    /// Unique in the suite; its cells are called by it.
    pub name: String,
    /// What its samples, masks and noise are called: the name of the first dataset of the suite that is read in the same
    /// way. What is read in the same way is the same.
    pub samples: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    pub counts: Counts,
    /// As tables write it.
    pub title: String,
    pub image: ImageEncoderOptions,
    pub text: TextEncoderOptions,
    /// What its encoders are called: by their names, and the pair's where the suite has the same encoder otherwise too.
    pub encoders: [String; 2],
    pub training: TrainConfig,
    /// The names of the methods that are trained on it, in the suite's order.
    pub methods: Vec<String>,
}

/// A method of a suite.
#[derive(Clone, Debug)]
pub struct MethodPlan {
    /// Unique in the suite.
    pub name: String,
    /// As tables write it.
    pub title: String,
    /// Where it was published.
    pub citation: &'static str,
    /// Its options; several if some are swept, of which the validation split chooses.
    pub candidates: Vec<MethodOptions>,
    /// Its trainings' settings, one per dataset of the suite.
    pub trainings: Vec<TrainConfig>,
}

/// A table or figure of a suite.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// No two outputs of a suite have the same.
    pub target: &'static Target,
    /// The names of the methods shown, in this order; as many as the target takes.
    pub methods: Vec<String>,
    /// The names of the datasets shown, in this order. Each of the methods is trained on each of them.
    pub datasets: Vec<String>,
}

impl Suite {
    /// The same suite on a part of its data, or on what a mirror has: a trial, and labelled so everywhere.
    pub fn on_trial(mut self, subset: Option<u32>, mirrored: bool) -> Self {
        let reduced = subset.map(|subset| format!("{subset} samples per split"));
        let mirrored = mirrored.then(|| "data and weights of a mirror".to_owned());
        let words: Vec<String> = reduced.into_iter().chain(mirrored).collect();
        if !words.is_empty() {
            self.kind = SuiteKind::Trial;
            self.title = format!("{} ({})", self.title, words.join(", "));
        }
        self.subset = subset;
        self
    }

    /// How many epochs a method trains on a dataset.
    pub fn epochs(&self, dataset: &str, method: &str) -> Option<u32> {
        let at = self.datasets.iter().position(|known| known.name == dataset)?;
        let method = self.methods.iter().find(|known| known.name == method)?;
        method.trainings.get(at).map(|training| training.epochs)
    }

    /// The names of all suites in a folder, sorted.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| name != CLAIMS)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Reads and checks `NAME.toml` in a folder.
    ///
    /// # Errors
    /// A usage error that names the file, the field, what was expected and what was found.
    pub fn load(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.toml"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let known = Suite::names(folder)?;
                let near = errors::nearest(name, known.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`? There are: {}", known.join(", ")),
                    None => format!("there are: {}", known.join(", ")),
                };
                return Err(errors::usage(format!("there is no suite `{name}` ({})", path.display()), hint));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Suite::parse(name, &text).map_err(|error| {
            let hint =
                errors::hint_of(&error).unwrap_or("the grammar is described in experiments/README.md").to_owned();
            errors::usage(format!("{}: {error:#}", path.display()), hint)
        })
    }

    /// Checks a suite's text.
    ///
    /// # Errors
    /// See [`Suite::load`].
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let file: SuiteFile =
            toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim_end()))?;
        anyhow::ensure!(file.version == 1, "`version` should be 1, found {}", file.version);
        anyhow::ensure!(
            file.kind != SuiteKind::Trial,
            "`kind` should be \"smoke\" or \"paper\"; a trial is what --subset and --mirror make of a suite"
        );
        anyhow::ensure!(!file.seeds.is_empty(), "`seeds` should name at least one seed");
        unique("seeds", file.seeds.iter().map(u64::to_string))?;
        unique("datasets", file.datasets.iter().map(|dataset| dataset.name.clone()))?;
        unique("methods", file.methods.iter().map(|method| method.name.clone()))?;
        anyhow::ensure!(!file.datasets.is_empty(), "`datasets` should name at least one dataset");
        anyhow::ensure!(!file.methods.is_empty(), "`methods` should name at least one method");
        let impairments = &file.impairments;
        impairments.missing.check().map_err(|wrong| anyhow::anyhow!("impairments.missing: {wrong}"))?;
        impairments.noisy.check().map_err(|wrong| anyhow::anyhow!("impairments.noisy: {wrong}"))?;
        let mut datasets: Vec<DatasetPlan> = Vec::new();
        for dataset in &file.datasets {
            let mut plan = dataset_plan(&file, dataset)?;
            if let Some(same) = datasets.iter().find(|known| known.reads_like(&plan)) {
                plan.samples.clone_from(&same.samples);
            }
            datasets.push(plan);
        }
        let methods: Vec<MethodPlan> =
            file.methods.iter().map(|method| method_plan(&file, method)).collect::<anyhow::Result<_>>()?;
        unique("outputs", file.outputs.iter().map(|output| output.target.clone()))?;
        let outputs = file.outputs.iter().map(|output| output_plan(&datasets, &methods, output));
        let outputs = outputs.collect::<anyhow::Result<_>>()?;
        Ok(Suite {
            name: name.to_owned(),
            kind: file.kind,
            title: file.title,
            seeds: file.seeds,
            datasets,
            methods,
            missing: file.impairments.missing,
            noisy: file.impairments.noisy,
            outputs,
            subset: None,
        })
    }
}

impl DatasetPlan {
    /// Whether both have the same samples.
    fn reads_like(&self, other: &DatasetPlan) -> bool {
        self.reader.name == other.reader.name && self.options == other.options && self.counts == other.counts
    }
}

fn unique(what: &str, names: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        anyhow::ensure!(seen.insert(name.clone()), "`{what}` names `{name}` twice");
    }
    Ok(())
}

fn dataset_plan(file: &SuiteFile, dataset: &file::Dataset) -> anyhow::Result<DatasetPlan> {
    let name = &dataset.name;
    let read = dataset.dataset.as_ref().unwrap_or(name);
    let known = || datasets::READERS.iter().map(|reader| reader.name);
    let reader = datasets::reader(read).ok_or_else(|| unknown("datasets", "dataset", read, known()))?;
    let methods = || file.methods.iter().map(|method| method.name.as_str());
    let trained = match &dataset.methods {
        None => methods().map(str::to_owned).collect(),
        Some(names) => {
            let field = format!("datasets.{name}.methods");
            anyhow::ensure!(!names.is_empty(), "`{field}` should name at least one method");
            unique(&field, names.iter().cloned())?;
            if let Some(wrong) = names.iter().find(|wrong| methods().all(|known| known != wrong.as_str())) {
                return Err(unknown(&field, "method of this suite", wrong, methods()));
            }
            methods().filter(|known| names.iter().any(|name| name == known)).map(str::to_owned).collect()
        }
    };
    let encoders = file.encoders.get(&dataset.encoders).ok_or_else(|| {
        let field = format!("datasets.{name}.encoders");
        unknown(&field, "pair of encoders", &dataset.encoders, file.encoders.keys().map(String::as_str))
    })?;
    let pair = &dataset.encoders;
    let image = encoders.image.resolved().map_err(|wrong| anyhow::anyhow!("encoders.{pair}.image: {wrong}"))?;
    let text = encoders.text.resolved().map_err(|wrong| anyhow::anyhow!("encoders.{pair}.text: {wrong}"))?;
    let training = training(&format!("training of `{name}`"), [&file.training, &dataset.training])?;
    let options = reader.options(dataset.options.clone());
    let pairs = || file.encoders.values();
    let other_image = pairs()
        .filter_map(|other| other.image.resolved().ok())
        .find(|other| *other != image && other.label() == image.label());
    let other_text = pairs()
        .filter_map(|other| other.text.resolved().ok())
        .find(|other| *other != text && other.label() == text.label());
    let called = |label: String, is_shared: bool| if is_shared { format!("{label} ({pair})") } else { label };
    let encoders = [called(image.label(), other_image.is_some()), called(text.label(), other_text.is_some())];
    Ok(DatasetPlan {
        name: name.clone(),
        samples: name.clone(),
        reader,
        options: options.map_err(|wrong| anyhow::anyhow!("options of dataset `{name}`: {wrong}"))?,
        counts: dataset.counts,
        title: dataset.title.clone().unwrap_or_else(|| name.clone()),
        image,
        text,
        encoders,
        training,
        methods: trained,
    })
}

/// The settings of a training, of which later tables go before earlier ones.
fn training<'a>(what: &str, tables: impl IntoIterator<Item = &'a toml::Table>) -> anyhow::Result<TrainConfig> {
    let mut settings = toml::Table::new();
    tables.into_iter().for_each(|table| settings.extend(table.clone()));
    let training: TrainConfig =
        settings.try_into().map_err(|error: toml::de::Error| anyhow::anyhow!("{what}: {}", error.message()))?;
    training.check().map_err(|wrong| anyhow::anyhow!("{what}: {wrong}"))?;
    Ok(training)
}

fn method_plan(file: &SuiteFile, method: &file::Method) -> anyhow::Result<MethodPlan> {
    let name = &method.name;
    let base = method.method.as_ref().unwrap_or(name);
    let names = || methods::NAMES.iter().map(|named| named.name);
    let known = methods::named(base).ok_or_else(|| unknown("methods", "method", base, names()))?;
    let options = method.options.keys().map(|option| ("options", option));
    for (given, option) in options.chain(method.sweep.keys().map(|option| ("sweep", option))) {
        if !known.options.iter().any(|known| known.name == option) {
            let field = format!("{given} of method `{name}`");
            return Err(unknown(&field, "option", option, known.options.iter().map(|known| known.name)));
        }
        if let Some((_, value)) = known.fixed.iter().find(|(fixed, _)| fixed == option) {
            anyhow::bail!("{given} of method `{name}`: `{option}` is {value} in `{base}`; use `{}`", known.method);
        }
    }
    let mut table = method.options.clone();
    for (option, value) in known.fixed {
        let value: toml::Table = toml::from_str(&format!("value = {value}")).context("a method's fixed option")?;
        table.extend(value.into_iter().map(|(_, value)| ((*option).to_owned(), value)));
    }
    table.insert("method".into(), known.method.into());
    let candidates: Vec<MethodOptions> = grid(name, table, &method.sweep)?
        .into_iter()
        .map(|table| {
            let options: MethodOptions = toml::Value::Table(table)
                .try_into()
                .map_err(|error: toml::de::Error| anyhow::anyhow!("options of method `{name}`: {}", error.message()))?;
            options.check().map_err(|wrong| anyhow::anyhow!("options of method `{name}`: {wrong}"))?;
            Ok(options)
        })
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(
        candidates.iter().all(|options| options.needs_heads() == candidates[0].needs_heads()),
        "sweep of method `{name}`: either all or none of its models should have unimodal heads"
    );
    let trainings = file.datasets.iter().map(|dataset| {
        let what = format!("training of `{name}` on `{}`", dataset.name);
        training(&what, [&file.training, &dataset.training, &method.training])
    });
    Ok(MethodPlan {
        name: name.clone(),
        title: method.title.clone().unwrap_or_else(|| known.title.to_owned()),
        citation: known.citation,
        candidates,
        trainings: trainings.collect::<anyhow::Result<_>>()?,
    })
}

/// The most candidates of a sweep: each of them is a training per dataset and seed.
const MOST_CANDIDATES: usize = 64;

/// Every combination of the swept options' values, the last option's values changing fastest.
fn grid(
    name: &str,
    options: toml::Table,
    sweep: &BTreeMap<String, Vec<toml::Value>>,
) -> anyhow::Result<Vec<toml::Table>> {
    let mut grid = vec![options];
    for (option, values) in sweep {
        anyhow::ensure!(!values.is_empty(), "sweep of method `{name}`: `{option}` should list at least one value");
        anyhow::ensure!(
            !grid[0].contains_key(option),
            "method `{name}`: `{option}` is set in `options` and swept in `sweep`"
        );
        let with = |table: &toml::Table, value: &toml::Value| {
            let mut table = table.clone();
            table.insert(option.clone(), value.clone());
            table
        };
        grid = grid.iter().flat_map(|table| values.iter().map(move |value| with(table, value))).collect();
        anyhow::ensure!(
            grid.len() <= MOST_CANDIDATES,
            "sweep of method `{name}`: more than {MOST_CANDIDATES} candidates"
        );
    }
    Ok(grid)
}

fn output_plan(datasets: &[DatasetPlan], methods: &[MethodPlan], output: &Output) -> anyhow::Result<OutputPlan> {
    let target = target::find(&output.target).context("outputs")?;
    let field = |list: &str| format!("outputs.{}.{list}", target.name);
    let known: Vec<&str> = methods.iter().map(|method| method.name.as_str()).collect();
    let shown = chosen(&field("methods"), "method of this suite", output.methods.as_ref(), &known)?;
    target.check(&shown).context("outputs")?;
    let known: Vec<&str> = datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    let on = chosen(&field("datasets"), "dataset of this suite", output.datasets.as_ref(), &known)?;
    anyhow::ensure!(!on.is_empty(), "`{}` should name at least one dataset", field("datasets"));
    for dataset in datasets.iter().filter(|dataset| on.contains(&dataset.name)) {
        if let Some(method) = shown.iter().find(|method| !dataset.methods.contains(method)) {
            let hint = format!("train it there (`datasets.{}.methods`), or name the datasets shown", dataset.name);
            let target = target.name;
            let what = format!("`outputs.{target}` shows `{method}` on `{}`, where it is not trained", dataset.name);
            return Err(errors::usage(what, hint));
        }
    }
    Ok(OutputPlan { target, methods: shown, datasets: on })
}

/// The names that are listed, each once and known; all known ones if there is no list.
fn chosen(field: &str, what: &str, listed: Option<&Vec<String>>, known: &[&str]) -> anyhow::Result<Vec<String>> {
    let Some(names) = listed else { return Ok(known.iter().map(|name| (*name).to_owned()).collect()) };
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown(field, what, name, known.iter().copied()));
    }
    unique(field, names.iter().cloned())?;
    Ok(names.clone())
}

fn unknown<'a>(field: &str, what: &str, found: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let known: Vec<&str> = known.collect();
    let near = errors::nearest(found, known.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean `{near}`? Known: {}", known.join(", ")),
        None => format!("known: {}", known.join(", ")),
    };
    errors::usage(format!("`{field}`: there is no {what} `{found}`"), hint)
}

#[cfg(test)]
mod tests;
