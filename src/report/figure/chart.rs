//! Describes a chart: what to show, without where. Axes are in the units of the data.

use crate::report::results::{DatasetDescription, Number, SuiteDescription};
use crate::report::table::cell::status;

/// A figure below its title.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// How to read it, and how it was made.
    pub subtitle: String,
    pub rows: Vec<Row>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

/// Panels side by side, with a heading above them and a legend below; both may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub heading: String,
    pub panels: Vec<Panel>,
    pub legend: Vec<Entry>,
}

/// One plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub title: String,
    /// Its width in panels. A panel that is alone in its row is at least as wide as the figure.
    pub span: usize,
    pub x: Axis,
    pub y: Axis,
    /// In the order in which they are drawn.
    pub marks: Vec<Mark>,
}

/// A point of a line: x, mean, standard deviation.
pub type Point = (f64, f64, f64);

/// A bar: its height and standard deviation, or the word in its place.
pub type Bar = Result<(f64, f64), &'static str>;

/// Something drawn in a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A line through the means, with a marker at every `markers`th point; at none for 0. A single point always has
    /// one.
    Line { pen: Pen, points: Vec<Point>, markers: usize },
    /// The spread around a line, or the error bar of a single point. It ends at 0.
    Band { pen: Pen, points: Vec<Point> },
    /// A bar between two places of the x-axis, with its error bar and its value.
    Bar { pen: Pen, from: f64, to: f64, bar: Bar },
    /// A filled area under an outline.
    Area { pen: Pen, outline: Vec<(f64, f64)> },
    /// An upright line, with its label in the upper part of the panel.
    Upright { pen: Pen, x: f64, label: String },
    /// Why the panel is empty.
    Message(String),
}

impl Mark {
    /// Lines with their spreads, which lie below all lines.
    pub fn lines(lines: &[(Pen, Vec<Point>)], markers: usize) -> Vec<Mark> {
        let band = |(pen, points): &(Pen, Vec<Point>)| Mark::Band { pen: *pen, points: points.clone() };
        let line = |(pen, points): &(Pen, Vec<Point>)| Mark::Line { pen: *pen, points: points.clone(), markers };
        lines.iter().map(band).chain(lines.iter().map(line)).collect()
    }
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub title: String,
    pub pen: Pen,
    pub sample: Sample,
}

impl Entry {
    pub fn new(title: impl Into<String>, pen: Pen, sample: Sample) -> Entry {
        Entry { title: title.into(), pen, sample }
    }

    /// An entry per method of a suite.
    pub fn of_methods(suite: &SuiteDescription, sample: Sample) -> Vec<Entry> {
        let methods = suite.methods.iter().enumerate();
        methods.map(|(at, method)| Entry::new(&method.title, Pen::of(at), sample)).collect()
    }
}

/// How an entry shows its pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    Line,
    Bar,
    Area,
}

/// Okabe and Ito's palette, which colour-blind readers can tell apart, in an order of falling contrast. Each colour
/// comes with its own marker and dash, so that a grey print works too.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// How a line is interrupted: lengths of dash and gap in tenths of an em. With five of them and four markers, twenty
/// methods differ without their colours.
const DASHES: [Option<(u8, u8)>; 5] = [None, Some((7, 4)), Some((2, 3)), Some((13, 4)), Some((4, 8))];

/// The colour, dash and marker of a method or modality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pen {
    pub colour: &'static str,
    pub dash: Option<(u8, u8)>,
    pub marker: Marker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    Circle,
    Triangle,
    Square,
    Cross,
    Plus,
}

impl Pen {
    /// Image and text have the same pens in every figure.
    pub const IMAGE: Pen = Pen { colour: COLOURS[0], dash: None, marker: Marker::Circle };
    pub const TEXT: Pen = Pen { colour: COLOURS[1], dash: None, marker: Marker::Triangle };
    /// For a second curve on top of the first: darker and interrupted, so that the first stays visible.
    pub const IMAGE_ABOVE: Pen = Pen { colour: "#003454", dash: DASHES[1], marker: Marker::Cross };
    pub const TEXT_ABOVE: Pen = Pen { colour: "#702c00", dash: DASHES[2], marker: Marker::Plus };
    /// Both modalities together.
    pub const BOTH: Pen = Pen { colour: "#6e6e6e", dash: None, marker: Marker::Square };

    /// The pen of the method at a position of the suite's list.
    pub fn of(method: usize) -> Pen {
        let marker = [Marker::Circle, Marker::Triangle, Marker::Square, Marker::Cross][method % 4];
        Pen { colour: COLOURS[method % COLOURS.len()], dash: DASHES[method % DASHES.len()], marker }
    }
}

/// A panel of bars: a group per dataset, a bar per pen. `bar` gives the one of a dataset and a pen's position.
pub fn bars(
    datasets: &[&DatasetDescription],
    pens: &[Pen],
    title: &str,
    mut bar: impl FnMut(&DatasetDescription, usize) -> Bar,
) -> Panel {
    /// The share of a group's place that its bars take.
    const FILLED: f64 = 0.78;
    let wide = FILLED / pens.len() as f64;
    let (mut marks, mut highest) = (Vec::new(), 0.0f64);
    for (at, dataset) in datasets.iter().enumerate() {
        for (of, pen) in pens.iter().enumerate() {
            let bar = bar(dataset, of);
            highest = bar.map_or(highest, |(mean, std)| highest.max(mean + std));
            let from = at as f64 - FILLED / 2.0 + of as f64 * wide;
            marks.push(Mark::Bar { pen: *pen, from: from + 0.06 * wide, to: from + 0.94 * wide, bar });
        }
    }
    let names = datasets.iter().map(|dataset| format!("{}\n{}", dataset.title, dataset.metric));
    Panel {
        title: String::new(),
        span: datasets.len(),
        x: Axis::of_names(names),
        y: Axis::from_zero(highest, title),
        marks,
    }
}

/// Points in runs: a missing one breaks the line.
pub fn runs(points: &[Option<Point>]) -> Vec<Vec<Point>> {
    let runs = points.split(Option::is_none).filter(|run| !run.is_empty());
    runs.map(|run| run.iter().copied().flatten().collect()).collect()
}

/// The bar of a number, or the word in its place.
pub fn bar(number: Option<&Number>) -> Bar {
    let number = number.ok_or("—")?;
    number.mean.map(|mean| (mean, number.std.unwrap_or(0.0))).ok_or(status(number).1)
}

/// An axis of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its ends, finite and different, the lower one first.
    pub ends: (f64, f64),
    /// Position and label; a label may have several lines.
    pub ticks: Vec<(f64, String)>,
    /// What it measures; may be empty.
    pub title: String,
}

impl Axis {
    /// An axis with about `labels` labels at round numbers.
    pub fn new(ends: (f64, f64), labels: usize, title: &str) -> Axis {
        let step = step((ends.1 - ends.0) / labels.max(1) as f64);
        Axis { ends, ticks: ticks(ends, step), title: title.to_owned() }
    }

    /// From 0 to a round number a little above the highest value.
    pub fn from_zero(highest: f64, title: &str) -> Axis {
        Axis::new((0.0, ceiling(highest)), 5, title)
    }

    /// Epochs 1 to `last`, labelled at whole numbers.
    pub fn epochs(last: usize) -> Axis {
        let last = last.max(1) as f64;
        let margin = if last > 1.0 { 0.03 * (last - 1.0) } else { 0.5 };
        let ticks = ticks((1.0, last), step((last - 1.0) / 6.0).max(1.0));
        Axis { ends: (1.0 - margin, last + margin), ticks, title: "epoch".into() }
    }

    /// Things side by side, with a label each.
    fn of_names(names: impl Iterator<Item = String>) -> Axis {
        let ticks: Vec<(f64, String)> = names.enumerate().map(|(at, name)| (at as f64, name)).collect();
        Axis { ends: (-0.5, ticks.len().max(1) as f64 - 0.5), ticks, title: String::new() }
    }
}

/// Multiples of a step between two ends, with as many decimals as the step has.
fn ticks((low, high): (f64, f64), step: f64) -> Vec<(f64, String)> {
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    // An end that is a multiple but for rounding counts as one.
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let count = (last - first).clamp(0.0, 50.0) as usize;
    (0..=count)
        .map(|at| (first + at as f64) * step)
        .map(|at| if at.abs() < step / 2.0 { 0.0 } else { at })
        .map(|at| (at, minus(at, decimals)))
        .collect()
}

/// A number with a true minus sign, which 0 never has.
pub fn minus(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let is_zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// The smallest of 1, 2, 5, 10, … times a power of ten that is not below a width.
fn step(width: f64) -> f64 {
    if !(width.is_finite() && width > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(width.log10().floor());
    let of = |factor: f64| factor * power;
    [1.0, 2.0, 5.0].map(of).into_iter().find(|&step| step >= width * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// The end of an axis: a round number a little above the highest value.
pub fn ceiling(highest: f64) -> f64 {
    if !(highest.is_finite() && highest > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf((highest * 1.05).log10().floor());
    let rounded = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|factor| factor * power);
    let end = rounded.into_iter().find(|&top| top >= highest * 1.05).unwrap_or(10.0 * power);
    // The smallest and largest numbers have no round one above them.
    if end.is_finite() && end > 0.0 { end } else { highest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_have_round_labels_within_round_ends() {
        assert_eq!([0.0, 0.7, 9.6, 12.0, 48.0, 99.0].map(ceiling), [1.0, 0.8, 15.0, 15.0, 60.0, 150.0]);
        assert_eq!(labels(&Axis::new((0.0, 60.0), 5, "")), ["0", "20", "40", "60"]);
        assert_eq!(labels(&Axis::new((-0.03, 1.03), 6, "")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::new((-1.0, 1.0), 4, "")), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::from_zero(0.0, "")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn zero_has_no_sign() {
        let rounded = [-0.0004, 0.0004, -0.0005001, -12.5].map(|number| minus(number, 3));
        assert_eq!(rounded, ["0.000", "0.000", "−0.001", "−12.500"]);
        assert_eq!([-0.4, -0.6].map(|number| minus(number, 0)), ["0", "−1"]);
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(labels(&Axis::epochs(20)), ["5", "10", "15", "20"]);
        assert_eq!(labels(&Axis::epochs(6)), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!((labels(&Axis::epochs(1)), Axis::epochs(1).ends), (vec!["1"], (0.5, 1.5)));
        assert_eq!(Axis::epochs(0), Axis::epochs(1));
    }

    #[test]
    fn every_number_makes_an_axis_that_can_be_drawn() {
        for highest in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e300, 1e-300, -1.0] {
            let axis = Axis::from_zero(highest, "");
            assert!(axis.ends.1.is_finite() && axis.ends.1 > 0.0, "{highest}: {axis:?}");
            assert!(axis.ticks.len() < 60 && axis.ticks.iter().all(|(at, _)| at.is_finite()), "{highest}: {axis:?}");
        }
    }

    #[test]
    fn pens_differ_without_colour() {
        let looks: std::collections::BTreeSet<_> = (0..20).map(Pen::of).map(|pen| (pen.dash, pen.marker)).collect();
        assert_eq!(looks.len(), 20);
    }
}
