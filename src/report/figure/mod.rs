//! Figures, drawn once as SVG; PDF and PNG are made from that. Text is turned into outlines with the font that comes with
//! the project, so that a figure looks the same everywhere.
//!
//! A file per figure says what is on it; [`page`] puts titles, panels, legends and notes in their places, [`frame`] draws
//! axes, [`notes`] tells what is missing and why, and [`pen`] is what everything is drawn with.

mod axis;
mod bars;
mod curves;
mod export;
pub mod figure2;
pub mod figure4;
pub mod figure6;
pub mod figure7;
mod frame;
pub mod gap_bars;
mod legend;
mod notes;
mod page;
mod pen;
pub mod sheet;
pub mod training;

/// A figure in all its formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub svg: Vec<u8>,
    pub pdf: Vec<u8>,
    /// At twice the size in pixels.
    pub png: Vec<u8>,
}

/// How lines of means over seeds are to be read.
fn spread_of_lines(seeds: usize) -> String {
    match seeds {
        0 | 1 => "One seed, no spread".to_owned(),
        n => format!("Lines: means over {n} seeds; bands: ± one sample standard deviation"),
    }
}

#[cfg(test)]
mod tests;
