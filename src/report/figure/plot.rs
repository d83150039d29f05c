//! One plot of a figure: its axes, and the marks between them.

use super::canvas::{Anchor, Canvas, GREY, HEADING, Place, SMALL};
use super::chart::{Axis, Bar, Mark, Panel, Pen, Point, minus};
use super::text::{fit, width, wrap};

/// The height of a panel's title, of a line of keys, of a line of labels, of an axis's title.
const TITLE_ROW: f64 = 13.0;
const KEY_ROW: f64 = 8.6;
const TICK_ROW: f64 = 8.4;
const AXIS_ROW: f64 = 9.4;
/// Between an axis and its labels.
const TICK: f64 = 2.6;
/// The line in front of a key, with the gap behind it.
const KEY: f64 = 14.0;
const KEY_GAP: f64 = 3.0;

/// The room around a plot.
pub struct Margins {
    pub left: f64,
    pub right: f64,
    pub below: f64,
}

impl Margins {
    pub fn of(panel: &Panel) -> Margins {
        let labels = panel.y.ticks.iter().map(|(_, label)| SMALL * width(label)).fold(0.0, f64::max);
        let title = if panel.y.title.is_empty() { 0.0 } else { AXIS_ROW };
        let lines = panel.x.ticks.iter().map(|(_, label)| label.lines().count()).max().unwrap_or(0);
        let below = TICK + TICK_ROW * lines as f64 + if panel.x.title.is_empty() { 0.0 } else { AXIS_ROW };
        Margins { left: title + labels + TICK + 3.5, right: 5.0, below: below + 2.5 }
    }

    pub fn sides(&self) -> f64 {
        self.left + self.right
    }
}

/// Its sides and its axes.
pub struct Plot<'a> {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl<'a> Plot<'a> {
    pub fn new((left, top): Place, (width, height): Place, panel: &'a Panel) -> Self {
        Plot { left, top, right: left + width, bottom: top + height, x: &panel.x, y: &panel.y }
    }

    /// The height of what stands above a plot of this width: its title and its keys.
    pub fn above(panel: &Panel, wide: f64) -> f64 {
        let keys: usize = panel.keys.iter().map(|(_, words)| key(words, wide).len()).sum();
        let title = if panel.title.is_empty() { 0.0 } else { TITLE_ROW };
        title + KEY_ROW * keys as f64 + 4.0
    }

    /// Where a point of the axes lies. A point far outside of them is moved closer.
    fn place(&self, x: f64, y: f64) -> Place {
        #[expect(
            clippy::manual_clamp,
            reason = "an axis without extent gives NaN, which `max` replaces and `clamp` keeps"
        )]
        let share = |value: f64, (low, high): Place| ((value - low) / (high - low)).max(-1.0).min(2.0);
        let along = |from: f64, to: f64, share: f64| from + (to - from) * share;
        (along(self.left, self.right, share(x, self.x.ends)), along(self.bottom, self.top, share(y, self.y.ends)))
    }

    fn middle(&self) -> Place {
        ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    /// Draws the panel; `above` is the room between its upper end and the plot.
    pub fn draw(&self, canvas: &mut Canvas, panel: &Panel, above: f64) {
        self.frame(canvas);
        self.head(canvas, panel, self.top - above);
        for mark in &panel.marks {
            match mark {
                Mark::Line { pen, points, markers } => self.line(canvas, *pen, points, *markers),
                Mark::Band { pen, points } => self.band(canvas, *pen, points),
                Mark::Bar { pen, from, to, bar } => self.bar(canvas, *pen, (*from, *to), *bar),
                Mark::Area { pen, outline } => {
                    let places: Vec<Place> = outline.iter().map(|&(x, y)| self.place(x, y)).collect();
                    canvas.area(*pen, &places);
                }
                Mark::Upright { pen, x } => {
                    let x = self.place(*x, 0.0).0;
                    canvas.line(*pen, &[(x, self.bottom), (x, self.top)]);
                }
                Mark::Spot { from, to, words } => {
                    canvas.spot(self.place(from.0, from.1), self.place(to.0, to.1), words);
                }
                Mark::Message(words) => {
                    canvas.text(&fit(words, (self.right - self.left) / SMALL), self.middle(), SMALL, Anchor::Middle);
                }
            }
        }
    }

    /// Draws the title and the keys.
    fn head(&self, canvas: &mut Canvas, panel: &Panel, mut y: f64) {
        let wide = self.right - self.left;
        if !panel.title.is_empty() {
            let place = (self.middle().0, y + TITLE_ROW / 2.0);
            canvas.text(&fit(&panel.title, wide / HEADING), place, HEADING, Anchor::Middle);
            y += TITLE_ROW;
        }
        for (pen, words) in &panel.keys {
            canvas.line(*pen, &[(self.left, y + KEY_ROW / 2.0), (self.left + KEY, y + KEY_ROW / 2.0)]);
            for line in key(words, wide) {
                canvas.text(&line, (self.left + KEY + KEY_GAP, y + KEY_ROW / 2.0), SMALL, Anchor::Start);
                y += KEY_ROW;
            }
        }
    }

    /// Draws the grid, the axes and their labels.
    fn frame(&self, canvas: &mut Canvas) {
        let &Plot { left, top, right, bottom, x, y } = self;
        let (middle_x, middle_y) = self.middle();
        let mut labels = 0.0;
        for (value, label) in &y.ticks {
            let at = self.place(x.ends.0, *value).1;
            canvas.thin("#e1e1e1", &[(left, at), (right, at)]);
            canvas.thin(GREY, &[(left - TICK, at), (left, at)]);
            canvas.text(label, (left - TICK - 1.2, at), SMALL, Anchor::End);
            labels = f64::max(labels, SMALL * width(label));
        }
        let room = (right - left) / x.ticks.len().max(1) as f64 - 2.0;
        let mut below = bottom + TICK;
        for (value, label) in &x.ticks {
            let at = self.place(*value, y.ends.0).0;
            canvas.thin(GREY, &[(at, bottom), (at, bottom + TICK)]);
            for (row, line) in label.lines().enumerate() {
                let top = bottom + TICK + row as f64 * TICK_ROW;
                canvas.text(&fit(line, room / SMALL), (at, top + 0.5 * TICK_ROW), SMALL, Anchor::Middle);
                below = f64::max(below, top + TICK_ROW);
            }
        }
        canvas.thin(GREY, &[(left, top), (left, bottom), (right, bottom)]);
        canvas.text(&x.title, (middle_x, below + AXIS_ROW / 2.0), SMALL, Anchor::Middle);
        let title = fit(&y.title, 1.2 * (bottom - top) / SMALL);
        canvas.text(&title, (left - TICK - 1.2 - labels - AXIS_ROW / 2.0 - 0.6, middle_y), SMALL, Anchor::Upwards);
    }

    fn line(&self, canvas: &mut Canvas, pen: Pen, points: &[Point], markers: usize) {
        let places: Vec<Place> = points.iter().map(|&(x, mean, _)| self.place(x, mean)).collect();
        canvas.line(pen, &places);
        let every = if places.len() == 1 { 1 } else { markers };
        let shown = places.iter().enumerate().filter(|(at, _)| every > 0 && at % every == 0);
        shown.for_each(|(_, &place)| canvas.marker(pen, place));
    }

    fn band(&self, canvas: &mut Canvas, pen: Pen, points: &[Point]) {
        if points.iter().all(|&(_, _, std)| std <= 0.0) {
            return;
        }
        // What cannot be negative has no negative spread.
        let floor = if self.y.ends.0 >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let upper = points.iter().map(|&(x, mean, std)| self.place(x, mean + std));
        let lower = points.iter().rev().map(|&(x, mean, std)| self.place(x, (mean - std).max(floor)));
        match upper.chain(lower).collect::<Vec<_>>()[..] {
            [high, low] => canvas.error_bar(high.0, low.1, high.1),
            ref outline => canvas.filled(pen, outline, 0.16),
        }
    }

    fn bar(&self, canvas: &mut Canvas, pen: Pen, (from, to): Place, bar: Bar) {
        let (left, zero) = self.place(from, 0.0);
        let (right, _) = self.place(to, 0.0);
        let middle = (left + right) / 2.0;
        let (words, top) = match bar {
            Err(word) => (word.to_owned(), zero),
            Ok((mean, std)) => {
                let height = |value: f64| self.place(0.0, value).1;
                let top = height(mean);
                canvas.filled(pen, &[(left, zero), (left, top), (right, top), (right, zero)], 1.0);
                if std > 0.0 {
                    canvas.error_bar(middle, height((mean - std).max(0.0)), height(mean + std));
                }
                (minus(mean, 1), height(mean + std))
            }
        };
        // Beside its neighbours, or upright.
        let wide = SMALL * width(&words);
        if wide <= 1.1 * (right - left) {
            canvas.text(&words, (middle, top - 5.0), SMALL, Anchor::Middle);
        } else if right - left >= 0.7 * SMALL || bar.is_err() {
            canvas.text(&words, (middle, top - 2.5 - wide / 2.0), SMALL, Anchor::Upwards);
        }
    }
}

/// The words of a key in lines beside its sample.
fn key(words: &str, wide: f64) -> Vec<String> {
    wrap(words, (wide - KEY - KEY_GAP) / SMALL)
}
