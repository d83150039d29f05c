//! `seesaw trace DATASET METHOD SEED`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::context::{Global, show};
use crate::engine::survey::State;
use crate::errors;
use crate::experiments::Suite;
use crate::interrupt::Interrupt;
use crate::planning::project::{Planned, Project};
use crate::report::figure::training;
use crate::report::trace::{self, Columns};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cell: a dataset, a method and a seed, as in `emoji-words balgrad 1`
    #[arg(required = true, num_args = 3..=4, value_names = ["DATASET", "METHOD", "SEED"])]
    cell: Vec<String>,
    /// The suite that the cell belongs to
    #[arg(long, default_value = "smoke")]
    suite: String,
    /// Write every step into this file as comma-separated values; a cosine that is not defined is empty
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the columns into this file as they are kept: float32 vectors in safetensors
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What a cell's trace comes to.
#[derive(Debug, Serialize)]
struct Report {
    suite: String,
    cell: String,
    steps: usize,
    /// The key of the step that gave it.
    key: String,
    columns: Vec<Column>,
    figures: Vec<PathBuf>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Column {
    name: String,
    /// Steps in which it is a number.
    defined: usize,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Means over the first and over the last tenth of the steps.
    first: Option<f64>,
    last: Option<f64>,
}

pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(&global.options)?;
    let interrupt = Interrupt::default();
    let Planned { suite, graph, out, .. } = project.planned(&args.suite, &interrupt)?;
    let [dataset, method, seed] = cell(&suite, &args.cell)?;
    let name = format!("{dataset} {method} seed {seed}");
    let engine = project.engine(device, interrupt)?;
    let steps = ["choose", "train"].map(|kind| graph.find(&format!("{kind} {name}")));
    let id = steps.into_iter().flatten().next().with_context(|| format!("the suite has no training `{name}`"))?;
    let State::Done(key, action) = &engine.survey(&graph)[id.0] else {
        return Err(not_there(&name, &suite.name, "has not been trained yet"));
    };
    let bytes = engine.store.read_output(action, "trace")?;
    let columns = trace::read(&bytes)?;
    let epochs = suite.epochs(&dataset, &method).unwrap_or(1) as usize;

    if let Some(file) = &args.safetensors {
        std::fs::write(file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &args.csv {
        std::fs::write(file, csv(&columns, epochs)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let length = columns.values().map(Vec::len).max().unwrap_or(0);
    let subtitle = format!("{length} steps in {epochs} epochs, every step as it was at the parameters before it.");
    let figure =
        training::draw(&format!("Training of {method} on {dataset}, seed {seed}"), suite.kind, subtitle, &columns)?;
    let folder = out.join("traces");
    let mut figures = Vec::new();
    for (format, bytes) in [("svg", figure.svg), ("pdf", figure.pdf), ("png", figure.png)] {
        let file = folder.join(format!("{dataset}-{method}-{seed}.{format}"));
        engine.store.write_file(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
        figures.push(file);
    }
    let report = Report {
        suite: suite.name.clone(),
        cell: name,
        steps: length,
        key: key.to_string(),
        columns: columns.iter().map(|(name, values)| column(name, values)).collect(),
        figures,
    };
    show(args.json, &report, || text(&report))?;
    Ok(ExitCode::SUCCESS)
}

/// Dataset, method and seed of the suite; `seed` may stand before the number.
fn cell(suite: &Suite, words: &[String]) -> anyhow::Result<[String; 3]> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (dataset, method, seed) = match words[..] {
        [dataset, method, seed] | [dataset, method, "seed", seed] => (dataset, method, seed),
        _ => {
            let hint = "`seesaw trace emoji-words balgrad 1`";
            return Err(errors::usage("a cell is a dataset, a method and a seed", hint));
        }
    };
    let check = |what: &str, found: &str, known: Vec<String>| -> anyhow::Result<()> {
        if known.iter().any(|known| known == found) {
            return Ok(());
        }
        let near = errors::nearest(found, known.iter().map(String::as_str));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let (message, hint) = (format!("the suite {} has no {what} `{found}`", suite.name), known.join(", "));
        Err(errors::usage(message, format!("{near}It has: {hint}")))
    };
    check("dataset", dataset, suite.datasets.iter().map(|dataset| dataset.name.clone()).collect())?;
    check("method", method, suite.methods.iter().map(|method| method.name.clone()).collect())?;
    check("seed", seed, suite.seeds.iter().map(u64::to_string).collect())?;
    Ok([dataset, method, seed].map(str::to_owned))
}

fn not_there(cell: &str, suite: &str, what: &str) -> anyhow::Error {
    errors::failed(format!("the cell {cell} {what}"), format!("`seesaw run {suite}` trains it"))
}

fn column(name: &str, values: &[f32]) -> Column {
    let finite =
        |values: &[f32]| -> Vec<f64> { values.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect() };
    let mean = |values: &[f32]| crate::evaluation::statistics::mean(&finite(values));
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

fn text(report: &Report) -> String {
    let number = |x: Option<f64>| match x {
        None => "—".to_owned(),
        Some(x) if x != 0.0 && x.abs() < 1e-3 => format!("{x:.2e}"),
        Some(x) => format!("{x:.4}"),
    };
    let mut text = format!("{}: {} steps, key {}\n", report.cell, report.steps, report.key);
    text += &format!("  {:<26}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "", "first 10 %", "last 10 %", "mean", "min", "max");
    for Column { name, defined, mean, min, max, first, last } in &report.columns {
        let [first, last, mean, min, max] = [first, last, mean, min, max].map(|x| number(*x));
        text += &format!("  {name:<26}{first:>11}{last:>11}{mean:>11}{min:>11}{max:>11}");
        if *defined < report.steps {
            text += &format!("  not defined in {} steps", report.steps - defined);
        }
        text.push('\n');
    }
    if let Some(conflict) = report.columns.iter().find(|column| column.name == "conflict").and_then(|c| c.mean) {
        text += &format!("  in {:.1} % of the steps g_T and g_kl conflict (before any projection)\n", 100.0 * conflict);
    }
    let figures: Vec<String> = report.figures.iter().map(|file| file.display().to_string()).collect();
    text + &format!("  curves: {}\n", figures.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_defined_is_empty() {
        let columns: Columns =
            [("cos_T_kl".to_owned(), vec![f32::NAN, 0.5]), ("loss_T".to_owned(), vec![2.0, 1.25])].into();
        assert_eq!(csv(&columns, 2), "step,epoch,cos_T_kl,loss_T\n1,1,,2\n2,2,0.5,1.25\n");
    }

    #[test]
    fn columns_are_summed_up_over_what_is_defined() {
        let found = column("x", &[f32::NAN, 1.0, 3.0]);
        let expected = Column {
            name: "x".into(),
            defined: 2,
            mean: Some(2.0),
            min: Some(1.0),
            max: Some(3.0),
            first: None,
            last: Some(3.0),
        };
        assert_eq!(found, expected);
    }
}
