//! Checks the parts of a suite's file, and turns them into plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context;

use super::file::{self, Output, SuiteFile};
use super::suite::{DatasetPlan, MethodPlan, OutputPlan};
use crate::methods::{self, MethodOptions, Named};
use crate::report::results::Reading;
use crate::report::target;
use crate::settings::from_table;
use crate::training::config::TrainConfig;
use crate::{datasets, errors};

/// Checks that no name is there twice.
pub(super) fn unique(what: &str, names: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        anyhow::ensure!(seen.insert(name.clone()), "`{what}` lists `{name}` twice");
    }
    Ok(())
}

pub(super) fn dataset_plan(file: &SuiteFile, dataset: &file::Dataset) -> anyhow::Result<DatasetPlan> {
    let name = &dataset.name;
    let read = dataset.dataset.as_ref().unwrap_or(name);
    let known = || datasets::READERS.iter().map(|reader| reader.name);
    let reader = datasets::reader(read).ok_or_else(|| unknown("datasets", "dataset", read, known()))?;
    let all: Vec<&str> = file.methods.iter().map(|method| method.name.as_str()).collect();
    let field = format!("datasets.{name}.methods");
    let listed = chosen(&field, "method of this suite", dataset.methods.as_ref(), &all)?;
    anyhow::ensure!(!listed.is_empty(), "`{field}` should name at least one method");
    let in_order = all.iter().filter(|known| listed.iter().any(|name| name == *known));
    let methods = in_order.map(|name| (*name).to_owned()).collect();
    let encoders = file.encoders.get(&dataset.encoders).ok_or_else(|| {
        let field = format!("datasets.{name}.encoders");
        unknown(&field, "pair of encoders", &dataset.encoders, file.encoders.keys().map(String::as_str))
    })?;
    let pair = &dataset.encoders;
    let image = encoders.image.resolved().map_err(|wrong| anyhow::anyhow!("encoders.{pair}.image: {wrong}"))?;
    let text = encoders.text.resolved().map_err(|wrong| anyhow::anyhow!("encoders.{pair}.text: {wrong}"))?;
    let training = training(&format!("training of `{name}`"), [&file.training, &dataset.training])?;
    let options = reader.options(dataset.options.clone());
    let mut images = file.encoders.values().filter_map(|other| other.image.resolved().ok());
    let mut texts = file.encoders.values().filter_map(|other| other.text.resolved().ok());
    let other_image = images.any(|other| other != image && other.label() == image.label());
    let other_text = texts.any(|other| other != text && other.name == text.name);
    let named = |label: String, is_ambiguous: bool| if is_ambiguous { format!("{label} ({pair})") } else { label };
    let encoders = [named(image.label(), other_image), named(text.name.clone(), other_text)];
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
        methods,
    })
}

/// The settings of a training; later tables override earlier ones.
fn training<'a>(what: &str, tables: impl IntoIterator<Item = &'a toml::Table>) -> anyhow::Result<TrainConfig> {
    let mut settings = toml::Table::new();
    tables.into_iter().for_each(|table| settings.extend(table.clone()));
    let training: TrainConfig = from_table(settings).map_err(|wrong| anyhow::anyhow!("{what}: {wrong}"))?;
    training.check().map_err(|wrong| anyhow::anyhow!("{what}: {wrong}"))?;
    Ok(training)
}

pub(super) fn method_plan(file: &SuiteFile, method: &file::Method) -> anyhow::Result<MethodPlan> {
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
            let options: MethodOptions =
                from_table(table).map_err(|wrong| anyhow::anyhow!("options of method `{name}`: {wrong}"))?;
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
        reading: reading(known, method),
        candidates,
        trainings: trainings.map(|training| training.map(Arc::new)).collect::<anyhow::Result<_>>()?,
    })
}

/// What an entry reads differently than its method does by default; none for a method under its own name.
fn reading(known: &Named, entry: &file::Method) -> Option<Reading> {
    entry.method.as_ref().filter(|method| **method != entry.name)?;
    let named = |(name, value): (&String, &toml::Value)| format!("{name} = {value}");
    let fixed = known.fixed.iter().map(|(name, value)| format!("{name} = {value}"));
    let settings = fixed.chain(entry.options.iter().map(named)).chain(entry.training.iter().map(named)).collect();
    Some(Reading { method: known.method.to_owned(), settings })
}

/// The most candidates of a sweep: each is a training per dataset and seed.
const MOST_CANDIDATES: usize = 64;

/// All combinations of the swept options' values; those of the last option change fastest.
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

pub(super) fn output_plan(
    datasets: &[DatasetPlan],
    methods: &[MethodPlan],
    output: &Output,
) -> anyhow::Result<OutputPlan> {
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
            let message = format!("`outputs.{target}` shows `{method}` on `{}`, where it is not trained", dataset.name);
            return Err(errors::usage(message, hint));
        }
    }
    Ok(OutputPlan { target, methods: shown, datasets: on })
}

/// The listed names, each known and there once; all known names if there is no list.
fn chosen(field: &str, what: &str, listed: Option<&Vec<String>>, known: &[&str]) -> anyhow::Result<Vec<String>> {
    let Some(names) = listed else { return Ok(known.iter().map(|name| (*name).to_owned()).collect()) };
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown(field, what, name, known.iter().copied()));
    }
    unique(field, names.iter().cloned())?;
    Ok(names.clone())
}

/// A usage error that lists the known names and the nearest one.
fn unknown<'a>(field: &str, what: &str, found: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    errors::unknown(format!("`{field}`: there is no {what} `{found}`"), found, known)
}
