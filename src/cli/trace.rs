//! `seesaw trace DATASET METHOD SEED`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::context::{Global, OfSuite, show};
use crate::engine::devices::Devices;
use crate::interrupt::Interrupt;
use crate::publication::Run;
use crate::publication::trace::{self, Cell, Column, Summary, Trace};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cell: a dataset, a method and a seed, for example `food101 balgrad 1`
    #[arg(required = true, num_args = 3..=4, value_names = ["DATASET", "METHOD", "SEED"])]
    cell: Vec<String>,
    #[command(flatten)]
    of: OfSuite,
    /// Write every step to this file as comma-separated values; undefined cosines are empty
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the columns to this file as float32 vectors in safetensors
    #[arg(long, value_name = "FILE")]
    safetensors: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let run = Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    let cell = Cell::find(&run.planned.suite, &args.cell)?;
    let Trace { summary, safetensors, csv } = trace::look(&run, &cell)?;
    for (file, bytes) in [(&args.safetensors, safetensors.as_slice()), (&args.csv, csv.as_bytes())] {
        if let Some(file) = file {
            std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    show(args.json, &summary, || text(&summary))?;
    Ok(ExitCode::SUCCESS)
}

fn text(summary: &Summary) -> String {
    let number = |x: Option<f64>| match x {
        None => "—".to_owned(),
        Some(x) if x != 0.0 && x.abs() < 1e-3 => format!("{x:.2e}"),
        Some(x) => format!("{x:.4}"),
    };
    let mut text = format!("{}: {} steps, key {}\n", summary.cell, summary.steps, summary.key);
    text += &format!("  {:<26}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "", "first 10 %", "last 10 %", "mean", "min", "max");
    for Column { name, defined, mean, min, max, first, last } in &summary.columns {
        let [first, last, mean, min, max] = [first, last, mean, min, max].map(|x| number(*x));
        text += &format!("  {name:<26}{first:>11}{last:>11}{mean:>11}{min:>11}{max:>11}");
        if *defined < summary.steps {
            text += &format!("  undefined in {} steps", summary.steps - defined);
        }
        text.push('\n');
    }
    if let Some(conflict) = summary.columns.iter().find(|column| column.name == "conflict").and_then(|c| c.mean) {
        text += &format!("  in {:.1} % of the steps g_T and g_kl conflict (before any projection)\n", 100.0 * conflict);
    }
    let figures: Vec<String> = summary.figures.iter().map(|file| file.display().to_string()).collect();
    text + &format!("  curves: {}\n", figures.join(", "))
}
