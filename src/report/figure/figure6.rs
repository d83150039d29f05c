//! Figure 6: (a) the losses of the image head and the text head per epoch, a panel per dataset, of two methods: without
//! and with reweighting; (b) their difference, if a reader could not see it in (a).

use super::chart::{Axis, Chart, Entry, Mark, Panel, Pen, Point, Row, Sample, ceiling, minus};
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
        let curves = found.into_iter().enumerate().rev().flat_map(|(at, losses)| {
            let title = &suite.methods[at].title;
            let names = MODALITIES.map(|(modality, ..)| format!("{title}, {modality}"));
            names.into_iter().zip(pens(at).into_iter().zip(losses))
        });
        panels.push(loss_panel(dataset, curves.collect(), panels.is_empty()));
    }
    let entries = suite.methods.iter().enumerate().flat_map(|(at, method)| {
        let title = |modality: &str| format!("{}, {modality}", method.title);
        MODALITIES.iter().zip(pens(at)).map(move |((modality, ..), pen)| Entry::new(title(modality), pen, Sample::Line))
    });
    let legend = entries.collect();
    let mut rows = vec![Row { heading: String::new(), panels, legend }];
    let mut reading = spread(suite.seeds.len(), "bands");
    let one: Vec<[bool; 2]> = rows[0].panels.iter().map(coincide).collect();
    if let [without, with] = &suite.methods[..]
        && one.iter().flatten().any(|one| *one)
    {
        rows[0].heading = "(a) Losses".into();
        let words = format!("{} minus {}", with.title, without.title);
        reading = format!("(b) Where lines of (a) coincide: {words}, seed by seed. {reading}");
        let shown = MODALITIES.iter().enumerate().filter(|(at, _)| one.iter().any(|one| one[*at]));
        rows.push(Row {
            heading: format!("(b) Difference: {words}"),
            panels: differences(results, [without, with], &one),
            legend: shown.map(|(_, (title, _, pen))| Entry::new(*title, *pen, Sample::Line)).collect(),
        });
    }
    Chart {
        caption: format!(
            "Training losses of the heads of one modality, without reweighting (broken lines) and with it (solid lines): {}",
            titles(results, " and ")
        ),
        reading,
        made: vec![suite.optimizer.clone()],
        rows,
        notes: gaps.lines(),
    }
}

/// The share of an axis within which two lines are one to the eye.
const ONE: f64 = 0.02;

/// Whether the lines of each modality, without and with reweighting, lie on top of each other throughout.
fn coincide(panel: &Panel) -> [bool; 2] {
    let lines = |pen: Pen| {
        let points = panel.marks.iter().filter_map(move |mark| match mark {
            Mark::Line { pen: of, points, .. } if *of == pen => Some(points),
            _ => None,
        });
        points.flatten().map(|(epoch, mean, _)| (*epoch, *mean)).collect::<Vec<_>>()
    };
    let near = |a: f64, b: f64| (a - b).abs() < ONE * (panel.y.ends.1 - panel.y.ends.0);
    [(Pen::IMAGE_ABOVE, Pen::IMAGE), (Pen::TEXT_ABOVE, Pen::TEXT)].map(|(without, with)| {
        let (without, with) = (lines(without), lines(with));
        let mut pairs = without.iter().zip(&with).peekable();
        pairs.peek().is_some() && pairs.all(|((x, a), (y, b))| x == y && near(*a, *b))
    })
}

/// A panel per dataset: the second method's losses minus the first one's, over the seeds that both have, of the modalities
/// whose lines are one. The others would flatten them, and can be seen as they are.
fn differences(results: &Results, methods: [&MethodDescription; 2], one: &[[bool; 2]]) -> Vec<Panel> {
    let mut panels = Vec::new();
    for (dataset, one) in results.suite.datasets.iter().zip(one) {
        // What is missing was noted with the losses.
        let mut noted = Gaps::new(&results.suite);
        let [without, with] = methods.map(|method| traces(results, dataset, method, &mut noted));
        let pairs: Vec<(&TraceSummary, &TraceSummary)> = without
            .iter()
            .filter_map(|(seed, one)| Some((*one, with.iter().find(|(other, _)| other == seed)?.1)))
            .collect();
        let shown = MODALITIES.iter().zip(one).filter(|(_, one)| **one);
        let curves = shown.map(|((title, column, pen), _)| {
            let of_seed = |(one, other): &(&TraceSummary, &TraceSummary)| {
                let [one, other] = [one, other].map(|trace| trace.losses.get(*column));
                Some(one?.iter().zip(other?).map(|(without, with)| with - without).collect())
            };
            let points = means(&pairs.iter().filter_map(of_seed).collect::<Vec<Vec<f64>>>());
            (format!("{title}, difference"), (*pen, points))
        });
        let curves: Vec<Curve> = curves.collect();
        let points = || curves.iter().flat_map(|(_, (_, points))| points);
        let widest = points().map(|(_, mean, std)| mean.abs() + std).fold(0.0, f64::max);
        let title = if panels.is_empty() { "difference of losses" } else { "" };
        let y = Axis::new((-ceiling(widest), ceiling(widest)), 4, title);
        let mut panel = Panel { y, ..loss_panel(dataset, curves, panels.is_empty()) };
        if *one == [false; 2] {
            panel.marks = vec![Mark::Message("can be seen in (a)".into())];
        }
        panels.push(panel);
    }
    panels
}

/// A line with its name.
pub type Curve = (String, (Pen, Vec<Point>));

/// A panel of losses per epoch.
pub fn loss_panel(dataset: &DatasetDescription, curves: Vec<Curve>, first: bool) -> Panel {
    let (names, curves): (Vec<String>, Vec<(Pen, Vec<Point>)>) = curves.into_iter().unzip();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let highest = points().map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    let epochs = points().map(|(epoch, ..)| *epoch as usize).max().unwrap_or(dataset.epochs as usize);
    let markers = epochs.div_ceil(12).max(1);
    let spots = names.iter().zip(&curves).flat_map(|(name, (_, points))| {
        points.iter().step_by(markers).map(move |&(epoch, mean, std)| {
            let words = format!("{name}, epoch {epoch}: {} ± {}", minus(mean, 4), minus(std, 4));
            Mark::Spot { from: (epoch, mean), to: (epoch, mean), words }
        })
    });
    let marks = match points().next() {
        Some(_) => Mark::lines(&curves, markers).into_iter().chain(spots).collect(),
        None => vec![Mark::Message("no losses: see the notes".into())],
    };
    Panel {
        title: dataset.title.clone(),
        keys: Vec::new(),
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
        means(&traces.iter().filter_map(|(_, trace)| trace.losses.get(column).map(Vec::as_slice)).collect::<Vec<_>>())
    })
}

/// The mean and spread of each epoch over the curves of seeds.
fn means<Curve: AsRef<[f64]>>(curves: &[Curve]) -> Vec<Point> {
    let epochs = curves.iter().map(|curve| curve.as_ref().len()).max().unwrap_or(0);
    let point = |epoch: usize| {
        let values: Vec<f64> = curves.iter().filter_map(|curve| curve.as_ref().get(epoch).copied()).collect();
        Some((epoch as f64 + 1.0, mean(&values)?, sample_std(&values).unwrap_or(0.0)))
    };
    (0..epochs).filter_map(point).collect()
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
