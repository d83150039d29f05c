//! Draws charts: places titles, panels, legends and notes, and writes them as SVG. Lengths are in em.

use std::fmt::Write;

use super::chart::{Axis, Chart, Entry, Mark, Marker, Panel, Pen, Point, Row, Sample, minus};
use super::text::{FAMILY, fit, width, wrap, xml};
use super::{Figure, export};
use crate::report::SuiteKind;

/// The size of the type in pixels: one em.
const EM: f64 = 10.0;
/// Width and height of a panel.
const PANEL: (f64, f64) = (38.0, 30.0);
/// The least width of a figure.
const WIDTH: f64 = 56.0;

/// Sizes of type.
const TITLE: f64 = 1.2;
const HEADING: f64 = 1.05;
const PANEL_TITLE: f64 = 1.12;
const TEXT: f64 = 0.97;
const NOTE: f64 = 0.9;

/// Heights of lines.
const TITLE_ROW: f64 = 2.0;
const TEXT_ROW: f64 = 1.7;
const HEADING_ROW: f64 = 2.6;
const LEGEND_ROW: f64 = 2.2;
const NOTE_ROW: f64 = 1.6;
const TICK_ROW: f64 = 1.5;

const MARGIN: f64 = 1.4;
/// Around the plot of a panel: above, to the right, below, to the left.
const AROUND: (f64, f64, f64, f64) = (3.2, 1.4, 4.6, 6.2);
/// A legend's samples, the gap beside one, and the gap behind its title.
const SAMPLE: f64 = 3.4;
const GAP: f64 = 0.8;
const BEHIND: f64 = 2.4;
/// The share of a panel that the labels of upright lines take.
pub const LABELS: f64 = 0.24;

const GREY: &str = "#5a5a5a";

type Place = (f64, f64);

/// Draws a chart in all formats. Every figure says what kind of results it shows, and no template can leave that out.
///
/// # Errors
/// If a format cannot be written.
pub fn draw(title: &str, kind: SuiteKind, chart: &Chart) -> anyhow::Result<Figure> {
    export::convert(&svg(title, kind, chart), &format!("{title} ({})", kind.mark()))
}

/// The SVG, whose text is still text.
pub fn svg(title: &str, kind: SuiteKind, chart: &Chart) -> String {
    let widths = chart.rows.iter().map(|row| row.panels.iter().map(|panel| panel_width(row, panel)).sum());
    let wide = widths.fold(WIDTH, f64::max);
    let room = wide - 2.0 * MARGIN;
    let mut canvas = Canvas { svg: String::new(), scale: EM * Canvas::UNITS };
    let mut y = 1.0;
    for (text, size, height) in
        [(format!("{title}: {}", kind.mark()).as_str(), TITLE, TITLE_ROW), (&chart.subtitle, TEXT, TEXT_ROW)]
    {
        for line in wrap(text, room / size) {
            canvas.text(&line, (wide / 2.0, y + height / 2.0), size, Anchor::Middle);
            y += height;
        }
    }
    for row in &chart.rows {
        if !row.heading.is_empty() {
            canvas.text(&row.heading, (MARGIN, y + 0.65 * HEADING_ROW), HEADING, Anchor::Start);
            y += HEADING_ROW;
        }
        let mut x = (wide - row.panels.iter().map(|panel| panel_width(row, panel)).sum::<f64>()) / 2.0;
        for panel in &row.panels {
            let size = (panel_width(row, panel), PANEL.1);
            Plot::new((x, y), size, panel).draw(&mut canvas, panel);
            x += size.0;
        }
        y += PANEL.1 + GAP;
        y = legend(&mut canvas, &row.legend, y, room);
    }
    if !chart.notes.is_empty() {
        y += 0.6;
    }
    for line in chart.notes.iter().flat_map(|note| wrap(note, room / NOTE)) {
        canvas.text(&line, (MARGIN, y + NOTE_ROW / 2.0), NOTE, Anchor::Start);
        y += NOTE_ROW;
    }
    canvas.finish(wide, y + GAP)
}

fn panel_width(row: &Row, panel: &Panel) -> f64 {
    let width = PANEL.0 * panel.span as f64;
    if row.panels.len() == 1 { width.max(WIDTH) } else { width }
}

/// Draws the entries of a legend in as many centred lines as they need; returns where they end.
fn legend(canvas: &mut Canvas, entries: &[Entry], mut y: f64, room: f64) -> f64 {
    // The width of each line, and its entries with their fitted titles and widths.
    type Line<'a> = (f64, Vec<(&'a Entry, String, f64)>);
    let mut lines: Vec<Line> = Vec::new();
    for entry in entries {
        let title = fit(&entry.title, (room - SAMPLE - GAP - BEHIND) / HEADING);
        let wide = SAMPLE + GAP + HEADING * width(&title) + BEHIND;
        match lines.last_mut().filter(|(used, _)| used + wide <= room) {
            Some((used, line)) => {
                *used += wide;
                line.push((entry, title, wide));
            }
            None => lines.push((wide, vec![(entry, title, wide)])),
        }
    }
    for (used, line) in lines {
        let mut x = MARGIN + (room - used + BEHIND) / 2.0;
        let middle = y + LEGEND_ROW / 2.0;
        for (Entry { pen, sample, .. }, title, wide) in line {
            let [left, right, low, high] = [x, x + SAMPLE, middle + 0.6, middle - 0.6];
            let corners = [(left, low), (left, high), (right, high), (right, low)];
            match sample {
                Sample::Line => {
                    canvas.line(*pen, &[(left, middle), (right, middle)]);
                    canvas.marker(*pen, ((left + right) / 2.0, middle));
                }
                Sample::Bar => canvas.filled(*pen, &corners, 1.0),
                Sample::Area => canvas.area(*pen, &corners),
            }
            canvas.text(&title, (right + GAP, middle), HEADING, Anchor::Start);
            x += wide;
        }
        y += LEGEND_ROW;
    }
    y
}

/// The plot of a panel: its sides and its axes.
struct Plot<'a> {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl<'a> Plot<'a> {
    fn new((x, y): Place, (width, height): Place, panel: &'a Panel) -> Self {
        let (above, right, below, left) = AROUND;
        Plot {
            left: x + left,
            top: y + above,
            right: x + width - right,
            bottom: y + height - below,
            x: &panel.x,
            y: &panel.y,
        }
    }

    /// Where a point of the axes lies. A point far outside of them is moved closer.
    fn place(&self, x: f64, y: f64) -> Place {
        #[expect(
            clippy::manual_clamp,
            reason = "an axis without extent gives NaN, which `max` replaces and `clamp` keeps"
        )]
        let share = |value: f64, (low, high): Place| ((value - low) / (high - low)).max(-1.0).min(2.0);
        let along = |from: f64, to: f64, share: f64| from + (to - from) * share;
        (along(self.left, self.right, share(x, self.x.ends)), along(self.bottom, self.top, share(y, self.y.ends)))
    }

    fn middle(&self) -> Place {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    fn draw(&self, canvas: &mut Canvas, panel: &Panel) {
        self.frame(canvas, &panel.title);
        let mut uprights = 0;
        for mark in &panel.marks {
            match mark {
                Mark::Line { pen, points, markers } => self.line(canvas, *pen, points, *markers),
                Mark::Band { pen, points } => self.band(canvas, *pen, points),
                Mark::Bar { pen, from, to, bar } => self.bar(canvas, *pen, (*from, *to), *bar),
                Mark::Area { pen, outline } => {
                    let places: Vec<Place> = outline.iter().map(|&(x, y)| self.place(x, y)).collect();
                    canvas.area(*pen, &places);
                }
                Mark::Upright { pen, x, label } => {
                    let x = self.place(*x, 0.0).0;
                    canvas.line(*pen, &[(x, self.bottom), (x, self.top + LABELS * (self.bottom - self.top))]);
                    let (left, y) = (self.left + 1.0, self.top + 1.2 + 1.8 * f64::from(uprights));
                    canvas.line(*pen, &[(left, y), (left + 3.0, y)]);
                    canvas.text(label, (left + 3.8, y), TEXT, Anchor::Start);
                    uprights += 1;
                }
                Mark::Message(words) => {
                    canvas.text(&fit(words, (self.right - self.left) / TEXT), self.middle(), TEXT, Anchor::Middle);
                }
            }
        }
    }

    /// Draws the title, the grid, the axes and their labels.
    fn frame(&self, canvas: &mut Canvas, title: &str) {
        let &Plot { left, top, right, bottom, x, y } = self;
        let (middle_x, middle_y) = self.middle();
        let title = fit(title, (right - left) / PANEL_TITLE);
        canvas.text(&title, (middle_x, top - 1.5), PANEL_TITLE, Anchor::Middle);
        for (value, label) in &y.ticks {
            let at = self.place(x.ends.0, *value).1;
            canvas.thin("#e1e1e1", &[(left, at), (right, at)]);
            canvas.thin(GREY, &[(left - 0.5, at), (left, at)]);
            canvas.text(label, (left - 0.8, at), TEXT, Anchor::End);
        }
        let room = (right - left) / x.ticks.len().max(1) as f64 - 0.6;
        for (value, label) in &x.ticks {
            let at = self.place(*value, y.ends.0).0;
            canvas.thin(GREY, &[(at, bottom), (at, bottom + 0.5)]);
            for (row, line) in label.lines().enumerate() {
                let below = bottom + 0.7 + (row as f64 + 0.5) * TICK_ROW;
                canvas.text(&fit(line, room / TEXT), (at, below), TEXT, Anchor::Middle);
            }
        }
        canvas.thin(GREY, &[(left, top), (left, bottom), (right, bottom)]);
        canvas.text(&x.title, (middle_x, bottom + 3.3), HEADING, Anchor::Middle);
        canvas.text(&y.title, (left - AROUND.3 + 1.8, middle_y), HEADING, Anchor::Upwards);
    }

    fn line(&self, canvas: &mut Canvas, pen: Pen, points: &[Point], markers: usize) {
        let places: Vec<Place> = points.iter().map(|&(x, mean, _)| self.place(x, mean)).collect();
        canvas.line(pen, &places);
        let every = if places.len() == 1 { 1 } else { markers };
        let shown = places.iter().enumerate().filter(|(at, _)| every > 0 && at % every == 0);
        shown.for_each(|(_, &place)| canvas.marker(pen, place));
    }

    fn band(&self, canvas: &mut Canvas, pen: Pen, points: &[Point]) {
        if points.iter().all(|&(_, _, std)| std <= 0.0) {
            return;
        }
        let upper = points.iter().map(|&(x, mean, std)| self.place(x, mean + std));
        let lower = points.iter().rev().map(|&(x, mean, std)| self.place(x, (mean - std).max(0.0)));
        match upper.chain(lower).collect::<Vec<_>>()[..] {
            [high, low] => canvas.error_bar(high.0, low.1, high.1),
            ref outline => canvas.filled(pen, outline, 0.16),
        }
    }

    fn bar(&self, canvas: &mut Canvas, pen: Pen, (from, to): Place, bar: super::chart::Bar) {
        let (left, zero) = self.place(from, 0.0);
        let (right, _) = self.place(to, 0.0);
        let middle = (left + right) / 2.0;
        let (words, top) = match bar {
            Err(word) => (word.to_owned(), zero),
            Ok((mean, std)) => {
                let height = |value: f64| self.place(0.0, value).1;
                let top = height(mean);
                canvas.filled(pen, &[(left, zero), (left, top), (right, top), (right, zero)], 1.0);
                if std > 0.0 {
                    canvas.error_bar(middle, height((mean - std).max(0.0)), height(mean + std));
                }
                (minus(mean, 1), height(mean + std))
            }
        };
        if NOTE * width(&words) <= right - left || bar.is_err() {
            canvas.text(&words, (middle, top - 0.9), NOTE, Anchor::Middle);
        }
    }
}

/// Which point of a text lies at its place, and its direction. Vertically it is always the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
    /// In the middle, and turned to run upwards.
    Upwards,
}

/// An SVG in the making.
struct Canvas {
    svg: String,
    /// The units of one em.
    scale: f64,
}

impl Canvas {
    /// Units per pixel, fine enough that the page may round coordinates to tenths of a unit.
    const UNITS: f64 = 4.0;

    fn finish(self, width: f64, height: f64) -> String {
        let [wide, high] = [width, height].map(|side| (side * self.scale / Self::UNITS).ceil());
        let (units_wide, units_high) = (wide * Self::UNITS, high * Self::UNITS);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" \
             viewBox=\"0 0 {units_wide} {units_high}\"><path d=\"M0 0H{units_wide}V{units_high}H0Z\" fill=\"#ffffff\"/>{}</svg>",
            self.svg
        )
    }

    /// A length in units, rounded to a tenth.
    fn units(&self, em: f64) -> f64 {
        (em * self.scale * 10.0).round() / 10.0
    }

    fn path(&mut self, places: &[Place], attributes: &str) {
        let mut data = String::new();
        for (at, &(x, y)) in places.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let _ = write!(data, "{command}{} {}", self.units(x), self.units(y));
        }
        let close = if attributes.contains("fill=\"none\"") { "" } else { "Z" };
        let _ = write!(self.svg, "<path d=\"{data}{close}\" {attributes}/>");
    }

    fn stroke(&mut self, places: &[Place], colour: &str, width: f64, dash: Option<(u8, u8)>) {
        let mut attributes = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\"", self.units(width));
        if let Some(dash) = dash {
            let [on, off] = [dash.0, dash.1].map(|tenths| self.units(f64::from(tenths) / 10.0));
            let _ = write!(attributes, " stroke-dasharray=\"{on} {off}\"");
        }
        self.path(places, &attributes);
    }

    fn thin(&mut self, colour: &str, places: &[Place]) {
        self.stroke(places, colour, 0.1, None);
    }

    fn line(&mut self, pen: Pen, places: &[Place]) {
        if places.len() > 1 {
            self.stroke(places, pen.colour, if pen.strong { 0.3 } else { 0.2 }, pen.dash);
        }
    }

    /// A shape without outline.
    fn filled(&mut self, pen: Pen, corners: &[Place], opacity: f64) {
        self.path(corners, &format!("fill=\"{}\" fill-opacity=\"{opacity}\"", pen.colour));
    }

    /// A translucent shape with an outline.
    fn area(&mut self, pen: Pen, corners: &[Place]) {
        self.filled(pen, corners, 0.16);
        self.line(pen, &[corners, &corners[..1]].concat());
    }

    fn error_bar(&mut self, x: f64, low: f64, high: f64) {
        self.thin("#000000", &[(x, low), (x, high)]);
        for end in [low, high] {
            self.thin("#000000", &[(x - 0.4, end), (x + 0.4, end)]);
        }
    }

    fn marker(&mut self, pen: Pen, (x, y): Place) {
        let around = |corners: &[Place]| corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>();
        match pen.marker {
            Marker::Circle => {
                let (x, y, radius) = (self.units(x), self.units(y), self.units(0.4));
                let _ = write!(self.svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{}\"/>", pen.colour);
            }
            Marker::Triangle => self.filled(pen, &around(&[(0.0, -0.5), (0.43, 0.25), (-0.43, 0.25)]), 1.0),
            Marker::Square => self.filled(pen, &around(&[(-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4)]), 1.0),
            Marker::Cross | Marker::Plus => {
                let (a, b) = if pen.marker == Marker::Cross { (0.4, 0.4) } else { (0.5, 0.0) };
                for (dx, dy) in [(a, b), (-b, a)] {
                    self.stroke(&around(&[(-dx, -dy), (dx, dy)]), pen.colour, 0.2, None);
                }
            }
        }
    }

    fn text(&mut self, words: &str, (x, y): Place, size: f64, anchor: Anchor) {
        if words.is_empty() {
            return;
        }
        let name = match anchor {
            Anchor::Start => "start",
            Anchor::Middle | Anchor::Upwards => "middle",
            Anchor::End => "end",
        };
        // Half of the height of a capital lies above the middle, half below.
        let baseline = 0.36 * size;
        let turned = anchor == Anchor::Upwards;
        let (x, y) = if turned { (x + baseline, y) } else { (x, y + baseline) };
        let (x, y, size) = (self.units(x), self.units(y), self.units(size));
        let turn = if turned { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
        let _ = write!(
            self.svg,
            "<text x=\"{x}\" y=\"{y}\" font-family=\"{FAMILY}\" font-size=\"{size}\" text-anchor=\"{name}\"{turn}>{}</text>",
            xml(words)
        );
    }
}
