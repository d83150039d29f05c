//! Groups of bars: their heights, spreads and values, or why there is none.

use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::minus;
use super::frame::Frame;
use super::pen::{Area, Drawn, Pen, font, px, width};

/// The share of a group's place that its bars take.
const FILLED: f64 = 0.78;
const VALUE: i32 = 11;

/// A bar: its height and standard deviation, or the word in its place.
pub type Bar = Result<(f64, f64), &'static str>;

/// The highest end of any bar with its spread.
pub fn highest<'a>(bars: impl Iterator<Item = &'a Bar>) -> f64 {
    bars.flatten().map(|(mean, std)| mean + std).fold(0.0, f64::max)
}

/// Draws the groups side by side, the bars of a group in its order with these pens.
///
/// # Errors
/// If drawing fails.
pub fn draw(area: &Area<'_>, frame: &Frame, groups: &[Vec<Bar>], pens: &[Pen]) -> Drawn {
    for (at, group) in groups.iter().enumerate() {
        for (of, (bar, pen)) in group.iter().zip(pens).enumerate() {
            let wide = FILLED / group.len() as f64;
            let from = at as f64 - FILLED / 2.0 + of as f64 * wide;
            draw_bar(area, frame, (from + 0.06 * wide, from + 0.94 * wide), bar, *pen)?;
        }
    }
    Ok(())
}

/// Draws a bar between two places: the bar, its spread, and its value or why there is none.
fn draw_bar(area: &Area<'_>, frame: &Frame, (from, to): (f64, f64), bar: &Bar, pen: Pen) -> Drawn {
    let (low, zero) = frame.place(from, 0.0);
    let (high, _) = frame.place(to, 0.0);
    let middle = (low + high) / 2;
    let (text, y) = match *bar {
        Err(word) => (word.to_owned(), zero),
        Ok((mean, std)) => {
            let height = |value: f64| frame.place(0.0, value).1;
            pen.bar(area, (low, zero), (high, height(mean)))?;
            if std > 0.0 {
                Pen::error_bar(area, middle, height((mean - std).max(0.0)), height(mean + std))?;
            }
            (minus(mean, 1), height(mean + std))
        }
    };
    if width(&text, VALUE)? <= high - low || bar.is_err() {
        let style = font(VALUE).pos(Pos::new(HPos::Center, VPos::Bottom));
        area.draw(&Text::new(text, (middle, y - px(4)), style))?;
    }
    Ok(())
}
