//! Experiments: `experiments/*.toml`, read into a checked [`Suite`].
//!
//! A suite declares and computes nothing: datasets, encoders, methods, seeds, impairments, hyperparameters, tables and
//! figures. Each dataset, method trained on it, and seed is a cell. [`SuiteFile`] is the grammar; unknown names are errors.

mod check;
mod file;
mod seeds;
mod suite;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

pub use self::file::{Counts, Output, SuiteFile};
pub use self::seeds::{Seeds, seeds};
pub use self::suite::{DatasetPlan, MethodPlan, OutputPlan, Suite};
use crate::report::SuiteKind;
use crate::report::reference::{self, Reference};
use crate::{errors, settings, terms};

/// The one file among the suites that is not a suite: the claims of the paper, see [`crate::report`].
const CLAIMS: &str = "claims";

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
            .filter(|name| name != CLAIMS)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Reads and checks `NAME.toml` in a folder.
    ///
    /// # Errors
    /// A usage error that names the file and the field, what was expected and what was found.
    pub fn load(folder: &Path, name: &str) -> anyhow::Result<Self> {
        check_suite_name(name)?;
        let path = folder.join(format!("{name}.toml"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let known = Suite::names(folder)?;
                let message = format!("there is no suite `{name}` ({})", path.display());
                return Err(errors::unknown(message, name, known.iter().map(String::as_str)));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut suite = Suite::parse(name, &text).map_err(|error| {
            let hint = errors::hint_of(&error).unwrap_or("experiments/README.md describes the grammar").to_owned();
            errors::usage(format!("{}: {error:#}", path.display()), hint)
        })?;
        if suite.kind == SuiteKind::Paper && folder.join(reference::FILE).is_file() {
            suite.reference = Some(Arc::new(Reference::load(folder)?));
        }
        Ok(suite)
    }

    /// Parses and checks a suite.
    ///
    /// # Errors
    /// See [`Suite::load`].
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let file: SuiteFile = settings::from_toml(text).map_err(anyhow::Error::msg)?;
        anyhow::ensure!(file.version == 1, "`version` should be 1, found {}", file.version);
        anyhow::ensure!(
            file.kind != SuiteKind::Trial,
            "`kind` should be \"smoke\" or \"paper\"; --subset and --mirror make a trial of any suite"
        );
        anyhow::ensure!(!file.seeds.is_empty(), "`seeds` should name at least one seed");
        let datasets = file.datasets.iter().map(|dataset| ("datasets", &dataset.name));
        for (field, name) in datasets.chain(file.methods.iter().map(|method| ("methods", &method.name))) {
            terms::check_name(name).with_context(|| format!("`{field}`: a `name`"))?;
        }
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
        let outputs = file
            .outputs
            .iter()
            .map(|output| check::output_plan(&datasets, &methods, output))
            .collect::<anyhow::Result<_>>()?;
        let suite = Suite {
            name: name.to_owned(),
            kind: file.kind,
            title: file.title,
            seeds: file.seeds,
            datasets,
            methods,
            missing: file.impairments.missing,
            noisy: file.impairments.noisy,
            outputs,
            reference: None,
            subset: None,
            arguments: String::new(),
        };
        suite.check_size()?;
        suite.check_selections()?;
        Ok(suite)
    }
}

/// Checks the name of a suite. Its parts after a dot must not look like those that trials add to the name of its folder.
///
/// # Errors
/// A usage error that names what is wrong.
fn check_suite_name(name: &str) -> anyhow::Result<()> {
    let hint = "rename its file in experiments/";
    terms::check_name(name).map_err(|error| errors::usage(format!("the name of a suite {error}"), hint))?;
    if name == "data" {
        return Err(errors::usage("a suite cannot be named `data`: out/data/ holds pictures of datasets", hint));
    }
    let of_trials = |part: &str| part == "mirror" || part.starts_with("subset-") || part.starts_with("seeds-");
    match name.split('.').skip(1).find(|part| of_trials(part)) {
        Some(part) => {
            Err(errors::usage(format!("a suite cannot have `.{part}` in its name, `{name}`: trials use it"), hint))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
