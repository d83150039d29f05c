//! Figure 4: ΔGap against the missing ratio r, a panel per dataset, a line per method, a band of one sample standard
//! deviation over the seeds.
//!
//! Drawn once, as SVG; PDF and PNG are made from that. Text is turned into outlines with the font that comes with the
//! project, so that the figure looks the same everywhere.

mod export;
mod legend;
mod pen;

use anyhow::{Context, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::results::{Number, Quantity, Results};
use legend::Legend;
use pen::{Area, Drawn, Pen, font, px, wrap};

/// A figure in all its formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub svg: Vec<u8>,
    pub pdf: Vec<u8>,
    /// At twice the size in pixels.
    pub png: Vec<u8>,
}

const PANEL: (i32, i32) = (px(380), px(290));
/// A single panel is narrower than the words around it.
const NARROWEST: i32 = px(560);
const MARGIN: i32 = px(14);
const Y_LABELS: i32 = px(58);
const TITLE: i32 = 15;
const SUBTITLE: i32 = 12;

/// A point of a line: (r, mean, standard deviation).
type Point = (f64, f64, f64);

/// Draws the figure.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    let (text, size) = drawing(results).map_err(|error| anyhow!("{error}")).context("cannot draw the figure")?;
    export::convert(&text, size, &format!("{} ({})", results.suite.title, results.suite.kind.mark()))
}

/// The SVG, and its size in units.
fn drawing(results: &Results) -> Result<(String, (u32, u32)), Box<dyn std::error::Error>> {
    pen::register_font();
    let suite = &results.suite;
    let panels = suite.datasets.len() as i32;
    let width = (PANEL.0 * panels).max(NARROWEST);
    let room = width - 2 * MARGIN;
    // What kind of results these are is said here and nowhere in a template, so that no figure is without it.
    let title = wrap(&format!("{}: {}", suite.title, suite.kind.mark()), TITLE, room)?;
    let spread = match suite.seeds.len() {
        0 | 1 => "One seed, no spread".to_owned(),
        n => format!("Lines: means over {n} seeds; bands: ± one sample standard deviation"),
    };
    let subtitle = wrap(&format!("{spread}; weights of the {}; {}.", suite.selection, suite.missing), SUBTITLE, room)?;
    let legend = Legend::new(results, room)?;
    let head = px(10) + title.len() as i32 * px(20) + subtitle.len() as i32 * px(17);
    let height = head + PANEL.1 + legend.height() + px(8);

    let mut text = String::new();
    let size = (width as u32, height as u32);
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let mut y = px(10);
        for (lines, size, step) in [(&title, TITLE, px(20)), (&subtitle, SUBTITLE, px(17))] {
            for line in lines {
                let style = font(size).pos(Pos::new(HPos::Center, VPos::Top));
                root.draw(&Text::new(line.clone(), (width / 2, y), style))?;
                y += step;
            }
        }
        let left = (width - PANEL.0 * panels) / 2;
        for (at, dataset) in suite.datasets.iter().enumerate() {
            let lines: Vec<_> = suite.methods.iter().map(|method| runs(results, &dataset.name, &method.name)).collect();
            let corner = (left + PANEL.0 * at as i32, head);
            panel(&root, corner, &dataset.title, &lines, at == 0)?;
        }
        legend.draw(&root, (MARGIN, head + PANEL.1), room)?;
        root.present()?;
    }
    Ok((text, size))
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

/// One dataset, with its upper left corner.
fn panel(root: &Area<'_>, corner: (i32, i32), title: &str, lines: &[Vec<Vec<Point>>], first: bool) -> Drawn {
    let highest = lines.iter().flatten().flatten().map(|(_, mean, std)| mean + std).fold(0.0, f64::max);
    let top = ceiling(highest);
    let area = root.clone().shrink(corner, PANEL);
    let title_style = font(14).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (px(4) + Y_LABELS + PANEL.0 - MARGIN) / 2;
    let title = wrap(title, 14, PANEL.0 - Y_LABELS - MARGIN)?.into_iter().next().unwrap_or_default();
    area.draw(&Text::new(title, (middle, px(17)), title_style))?;
    let mut chart = ChartBuilder::on(&area)
        .margin_top(px(32))
        .margin_right(MARGIN)
        .margin_left(px(4))
        .x_label_area_size(px(40))
        .y_label_area_size(Y_LABELS)
        .build_cartesian_2d(-0.03..1.03, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225).stroke_width(px(1) as u32))
        .axis_style(RGBColor(90, 90, 90).stroke_width(px(1) as u32))
        .set_all_tick_mark_size(px(5))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|r| format!("{r:.1}"))
        .y_label_formatter(&|gap| if top < 5.0 { format!("{gap:.1}") } else { format!("{gap:.0}") })
        .x_desc("missing ratio r")
        .y_desc(if first { "ΔGap (percentage points)" } else { "" })
        .label_style(font(12))
        .axis_desc_style(font(13))
        .draw()?;
    let place = |r: f64, gap: f64| chart.backend_coord(&(r, gap));
    let pens = || lines.iter().enumerate().map(|(method, runs)| (Pen::of(method), runs));
    // Bands lie below all lines. The axis ends at 0, which no gap falls below.
    for (pen, runs) in pens() {
        for run in runs.iter().filter(|run| run.iter().any(|(.., std)| *std > 0.0)) {
            let upper = run.iter().map(|&(r, mean, std)| place(r, mean + std));
            let lower = run.iter().rev().map(|&(r, mean, std)| place(r, (mean - std).max(0.0)));
            pen.band(root, upper.chain(lower).collect())?;
        }
    }
    for (pen, runs) in pens() {
        for run in runs {
            let points: Vec<(i32, i32)> = run.iter().map(|&(r, mean, _)| place(r, mean)).collect();
            pen.line(root, &points)?;
            points.iter().try_for_each(|&at| pen.marker(root, at))?;
        }
    }
    Ok(())
}

/// The end of the axis: a round number a little above the highest value.
fn ceiling(highest: f64) -> f64 {
    if !(highest.is_finite() && highest > 0.0) {
        return 1.0;
    }
    let step = 10f64.powf((highest * 1.05).log10().floor());
    let rounded = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].into_iter().map(|factor| factor * step);
    rounded.into_iter().find(|&top| top >= highest * 1.05).unwrap_or(10.0 * step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::results::{Cell, collect};
    use crate::report::samples::{description, difficult, realistic, scored};

    /// The same results give the same bytes: no time, no random names.
    #[test]
    fn a_figure_is_the_same_each_time() {
        for results in [difficult(SuiteKind::Smoke), realistic(SuiteKind::Smoke, 7)] {
            let first = draw(&results).unwrap();
            for _ in 0..10 {
                let again = draw(&results).unwrap();
                assert!(first.svg == again.svg, "SVG");
                assert!(first.png == again.png, "PNG");
                assert!(first.pdf == again.pdf, "PDF");
            }
            assert!(first.pdf.starts_with(b"%PDF-") && first.png.starts_with(b"\x89PNG"));
        }
    }

    /// Its words are outlines, so that no reader needs the font; what it is can still be read in its title.
    #[test]
    fn the_svg_stands_alone_and_says_what_it_is() {
        let svg = String::from_utf8(draw(&difficult(SuiteKind::Smoke)).unwrap().svg).unwrap();
        assert!(svg.contains("<svg") && !svg.contains("<text") && !svg.contains("href"));
        assert!(svg.contains("<title>An example (smoke run, not a result of the paper)</title>"), "{}", &svg[..400]);
    }

    /// The mark is drawn, whatever the suite is called: the words that plotters was given hold it.
    #[test]
    fn the_mark_is_drawn() {
        let mut results = difficult(SuiteKind::Smoke);
        results.suite.title = "Table 1 of the paper".into();
        let (drawn, _) = drawing(&results).unwrap();
        assert!(words(&drawn).contains("smoke run, not a result of the paper"), "{drawn}");
        assert!(words(&drawn).contains("missing ratio r") && words(&drawn).contains("ΔGap (percentage points)"));
    }

    /// The text of a drawing before it is outlined, its lines joined.
    fn words(svg: &str) -> String {
        let inside = svg.split("<text").skip(1).filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
        inside.map(|(text, _)| text.trim()).collect::<Vec<_>>().join(" ").replace("&amp;", "&")
    }

    /// Curves of zeros, of one seed, of one dataset and of nothing, and names that are no XML, are drawn without a fuss.
    #[test]
    fn strange_curves_are_drawn() {
        let mut results = difficult(SuiteKind::Paper);
        for number in &mut results.numbers {
            number.mean = number.mean.map(|_| 0.0);
            number.std = None;
        }
        draw(&results).unwrap();
        results.numbers.clear();
        results.suite.datasets.truncate(1);
        results.suite.title = format!("<&>\"'\u{1}\u{ffff}\n{}", "a very long title ".repeat(40));
        results.suite.datasets[0].title = "x".repeat(500);
        results.suite.methods[0].title = "<b>".repeat(200);
        draw(&results).unwrap();
        results.suite.datasets.clear();
        results.suite.methods.clear();
        draw(&results).unwrap();
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
        let (drawn, _) = drawing(&results).unwrap();
        assert!(words(&drawn).contains("Baseline on words, r = 0.5: the score is not a number"), "{}", words(&drawn));
    }

    /// What failed is named in the legend, with its cause in a note.
    #[test]
    fn what_failed_is_told() {
        let (drawn, _) = drawing(&difficult(SuiteKind::Smoke)).unwrap();
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

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.7, 9.6, 12.0, 48.0, 99.0].map(ceiling), [1.0, 0.8, 15.0, 15.0, 60.0, 150.0]);
    }
}
