//! A page: title and subtitle, rows of panels with their legends, notes.

use anyhow::{Context, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::frame::Frame;
use super::legend::{Entry, Legend};
use super::pen::{Area, Drawn, font, px, register_font, wrap};
use super::{Figure, export};
use crate::report::SuiteKind;
use crate::report::results::Results;

/// The size of a panel of one dataset.
pub const PANEL: (i32, i32) = (px(380), px(300));
/// A single panel is narrower than the words around it.
pub const NARROWEST: i32 = px(560);
const MARGIN: i32 = px(14);
const TITLE: i32 = 15;
const TITLE_ROW: i32 = px(20);
const SUBTITLE: i32 = 12;
const SUBTITLE_ROW: i32 = px(17);
const HEADING: i32 = 13;
const HEADING_ROW: i32 = px(26);
const NOTE: i32 = 11;
const NOTE_ROW: i32 = px(16);

/// What is on a page below its title.
pub struct Page<'a> {
    /// How to read it, and how it was made.
    pub subtitle: String,
    pub rows: Vec<Row<'a>>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

/// Panels side by side, and the legend below them.
pub struct Row<'a> {
    /// What stands above the panels; may be empty.
    pub heading: String,
    pub panels: Vec<Panel<'a>>,
    pub legend: Vec<Entry>,
}

/// One plot.
pub struct Panel<'a> {
    pub title: String,
    /// In units.
    pub width: i32,
    pub x: Axis,
    pub y: Axis,
    pub draw: Content<'a>,
}

/// Draws what lies on the axes of a panel.
pub type Content<'a> = Box<dyn Fn(&Area<'_>, &Frame) -> Drawn + 'a>;

/// Draws a page about the results of a suite in all formats.
///
/// # Errors
/// If drawing or converting fails.
pub fn figure(results: &Results, page: &Page<'_>) -> anyhow::Result<Figure> {
    draw(&results.suite.title, results.suite.kind, page)
}

/// Draws a page with this title in all formats. What kind of results these are is said here and nowhere in a template, so
/// that no figure is without it.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(title: &str, kind: SuiteKind, page: &Page<'_>) -> anyhow::Result<Figure> {
    let drawn = drawing(title, kind, page).map_err(|error| anyhow!("{error}"));
    let (text, size) = drawn.context("cannot draw the figure")?;
    export::convert(&text, size, &format!("{title} ({})", kind.mark()))
}

/// The SVG, and its size in units.
pub fn drawing(
    title: &str,
    kind: SuiteKind,
    page: &Page<'_>,
) -> Result<(String, (u32, u32)), Box<dyn std::error::Error>> {
    register_font();
    let wide = |row: &Row<'_>| row.panels.iter().map(|panel| panel.width).sum::<i32>();
    let width = page.rows.iter().map(wide).max().unwrap_or(0).max(NARROWEST);
    let room = width - 2 * MARGIN;
    let title = wrap(&format!("{title}: {}", kind.mark()), TITLE, room)?;
    let subtitle = wrap(&page.subtitle, SUBTITLE, room)?;
    let legends = page.rows.iter().map(|row| Legend::new(&row.legend, room)).collect::<Result<Vec<_>, _>>()?;
    let notes = page.notes.iter().map(|note| wrap(note, NOTE, room)).collect::<Result<Vec<_>, _>>()?.concat();

    let heading = |row: &Row<'_>| if row.heading.is_empty() { 0 } else { HEADING_ROW };
    let rows: i32 = page.rows.iter().zip(&legends).map(|(row, legend)| heading(row) + PANEL.1 + legend.height()).sum();
    let head = px(10) + title.len() as i32 * TITLE_ROW + subtitle.len() as i32 * SUBTITLE_ROW;
    let foot = if notes.is_empty() { 0 } else { px(6) + notes.len() as i32 * NOTE_ROW };
    let size = (width as u32, (head + rows + foot + px(8)) as u32);

    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        let line = |text: &str, at: (i32, i32), size: i32, h: HPos, v: VPos| {
            root.draw(&Text::new(text.to_owned(), at, font(size).pos(Pos::new(h, v))))
        };
        let mut y = px(10);
        for (lines, size, step) in [(&title, TITLE, TITLE_ROW), (&subtitle, SUBTITLE, SUBTITLE_ROW)] {
            for text in lines {
                line(text, (width / 2, y), size, HPos::Center, VPos::Top)?;
                y += step;
            }
        }
        for (row, legend) in page.rows.iter().zip(&legends) {
            if !row.heading.is_empty() {
                line(&row.heading, (MARGIN, y + px(10)), HEADING, HPos::Left, VPos::Top)?;
            }
            y += heading(row);
            let mut x = (width - wide(row)) / 2;
            for panel in &row.panels {
                let frame = Frame::new((x, y), (panel.width, PANEL.1), panel.x.clone(), panel.y.clone());
                frame.draw(&root, &panel.title)?;
                (panel.draw)(&root, &frame)?;
                x += panel.width;
            }
            y += PANEL.1;
            legend.draw(&root, (MARGIN, y), room)?;
            y += legend.height();
        }
        y += px(6);
        for note in &notes {
            line(note, (MARGIN, y), NOTE, HPos::Left, VPos::Top)?;
            y += NOTE_ROW;
        }
        root.present()?;
    }
    Ok((text, size))
}
