//! Figures 5, 8 and 9: missing ΔGap as bars, one per method, for encoders and fusions other than those of the main
//! comparison. Datasets with the same encoders and fusion share a row, and an axis unless one would flatten the others.

use super::chart::{Chart, Entry, Panel, Pen, Row, Sample, bars};
use super::gaps::{Gaps, place};
use super::{spread, weights};
use crate::report::results::{DatasetDescription, MethodDescription, Quantity, Results};
use crate::report::value_of;

/// The share of the highest bar below which a dataset's bars cannot be compared any more.
const FLAT: f64 = 0.4;

pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let settings = settings(&suite.datasets);
    let mut rows = Vec::new();
    for (at, datasets) in settings.iter().enumerate() {
        let letter = char::from(b'a' + (at % 26) as u8);
        let setting = datasets[0].setting.clone();
        rows.push(Row {
            heading: if settings.len() > 1 { format!("({letter}) {setting}") } else { setting },
            panels: panels(results, datasets, &mut gaps),
            legend: Vec::new(),
        });
    }
    if let Some(last) = rows.last_mut() {
        last.legend = Entry::of_methods(suite, Sample::Bar);
    }
    let own_axes = rows.iter().any(|row| row.panels.len() > 1);
    let axes = if own_axes { " Each dataset has its own axis." } else { "" };
    let settings: Vec<&str> = settings.iter().map(|datasets| datasets[0].setting.as_str()).collect();
    Chart {
        caption: format!("Missing ΔGap: {}", settings.join("; ")),
        reading: spread(suite.seeds.len(), "error bars") + axes,
        made: vec![weights(results), suite.optimizer.clone(), suite.missing.clone()],
        rows,
        notes: gaps.lines(),
    }
}

/// Groups datasets by their encoders and fusion, in the order of first appearance.
fn settings(datasets: &[DatasetDescription]) -> Vec<Vec<&DatasetDescription>> {
    let mut settings: Vec<(_, Vec<&DatasetDescription>)> = Vec::new();
    for dataset in datasets {
        value_of(&mut settings, (&dataset.encoders, &dataset.fusion)).push(dataset);
    }
    settings.into_iter().map(|(_, datasets)| datasets).collect()
}

/// One panel with a common axis; or one per dataset, each with its own, if the bars of a dataset would be lower than
/// [`FLAT`] of another's.
fn panels(results: &Results, datasets: &[&DatasetDescription], gaps: &mut Gaps<'_>) -> Vec<Panel> {
    let methods = &results.suite.methods;
    let mean = |dataset: &DatasetDescription, method: &MethodDescription| {
        results.number(&dataset.name, &method.name, Quantity::MissingGap, None)?.mean
    };
    let highest = |dataset: &&DatasetDescription| {
        let means = methods.iter().filter_map(|method| mean(dataset, method));
        means.reduce(f64::max)
    };
    let heights: Vec<f64> = datasets.iter().filter_map(highest).collect();
    let [low, high] = [f64::min, f64::max].map(|of| heights.iter().copied().reduce(of).unwrap_or(0.0));
    let shown: Vec<&[&DatasetDescription]> =
        if low < FLAT * high { datasets.chunks(1).collect() } else { vec![datasets] };
    let names = methods.iter().map(|method| method.title.as_str());
    let pens: Vec<(Pen, &str)> = Pen::of_methods(methods).into_iter().zip(names).collect();
    let mut panels = Vec::new();
    for datasets in shown {
        let title = if panels.is_empty() { "ΔGap (percentage points)" } else { "" };
        panels.push(bars(datasets, &pens, title, |dataset, at| {
            let number = results.number(&dataset.name, &methods[at].name, Quantity::MissingGap, None);
            gaps.add_number(&format!("{} ({})", place(dataset, &methods[at]), dataset.setting), number, None);
            number
        }));
    }
    panels
}
