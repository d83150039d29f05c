//! Figure 4: ΔGap against the missing ratio r, a panel per dataset and a line per method.

use super::chart::{self, Axis, Chart, Entry, Mark, Panel, Pen, Point, Row, Sample};
use super::gaps::{Gaps, place};
use super::{spread, weights};
use crate::report::results::{DatasetDescription, MethodDescription, Number, Quantity, Results};
use crate::report::table::cell::status;

pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let mut panels = Vec::new();
    for dataset in &suite.datasets {
        panels.push(panel(results, dataset, panels.is_empty()));
        for method in &suite.methods {
            for &ratio in &suite.ratios {
                gaps.add_number(&place(dataset, method), number(results, dataset, method, ratio), Some(ratio));
            }
        }
    }
    let mut legend = Entry::of_methods(suite, Sample::Line);
    legend.iter_mut().zip(&suite.methods).for_each(|(entry, method)| entry.title += &remark(results, method));
    Chart {
        caption: "Missing ΔGap against the share r of test samples with a missing modality".into(),
        reading: spread(suite.seeds.len(), "bands"),
        made: vec![weights(results), suite.missing.clone()],
        rows: vec![Row { heading: String::new(), panels, legend }],
        notes: gaps.lines(),
    }
}

fn panel(results: &Results, dataset: &DatasetDescription, first: bool) -> Panel {
    let methods = results.suite.methods.iter().zip(Pen::of_methods(&results.suite.methods));
    let lines: Vec<(Pen, Vec<Point>)> = methods
        .flat_map(|(method, pen)| runs(results, dataset, method).into_iter().map(move |run| (pen, run)))
        .collect();
    let spots = results.suite.methods.iter().flat_map(|method| {
        results.suite.ratios.iter().filter_map(move |&ratio| {
            let name = format!("{}, r = {ratio}", method.title);
            Mark::spot(&name, number(results, dataset, method, ratio), (ratio, ratio), None)
        })
    });
    let highest = lines.iter().flat_map(|(_, run)| run).map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    let title = if first { "ΔGap (percentage points)" } else { "" };
    Panel {
        title: dataset.title.clone(),
        keys: Vec::new(),
        span: 1,
        x: Axis::new((-0.03, 1.03), 6, "missing ratio r"),
        y: Axis::from_zero(highest, title),
        marks: Mark::lines(&lines, 1).into_iter().chain(spots).collect(),
    }
}

fn number<'a>(
    results: &'a Results,
    dataset: &DatasetDescription,
    method: &MethodDescription,
    ratio: f64,
) -> Option<&'a Number> {
    results.number(&dataset.name, &method.name, Quantity::MissingGap, Some(ratio))
}

/// The points of a method, in runs: a missing number breaks the line.
pub(super) fn runs(results: &Results, dataset: &DatasetDescription, method: &MethodDescription) -> Vec<Vec<Point>> {
    let point = |&ratio: &f64| {
        let number = number(results, dataset, method, ratio)?;
        Some((ratio, number.mean?, number.std.unwrap_or(0.0)))
    };
    let points: Vec<Option<Point>> = results.suite.ratios.iter().map(point).collect();
    chart::runs(&points)
}

/// What the legend says of a method whose lines are incomplete.
fn remark(results: &Results, method: &MethodDescription) -> String {
    let suite = &results.suite;
    let places = suite.datasets.iter().flat_map(|dataset| suite.ratios.iter().map(move |&ratio| (dataset, ratio)));
    let numbers: Vec<_> = places.map(|(dataset, ratio)| number(results, dataset, method, ratio)).collect();
    let drawn = numbers.iter().filter(|number| number.is_some_and(|number| number.mean.is_some())).count();
    let known = || numbers.iter().flatten().map(|number| status(number).1);
    match drawn {
        _ if drawn == numbers.len() => String::new(),
        1.. => " (incomplete)".to_owned(),
        0 => format!(
            " ({})",
            ["failed", "NaN"].into_iter().find(|word| known().any(|known| known == *word)).unwrap_or("not run")
        ),
    }
}
