//! Figure 4: ΔGap against the missing ratio r, a panel per dataset, a line per method, a band of one sample standard
//! deviation over the seeds.
//!
//! Drawn once, as SVG; PDF and PNG are made from that. Text is turned into outlines with the font that comes with the
//! project, so that the figure looks the same everywhere.

use std::sync::{Arc, Once};

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::element::{Circle, Cross, EmptyElement, PathElement, Polygon, Rectangle, TriangleMarker};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::tiny_skia;
use resvg::usvg;

use super::results::{Quantity, Results};

/// A figure in all its formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub svg: Vec<u8>,
    pub pdf: Vec<u8>,
    /// At twice the size in pixels.
    pub png: Vec<u8>,
}

const FONT: &[u8] = include_bytes!("../../templates/fonts/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";

/// plotters rounds to whole units, so a unit is a quarter of a pixel.
const UNIT: u32 = 4;
const PANEL: (u32, u32) = (380 * UNIT, 300 * UNIT);
const HEAD: u32 = 34 * UNIT;
const FOOT: u32 = 40 * UNIT;

/// Pixels in units.
const fn px(pixels: i32) -> i32 {
    pixels * UNIT as i32
}

/// Okabe and Ito's palette, which colour-blind readers can tell apart, in an order of falling contrast; each comes with
/// a marker and a dash of its own, so that a grey print works too.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
/// Lengths of line and gap in pixels; none: drawn through.
const DASHES: [Option<(i32, i32)>; 4] = [None, Some((px(7), px(4))), Some((px(2), px(3))), Some((px(11), px(3)))];

/// One method's line in a panel: (r, mean, standard deviation).
type Line = Vec<(f64, f64, Option<f64>)>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the figure.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    register_font();
    let panels = results.suite.datasets.len() as u32;
    let size = (PANEL.0 * panels.max(1), HEAD + PANEL.1 + FOOT);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        drawing(&root, results).map_err(|error| anyhow!("{error}")).context("cannot draw the figure")?;
        root.present().map_err(|error| anyhow!("{error}")).context("cannot draw the figure")?;
    }
    let (width, height) = size;
    let units = format!("width=\"{width}\" height=\"{height}\"");
    let pixels = format!("width=\"{}\" height=\"{}\"", width / UNIT, height / UNIT);
    convert(&text.replacen(&units, &pixels, 1))
}

fn register_font() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let registered = plotters::style::register_font(FAMILY, FontStyle::Normal, FONT);
        assert!(registered.is_ok(), "the font that comes with the program is whole");
    });
}

fn font(size: u32) -> TextStyle<'static> {
    (FAMILY, size * UNIT).into_font().color(&BLACK)
}

fn drawing(root: &Area<'_>, results: &Results) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let suite = &results.suite;
    let (head, rest) = root.split_vertically(HEAD);
    let (body, foot) = rest.split_vertically(PANEL.1);
    let (width, _) = head.dim_in_pixel();
    let centred = |size: u32| font(size).pos(Pos::new(HPos::Center, VPos::Center));
    let spread = if suite.seeds.len() > 1 {
        format!("mean ± sample standard deviation, {} seeds", suite.seeds.len())
    } else {
        "one seed".to_owned()
    };
    let title = format!("{}  ({}; {spread})", suite.title, suite.kind.mark());
    head.draw(&Text::new(title, (width as i32 / 2, HEAD as i32 / 2 + px(4)), centred(14)))?;
    let areas = body.split_evenly((1, suite.datasets.len().max(1)));
    for (at, (dataset, area)) in suite.datasets.iter().zip(&areas).enumerate() {
        let lines: Vec<Line> = suite.methods.iter().map(|method| line(results, &dataset.name, &method.name)).collect();
        panel(area, &dataset.title, &lines, at == 0)?;
    }
    legend(&foot, results)
}

fn line(results: &Results, dataset: &str, method: &str) -> Line {
    let at = |&ratio: &f64| {
        let number = results.number(dataset, method, Quantity::MissingGap, Some(ratio))?;
        Some((ratio, number.mean?, number.std))
    };
    results.suite.ratios.iter().filter_map(at).collect()
}

fn panel(area: &Area<'_>, title: &str, lines: &[Line], first: bool) -> Result<(), Box<dyn std::error::Error>> {
    let highest = lines.iter().flatten().map(|(_, mean, std)| mean + std.unwrap_or(0.0)).fold(0.0, f64::max);
    let top = ceiling(highest);
    let mut chart = ChartBuilder::on(area)
        .caption(title, font(15))
        .margin_right(px(14))
        .margin_left(px(4))
        .x_label_area_size(px(38))
        .y_label_area_size(px(54))
        .build_cartesian_2d(-0.03..1.03, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225).stroke_width(UNIT))
        .axis_style(RGBColor(90, 90, 90).stroke_width(UNIT))
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
    for (method, line) in lines.iter().enumerate() {
        let colour = COLOURS[method % COLOURS.len()];
        let points: Vec<(f64, f64)> = line.iter().map(|&(r, mean, _)| (r, mean)).collect();
        if line.len() > 1 && line.iter().any(|(.., std)| std.is_some_and(|std| std > 0.0)) {
            let edge = |sign: f64| {
                move |&(r, mean, std): &(f64, f64, Option<f64>)| (r, (mean + sign * std.unwrap_or(0.0)).max(0.0))
            };
            let band: Vec<(f64, f64)> = line.iter().map(edge(1.0)).chain(line.iter().rev().map(edge(-1.0))).collect();
            chart.draw_series([Polygon::new(band, colour.mix(0.16))])?;
        }
        let stroke = colour.stroke_width(2 * UNIT);
        match DASHES[method % DASHES.len()] {
            None => drop(chart.draw_series([PathElement::new(points.clone(), stroke)])?),
            Some((on, off)) => drop(chart.draw_series(DashedLineSeries::new(points.clone(), on, off, stroke))?),
        }
        match method % 4 {
            0 => drop(chart.draw_series(points.iter().map(|&at| Circle::new(at, px(4), colour.filled())))?),
            1 => drop(chart.draw_series(points.iter().map(|&at| TriangleMarker::new(at, px(5), colour.filled())))?),
            2 => {
                let square = |&at: &(f64, f64)| {
                    EmptyElement::at(at) + Rectangle::new([(-px(4), -px(4)), (px(4), px(4))], colour.filled())
                };
                chart.draw_series(points.iter().map(square))?;
            }
            _ => drop(chart.draw_series(points.iter().map(|&at| Cross::new(at, px(4), stroke)))?),
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

fn legend(area: &Area<'_>, results: &Results) -> Result<(), Box<dyn std::error::Error>> {
    let suite = &results.suite;
    let style = font(13).pos(Pos::new(HPos::Left, VPos::Center));
    let titles: Vec<String> = suite
        .methods
        .iter()
        .map(|method| {
            let drawn = |dataset: &super::results::DatasetDescription| line(results, &dataset.name, &method.name).len();
            let missing = suite.datasets.iter().filter(|dataset| drawn(dataset) < suite.ratios.len()).count();
            match missing {
                0 => method.title.clone(),
                n if n == suite.datasets.len() => format!("{} (no results)", method.title),
                _ => format!("{} (incomplete)", method.title),
            }
        })
        .collect();
    let widths: Vec<i32> = titles
        .iter()
        .map(|title| Ok(style.font.layout_box(title).map(|(low, high)| high.0 - low.0)? + px(66)))
        .collect::<Result<_, FontError>>()?;
    let (width, _) = area.dim_in_pixel();
    let mut x = (width as i32 - widths.iter().sum::<i32>()).max(0) / 2;
    let y = FOOT as i32 / 2;
    for (method, (title, width)) in titles.iter().zip(widths).enumerate() {
        let colour = COLOURS[method % COLOURS.len()];
        let stroke = colour.stroke_width(2 * UNIT);
        let (from, to) = ((x, y), (x + px(34), y));
        match DASHES[method % DASHES.len()] {
            None => area.draw(&PathElement::new([from, to], stroke))?,
            Some((on, off)) => {
                let mut at = from.0;
                while at < to.0 {
                    area.draw(&PathElement::new([(at, y), ((at + on).min(to.0), y)], stroke))?;
                    at += on + off;
                }
            }
        }
        let middle = (x + px(17), y);
        match method % 4 {
            0 => area.draw(&Circle::new(middle, px(4), colour.filled()))?,
            1 => area.draw(&TriangleMarker::new(middle, px(5), colour.filled()))?,
            2 => area.draw(&Rectangle::new([(x + px(13), y - px(4)), (x + px(21), y + px(4))], colour.filled()))?,
            _ => area.draw(&Cross::new(middle, px(4), stroke))?,
        }
        area.draw(&Text::new(title.clone(), (x + px(42), y), style.clone()))?;
        x += width;
    }
    Ok(())
}

type FontError = plotters::style::FontError;

/// From the drawing to a self-contained SVG, a PDF and a PNG.
fn convert(svg: &str) -> anyhow::Result<Figure> {
    let mut options = usvg::Options { font_family: FAMILY.to_owned(), ..usvg::Options::default() };
    Arc::make_mut(&mut options.fontdb).load_font_data(FONT.to_vec());
    // A band has no outline, so the opacity of its fill is the same as its own, and needs no group.
    let svg = svg.replace("<polygon opacity=", "<polygon fill-opacity=");
    let tree = usvg::Tree::from_str(&svg, &options).context("the drawing is no SVG")?;
    let outlined = tree.to_string(&usvg::WriteOptions { preserve_text: false, ..usvg::WriteOptions::default() });
    let pdf = svg2pdf::to_pdf(&tree, svg2pdf::ConversionOptions::default(), svg2pdf::PageOptions::default())
        .map_err(|error| anyhow!("the figure cannot be written as PDF: {error}"))?;
    let pdf = in_order(pdf);
    let size = tree.size().to_int_size().scale_by(2.0).context("the figure has no size")?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).context("the figure has no size")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(2.0, 2.0), &mut pixels.as_mut());
    let png = pixels.encode_png().context("the figure cannot be written as PNG")?;
    Ok(Figure { svg: outlined.into_bytes(), pdf, png })
}

/// svg2pdf lists the page's graphics states in arbitrary order. Sorted, the same figure gives the same bytes; no offset
/// in the file changes by it.
fn in_order(mut pdf: Vec<u8>) -> Vec<u8> {
    const LIST: &[u8] = b"/ExtGState <<\n";
    let find = |bytes: &[u8], what: &[u8], from: usize| {
        bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let mut from = 0;
    while let Some(start) = find(&pdf, LIST, from).map(|at| at + LIST.len()) {
        let Some(end) = find(&pdf, b">>", start) else { break };
        let mut lines: Vec<Vec<u8>> =
            pdf[start..end].split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        // What is behind the last line's end is the indentation of `>>`.
        let tail = lines.pop_if(|line| !line.ends_with(b"\n")).unwrap_or_default();
        lines.sort();
        lines.push(tail);
        pdf[start..end].copy_from_slice(&lines.concat());
        from = end;
    }
    pdf
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::results::tests::difficult;

    /// The same results give the same bytes: no time, no random names.
    #[test]
    fn a_figure_is_the_same_each_time() {
        let results = difficult(SuiteKind::Smoke);
        let first = draw(&results).unwrap();
        for _ in 0..10 {
            let second = draw(&results).unwrap();
            assert!(first.svg == second.svg, "SVG");
            assert!(first.png == second.png, "PNG");
            assert!(first.pdf == second.pdf, "PDF");
        }
        assert!(first.pdf.starts_with(b"%PDF-") && first.png.starts_with(b"\x89PNG"));
        let svg = String::from_utf8(first.svg).unwrap();
        assert!(svg.contains("<svg") && !svg.contains("<text"), "text is outlined");
    }

    /// Curves of zeros, of one seed, and of nothing are drawn without a fuss.
    #[test]
    fn strange_curves_are_drawn() {
        let mut results = difficult(SuiteKind::Paper);
        for number in &mut results.numbers {
            number.mean = number.mean.map(|_| 0.0);
            number.std = None;
        }
        draw(&results).unwrap();
        results.numbers.clear();
        draw(&results).unwrap();
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.7, 9.6, 12.0, 48.0, 99.0].map(ceiling), [1.0, 0.8, 15.0, 15.0, 60.0, 150.0]);
    }
}
