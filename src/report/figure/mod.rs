//! Figures. A module per figure turns results into a `chart::Chart`, which says what to show; `drawing` decides
//! where everything goes and writes an SVG, from which `export` makes the PDF and the PNG. Figures have the size of print:
//! titles and notes stand in the `caption` beside them.

mod canvas;
mod caption;
mod chart;
mod drawing;
mod export;
mod figure2;
mod figure4;
mod figure6;
mod figure7;
mod gap_bars;
mod gaps;
mod plot;
pub mod sheet;
mod text;
pub mod training;

pub use self::canvas::Spot;
pub use self::caption::{About, Caption};
pub use self::drawing::{COLUMN, TEXT};
pub use self::text::width;
use super::results::Results;
use super::target::{self, Target};
use super::words;
use chart::Chart;

/// The formats of a figure.
pub const FORMATS: [&str; 5] = ["svg", "pdf", "png", "caption.tex", "caption.md"];

/// A figure in all its formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its text is text, in fonts by name.
    pub svg: String,
    pub pdf: Vec<u8>,
    /// With 300 dots per inch.
    pub png: Vec<u8>,
    pub caption_tex: String,
    pub caption_md: String,
}

impl Figure {
    /// The content of each format, in the order of [`FORMATS`].
    pub fn into_files(self) -> [(&'static str, Vec<u8>); FORMATS.len()] {
        let Figure { svg, pdf, png, caption_tex, caption_md } = self;
        let contents = [svg.into_bytes(), pdf, png, caption_tex.into_bytes(), caption_md.into_bytes()];
        let mut contents = contents.into_iter();
        FORMATS.map(|format| (format, contents.next().unwrap_or_default()))
    }
}

/// Draws a figure of the paper; `target` is what it is called. The results hold only the methods that it shows.
///
/// # Errors
/// If a format cannot be written.
pub fn draw(which: target::Figure, target: &'static Target, results: &Results) -> anyhow::Result<Figure> {
    drawing::draw(&about(target, results), &chart(which, results))
}

/// The caption of a figure, and what its points and bars stand for.
pub fn explained(which: target::Figure, target: &'static Target, results: &Results) -> (Caption, Vec<Spot>) {
    let chart = chart(which, results);
    (Caption::of(&about(target, results), &chart), drawing::spots(results.suite.kind, &chart))
}

fn about<'a>(target: &'static Target, results: &'a Results) -> About<'a> {
    let suite = &results.suite;
    About {
        name: words::titled(target.name),
        title: &suite.title,
        kind: suite.kind,
        command: suite.command("run"),
        file: target.name,
        label: format!("fig:{}-{}", suite.suite, target.name),
    }
}

fn chart(which: target::Figure, results: &Results) -> Chart {
    let mut chart = match which {
        target::Figure::Two => figure2::chart(results),
        target::Figure::Four => figure4::chart(results),
        target::Figure::GapBars => gap_bars::chart(results),
        target::Figure::Six => figure6::chart(results),
        target::Figure::Seven => figure7::chart(results),
    };
    let suite = &results.suite;
    let made = format!("{}: {}.", suite.title, chart.made.join("; "));
    chart.notes.insert(0, made);
    chart
}

/// The titles of the methods with words between them.
fn titles(results: &Results, between: &str) -> String {
    results.suite.methods.iter().map(|method| method.title.as_str()).collect::<Vec<_>>().join(between)
}

/// What points or bars and their spreads are: `what` names the marks that show the spread.
fn spread(seeds: usize, what: &str) -> String {
    match seeds {
        0 | 1 => "One seed, no spread.".to_owned(),
        n => format!("Means over {n} seeds; {what} show ± one sample standard deviation."),
    }
}

/// Which epoch's weights are evaluated.
fn weights(results: &Results) -> String {
    format!("weights of the {}", results.suite.selection)
}

#[cfg(test)]
mod tests;
