//! Figure 4: ΔGap against the missing ratio r, a panel per dataset, a line per method, a band of one sample standard
//! deviation over the seeds.

use super::axis::Axis;
use super::curves::{Point, draw_bands, draw_lines};
use super::legend::{Entry, Sample};
use super::notes::Gaps;
use super::page::{self, PANEL, Page, Panel, Row};
use super::pen::Pen;
use super::{Figure, spread_of_lines};
use crate::report::results::{DatasetDescription, MethodDescription, Number, Quantity, Results, Status};
use crate::report::table::cell::cause;

/// Draws the figure.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    page::figure(results, &page(results))
}

pub(super) fn page(results: &Results) -> Page<'_> {
    let suite = &results.suite;
    let spread = spread_of_lines(suite.seeds.len());
    let entry = |(at, method): (usize, &MethodDescription)| Entry {
        title: format!("{}{}", method.title, remark(results, method)),
        pen: Pen::of(at),
        sample: Sample::Line,
    };
    let panels = suite.datasets.iter().enumerate().map(|(at, dataset)| panel(results, dataset, at == 0)).collect();
    Page {
        subtitle: format!("{spread}; weights of the {}; {}.", suite.selection, suite.missing),
        rows: vec![Row {
            heading: String::new(),
            panels,
            legend: suite.methods.iter().enumerate().map(entry).collect(),
        }],
        notes: notes(results),
    }
}

fn panel<'a>(results: &'a Results, dataset: &'a DatasetDescription, first: bool) -> Panel<'a> {
    let methods = &results.suite.methods;
    let lines: Vec<Vec<Vec<Point>>> = methods.iter().map(|method| runs(results, &dataset.name, &method.name)).collect();
    let highest = lines.iter().flatten().flatten().map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    Panel {
        title: dataset.title.clone(),
        width: PANEL.0,
        x: Axis::new((-0.03, 1.03), 6, "missing ratio r"),
        y: Axis::from_zero(highest, if first { "ΔGap (percentage points)" } else { "" }),
        draw: Box::new(move |area, frame| {
            let pens =
                || lines.iter().enumerate().flat_map(|(at, runs)| runs.iter().map(move |run| (Pen::of(at), run)));
            // Bands lie below all lines.
            pens().try_for_each(|(pen, run)| draw_bands(area, frame, pen, run))?;
            pens().try_for_each(|(pen, run)| draw_lines(area, frame, pen, run, 1))
        }),
    }
}

fn number<'a>(results: &'a Results, dataset: &str, method: &str, ratio: f64) -> Option<&'a Number> {
    results.number(dataset, method, Quantity::MissingGap, Some(ratio))
}

/// The points of a method, in runs: where a number is missing, the line is broken rather than drawn across the gap.
fn runs(results: &Results, dataset: &str, method: &str) -> Vec<Vec<Point>> {
    let points: Vec<Option<Point>> = results
        .suite
        .ratios
        .iter()
        .map(|&ratio| {
            let number = number(results, dataset, method, ratio)?;
            Some((ratio, number.mean?, number.std.unwrap_or(0.0)))
        })
        .collect();
    points
        .split(Option::is_none)
        .filter(|run| !run.is_empty())
        .map(|run| run.iter().copied().flatten().collect())
        .collect()
}

/// What the legend says of a method whose lines are not whole.
fn remark(results: &Results, method: &MethodDescription) -> &'static str {
    let suite = &results.suite;
    let places = suite.datasets.iter().flat_map(|dataset| suite.ratios.iter().map(move |&ratio| (dataset, ratio)));
    let numbers: Vec<_> = places.map(|(dataset, ratio)| number(results, &dataset.name, &method.name, ratio)).collect();
    let drawn = numbers.iter().filter(|number| number.is_some_and(|number| number.mean.is_some())).count();
    let any = |test: fn(&Status) -> bool| numbers.iter().flatten().flat_map(|n| &n.seeds).any(|seed| test(&seed.value));
    if drawn == numbers.len() {
        ""
    } else if drawn > 0 {
        " (incomplete)"
    } else if any(|status| matches!(status, Status::Failed { .. })) {
        " (failed)"
    } else if any(|status| matches!(status, Status::NotANumber)) {
        " (NaN)"
    } else {
        " (not run)"
    }
}

/// A line per cause: where it left something out of the figure.
fn notes(results: &Results) -> Vec<String> {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    for dataset in &suite.datasets {
        for method in &suite.methods {
            let of = format!("{} on {}", method.title, dataset.title);
            for &ratio in &suite.ratios {
                match number(results, &dataset.name, &method.name, ratio) {
                    Some(number) => {
                        for seed in &number.seeds {
                            if let Some(cause) = cause(&seed.value) {
                                gaps.add(&of, seed.seed, Some(ratio), &cause);
                            }
                        }
                    }
                    None => suite.seeds.iter().for_each(|&seed| gaps.add(&of, seed, Some(ratio), "not run")),
                }
            }
        }
    }
    gaps.lines()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::figure::tests::words;
    use crate::report::results::{Cell, collect};
    use crate::report::samples::{description, difficult, scored};

    /// The mark is drawn, whatever the suite is called: the words that plotters was given hold it.
    #[test]
    fn the_mark_is_drawn() {
        let mut results = difficult(SuiteKind::Smoke);
        results.suite.title = "Table 1 of the paper".into();
        let (drawn, _) = page::drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
        assert!(words(&drawn).contains("smoke run, not a result of the paper"), "{drawn}");
        assert!(words(&drawn).contains("missing ratio r") && words(&drawn).contains("ΔGap (percentage points)"));
    }

    /// A line does not cross the place of a number that is missing.
    #[test]
    fn a_missing_number_breaks_the_line() {
        let suite = description(SuiteKind::Smoke, &[1]);
        let mut outcome = scored(50.0, 20.0, 40.0);
        if let crate::report::results::Outcome::Scored(scores) = &mut outcome {
            scores.missing[1].image = f64::NAN;
        }
        let cell = Cell { dataset: "words".into(), method: "baseline".into(), seed: 1, outcome };
        let results = collect(suite, &[cell]).unwrap();
        assert_eq!(runs(&results, "words", "baseline"), [vec![(0.0, 0.0, 0.0)], vec![(1.0, 20.0, 0.0)]]);
        assert!(runs(&results, "words", "balgrad").is_empty());
        let (drawn, _) = page::drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
        assert!(words(&drawn).contains("Baseline on words, r = 0.5: the score is not a number"), "{}", words(&drawn));
    }

    /// What failed is named in the legend, with its cause in a note.
    #[test]
    fn what_failed_is_told() {
        let results = difficult(SuiteKind::Smoke);
        let (drawn, _) = page::drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
        let words = words(&drawn);
        for told in [
            "BalGrad (incomplete)",
            "Broken (failed)",
            "Broken on food_101 & more; BalGrad on words, seed 2: failed: loss_T is NaN at step 7_000 (epoch 2)",
            "Broken on words: not run: `fetch words.zip` failed: no network",
            "BalGrad on words, seed 1, r = 0, 0.5: the score is not a number",
        ] {
            assert!(words.contains(told), "{told}\n{words}");
        }
    }
}
