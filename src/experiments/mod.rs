//! Experiments: `experiments/*.toml`, read into a checked [`Suite`].
//!
//! A suite declares and never computes: datasets, encoders, methods, seeds, impairments, hyperparameters, and the tables
//! and figures wanted. Its datasets, with the methods and seeds that are trained on each, are its cells. The grammar is [`file::SuiteFile`];
//! unknown names anywhere are refused.

mod check;
mod file;
mod seeds;

use std::path::Path;

use anyhow::Context;

use crate::datasets::{DatasetOptions, Reader};
use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::errors;
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::methods::MethodOptions;
use crate::report::SuiteKind;
use crate::report::target::Target;
use crate::training::config::TrainConfig;

pub use file::{Counts, Output, SuiteFile};
pub use seeds::{Seeds, seeds};

/// The file among the suites that is none: what the paper claims, see [`crate::report`].
const CLAIMS: &str = "claims";

/// A checked suite.
#[derive(Clone, Debug, PartialEq)]
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
    /// What a command line says beside the suite's name to mean this one, ` --subset 24`; else empty.
    pub arguments: String,
}

/// A dataset of a suite, with everything that its cells share.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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
        let from_mirror = mirrored.then(|| "data and weights of a mirror".to_owned());
        let words: Vec<String> = reduced.into_iter().chain(from_mirror).collect();
        if !words.is_empty() {
            self.kind = SuiteKind::Trial;
            self.title = format!("{} ({})", self.title, words.join(", "));
        }
        let subset_argument = subset.map_or_else(String::new, |subset| format!(" --subset {subset}"));
        self.arguments += if mirrored { " --mirror URL" } else { "" };
        self.arguments += &subset_argument;
        self.subset = subset;
        self
    }

    /// The same suite with other seeds.
    pub fn with_seeds(mut self, seeds: Option<&Seeds>) -> Self {
        if let Some(Seeds(seeds)) = seeds {
            let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
            let first = seeds.iter().copied().eq(1..=seeds.len() as u64);
            let told = if first { seeds.len().to_string() } else { list.join(",") };
            // One seed is not as many seeds.
            let comma = if !first && seeds.len() == 1 { "," } else { "" };
            self.arguments += &format!(" --seeds {told}{comma}");
            self.seeds.clone_from(seeds);
        }
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
        check::unique("seeds", file.seeds.iter().map(u64::to_string))?;
        check::unique("datasets", file.datasets.iter().map(|dataset| dataset.name.clone()))?;
        check::unique("methods", file.methods.iter().map(|method| method.name.clone()))?;
        anyhow::ensure!(!file.datasets.is_empty(), "`datasets` should name at least one dataset");
        anyhow::ensure!(!file.methods.is_empty(), "`methods` should name at least one method");
        let impairments = &file.impairments;
        impairments.missing.check().map_err(|wrong| anyhow::anyhow!("impairments.missing: {wrong}"))?;
        impairments.noisy.check().map_err(|wrong| anyhow::anyhow!("impairments.noisy: {wrong}"))?;
        let mut datasets: Vec<DatasetPlan> = Vec::new();
        for dataset in &file.datasets {
            let mut plan = check::dataset_plan(&file, dataset)?;
            if let Some(same) = datasets.iter().find(|known| known.reads_like(&plan)) {
                plan.samples.clone_from(&same.samples);
            }
            datasets.push(plan);
        }
        let methods: Vec<MethodPlan> =
            file.methods.iter().map(|method| check::method_plan(&file, method)).collect::<anyhow::Result<_>>()?;
        check::unique("outputs", file.outputs.iter().map(|output| output.target.clone()))?;
        let outputs = file.outputs.iter().map(|output| check::output_plan(&datasets, &methods, output));
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
            arguments: String::new(),
        })
    }
}

impl DatasetPlan {
    /// Whether both have the same samples.
    fn reads_like(&self, other: &DatasetPlan) -> bool {
        self.reader.name == other.reader.name && self.options == other.options && self.counts == other.counts
    }
}

#[cfg(test)]
mod tests;
