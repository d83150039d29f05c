//! Experiments: `experiments/*.toml`, read into a checked [`Suite`].
//!
//! A suite declares and never computes: datasets, encoders, methods, seeds, impairments, hyperparameters, and the tables
//! and figures wanted. Its product of datasets, methods and seeds are its cells. The grammar is [`file::SuiteFile`];
//! unknown names anywhere are refused.

mod file;

use std::path::Path;

use anyhow::Context;

use crate::datasets::{self, Reader};
use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::errors;
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::methods::MethodOptions;
use crate::report::SuiteKind;
use crate::report::target::{self, Target};
use crate::training::config::TrainConfig;

pub use file::{Output, SuiteFile};

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
}

/// A dataset of a suite, with everything that its cells share.
#[derive(Clone, Debug)]
pub struct DatasetPlan {
    pub reader: &'static Reader,
    /// As tables write it.
    pub title: String,
    pub image: ImageEncoderOptions,
    pub text: TextEncoderOptions,
    pub training: TrainConfig,
}

/// A method of a suite.
#[derive(Clone, Debug)]
pub struct MethodPlan {
    /// Unique in the suite.
    pub name: String,
    /// As tables write it.
    pub title: String,
    pub options: MethodOptions,
}

/// A table or figure of a suite.
#[derive(Clone, Debug)]
pub struct OutputPlan {
    /// No two outputs of a suite have the same.
    pub target: &'static Target,
    /// The names of the methods shown, in this order; as many as the target takes.
    pub methods: Vec<String>,
}

impl Suite {
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
        anyhow::ensure!(!file.seeds.is_empty(), "`seeds` should name at least one seed");
        unique("seeds", file.seeds.iter().map(u64::to_string))?;
        unique("datasets", file.datasets.iter().map(|dataset| dataset.name.clone()))?;
        unique("methods", file.methods.iter().map(|method| method.name.clone()))?;
        anyhow::ensure!(!file.datasets.is_empty(), "`datasets` should name at least one dataset");
        anyhow::ensure!(!file.methods.is_empty(), "`methods` should name at least one method");
        let impairments = &file.impairments;
        impairments.missing.check().map_err(|wrong| anyhow::anyhow!("impairments.missing: {wrong}"))?;
        impairments.noisy.check().map_err(|wrong| anyhow::anyhow!("impairments.noisy: {wrong}"))?;
        let datasets =
            file.datasets.iter().map(|dataset| dataset_plan(&file, dataset)).collect::<anyhow::Result<_>>()?;
        let methods: Vec<MethodPlan> = file.methods.iter().map(method_plan).collect::<anyhow::Result<_>>()?;
        unique("outputs", file.outputs.iter().map(|output| output.target.clone()))?;
        let outputs = file.outputs.iter().map(|output| output_plan(&methods, output)).collect::<anyhow::Result<_>>()?;
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
        })
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
    let known = || datasets::READERS.iter().map(|reader| reader.name);
    let reader = datasets::reader(name).ok_or_else(|| unknown("datasets", "dataset", name, known()))?;
    let encoders = file.encoders.get(&dataset.encoders).ok_or_else(|| {
        let field = format!("datasets.{name}.encoders");
        unknown(&field, "pair of encoders", &dataset.encoders, file.encoders.keys().map(String::as_str))
    })?;
    encoders.image.check().map_err(|wrong| anyhow::anyhow!("encoders.{}.image: {wrong}", dataset.encoders))?;
    encoders.text.check().map_err(|wrong| anyhow::anyhow!("encoders.{}.text: {wrong}", dataset.encoders))?;
    let mut settings = file.training.clone();
    settings.extend(dataset.training.clone());
    let training: TrainConfig = settings
        .try_into()
        .map_err(|error: toml::de::Error| anyhow::anyhow!("training of `{name}`: {}", error.message()))?;
    training.check().map_err(|wrong| anyhow::anyhow!("training of `{name}`: {wrong}"))?;
    Ok(DatasetPlan {
        reader,
        title: dataset.title.clone().unwrap_or_else(|| name.clone()),
        image: encoders.image.clone(),
        text: encoders.text.clone(),
        training,
    })
}

fn method_plan(method: &file::Method) -> anyhow::Result<MethodPlan> {
    let name = &method.name;
    let base = method.method.clone().unwrap_or_else(|| name.clone());
    let known = crate::methods::ALL
        .iter()
        .find(|known| known.name == base)
        .ok_or_else(|| unknown("methods", "method", &base, crate::methods::ALL.iter().map(|known| known.name)))?;
    let mut table = method.options.clone();
    table.insert("method".into(), base.clone().into());
    let options: MethodOptions = toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| anyhow::anyhow!("options of method `{name}`: {}", error.message()))?;
    options.check().map_err(|wrong| anyhow::anyhow!("options of method `{name}`: {wrong}"))?;
    let title = method.title.clone().unwrap_or_else(|| known.title.to_owned());
    Ok(MethodPlan { name: name.clone(), title, options })
}

fn output_plan(methods: &[MethodPlan], output: &Output) -> anyhow::Result<OutputPlan> {
    let target = target::find(&output.target).context("outputs")?;
    let field = format!("outputs.{}.methods", target.name);
    let known = || methods.iter().map(|method| method.name.as_str());
    let shown = match &output.methods {
        Some(names) => names.clone(),
        None => known().map(str::to_owned).collect(),
    };
    if let Some(name) = shown.iter().find(|name| known().all(|known| known != name.as_str())) {
        return Err(unknown(&field, "method of this suite", name, known()));
    }
    unique(&field, shown.iter().cloned())?;
    target.check(&shown).context("outputs")?;
    Ok(OutputPlan { target, methods: shown })
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
