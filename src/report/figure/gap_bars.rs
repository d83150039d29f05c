//! Figures 5, 8 and 9: missing ΔGap as bars, one per method, for encoders and fusions other than those of the main
//! comparison. Datasets with the same encoders and fusion share a row.

use super::chart::{Chart, Entry, Panel, Pen, Row, Sample, bar, bars};
use super::gaps::{Gaps, place};
use super::spread;
use crate::report::results::{DatasetDescription, Quantity, Results};

pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let settings = settings(&suite.datasets);
    let mut rows = Vec::new();
    for (at, datasets) in settings.iter().enumerate() {
        let letter = char::from(b'a' + (at % 26) as u8);
        let setting = setting(datasets[0]);
        rows.push(Row {
            heading: if settings.len() > 1 { format!("({letter}) {setting}") } else { setting },
            panels: vec![panel(results, datasets, &mut gaps)],
            legend: Vec::new(),
        });
    }
    if let Some(last) = rows.last_mut() {
        last.legend = Entry::of_methods(suite, Sample::Bar);
    }
    let spread = spread(suite.seeds.len(), "error bars");
    let (selection, optimizer, missing) = (&suite.selection, &suite.optimizer, &suite.missing);
    let subtitle = format!("Missing ΔGap: {spread}; weights of the {selection}; {optimizer}; {missing}.");
    Chart { subtitle, rows, notes: gaps.lines() }
}

/// Groups datasets by their encoders and fusion, in the order of first appearance.
fn settings(datasets: &[DatasetDescription]) -> Vec<Vec<&DatasetDescription>> {
    let mut settings: Vec<Vec<&DatasetDescription>> = Vec::new();
    for dataset in datasets {
        match settings.iter_mut().find(|known| setting(known[0]) == setting(dataset)) {
            Some(known) => known.push(dataset),
            None => settings.push(vec![dataset]),
        }
    }
    settings
}

fn setting(dataset: &DatasetDescription) -> String {
    format!("{}; {} fusion", dataset.encoders, dataset.fusion)
}

fn panel(results: &Results, datasets: &[&DatasetDescription], gaps: &mut Gaps<'_>) -> Panel {
    let methods = &results.suite.methods;
    let pens = Pen::of_methods(methods);
    bars(datasets, &pens, "ΔGap (percentage points)", |dataset, at| {
        let number = results.number(&dataset.name, &methods[at].name, Quantity::MissingGap, None);
        gaps.add_number(&format!("{} ({})", place(dataset, &methods[at]), setting(dataset)), number, None);
        bar(number)
    })
}
