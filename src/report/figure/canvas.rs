//! An SVG in the making. Lengths are in points.

use std::fmt::Write;

use serde::Serialize;

use super::chart::{Marker, Pen};
use super::text::{FAMILIES, width, xml};

/// Sizes of type: of titles, and of everything else.
pub const HEADING: f64 = 8.0;
pub const SMALL: f64 = 7.0;

/// The least width and height of a spot, for a pointer to find it.
const SPOT: f64 = 7.0;

pub const GREY: &str = "#5a5a5a";

pub type Place = (f64, f64);

/// Which point of a text lies at its place, and its direction. Vertically it is always the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
    /// In the middle, and turned to run upwards.
    Upwards,
}

/// A part of a figure, in percent of its width and height, with what it shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub words: String,
}

pub struct Canvas {
    svg: String,
    width: f64,
    /// In points.
    spots: Vec<Spot>,
}

impl Canvas {
    pub fn new(width: f64) -> Canvas {
        Canvas { svg: String::new(), width, spots: Vec::new() }
    }

    /// The document. Its text is text, in fonts by name; browsers and screen readers announce the title.
    pub fn finish(self, height: f64, title: &str) -> String {
        let Canvas { svg, width, spots: _ } = self;
        let height = height.ceil();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILIES}\" font-size=\"{SMALL}\"><title>{}</title>\
             <path d=\"M0 0H{width}V{height}H0Z\" fill=\"#ffffff\"/>{svg}</svg>\n",
            xml(title)
        )
    }

    /// The spots of a figure of this height.
    pub fn into_spots(self, height: f64) -> Vec<Spot> {
        let share = |length: f64, whole: f64| round(100.0 * length / whole);
        let (width, height) = (self.width, height.ceil());
        let in_percent = |Spot { left, top, width: wide, height: high, words }| Spot {
            left: share(left, width),
            top: share(top, height),
            width: share(wide, width),
            height: share(high, height),
            words,
        };
        self.spots.into_iter().map(in_percent).collect()
    }

    /// Notes what stands between two corners.
    pub fn spot(&mut self, one: Place, other: Place, words: &str) {
        let ends = |a: f64, b: f64| {
            let grown = f64::max(0.0, SPOT - (a - b).abs()) / 2.0;
            (a.min(b) - grown, (a - b).abs() + 2.0 * grown)
        };
        let ((left, width), (top, height)) = (ends(one.0, other.0), ends(one.1, other.1));
        self.spots.push(Spot { left, top, width, height, words: words.to_owned() });
    }

    fn path(&mut self, places: &[Place], attributes: &str) {
        let mut data = String::new();
        for (at, &(x, y)) in places.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let _ = write!(data, "{command}{} {}", round(x), round(y));
        }
        let close = if attributes.contains("fill=\"none\"") { "" } else { "Z" };
        let _ = write!(self.svg, "<path d=\"{data}{close}\" {attributes}/>");
    }

    fn stroke(&mut self, places: &[Place], colour: &str, width: f64, dash: Option<(u8, u8)>) {
        let mut attributes = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"");
        if let Some(dash) = dash {
            let [on, off] = [dash.0, dash.1].map(|tenths| round(f64::from(tenths) * SMALL / 10.0));
            let _ = write!(attributes, " stroke-dasharray=\"{on} {off}\"");
        }
        self.path(places, &attributes);
    }

    pub fn thin(&mut self, colour: &str, places: &[Place]) {
        self.stroke(places, colour, 0.5, None);
    }

    pub fn line(&mut self, pen: Pen, places: &[Place]) {
        if places.len() > 1 {
            self.stroke(places, pen.colour, if pen.strong { 1.7 } else { 1.0 }, pen.dash);
        }
    }

    /// A shape without outline.
    pub fn filled(&mut self, pen: Pen, corners: &[Place], opacity: f64) {
        let mut attributes = format!("fill=\"{}\"", pen.colour);
        if opacity < 1.0 {
            let _ = write!(attributes, " fill-opacity=\"{opacity}\"");
        }
        self.path(corners, &attributes);
    }

    /// A translucent shape with an outline.
    pub fn area(&mut self, pen: Pen, corners: &[Place]) {
        self.filled(pen, corners, 0.16);
        self.line(pen, &[corners, corners.get(..1).unwrap_or_default()].concat());
    }

    pub fn error_bar(&mut self, x: f64, low: f64, high: f64) {
        self.thin("#000000", &[(x, low), (x, high)]);
        for end in [low, high] {
            self.thin("#000000", &[(x - 1.6, end), (x + 1.6, end)]);
        }
    }

    pub fn marker(&mut self, pen: Pen, (x, y): Place) {
        let size = if pen.strong { 5.0 } else { 4.4 };
        let around =
            |corners: &[Place]| corners.iter().map(|(dx, dy)| (x + size * dx, y + size * dy)).collect::<Vec<_>>();
        match pen.marker {
            Marker::Circle => {
                let (x, y, radius) = (round(x), round(y), round(0.4 * size));
                let _ = write!(self.svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{}\"/>", pen.colour);
            }
            Marker::Triangle => self.filled(pen, &around(&[(0.0, -0.5), (0.43, 0.25), (-0.43, 0.25)]), 1.0),
            Marker::Square => self.filled(pen, &around(&[(-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4)]), 1.0),
            Marker::Cross | Marker::Plus => {
                let (a, b) = if pen.marker == Marker::Cross { (0.4, 0.4) } else { (0.5, 0.0) };
                for (dx, dy) in [(a, b), (-b, a)] {
                    self.stroke(&around(&[(-dx, -dy), (dx, dy)]), pen.colour, 1.0, None);
                }
            }
        }
    }

    /// A line of text, moved as far as it has to be to stay within the figure.
    pub fn text(&mut self, words: &str, (x, y): Place, size: f64, anchor: Anchor) {
        if words.is_empty() {
            return;
        }
        let wide = size * width(words);
        let (name, x) = match anchor {
            Anchor::Start => ("start", x.min(self.width - wide).max(0.0)),
            Anchor::Middle => ("middle", x.min(self.width - wide / 2.0).max(wide / 2.0)),
            Anchor::End => ("end", x.min(self.width).max(wide)),
            Anchor::Upwards => ("middle", x),
        };
        // Half of the height of a capital lies above the middle, half below.
        let baseline = 0.36 * size;
        let turned = anchor == Anchor::Upwards;
        let (x, y) = if turned { (x + baseline, y) } else { (x, y + baseline) };
        let (x, y) = (round(x), round(y));
        let mut attributes = format!("x=\"{x}\" y=\"{y}\"");
        if name != "start" {
            let _ = write!(attributes, " text-anchor=\"{name}\"");
        }
        if size != SMALL {
            let _ = write!(attributes, " font-size=\"{size}\"");
        }
        if turned {
            let _ = write!(attributes, " transform=\"rotate(-90 {x} {y})\"");
        }
        let _ = write!(self.svg, "<text {attributes}>{}</text>", xml(words));
    }
}

/// To hundredths of a point.
fn round(length: f64) -> f64 {
    (length * 100.0).round() / 100.0
}
