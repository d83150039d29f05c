//! Draws charts: places panels and legends, and writes them as SVG. Lengths are in points, as in a paper: a figure is as
//! wide as its text or as one of its two columns, so that nothing has to be scaled there.

use super::canvas::{Anchor, Canvas, HEADING, SMALL, Spot};
use super::caption::{About, Caption};
use super::chart::{Chart, Entry, Panel, Row, Sample};
use super::plot::{Margins, Plot};
use super::text::{fit, width};
use super::{Figure, export};
use crate::report::SuiteKind;

/// The widths of a text in two columns and of one of them.
pub const TEXT: f64 = 455.0;
pub const COLUMN: f64 = 219.0;

/// The most panels side by side.
const ACROSS: usize = 3;
/// The height of a plot, without its axes and titles.
const PLOT: f64 = 92.0;

/// Heights of lines.
const STAMP_ROW: f64 = 10.0;
const HEADING_ROW: f64 = 13.0;
const LEGEND_ROW: f64 = 10.5;

/// A legend's samples, the gap beside one, and the gap behind its title.
const SAMPLE: f64 = 19.0;
const GAP: f64 = 3.5;
const BEHIND: f64 = 11.0;
/// Between rows.
const BETWEEN: f64 = 4.0;

/// Draws a chart in all formats. Every figure that is no result of the paper says so, and no template can leave that out.
///
/// # Errors
/// If a format cannot be written.
pub fn draw(about: &About, chart: &Chart) -> anyhow::Result<Figure> {
    export::convert(svg(about.title, about.kind, chart), Caption::of(about, chart), about)
}

/// The drawing.
pub fn svg(title: &str, kind: SuiteKind, chart: &Chart) -> String {
    let (canvas, height) = paint(kind, chart);
    canvas.finish(height, &format!("{title} ({})", kind.mark()))
}

/// What the points and bars of the drawing stand for.
pub fn spots(kind: SuiteKind, chart: &Chart) -> Vec<Spot> {
    let (canvas, height) = paint(kind, chart);
    canvas.into_spots(height)
}

/// Paints a chart; returns its height, too.
fn paint(kind: SuiteKind, chart: &Chart) -> (Canvas, f64) {
    let panels = |row: &Row| row.panels.iter().map(|panel| panel.span).sum::<usize>();
    let wide = if chart.rows.iter().map(panels).max().unwrap_or(0) <= 1 { COLUMN } else { TEXT };
    let mut canvas = Canvas::new(wide);
    let mut y = 2.0;
    if let Some(stamp) = kind.stamp() {
        canvas.text(&fit(stamp, wide / SMALL), (wide, y + STAMP_ROW / 2.0), SMALL, Anchor::End);
        y += STAMP_ROW;
    }
    for row in &chart.rows {
        if !row.heading.is_empty() {
            let heading = fit(&row.heading, wide / HEADING);
            canvas.text(&heading, (0.0, y + HEADING_ROW / 2.0), HEADING, Anchor::Start);
            y += HEADING_ROW;
        }
        for panels in lines(&row.panels) {
            y = draw_line(&mut canvas, panels, y, (wide, row.panels.len()));
        }
        y = legend(&mut canvas, &row.legend, y, wide) + BETWEEN;
    }
    (canvas, y)
}

/// Breaks panels into lines of at most [`ACROSS`]; a wider panel has a line of its own.
fn lines(panels: &[Panel]) -> Vec<&[Panel]> {
    let (mut lines, mut from, mut used) = (Vec::new(), 0, 0);
    for (at, panel) in panels.iter().enumerate() {
        if used > 0 && used + panel.span > ACROSS {
            lines.push(&panels[from..at]);
            (from, used) = (at, 0);
        }
        used += panel.span;
    }
    lines.push(&panels[from..]);
    lines
}

/// Draws panels side by side, with plots of equal widths, as far as their spans are equal; returns where they end.
fn draw_line(canvas: &mut Canvas, panels: &[Panel], y: f64, (wide, in_row): (f64, usize)) -> f64 {
    if panels.is_empty() {
        return y;
    }
    let all: usize = panels.iter().map(|panel| panel.span).sum();
    // The panels of a line that is not full are as wide as those above.
    let spans = if in_row > panels.len() { all.max(ACROSS) } else { all };
    let margins: Vec<Margins> = panels.iter().map(Margins::of).collect();
    let widest = margins.iter().map(Margins::sides).fold(0.0, f64::max);
    let sides: f64 = margins.iter().map(Margins::sides).sum::<f64>() + widest * (spans - all) as f64;
    let span = (wide - sides).max(20.0) / spans as f64;
    let width = |panel: &Panel| span * panel.span as f64;
    let above = panels.iter().map(|panel| Plot::above(panel, width(panel))).fold(0.0, f64::max);
    let below = margins.iter().map(|margins| margins.below).fold(0.0, f64::max);
    let mut x = 0.0;
    for (panel, margins) in panels.iter().zip(&margins) {
        let (left, top) = (x + margins.left, y + above);
        Plot::new((left, top), (width(panel), PLOT), panel).draw(canvas, panel, above);
        x = left + width(panel) + margins.right;
    }
    y + above + PLOT + below
}

/// Draws the entries of a legend in as many centred lines as they need; returns where they end.
fn legend(canvas: &mut Canvas, entries: &[Entry], mut y: f64, room: f64) -> f64 {
    // The width of each line, and its entries with their fitted titles and widths.
    type Line<'a> = (f64, Vec<(&'a Entry, String, f64)>);
    let mut lines: Vec<Line> = Vec::new();
    for entry in entries {
        let title = fit(&entry.title, (room - SAMPLE - GAP) / SMALL);
        let wide = SAMPLE + GAP + SMALL * width(&title) + BEHIND;
        match lines.last_mut().filter(|(used, _)| used + wide <= room + BEHIND) {
            Some((used, line)) => {
                *used += wide;
                line.push((entry, title, wide));
            }
            None => lines.push((wide, vec![(entry, title, wide)])),
        }
    }
    for (used, line) in lines {
        let mut x = (room - used + BEHIND) / 2.0;
        let middle = y + LEGEND_ROW / 2.0;
        for (Entry { pen, sample, .. }, title, wide) in line {
            let [left, right, low, high] = [x, x + SAMPLE, middle + 3.0, middle - 3.0];
            let corners = [(left, low), (left, high), (right, high), (right, low)];
            match sample {
                Sample::Line => {
                    canvas.line(*pen, &[(left, middle), (right, middle)]);
                    canvas.marker(*pen, ((left + right) / 2.0, middle));
                }
                Sample::Bar => canvas.filled(*pen, &corners, 1.0),
                Sample::Area => canvas.area(*pen, &corners),
            }
            canvas.text(&title, (x + SAMPLE + GAP, middle), SMALL, Anchor::Start);
            x += wide;
        }
        y += LEGEND_ROW;
    }
    y
}
