//! What figures are drawn with: units, the font, and a colour, a dash and a marker per method.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::element::{Circle, Cross, DashedPathElement, PathElement, Polygon, Rectangle, TriangleMarker};
use plotters::prelude::*;
use plotters::style::FontError;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

pub const FONT: &[u8] = include_bytes!("../../../templates/fonts/DejaVuSans.ttf");
pub const FAMILY: &str = "DejaVu Sans";

/// plotters rounds to whole units, so a unit is a quarter of a pixel.
pub const UNIT: i32 = 4;

/// Pixels in units.
pub const fn px(pixels: i32) -> i32 {
    pixels * UNIT
}

/// Okabe and Ito's palette, which colour-blind readers can tell apart, in an order of falling contrast; each comes with
/// a marker and a dash of its own, so that a grey print works too.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
/// Lengths of line and gap in pixels; none: drawn through. With five dashes and four markers, twenty methods differ
/// without their colours.
const DASHES: [Option<(i32, i32)>; 5] = [None, Some((7, 4)), Some((2, 3)), Some((13, 4)), Some((4, 8))];

#[derive(Clone, Copy, Debug)]
pub struct Pen {
    colour: RGBColor,
    dash: Option<(i32, i32)>,
    marker: usize,
}

impl Pen {
    /// The pen of the method at a place in the suite's list.
    pub fn of(method: usize) -> Pen {
        Pen { colour: COLOURS[method % COLOURS.len()], dash: DASHES[method % DASHES.len()], marker: method % 4 }
    }

    /// The pens of image and text, the same in every figure.
    pub const IMAGE: Pen = Pen { colour: COLOURS[0], dash: None, marker: 0 };
    pub const TEXT: Pen = Pen { colour: COLOURS[1], dash: None, marker: 1 };
    /// Those of a second curve of the same thing, which is drawn on top: darker, and thin enough to see the first one.
    pub const IMAGE_ABOVE: Pen = Pen { colour: RGBColor(0, 52, 84), dash: Some((7, 4)), marker: 3 };
    pub const TEXT_ABOVE: Pen = Pen { colour: RGBColor(112, 44, 0), dash: Some((2, 3)), marker: 4 };
    /// The pen of both together.
    pub const BOTH: Pen = Pen { colour: RGBColor(110, 110, 110), dash: None, marker: 2 };

    /// The same pen, its line interrupted; the second way differs from the first.
    pub fn dashed(self, way: usize) -> Pen {
        Pen { dash: DASHES[1 + way % (DASHES.len() - 1)], ..self }
    }

    /// The same pen, its line drawn through.
    pub fn solid(self) -> Pen {
        Pen { dash: None, ..self }
    }

    /// A bar between two corners; one without height or width shows nothing.
    pub fn bar(&self, area: &Area<'_>, low: (i32, i32), high: (i32, i32)) -> Drawn {
        if low.0 == high.0 || low.1 == high.1 {
            return Ok(());
        }
        Ok(area.draw(&Rectangle::new([low, high], self.colour.filled()))?)
    }

    /// An error bar, from one end up to the other, with a stop at both.
    pub fn error_bar(area: &Area<'_>, x: i32, from: i32, to: i32) -> Drawn {
        let stop = px(4);
        for ends in [[(x, from), (x, to)], [(x - stop, from), (x + stop, from)], [(x - stop, to), (x + stop, to)]] {
            area.draw(&PathElement::new(ends.to_vec(), BLACK.stroke_width(px(1) as u32)))?;
        }
        Ok(())
    }

    pub fn line(&self, area: &Area<'_>, points: &[(i32, i32)]) -> Drawn {
        let stroke = self.colour.stroke_width(px(2) as u32);
        match self.dash {
            None => area.draw(&PathElement::new(points.to_vec(), stroke))?,
            Some((on, off)) => area.draw(&DashedPathElement::new(points.to_vec(), px(on), px(off), stroke))?,
        }
        Ok(())
    }

    pub fn marker(&self, area: &Area<'_>, at: (i32, i32)) -> Drawn {
        let fill = self.colour.filled();
        let (x, y) = at;
        match self.marker {
            0 => area.draw(&Circle::new(at, px(4), fill))?,
            1 => area.draw(&TriangleMarker::new(at, px(5), fill))?,
            2 => area.draw(&Rectangle::new([(x - px(4), y - px(4)), (x + px(4), y + px(4))], fill))?,
            3 => area.draw(&Cross::new(at, px(4), self.colour.stroke_width(px(2) as u32)))?,
            _ => {
                for ends in [[(x - px(5), y), (x + px(5), y)], [(x, y - px(5)), (x, y + px(5))]] {
                    area.draw(&PathElement::new(ends.to_vec(), self.colour.stroke_width(px(2) as u32)))?;
                }
            }
        }
        Ok(())
    }

    pub fn band(&self, area: &Area<'_>, outline: Vec<(i32, i32)>) -> Drawn {
        Ok(area.draw(&Polygon::new(outline, self.colour.mix(0.16)))?)
    }
}

/// Makes the font known to plotters, once.
pub fn register_font() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let registered = plotters::style::register_font(FAMILY, FontStyle::Normal, FONT);
        assert!(registered.is_ok(), "the font that comes with the program is whole");
    });
}

/// The font at a size in pixels.
pub fn font(size: i32) -> TextStyle<'static> {
    (FAMILY, px(size)).into_font().color(&BLACK)
}

/// How wide a text is, in units.
pub fn width(text: &str, size: i32) -> Result<i32, FontError> {
    font(size).font.layout_box(text).map(|(low, high)| high.0 - low.0)
}

/// A text with spaces for the characters that XML cannot hold.
pub fn clean(text: &str) -> String {
    let is_xml = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_xml(c) { c } else { ' ' }).collect()
}

/// A text in one line of a width in units, its end cut off where it is too long.
pub fn fit(text: &str, size: i32, room: i32) -> Result<String, FontError> {
    let whole = clean(text);
    if width(&whole, size)? <= room {
        return Ok(whole);
    }
    let room = room - width("…", size)?;
    let mut line = wrap(text, size, room)?.into_iter().next().unwrap_or_default();
    if 2 * width(&line, size)? < room {
        // A long word follows, of which as much is shown as there is room for.
        line.clear();
        for c in whole.chars() {
            line.push(c);
            if width(&line, size)? > room {
                line.pop();
                break;
            }
        }
    }
    Ok(format!("{}…", line.trim_end()))
}

/// The lines of a text that fit a width in units, broken between words, and within a word that is wider than a line.
pub fn wrap(text: &str, size: i32, room: i32) -> Result<Vec<String>, FontError> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in clean(text).split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size)? <= room {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            line.push(c);
            if width(&line, size)? > room && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::replace(&mut line, c.into()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_nothing() {
        register_font();
        let text = "some words, a loooooooooooooooooooooooooooooooooooong one\u{1}and more words";
        let lines = wrap(text, 12, px(90)).unwrap();
        assert!(lines.len() > 3);
        for line in &lines {
            assert!(width(line, 12).unwrap() <= px(90), "{line}");
        }
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(text));
        assert!(wrap(" \n", 12, px(90)).unwrap().is_empty());
    }

    /// At the end of a word where there is one in the second half of the line, else within a long word.
    #[test]
    fn a_line_is_cut_where_little_is_lost() {
        register_font();
        let cut = |text: &str| fit(text, 12, px(120)).unwrap();
        assert_eq!(cut("short"), "short");
        assert_eq!(cut("some more words and more"), "some more words…");
        let long = cut("train: 001.Black_footed_Albatross");
        assert!(long.starts_with("train: 001.Bla") && long.ends_with('…'), "{long}");
        assert!(width(&long, 12).unwrap() <= px(120), "{long}");
    }

    /// In a grey print too, methods differ by dash or marker.
    #[test]
    fn pens_differ_without_colour() {
        let looks: std::collections::BTreeSet<_> = (0..20).map(Pen::of).map(|pen| (pen.dash, pen.marker)).collect();
        assert_eq!(looks.len(), 20);
    }
}
