//! Describes a suite for its results and captions.

use crate::experiments::{DatasetPlan, MethodPlan, Suite};
use crate::methods::MethodOptions;
use crate::report::results::{DatasetDescription, MethodDescription, SuiteDescription};

/// The whole suite.
pub(super) fn suite(suite: &Suite) -> anyhow::Result<SuiteDescription> {
    let names: Vec<String> = suite.datasets.iter().map(|dataset| dataset.name.clone()).collect();
    let methods: Vec<String> = suite.methods.iter().map(|method| method.name.clone()).collect();
    let dataset = |dataset: &DatasetPlan| DatasetDescription {
        name: dataset.name.clone(),
        dataset: dataset.reader.name.to_owned(),
        title: dataset.title.clone(),
        metric: dataset.reader.metric.name().to_owned(),
        fusion: plain_name(&dataset.training.fusion),
        epochs: dataset.training.epochs,
        encoders: distinct(dataset.encoders.iter().cloned(), ", "),
        methods: dataset.methods.clone(),
    };
    let method = |method: &MethodPlan| MethodDescription {
        name: method.name.clone(),
        title: method.title.clone(),
        source: method.citation.to_owned(),
        proposed: method.candidates.iter().all(MethodOptions::is_proposed),
    };
    Ok(SuiteDescription {
        kind: suite.kind,
        suite: suite.name.clone(),
        arguments: suite.arguments.clone(),
        title: suite.title.clone(),
        seeds: suite.seeds.clone(),
        selection: selection(suite, &names),
        optimizer: optimizer(suite, &names, &methods),
        missing: suite.missing.description(),
        noisy: suite.noisy.description(),
        ratios: suite.missing.ratios.clone(),
        datasets: suite.datasets.iter().map(dataset).collect(),
        methods: suite.methods.iter().map(method).collect(),
    })
}

/// Joins the distinct words in the order of their first occurrence.
fn distinct(words: impl Iterator<Item = String>, between: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    for word in words {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen.join(between)
}

/// How the evaluated epoch is selected on these datasets.
pub(super) fn selection(suite: &Suite, datasets: &[String]) -> String {
    let shown = suite.datasets.iter().filter(|dataset| datasets.contains(&dataset.name));
    distinct(shown.map(|dataset| dataset.training.selection.description().to_owned()), "; ")
}

/// The optimiser on these datasets, and those of methods that have their own.
pub(super) fn optimizer(suite: &Suite, datasets: &[String], methods: &[String]) -> String {
    let shown = |dataset: &&DatasetPlan| datasets.contains(&dataset.name);
    let common = suite.datasets.iter().filter(shown);
    let mut words = distinct(common.map(|dataset| dataset.training.optimizer.description()), "; ");
    for method in suite.methods.iter().filter(|method| methods.contains(&method.name)) {
        let trainings = method.trainings.iter().zip(&suite.datasets);
        let mut own: Vec<String> = trainings
            .filter(|(_, dataset)| shown(dataset))
            .filter(|(own, dataset)| own.optimizer != dataset.training.optimizer)
            .map(|(own, _)| own.optimizer.description())
            .collect();
        own.dedup();
        if !own.is_empty() {
            words += &format!("; {}: {}", method.title, own.join("; "));
        }
    }
    words
}

/// The name of a variant in experiment files.
fn plain_name(variant: &impl serde::Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
