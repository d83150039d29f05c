//! The frame of a panel: its title, its axes, and where on them a point lies.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::pen::{Area, Drawn, fit, font, px};

/// What lies around the plot of a panel.
const ABOVE: i32 = px(32);
const BELOW: i32 = px(46);
const LEFT: i32 = px(62);
const RIGHT: i32 = px(14);
const LABEL: i32 = 12;
const LABEL_ROW: i32 = px(15);

/// The plot of a panel: its corners, and its axes.
pub struct Frame {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
    x: Axis,
    y: Axis,
}

impl Frame {
    /// The frame of a panel with this corner and size.
    pub fn new(corner: (i32, i32), size: (i32, i32), x: Axis, y: Axis) -> Frame {
        let (left, top) = (corner.0 + LEFT, corner.1 + ABOVE);
        Frame { left, top, right: corner.0 + size.0 - RIGHT, bottom: corner.1 + size.1 - BELOW, x, y }
    }

    /// Where a point of the axes lies; what is far outside of them lies at some distance.
    pub fn place(&self, x: f64, y: f64) -> (i32, i32) {
        let share = |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(-1.0, 2.0);
        let along = |from: i32, to: i32, share: f64| from + (f64::from(to - from) * share).round() as i32;
        (along(self.left, self.right, share(x, self.x.ends)), along(self.bottom, self.top, share(y, self.y.ends)))
    }

    /// Draws the title, the lines across, the axes and their labels.
    pub fn draw(&self, area: &Area<'_>, title: &str) -> Drawn {
        let Frame { left, top, right, bottom, x, y } = self;
        let (left, top, right, bottom) = (*left, *top, *right, *bottom);
        let text = |text: String, at: (i32, i32), size: i32, h: HPos, v: VPos| {
            area.draw(&Text::new(text, at, font(size).pos(Pos::new(h, v))))
        };
        let middle = (left + right) / 2;
        text(fit(title, 14, right - left)?, (middle, top - px(15)), 14, HPos::Center, VPos::Center)?;
        let thin = |colour: RGBColor| colour.stroke_width(px(1) as u32);
        let (axes, across) = (thin(RGBColor(90, 90, 90)), thin(RGBColor(225, 225, 225)));
        for (value, label) in &y.ticks {
            let (_, at) = self.place(x.ends.0, *value);
            area.draw(&PathElement::new(vec![(left, at), (right, at)], across))?;
            area.draw(&PathElement::new(vec![(left - px(5), at), (left, at)], axes))?;
            text(label.clone(), (left - px(8), at), LABEL, HPos::Right, VPos::Center)?;
        }
        let room = (right - left) / x.ticks.len().max(1) as i32 - px(6);
        for (value, label) in &x.ticks {
            let (at, _) = self.place(*value, y.ends.0);
            area.draw(&PathElement::new(vec![(at, bottom), (at, bottom + px(5))], axes))?;
            for (row, line) in (0..).zip(label.lines()) {
                let below = bottom + px(7) + row * LABEL_ROW;
                text(fit(line, LABEL, room)?, (at, below), LABEL, HPos::Center, VPos::Top)?;
            }
        }
        area.draw(&PathElement::new(vec![(left, top), (left, bottom), (right, bottom)], axes))?;
        text(x.title.clone(), (middle, bottom + px(25)), 13, HPos::Center, VPos::Top)?;
        let upright = font(13).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(y.title.clone(), (left - LEFT + px(10), (top + bottom) / 2), upright))?;
        Ok(())
    }

    /// Says in the middle of the plot why it is empty.
    pub fn say(&self, area: &Area<'_>, text: &str) -> Drawn {
        let middle = ((self.left + self.right) / 2, (self.top + self.bottom) / 2);
        let style = font(12).color(&RGBColor(90, 90, 90)).pos(Pos::new(HPos::Center, VPos::Center));
        Ok(area.draw(&Text::new(fit(text, 12, self.right - self.left)?, middle, style))?)
    }
}
