//! The legend below a row of panels.

use plotters::element::Text;
use plotters::style::FontError;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::pen::{Area, Drawn, Pen, fit, font, px, width};

const ENTRY: i32 = 13;
/// The sample of an entry, and the gaps beside it and behind its title.
const STROKE: i32 = px(34);
const GAP: i32 = px(8);
const BEHIND: i32 = px(24);
const ABOVE: i32 = px(8);
const ROW: i32 = px(22);

/// What a legend says of one pen.
#[derive(Clone, Debug)]
pub struct Entry {
    pub title: String,
    pub pen: Pen,
    pub sample: Sample,
}

/// What an entry shows of its pen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// A line with a marker.
    Line,
    /// A filled bar.
    Bar,
    /// A line around a fill that lets see through.
    Outline,
}

pub struct Legend {
    /// Entries and their widths, row by row.
    rows: Vec<Vec<(Entry, i32)>>,
}

impl Legend {
    /// Entries in rows that fit a width in units.
    pub fn new(entries: &[Entry], room: i32) -> Result<Legend, FontError> {
        let mut rows: Vec<Vec<(Entry, i32)>> = Vec::new();
        let mut left = 0;
        for entry in entries {
            let title = fit(&entry.title, ENTRY, room - STROKE - GAP - BEHIND)?;
            let wide = STROKE + GAP + width(&title, ENTRY)? + BEHIND;
            if wide > left || rows.is_empty() {
                rows.push(Vec::new());
                left = room;
            }
            left -= wide;
            if let Some(row) = rows.last_mut() {
                row.push((Entry { title, ..entry.clone() }, wide));
            }
        }
        Ok(Legend { rows })
    }

    pub fn height(&self) -> i32 {
        ABOVE + self.rows.len() as i32 * ROW
    }

    pub fn draw(&self, area: &Area<'_>, corner: (i32, i32), room: i32) -> Drawn {
        let mut y = corner.1 + ABOVE + ROW / 2;
        for row in &self.rows {
            let wide: i32 = row.iter().map(|(_, wide)| wide).sum::<i32>() - BEHIND;
            let mut x = corner.0 + (room - wide) / 2;
            for (Entry { title, pen, sample }, wide) in row {
                let (low, high) = ((x, y + px(6)), (x + STROKE, y - px(6)));
                match sample {
                    Sample::Line => {
                        pen.line(area, &[(x, y), (x + STROKE, y)])?;
                        pen.marker(area, (x + STROKE / 2, y))?;
                    }
                    Sample::Bar => pen.bar(area, low, high)?,
                    Sample::Outline => {
                        let corners = [low, (low.0, high.1), high, (high.0, low.1), low];
                        pen.band(area, corners.to_vec())?;
                        pen.line(area, &corners)?;
                    }
                }
                let style = font(ENTRY).pos(Pos::new(HPos::Left, VPos::Center));
                area.draw(&Text::new(title.clone(), (x + STROKE + GAP, y), style))?;
                x += wide;
            }
            y += ROW;
        }
        Ok(())
    }
}
