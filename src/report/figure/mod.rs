//! Figures. A module per figure turns results into a `chart::Chart`, which says what to show; `drawing` decides
//! where everything goes and writes an SVG, from which `export` makes the PDF and the PNG. Text becomes outlines in
//! the bundled font, so that a figure looks the same everywhere.

mod chart;
mod drawing;
mod export;
mod figure2;
mod figure4;
mod figure6;
mod figure7;
mod gap_bars;
mod gaps;
pub mod sheet;
mod text;
pub mod training;

use super::results::Results;
use super::target;
use chart::Chart;

/// A figure in all its formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub svg: Vec<u8>,
    pub pdf: Vec<u8>,
    /// At twice the size in pixels.
    pub png: Vec<u8>,
}

/// Draws a figure of the paper. The results hold only the methods that it shows.
///
/// # Errors
/// If a format cannot be written.
pub fn draw(which: target::Figure, results: &Results) -> anyhow::Result<Figure> {
    let suite = &results.suite;
    drawing::draw(&suite.title, suite.kind, &chart(which, results))
}

fn chart(which: target::Figure, results: &Results) -> Chart {
    match which {
        target::Figure::Two => figure2::chart(results),
        target::Figure::Four => figure4::chart(results),
        target::Figure::GapBars => gap_bars::chart(results),
        target::Figure::Six => figure6::chart(results),
        target::Figure::Seven => figure7::chart(results),
    }
}

/// The titles of the methods with words between them.
fn titles(results: &Results, between: &str) -> String {
    results.suite.methods.iter().map(|method| method.title.as_str()).collect::<Vec<_>>().join(between)
}

/// What points or bars and their spreads are: `what` names the marks that show the spread.
fn spread(seeds: usize, what: &str) -> String {
    match seeds {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("means over {n} seeds, {what}: ± one sample standard deviation"),
    }
}

#[cfg(test)]
mod tests;
