use super::page::{Page, drawing};
use super::*;
use crate::report::SuiteKind;
use crate::report::results::{Outcome, Results, collect};
use crate::report::samples::{ablation, cells, description, difficult, realistic};

/// The text of a drawing before it is outlined, its lines joined.
pub fn words(svg: &str) -> String {
    let inside = svg.split("<text").skip(1).filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
    let words = inside.map(|(text, _)| text.trim()).collect::<Vec<_>>().join(" ");
    words.replace("&lt;", "<").replace("&apos;", "'").replace("&amp;", "&")
}

/// The words of a figure of some methods of the sample results.
pub fn told(page: fn(&Results) -> Page<'_>, results: &Results, methods: &[&str]) -> String {
    let names: Vec<String> = methods.iter().map(ToString::to_string).collect();
    let results = results.of_methods(&names).unwrap();
    let (drawn, _) = drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
    words(&drawn)
}

type DrawFigure = fn(&Results) -> anyhow::Result<Figure>;

/// Every figure, with sample results and methods for it.
fn samples() -> Vec<(&'static str, DrawFigure, Results)> {
    let figures: [(&str, DrawFigure); 5] = [
        ("figure2", figure2::draw),
        ("figure4", figure4::draw),
        ("figure5", gap_bars::draw),
        ("figure6", figure6::draw),
        ("figure7", figure7::draw),
    ];
    let of = |(name, draw): (&'static str, DrawFigure)| {
        let methods: &[&str] = match name {
            "figure2" => &["balgrad"],
            "figure6" => &["balgrad-projection", "balgrad"],
            "figure7" => &["balgrad-reweighting", "balgrad"],
            _ => return (name, draw, realistic(SuiteKind::Smoke, 7)),
        };
        let names: Vec<String> = methods.iter().map(ToString::to_string).collect();
        (name, draw, ablation(SuiteKind::Smoke).of_methods(&names).unwrap())
    };
    figures.map(of).into()
}

/// The same results give the same bytes: no time, no random names.
#[test]
fn figures_are_the_same_each_time() {
    for (name, draw, results) in samples() {
        let first = draw(&results).unwrap();
        assert!(first.pdf.starts_with(b"%PDF-") && first.png.starts_with(b"\x89PNG"));
        for _ in 0..3 {
            assert!(first == draw(&results).unwrap(), "{name}");
        }
    }
}

/// Every figure says what kind of results it shows, in its picture and to those who cannot see it.
#[test]
fn every_figure_is_marked() {
    for (name, draw, mut results) in samples() {
        results.suite.title = "A figure of the paper".into();
        let svg = String::from_utf8(draw(&results).unwrap().svg).unwrap();
        let title = "<title>A figure of the paper (smoke run, not a result of the paper)</title>";
        assert!(svg.contains(title), "{name}: {}", &svg[..400]);
        assert!(!svg.contains("<text") && !svg.contains("href"), "{name}");
    }
    for page in [figure2::page, figure4::page, gap_bars::page, figure6::page, figure7::page] {
        let words = told(page, &ablation(SuiteKind::Smoke), &["balgrad-projection", "balgrad"]);
        assert!(words.starts_with("Smoke run on the emoji benchmark: smoke run, not a result of the paper"), "{words}");
    }
}

/// Results without numbers, traces, datasets or methods, of one seed, with numbers of any size and names that are no XML
/// are drawn without a fuss.
#[test]
fn strange_results_are_drawn() {
    let traceless = collect(description(SuiteKind::Smoke, &[1]), &cells()[..1]).unwrap();
    let nothing = collect(description(SuiteKind::Smoke, &[1, 2]), &[]).unwrap();
    for (name, draw, results) in samples() {
        let mut strange = vec![difficult(SuiteKind::Paper), traceless.clone(), nothing.clone()];
        for size in [0.0, 1e300, 1e-300, -5.0] {
            let mut huge = results.clone();
            for number in &mut huge.numbers {
                (number.mean, number.std) = (number.mean.map(|_| size), None);
            }
            for trace in huge.cells.iter_mut().filter_map(|cell| cell.trace.as_mut()) {
                trace.losses.values_mut().flatten().for_each(|loss| *loss = size);
                if let Some(cosine) = &mut trace.cosine {
                    (cosine.mean, cosine.undefined) = (Some(size), usize::MAX);
                    cosine.histogram.iter_mut().for_each(|count| *count = u64::MAX);
                }
            }
            strange.push(huge);
        }
        let mut short = results.clone();
        for trace in short.cells.iter_mut().filter_map(|cell| cell.trace.as_mut()) {
            trace.losses.values_mut().for_each(|curve| curve.truncate(1));
            trace.cosine.iter_mut().for_each(|cosine| cosine.histogram.truncate(3));
        }
        short.suite.datasets.truncate(1);
        short.suite.title = format!("<&>\"'\u{1}\u{ffff}\n{}", "a very long title ".repeat(40));
        short.suite.datasets[0].title = "x".repeat(500);
        short.suite.methods[0].title = "<b>".repeat(200);
        strange.push(short.clone());
        short.suite.datasets.clear();
        strange.push(short.clone());
        short.suite.methods.clear();
        strange.push(short);
        for (at, results) in strange.iter().enumerate() {
            draw(results).unwrap_or_else(|error| panic!("{name}, case {at}: {error:#}"));
        }
    }
}

/// What has no trace says why: failed, not run, or scored by a training whose trace is not there.
#[test]
fn what_is_left_out_is_told() {
    let mut cells = cells();
    cells.retain(|cell| cell.dataset == "words" || cell.seed == 1);
    assert!(matches!(cells[0].outcome, Outcome::Scored(_)));
    let results = collect(description(SuiteKind::Smoke, &[1, 2]), &cells).unwrap();
    let words = told(figure6::page, &results, &["balgrad", "broken"]);
    for part in [
        "Left out: BalGrad on food_101 & more, seed 1; BalGrad on words, seed 1: its training has no trace",
        "BalGrad on food_101 & more, seed 2; Broken on food_101 & more, seed 2: not run: the suite has no such cell",
        "failed: loss_T is NaN at step 7_000 (epoch 2)",
    ] {
        assert!(words.contains(part), "{part}\n{words}");
    }
}
