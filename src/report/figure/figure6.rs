//! Figure 6: the losses of the image head and the text head per epoch, a panel per dataset, of two methods: without and
//! with reweighting.

use super::chart::{Axis, Chart, Entry, Mark, Panel, Pen, Point, Row, Sample};
use super::gaps::{Gaps, place};
use super::{spread, titles};
use crate::evaluation::statistics::{mean, sample_std};
use crate::report::results::{DatasetDescription, MethodDescription, Quantity, Results};
use crate::report::summary::TraceSummary;

/// Each modality with the column that holds the loss of its head, and its pen.
pub const MODALITIES: [(&str, &str, Pen); 2] = [("image", "loss_v", Pen::IMAGE), ("text", "loss_l", Pen::TEXT)];

/// The chart of the two methods of the results.
pub fn chart(results: &Results) -> Chart {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let last = suite.methods.len().saturating_sub(1);
    let pens = |method: usize| match method == last {
        true => [Pen::IMAGE, Pen::TEXT],
        false => [Pen::IMAGE_ABOVE, Pen::TEXT_ABOVE],
    };
    let mut panels = Vec::new();
    for dataset in &suite.datasets {
        let found: Vec<_> = suite.methods.iter().map(|method| losses(results, dataset, method, &mut gaps)).collect();
        // The last method has solid lines; the other ones lie on top of them.
        let curves = found.into_iter().enumerate().rev().flat_map(|(at, losses)| pens(at).into_iter().zip(losses));
        panels.push(loss_panel(dataset, curves.collect(), panels.is_empty()));
    }
    let entries = suite.methods.iter().enumerate().flat_map(|(at, method)| {
        let title = |modality: &str| format!("{}, {modality}", method.title);
        MODALITIES.iter().zip(pens(at)).map(move |((modality, ..), pen)| Entry::new(title(modality), pen, Sample::Line))
    });
    let legend = entries.collect();
    Chart {
        subtitle: format!(
            "Training losses of the heads of one modality, {} (with reweighting, solid lines): {}; {}.",
            titles(results, " (without reweighting, broken lines) and "),
            spread(suite.seeds.len(), "bands"),
            suite.optimizer
        ),
        rows: vec![Row { heading: String::new(), panels, legend }],
        notes: gaps.lines(),
    }
}

/// A panel of losses per epoch.
pub fn loss_panel(dataset: &DatasetDescription, curves: Vec<(Pen, Vec<Point>)>, first: bool) -> Panel {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let highest = points().map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    let epochs = points().map(|(epoch, ..)| *epoch as usize).max().unwrap_or(dataset.epochs as usize);
    let marks = match points().next() {
        Some(_) => Mark::lines(&curves, epochs.div_ceil(12)),
        None => vec![Mark::Message("no losses: see the note below".into())],
    };
    Panel {
        title: dataset.title.clone(),
        span: 1,
        x: Axis::epochs(epochs),
        y: Axis::from_zero(highest, if first { "loss (mean over an epoch)" } else { "" }),
        marks,
    }
}

/// The losses of the image head and the text head per epoch, over the seeds that have them. Notes the trainings that
/// have no trace, or no such head.
pub fn losses(
    results: &Results,
    dataset: &DatasetDescription,
    method: &MethodDescription,
    gaps: &mut Gaps<'_>,
) -> [Vec<Point>; 2] {
    let traces = traces(results, dataset, method, gaps);
    for (seed, trace) in &traces {
        let absent: Vec<_> = MODALITIES.iter().filter(|(_, column, _)| !trace.losses.contains_key(*column)).collect();
        if !absent.is_empty() {
            let heads: Vec<&str> = absent.iter().map(|(modality, ..)| *modality).collect();
            let columns: Vec<String> = absent.iter().map(|(_, column, _)| format!("`{column}`")).collect();
            let (heads, columns) = (heads.join(" or the "), columns.join(", "));
            let cause = format!("its training has no head for the {heads} alone (its trace has no {columns})");
            gaps.add(&place(dataset, method), *seed, None, &cause);
        }
    }
    MODALITIES.map(|(_, column, _)| {
        let curves: Vec<&Vec<f64>> = traces.iter().filter_map(|(_, trace)| trace.losses.get(column)).collect();
        let epochs = curves.iter().map(|curve| curve.len()).max().unwrap_or(0);
        let point = |epoch: usize| {
            let values: Vec<f64> = curves.iter().filter_map(|curve| curve.get(epoch).copied()).collect();
            Some((epoch as f64 + 1.0, mean(&values)?, sample_std(&values).unwrap_or(0.0)))
        };
        (0..epochs).filter_map(point).collect()
    })
}

/// The traces of a method on a dataset, with their seeds. Notes the cells without one.
pub fn traces<'a>(
    results: &'a Results,
    dataset: &DatasetDescription,
    method: &MethodDescription,
    gaps: &mut Gaps<'_>,
) -> Vec<(u64, &'a TraceSummary)> {
    let full = results.number(&dataset.name, &method.name, Quantity::Full, None);
    let mut traces = Vec::new();
    for &seed in &results.suite.seeds {
        let record = results.cell(&dataset.name, &method.name, seed);
        if let Some(trace) = record.and_then(|record| record.trace.as_ref()) {
            traces.push((seed, trace));
            continue;
        }
        let known = full.and_then(|full| full.seeds.iter().find(|known| known.seed == seed));
        let cause = match record {
            Some(_) => "its training has no trace".to_owned(),
            None => known.and_then(|known| known.value.cause()).unwrap_or_else(|| "not run".to_owned()),
        };
        gaps.add(&place(dataset, method), seed, None, &cause);
    }
    traces
}
