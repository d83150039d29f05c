//! Figure 6: the losses of the image's and the text's head per epoch, a panel per dataset, of two methods: without and
//! with reweighting.

use super::axis::Axis;
use super::curves::{MODALITIES, Point, draw_bands, draw_lines, losses, note_heads, place, traces};
use super::legend::{Entry, Sample};
use super::notes::Gaps;
use super::page::{self, PANEL, Page, Panel, Row};
use super::pen::Pen;
use super::{Figure, spread_of_lines};
use crate::report::results::{DatasetDescription, Results};

/// Draws the figure for the two methods of the results: the first without, the second with reweighting.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    page::figure(results, &page(results))
}

pub(super) fn page(results: &Results) -> Page<'_> {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let panels = suite.datasets.iter().enumerate();
    let panels = panels.map(|(at, dataset)| panel(results, dataset, at == 0, &mut gaps)).collect();
    // In the order of the methods.
    let mut legend: Vec<_> = lines(suite.methods.len()).collect();
    legend.sort_by_key(|(method, modality, _)| (*method, *modality));
    let entry = |(method, modality, pen): (usize, usize, Pen)| Entry {
        title: format!("{}, {}", suite.methods[method].title, MODALITIES[modality].0),
        pen,
        sample: Sample::Line,
    };
    let legend = legend.into_iter().map(entry).collect();
    let titles: Vec<&str> = suite.methods.iter().map(|method| method.title.as_str()).collect();
    Page {
        subtitle: format!(
            "Training losses of the heads of one modality, {}. {}; {}.",
            titles.join(" (without reweighting, broken lines) and ") + " (with reweighting, drawn through)",
            spread_of_lines(suite.seeds.len()),
            suite.optimizer
        ),
        rows: vec![Row { heading: String::new(), panels, legend }],
        notes: gaps.lines(),
    }
}

/// Method, modality and pen of each line, in the order in which they are drawn: the last method's, drawn through, and the
/// others' on top of them.
fn lines(methods: usize) -> impl Iterator<Item = (usize, usize, Pen)> {
    (0..methods).rev().flat_map(move |method| {
        let pens = if method + 1 == methods { [Pen::IMAGE, Pen::TEXT] } else { [Pen::IMAGE_ABOVE, Pen::TEXT_ABOVE] };
        pens.into_iter().enumerate().map(move |(modality, pen)| (method, modality, pen))
    })
}

fn panel<'a>(results: &'a Results, dataset: &'a DatasetDescription, first: bool, gaps: &mut Gaps<'_>) -> Panel<'a> {
    let methods = &results.suite.methods;
    let mut found = Vec::new();
    for method in methods {
        let traces = traces(results, dataset, method, gaps);
        note_heads(&traces, &place(dataset, method), gaps);
        found.push(traces);
    }
    let curve = |(method, modality, pen): (usize, usize, Pen)| (pen, losses(&found[method], MODALITIES[modality].1));
    let curves = lines(methods.len()).map(curve).collect();
    loss_panel(dataset, curves, first)
}

/// A panel of losses per epoch.
pub(super) fn loss_panel(dataset: &DatasetDescription, curves: Vec<(Pen, Vec<Point>)>, first: bool) -> Panel<'_> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let highest = points().map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    let epochs = points().map(|(epoch, ..)| *epoch as usize).max().unwrap_or(dataset.epochs as usize);
    Panel {
        title: dataset.title.clone(),
        width: PANEL.0,
        x: Axis::epochs(epochs),
        y: Axis::from_zero(highest, if first { "loss (mean over an epoch)" } else { "" }),
        draw: Box::new(move |area, frame| {
            if curves.iter().all(|(_, points)| points.is_empty()) {
                return frame.say(area, "no losses: see the note below");
            }
            curves.iter().try_for_each(|(pen, points)| draw_bands(area, frame, *pen, points))?;
            curves.iter().try_for_each(|(pen, points)| draw_lines(area, frame, *pen, points, epochs.div_ceil(12)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::figure::tests::told;
    use crate::report::samples::ablation;

    /// A point is the mean over the seeds of an epoch's loss; the first method's lines lie on top.
    #[test]
    fn curves_are_means_over_seeds() {
        let mut results = ablation(SuiteKind::Smoke);
        for (at, cell) in results.cells.iter_mut().filter(|cell| cell.method == "balgrad").enumerate() {
            let curve = vec![1.0 + (at % 5) as f64, 0.5];
            cell.trace.iter_mut().for_each(|trace| drop(trace.losses.insert("loss_v".into(), curve.clone())));
        }
        let (dataset, method) = (&results.suite.datasets[0], &results.suite.methods[3]);
        let mut gaps = Gaps::new(&results.suite);
        let found = traces(&results, dataset, method, &mut gaps);
        let points = losses(&found, "loss_v");
        assert_eq!(points, [(1.0, 3.0, 2.5f64.sqrt()), (2.0, 0.5, 0.0)]);
        assert!(gaps.lines().is_empty());
        let drawn: Vec<(usize, usize)> = lines(2).map(|(method, modality, _)| (method, modality)).collect();
        assert_eq!(drawn, [(1, 0), (1, 1), (0, 0), (0, 1)]);
    }

    #[test]
    fn lines_are_named_and_what_has_no_head_is_told() {
        let results = ablation(SuiteKind::Smoke);
        let words = told(page, &results, &["balgrad-projection", "balgrad"]);
        for part in [
            "BalGrad w/o reweighting (without reweighting, broken lines) and BalGrad (with reweighting, drawn through)",
            "BalGrad w/o reweighting, image BalGrad w/o reweighting, text BalGrad, image BalGrad, text",
            "Left out: BalGrad on Emoji words, seed 4: failed",
        ] {
            assert!(words.contains(part), "{part}\n{words}");
        }
        assert!(!words.contains("no head"), "{words}");
        let words = told(page, &results, &["baseline", "balgrad"]);
        let part = "Left out: Baseline on Emoji subgroup; Baseline on Emoji match; Baseline on Emoji words: its training \
                    has no head for the image or the text alone (its trace has no `loss_v`, `loss_l`)";
        assert!(words.contains(part), "{part}\n{words}");
    }
}
