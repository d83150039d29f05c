//! Describes a suite for its results and captions.

use crate::experiments::{DatasetPlan, MethodPlan, Suite};
use crate::methods::MethodOptions;
use crate::report::results::{DatasetDescription, MethodDescription, SuiteDescription};

/// The whole suite.
pub(super) fn suite(suite: &Suite) -> anyhow::Result<SuiteDescription> {
    let names: Vec<String> = suite.datasets.iter().map(|dataset| dataset.name.clone()).collect();
    let methods: Vec<String> = suite.methods.iter().map(|method| method.name.clone()).collect();
    let dataset = |dataset: &DatasetPlan| {
        anyhow::Ok(DatasetDescription {
            name: dataset.name.clone(),
            dataset: dataset.reader.name.to_owned(),
            title: dataset.title.clone(),
            metric: dataset.reader.metric.name().to_owned(),
            fusion: plain_name(&dataset.training.fusion),
            epochs: dataset.training.epochs,
            encoders: distinct(dataset.encoders.iter().cloned(), ", "),
            chance_alone: dataset.reader.chance_alone.to_vec(),
            setting: setting(suite, dataset)?,
            methods: dataset.methods.clone(),
            selections: match dataset.training.other_selections[..] {
                [] => Vec::new(),
                _ => dataset.training.selections().collect(),
            },
        })
    };
    let method = |method: &MethodPlan| MethodDescription {
        name: method.name.clone(),
        title: method.title.clone(),
        source: method.citation.to_owned(),
        proposed: method.candidates.iter().all(MethodOptions::is_proposed),
        reading: method.reading.clone(),
    };
    Ok(SuiteDescription {
        kind: suite.kind,
        suite: suite.name.clone(),
        arguments: suite.arguments.clone(),
        title: suite.title.clone(),
        seeds: suite.seeds.clone(),
        selection: selection(suite, &names),
        selected_by_test: suite.is_selected_by_test(),
        optimizer: optimizer(suite, &names, &methods),
        missing: suite.missing.description(),
        noisy: suite.noisy.description(),
        ratios: suite.missing.ratios.clone(),
        datasets: suite.datasets.iter().map(dataset).collect::<anyhow::Result<_>>()?,
        methods: suite.methods.iter().map(method).collect(),
    })
}

/// The encoders and the fusion of a dataset in words for people; with the names of the encoders where the words are those
/// of others, too.
fn setting(suite: &Suite, dataset: &DatasetPlan) -> anyhow::Result<String> {
    let words = |dataset: &DatasetPlan| {
        let titles = [dataset.image.published().map(|row| row.title), dataset.text.published().map(|row| row.title)];
        let titles = titles.into_iter().collect::<Result<Vec<&str>, String>>().map_err(anyhow::Error::msg)?;
        let titles = distinct(titles.into_iter().map(str::to_owned), " + ");
        anyhow::Ok(format!("{titles}, joined by {}", dataset.training.fusion.title()))
    };
    let mine = words(dataset)?;
    let mut others = suite.datasets.iter().filter(|other| other.encoders != dataset.encoders);
    Ok(match others.any(|other| words(other).is_ok_and(|other| other == mine)) {
        true => format!("{mine} ({})", distinct(dataset.encoders.iter().cloned(), ", ")),
        false => mine,
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
    distinct(shown.map(|dataset| dataset.training.selection.description()), "; ")
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
