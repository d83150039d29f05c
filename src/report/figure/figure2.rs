//! Figure 2, of one method: (a) its score with both modalities, with the image alone and with the text alone; (b) the
//! losses of the image's and the text's head per epoch, a panel per dataset.

use super::Figure;
use super::axis::Axis;
use super::bars::{self, Bar};
use super::curves::{MODALITIES, losses, note_heads, place, traces};
use super::figure6::loss_panel;
use super::legend::{Entry, Sample};
use super::notes::Gaps;
use super::page::{self, NARROWEST, PANEL, Page, Panel, Row};
use super::pen::Pen;
use crate::report::results::{DatasetDescription, MethodDescription, Quantity, Results, Status};
use crate::report::table::cell::{cause, status};

/// The bars of a dataset: what the image alone scores is the score without the text.
const BARS: [(&str, Quantity, Pen); 3] = [
    ("full", Quantity::Full, Pen::BOTH),
    ("image only", Quantity::MissingText, Pen::IMAGE),
    ("text only", Quantity::MissingImage, Pen::TEXT),
];

/// Draws the figure for the one method of the results.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    page::figure(results, &page(results))
}

pub(super) fn page(results: &Results) -> Page<'_> {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let entry = |title: &str, pen, sample| Entry { title: title.to_owned(), pen, sample };
    let mut rows = Vec::new();
    for method in &suite.methods {
        let panels = suite.datasets.iter().enumerate();
        rows.push(Row {
            heading: "(a) Test scores with both modalities and with one alone".into(),
            panels: vec![bar_panel(results, method, &mut gaps)],
            legend: BARS.map(|(title, _, pen)| entry(title, pen, Sample::Bar)).to_vec(),
        });
        rows.push(Row {
            heading: "(b) Training losses of the heads of one modality".into(),
            panels: panels.map(|(at, dataset)| curves(results, dataset, method, at == 0, &mut gaps)).collect(),
            legend: MODALITIES.map(|(title, _, pen)| entry(title, pen, Sample::Line)).to_vec(),
        });
    }
    let titles: Vec<&str> = suite.methods.iter().map(|method| method.title.as_str()).collect();
    let spread = match suite.seeds.len() {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("means over {n} seeds, error bars and bands: ± one sample standard deviation"),
    };
    Page {
        subtitle: format!(
            "{}: {spread}; weights of the {}; {}; {}.",
            titles.join(", "),
            suite.selection,
            suite.optimizer,
            suite.missing
        ),
        rows,
        notes: gaps.lines(),
    }
}

fn curves<'a>(
    results: &'a Results,
    dataset: &'a DatasetDescription,
    method: &MethodDescription,
    first: bool,
    gaps: &mut Gaps<'_>,
) -> Panel<'a> {
    // A cell that has neither scores nor a trace is told with its bars.
    let found = traces(results, dataset, method, gaps);
    note_heads(&found, &place(dataset, method), gaps);
    let curve = |(_, column, pen): (&str, &str, Pen)| (pen, losses(&found, column));
    loss_panel(dataset, MODALITIES.map(curve).to_vec(), first)
}

fn bar_panel<'a>(results: &'a Results, method: &MethodDescription, gaps: &mut Gaps<'_>) -> Panel<'a> {
    let suite = &results.suite;
    let mut all: Vec<Vec<Bar>> = Vec::new();
    for dataset in &suite.datasets {
        all.push(
            BARS.map(|(title, quantity, _)| {
                let number = results.number(&dataset.name, &method.name, quantity, None);
                for seed in number.iter().flat_map(|number| &number.seeds) {
                    let Some(cause) = cause(&seed.value) else { continue };
                    // A score that is not a number is one bar's; what failed or did not run concerns all three.
                    let of = match seed.value {
                        Status::NotANumber => format!("{} ({title})", place(dataset, method)),
                        _ => place(dataset, method),
                    };
                    gaps.add(&of, seed.seed, None, &cause);
                }
                let Some(number) = number else {
                    suite.seeds.iter().for_each(|&seed| gaps.add(&place(dataset, method), seed, None, "not run"));
                    return Err("—");
                };
                number.mean.map(|mean| (mean, number.std.unwrap_or(0.0))).ok_or(status(number).1)
            })
            .to_vec(),
        );
    }
    let names = suite.datasets.iter().map(|dataset| format!("{}\n{}", dataset.title, dataset.metric));
    Panel {
        title: String::new(),
        width: (PANEL.0 * suite.datasets.len() as i32).max(NARROWEST),
        x: Axis::of_names(names),
        y: Axis::from_zero(bars::highest(all.iter().flatten()), "score (percent)"),
        draw: Box::new(move |area, frame| bars::draw(area, frame, &all, &BARS.map(|(_, _, pen)| pen))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::figure::tests::told;
    use crate::report::samples::{ablation, difficult};

    /// What the image alone scores is the score without the text, and the other way round.
    #[test]
    fn bars_are_labelled_with_their_scores() {
        let results = difficult(SuiteKind::Smoke);
        let words = told(page, &results, &["baseline"]);
        // Full, without the text, without the image.
        assert!(words.contains("score (percent) 51.5 40.0 21.5 60.0 30.0 0.0 full image only text only"), "{words}");
        assert!(words.contains("food_101 & more accuracy words F1-macro"), "{words}");
        let words = told(page, &results, &["broken"]);
        assert!(words.contains("score (percent) failed failed failed — — — full"), "{words}");
        assert!(words.contains("Left out: Broken on food_101 & more: failed: loss_T is NaN at step 7_000"), "{words}");
        let words = told(page, &results, &["balgrad"]);
        assert!(words.contains("BalGrad on words (full), seed 1: the score is not a number"), "{words}");
    }

    /// A method without heads has bars, and a note in place of its curves.
    #[test]
    fn a_method_without_heads_says_so() {
        let words = told(page, &ablation(SuiteKind::Smoke), &["baseline"]);
        for part in
            ["no head for the image or the text alone (its trace has no", "no losses: see the note below", "70.0"]
        {
            assert!(words.contains(part), "{part}\n{words}");
        }
    }
}
