//! The trace of one training: summarised, drawn, exported.

use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use super::Run;
use crate::engine::survey::State;
use crate::errors;
use crate::evaluation::statistics;
use crate::experiments::Suite;
use crate::planning::project::Planned;
use crate::report::figure::{About, training};
use crate::report::trace::{self, Columns};

/// A cell of a suite.
pub struct Cell {
    dataset: String,
    method: String,
    seed: String,
}

/// A training's trace.
pub struct Trace {
    pub summary: Summary,
    /// The columns as they are stored: float32 vectors in safetensors.
    pub safetensors: Vec<u8>,
    /// Every step, as comma-separated values; undefined values are empty.
    pub csv: String,
}

/// A summary of a trace.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub suite: String,
    pub cell: String,
    pub steps: usize,
    /// The key of the training.
    pub key: String,
    pub columns: Vec<Column>,
    pub figures: Vec<PathBuf>,
}

/// A summary of a column, over the steps in which it is defined.
#[derive(Debug, PartialEq, Serialize)]
pub struct Column {
    pub name: String,
    /// The number of these steps.
    pub defined: usize,
    pub mean: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Mean over the first tenth of all steps.
    pub first: Option<f64>,
    /// Mean over the last tenth.
    pub last: Option<f64>,
}

impl Cell {
    /// Reads `DATASET METHOD SEED`; the word `seed` may stand before the number.
    ///
    /// # Errors
    /// A usage error if the suite has no such cell.
    pub fn find(suite: &Suite, words: &[String]) -> anyhow::Result<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (dataset, method, seed) = match words[..] {
            [dataset, method, seed] | [dataset, method, "seed", seed] => (dataset, method, seed),
            _ => {
                let hint = "for example `seesaw trace emoji-words balgrad 1 --suite smoke`";
                return Err(errors::usage("a cell is a dataset, a method and a seed", hint));
            }
        };
        let find = |what: &str, name: &str, known: Vec<String>| match known.iter().any(|known| known == name) {
            true => Ok(name.to_owned()),
            false => {
                let message = format!("the suite {} has no {what} `{name}`", suite.name);
                Err(errors::unknown(message, name, known.iter().map(String::as_str)))
            }
        };
        Ok(Cell {
            dataset: find("dataset", dataset, suite.datasets.iter().map(|dataset| dataset.name.clone()).collect())?,
            method: find("method", method, suite.methods.iter().map(|method| method.name.clone()).collect())?,
            seed: find("seed", seed, suite.seeds.iter().map(u64::to_string).collect())?,
        })
    }
}

/// Reads the trace of a cell, and draws its curves into `out/SUITE/traces/`.
///
/// # Errors
/// If the cell has not been trained yet, its trace cannot be read, or a figure cannot be written.
pub fn look(Run { project, planned, engine }: &Run, cell: &Cell) -> anyhow::Result<Trace> {
    let (Planned { suite, graph, out, .. }, Cell { dataset, method, seed }) = (planned, cell);
    let name = format!("{dataset} {method} seed {seed}");
    let steps = ["choose", "train"].map(|kind| graph.find(&format!("{kind} {name}")));
    let id = steps.into_iter().flatten().next().with_context(|| format!("the suite has no training `{name}`"))?;
    let State::Done(key, action) = &engine.survey(graph)[id.0] else {
        let hint = format!("run `{}` to train it", project.command("run", suite));
        return Err(errors::failed(format!("the cell {name} has not been trained yet"), hint));
    };
    let safetensors = engine.store.read_output(action, "trace")?;
    let columns = trace::read(&safetensors)?;
    let epochs = suite.epochs(dataset, method).unwrap_or(1) as usize;
    let length = columns.values().map(Vec::len).max().unwrap_or(0);
    let made = format!("{length} steps in {epochs} epochs, every step as it was at the parameters before it.");
    let title = format!("Training of {method} on {dataset}, seed {seed}");
    let stem = format!("{dataset}-{method}-{seed}");
    let about = About {
        name: "Trace".into(),
        title: &title,
        kind: suite.kind,
        command: suite.command(&format!("trace {dataset} {method} {seed} --suite")),
        file: &stem,
        label: format!("fig:{}-trace-{stem}", suite.name),
    };
    let figure = training::draw(&about, &made, &columns)?;
    let mut figures = Vec::new();
    for (format, bytes) in figure.into_files() {
        let file = out.join("traces").join(format!("{stem}.{format}"));
        engine.store.write_file(&file, &bytes)?;
        figures.push(file);
    }
    let summary = Summary {
        suite: suite.name.clone(),
        cell: name,
        steps: length,
        key: key.to_string(),
        columns: columns.iter().map(|(name, values)| summarise(name, values)).collect(),
        figures,
    };
    Ok(Trace { summary, csv: csv(&columns, epochs), safetensors })
}

fn summarise(name: &str, values: &[f32]) -> Column {
    let finite =
        |values: &[f32]| -> Vec<f64> { values.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect() };
    let mean = |values: &[f32]| statistics::mean(&finite(values));
    let tenth = values.len().div_ceil(10);
    let defined = finite(values);
    Column {
        name: name.to_owned(),
        defined: defined.len(),
        mean: mean(values),
        min: defined.iter().copied().reduce(f64::min),
        max: defined.iter().copied().reduce(f64::max),
        first: mean(&values[..tenth]),
        last: mean(&values[values.len() - tenth..]),
    }
}

fn csv(columns: &Columns, epochs: usize) -> String {
    let length = columns.values().map(Vec::len).max().unwrap_or(0);
    let per_epoch = length.div_ceil(epochs.max(1)).max(1);
    let names: Vec<&str> = columns.keys().map(String::as_str).collect();
    let mut text = format!("step,epoch,{}\n", names.join(","));
    for step in 0..length {
        text += &format!("{},{}", step + 1, step / per_epoch + 1);
        for values in columns.values() {
            text.push(',');
            if values[step].is_finite() {
                text += &values[step].to_string();
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_values_are_empty() {
        let columns: Columns =
            [("cos_T_kl".to_owned(), vec![f32::NAN, 0.5]), ("loss_T".to_owned(), vec![2.0, 1.25])].into();
        assert_eq!(csv(&columns, 2), "step,epoch,cos_T_kl,loss_T\n1,1,,2\n2,2,0.5,1.25\n");
    }

    #[test]
    fn columns_are_summarised_over_defined_values() {
        let expected = Column {
            name: "x".into(),
            defined: 2,
            mean: Some(2.0),
            min: Some(1.0),
            max: Some(3.0),
            first: None,
            last: Some(3.0),
        };
        assert_eq!(summarise("x", &[f32::NAN, 1.0, 3.0]), expected);
    }
}
