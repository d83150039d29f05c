//! Lines of means with bands of one sample standard deviation, and the losses per epoch that traces hold.

use super::frame::Frame;
use super::notes::Gaps;
use super::pen::{Area, Drawn, Pen};
use crate::evaluation::statistics::{mean, sample_std};
use crate::report::results::{DatasetDescription, MethodDescription, Quantity, Results};
use crate::report::summary::TraceSummary;
use crate::report::table::cell::cause;

/// A point of a line: place, mean, standard deviation.
pub type Point = (f64, f64, f64);

/// The modality whose head a loss belongs to, its column in a trace, and its pen.
pub const MODALITIES: [(&str, &str, Pen); 2] = [("image", "loss_v", Pen::IMAGE), ("text", "loss_l", Pen::TEXT)];

/// The band of a line, or the error bar of a single point; both end at the axis, which nothing that is drawn falls below.
pub fn draw_bands(area: &Area<'_>, frame: &Frame, pen: Pen, points: &[Point]) -> Drawn {
    if points.iter().all(|(.., std)| *std <= 0.0) {
        return Ok(());
    }
    if let &[(x, mean, std)] = points {
        let ((at, low), (_, high)) = (frame.place(x, (mean - std).max(0.0)), frame.place(x, mean + std));
        return Pen::error_bar(area, at, low, high);
    }
    let upper = points.iter().map(|&(x, mean, std)| frame.place(x, mean + std));
    let lower = points.iter().rev().map(|&(x, mean, std)| frame.place(x, (mean - std).max(0.0)));
    pen.band(area, upper.chain(lower).collect())
}

/// A line with a marker at each `every`th point.
pub fn draw_lines(area: &Area<'_>, frame: &Frame, pen: Pen, points: &[Point], every: usize) -> Drawn {
    let places: Vec<(i32, i32)> = points.iter().map(|&(x, mean, _)| frame.place(x, mean)).collect();
    pen.line(area, &places)?;
    places.iter().step_by(every.max(1)).try_for_each(|&at| pen.marker(area, at))
}

/// The traces of a method on a dataset, with their seeds; a cell without one is noted.
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
            None => known.and_then(|known| cause(&known.value)).unwrap_or_else(|| "not run".to_owned()),
        };
        gaps.add(&place(dataset, method), seed, None, &cause);
    }
    traces
}

/// How notes name a cell.
pub fn place(dataset: &DatasetDescription, method: &MethodDescription) -> String {
    format!("{} on {}", method.title, dataset.title)
}

/// Notes the trainings without a head for the image alone or for the text alone, which have no such loss.
pub fn note_heads(traces: &[(u64, &TraceSummary)], place: &str, gaps: &mut Gaps<'_>) {
    for (seed, trace) in traces {
        let absent: Vec<_> = MODALITIES.iter().filter(|(_, column, _)| !trace.losses.contains_key(*column)).collect();
        let heads: Vec<&str> = absent.iter().map(|(modality, ..)| *modality).collect();
        let columns: Vec<String> = absent.iter().map(|(_, column, _)| format!("`{column}`")).collect();
        if !absent.is_empty() {
            let (heads, columns) = (heads.join(" or the "), columns.join(", "));
            let cause = format!("its training has no head for the {heads} alone (its trace has no {columns})");
            gaps.add(place, *seed, None, &cause);
        }
    }
}

/// A loss per epoch, over the seeds whose trace has the column. Empty if there is none.
pub fn losses(traces: &[(u64, &TraceSummary)], column: &str) -> Vec<Point> {
    let curves: Vec<&Vec<f64>> = traces.iter().filter_map(|(_, trace)| trace.losses.get(column)).collect();
    let epochs = curves.iter().map(|curve| curve.len()).max().unwrap_or(0);
    let point = |epoch: usize| {
        let values: Vec<f64> = curves.iter().filter_map(|curve| curve.get(epoch).copied()).collect();
        Some((epoch as f64 + 1.0, mean(&values)?, sample_std(&values).unwrap_or(0.0)))
    };
    (0..epochs).filter_map(point).collect()
}
