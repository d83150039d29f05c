//! Describes a chart: what to show, without where. Axes are in the units of the data.

use crate::report::results::{DatasetDescription, MethodDescription, Number, SuiteDescription};
use crate::report::table::cell::status;
use crate::report::words;

/// A figure, and what its caption says.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows, without a full stop.
    pub caption: String,
    /// How to read it, in sentences.
    pub reading: String,
    /// How it was made.
    pub made: Vec<String>,
    pub rows: Vec<Row>,
    /// What else a reader has to know; what is missing, and why.
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
    /// Lines above the plot, each beside a sample of its pen.
    pub keys: Vec<(Pen, String)>,
    /// Its width in panels.
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
    /// An upright line.
    Upright { pen: Pen, x: f64 },
    /// A point or bar with what it stands for, which the page shows on hover and focus. It is not drawn.
    Spot { from: (f64, f64), to: (f64, f64), words: String },
    /// Why the panel is empty.
    Message(String),
}

impl Mark {
    /// Lines with their spreads, which lie below all lines; the strong ones lie on top.
    pub fn lines(lines: &[(Pen, Vec<Point>)], markers: usize) -> Vec<Mark> {
        let band = |(pen, points): &(Pen, Vec<Point>)| Mark::Band { pen: *pen, points: points.clone() };
        let line = |(pen, points): &(Pen, Vec<Point>)| Mark::Line { pen: *pen, points: points.clone(), markers };
        let mut on_top: Vec<&(Pen, Vec<Point>)> = lines.iter().collect();
        on_top.sort_by_key(|(pen, _)| pen.strong);
        lines.iter().map(band).chain(on_top.into_iter().map(line)).collect()
    }

    /// The spot of a number at a place of the x-axis, from `x.0` to `x.1`, and from `low` to its mean. None if it has no
    /// mean.
    pub fn spot(name: &str, number: Option<&Number>, x: (f64, f64), low: Option<f64>) -> Option<Mark> {
        let number = number?;
        let mean = number.mean?;
        let words = format!("{name}: {}", words::number(number)?);
        Some(Mark::Spot { from: (x.0, low.unwrap_or(mean)), to: (x.1, mean), words })
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
        let pens = Pen::of_methods(&suite.methods);
        suite.methods.iter().zip(pens).map(|(method, pen)| Entry::new(&method.title, pen, sample)).collect()
    }
}

/// How an entry shows its pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    Line,
    Bar,
    Area,
}

/// Colours with a contrast of at least 3:1 on white and, as the page inverts them, in the dark, that colour-blind readers
/// can tell apart. The first one is the darkest. Each comes with its own marker and dash, so that a grey print works too.
const COLOURS: [&str; 7] = ["#003f8a", "#dd6600", "#009999", "#991100", "#7788ff", "#5511ee", "#666655"];

/// How a line is interrupted: lengths of dash and gap in tenths of an em. With five of them and four markers, twenty
/// methods differ without their colours.
const DASHES: [Option<(u8, u8)>; 5] = [None, Some((8, 4)), Some((3, 3)), Some((16, 5)), Some((5, 7))];

/// The colour, dash and marker of a method or modality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pen {
    pub colour: &'static str,
    pub dash: Option<(u8, u8)>,
    pub marker: Marker,
    /// Wider than the others.
    pub strong: bool,
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
    /// The method that the paper proposes: the darkest colour, wide and without a gap.
    pub const PROPOSED: Pen = Pen { strong: true, ..pen(COLOURS[0], DASHES[0], Marker::Circle) };
    /// Image and text have the same pens in every figure.
    pub const IMAGE: Pen = pen(COLOURS[0], DASHES[0], Marker::Circle);
    pub const TEXT: Pen = pen(COLOURS[3], DASHES[0], Marker::Triangle);
    /// For a second curve on top of the first: lighter and interrupted, so that the first stays visible and strongest.
    pub const IMAGE_ABOVE: Pen = pen(COLOURS[4], DASHES[1], Marker::Cross);
    pub const TEXT_ABOVE: Pen = pen(COLOURS[1], DASHES[2], Marker::Plus);
    /// Both modalities together.
    pub const BOTH: Pen = pen(COLOURS[6], DASHES[0], Marker::Square);

    /// The pen of the line at a position, where none is the paper's.
    pub fn of(at: usize) -> Pen {
        let marker = [Marker::Circle, Marker::Triangle, Marker::Square, Marker::Cross][at % 4];
        pen(COLOURS[at % COLOURS.len()], DASHES[at % DASHES.len()], marker)
    }

    /// The pens of a suite's methods: the strongest one is that of the first method that the paper proposes, and of no
    /// other.
    pub fn of_methods(methods: &[MethodDescription]) -> Vec<Pen> {
        let proposed = methods.iter().position(|method| method.proposed);
        let mut others = (1..).map(Pen::of).filter(|pen| pen.colour != Pen::PROPOSED.colour);
        let pen = |at| if proposed == Some(at) { Some(Pen::PROPOSED) } else { others.next() };
        (0..methods.len()).filter_map(pen).collect()
    }
}

const fn pen(colour: &'static str, dash: Option<(u8, u8)>, marker: Marker) -> Pen {
    Pen { colour, dash, marker, strong: false }
}

/// A panel of bars: a group per dataset, a bar per pen with a name. `number` gives that of a dataset and a pen's position.
pub fn bars<'a>(
    datasets: &[&DatasetDescription],
    pens: &[(Pen, &str)],
    title: &str,
    mut number: impl FnMut(&DatasetDescription, usize) -> Option<&'a Number>,
) -> Panel {
    /// The share of a group's place that its bars take.
    const FILLED: f64 = 0.78;
    let wide = FILLED / pens.len() as f64;
    let (mut marks, mut spots, mut highest) = (Vec::new(), Vec::new(), 0.0f64);
    for (at, dataset) in datasets.iter().enumerate() {
        for (of, (pen, name)) in pens.iter().enumerate() {
            let number = number(dataset, of);
            let bar = bar(number);
            highest = bar.map_or(highest, |(mean, std)| highest.max(mean + std));
            let from = at as f64 - FILLED / 2.0 + of as f64 * wide;
            let (from, to) = (from + 0.06 * wide, from + 0.94 * wide);
            marks.push(Mark::Bar { pen: *pen, from, to, bar });
            spots.extend(Mark::spot(&format!("{name}, {}", dataset.title), number, (from, to), Some(0.0)));
        }
    }
    marks.extend(spots);
    let names = datasets.iter().map(|dataset| format!("{}\n{}", dataset.title, dataset.metric));
    Panel {
        title: String::new(),
        keys: Vec::new(),
        span: datasets.len().max(1),
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
fn bar(number: Option<&Number>) -> Bar {
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

    type Colour = [f64; 3];

    /// A colour in sRGB, from 0 to 1.
    fn rgb(colour: &str) -> Colour {
        [1, 3, 5].map(|at| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0)
    }

    fn linear(colour: Colour) -> Colour {
        colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
    }

    fn times(matrix: [Colour; 3], colour: Colour) -> Colour {
        matrix.map(|row| row.iter().zip(colour).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    /// WCAG's contrast of a colour with the ground.
    fn contrast(colour: Colour, ground: Colour) -> f64 {
        let luminance = |colour| linear(colour).iter().zip([0.2126, 0.7152, 0.0722]).map(|(c, part)| c * part).sum();
        let [a, b]: [f64; 2] = [luminance(colour), luminance(ground)];
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// What `report.css` makes of a figure's colour in the dark: `invert(0.9) hue-rotate(180deg)`.
    fn dark(colour: Colour) -> Colour {
        let rotated = [[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]];
        times(rotated, colour.map(|c| 0.9 - 0.8 * c))
    }

    /// Colours of lines, bars and areas.
    fn colours() -> Vec<&'static str> {
        let modalities = [Pen::IMAGE, Pen::TEXT, Pen::IMAGE_ABOVE, Pen::TEXT_ABOVE, Pen::BOTH, Pen::PROPOSED];
        COLOURS.into_iter().chain(modalities.map(|pen| pen.colour)).collect()
    }

    #[test]
    fn every_colour_has_contrast_on_white_and_in_the_dark() {
        let white = [1.0; 3];
        for colour in colours() {
            let (light, dark) = (contrast(rgb(colour), white), contrast(dark(rgb(colour)), dark(white)));
            assert!(light >= 3.0 && dark >= 3.0, "{colour}: {light:.2}:1 on white, {dark:.2}:1 in the dark");
        }
    }

    /// The paper's method is the strongest line wherever it stands in the list: in contrast, width and without gaps.
    #[test]
    fn the_proposed_method_is_the_strongest() {
        let method = |at: usize, proposed| MethodDescription {
            reading: None,
            name: at.to_string(),
            title: at.to_string(),
            source: String::new(),
            proposed,
        };
        for own in 0..7 {
            let pens = Pen::of_methods(&(0..7).map(|at| method(at, at == own)).collect::<Vec<_>>());
            let of = |pen: &Pen| contrast(rgb(pen.colour), [1.0; 3]);
            assert_eq!(pens.len(), 7);
            for (at, pen) in pens.iter().enumerate().filter(|(at, _)| *at != own) {
                assert!(of(&pens[own]) > of(pen) && pens[own].strong && !pen.strong, "{own} {at}");
                assert!(pens[own].dash.is_none() && pens[own].colour != pen.colour, "{own} {at}");
            }
        }
        // No other method looks like it where it is not shown.
        assert!(Pen::of_methods(&[method(0, false), method(1, false)]).iter().all(|pen| pen.colour != COLOURS[0]));
    }

    /// In Oklab, for people with all cones and for those who lack one (Machado, Oliveira and Fernandes 2009).
    #[test]
    fn colour_blind_readers_can_tell_colours_apart() {
        let without_red =
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
        let without_green =
            [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]];
        let all = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let oklab = |[r, g, b]: Colour| {
            let l = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b).cbrt();
            let m = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b).cbrt();
            let s = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b).cbrt();
            [
                0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
                1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
                0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
            ]
        };
        for (at, one) in COLOURS.iter().enumerate() {
            for other in &COLOURS[at + 1..] {
                for eyes in [all, without_red, without_green] {
                    let [a, b] = [one, other].map(|colour| oklab(times(eyes, linear(rgb(colour)))));
                    let distance = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
                    assert!(distance > 0.08, "{one} and {other}: {distance:.3}");
                }
            }
        }
    }
}
