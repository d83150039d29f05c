//! The legend below the panels, and the notes that tell what is missing from the lines, and why.

use plotters::element::Text;
use plotters::style::FontError;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::pen::{Area, Drawn, Pen, font, px, width, wrap};
use crate::report::results::{MethodDescription, Results, Status};
use crate::report::table::cause;

const ENTRY: i32 = 13;
const NOTE: i32 = 11;
/// The line of an entry, and the gaps beside it and behind its title.
const STROKE: i32 = px(34);
const GAP: i32 = px(8);
const BEHIND: i32 = px(24);
const ABOVE: i32 = px(8);
const ROW: i32 = px(22);
const NOTE_ROW: i32 = px(16);

pub struct Legend {
    /// Entries (method, title, width), row by row.
    rows: Vec<Vec<(usize, String, i32)>>,
    notes: Vec<String>,
}

impl Legend {
    /// The legend of a figure, in rows that fit a width in units.
    pub fn new(results: &Results, room: i32) -> Result<Legend, FontError> {
        let mut rows: Vec<Vec<(usize, String, i32)>> = Vec::new();
        let mut left = 0;
        for (at, method) in results.suite.methods.iter().enumerate() {
            let title = format!("{}{}", method.title, remark(results, method));
            let lines = wrap(&title, ENTRY, room - STROKE - GAP - BEHIND)?;
            let title = lines.first().cloned().unwrap_or_default();
            let wide = STROKE + GAP + width(&title, ENTRY)? + BEHIND;
            if wide > left || rows.is_empty() {
                rows.push(Vec::new());
                left = room;
            }
            left -= wide;
            if let Some(row) = rows.last_mut() {
                row.push((at, title, wide));
            }
        }
        let mut lines = Vec::new();
        for note in notes(results) {
            lines.extend(wrap(&note, NOTE, room)?);
        }
        Ok(Legend { rows, notes: lines })
    }

    pub fn height(&self) -> i32 {
        let notes = self.notes.len() as i32;
        ABOVE + self.rows.len() as i32 * ROW + if notes > 0 { px(6) + notes * NOTE_ROW } else { 0 }
    }

    pub fn draw(&self, area: &Area<'_>, corner: (i32, i32), room: i32) -> Drawn {
        let style = |size: i32| font(size).pos(Pos::new(HPos::Left, VPos::Center));
        let mut y = corner.1 + ABOVE + ROW / 2;
        for row in &self.rows {
            let wide: i32 = row.iter().map(|(.., wide)| wide).sum::<i32>() - BEHIND;
            let mut x = corner.0 + (room - wide) / 2;
            for (method, title, wide) in row {
                let pen = Pen::of(*method);
                pen.line(area, &[(x, y), (x + STROKE, y)])?;
                pen.marker(area, (x + STROKE / 2, y))?;
                area.draw(&Text::new(title.clone(), (x + STROKE + GAP, y), style(ENTRY)))?;
                x += wide;
            }
            y += ROW;
        }
        y += px(6);
        for note in &self.notes {
            area.draw(&Text::new(note.clone(), (corner.0, y), style(NOTE)))?;
            y += NOTE_ROW;
        }
        Ok(())
    }
}

/// What the legend says of a method whose lines are not whole.
fn remark(results: &Results, method: &MethodDescription) -> &'static str {
    let suite = &results.suite;
    let places = suite.datasets.iter().flat_map(|dataset| suite.ratios.iter().map(move |&ratio| (dataset, ratio)));
    let numbers: Vec<_> =
        places.map(|(dataset, ratio)| super::number(results, &dataset.name, &method.name, ratio)).collect();
    let drawn = numbers.iter().filter(|number| number.is_some_and(|number| number.mean.is_some())).count();
    let any = |test: fn(&Status) -> bool| numbers.iter().flatten().flat_map(|n| &n.seeds).any(|seed| test(&seed.value));
    if drawn == numbers.len() {
        ""
    } else if drawn > 0 {
        " (incomplete)"
    } else if any(|status| matches!(status, Status::Failed { .. })) {
        " (failed)"
    } else if any(|status| matches!(status, Status::NotANumber)) {
        " (NaN)"
    } else {
        " (not run)"
    }
}

/// A line per cause: where it left something out of the figure.
fn notes(results: &Results) -> Vec<String> {
    let suite = &results.suite;
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for dataset in &suite.datasets {
        for method in &suite.methods {
            for (cause, seeds, ratios) in gaps(results, &dataset.name, &method.name) {
                let mut place = format!("{} on {}", method.title, dataset.title);
                if seeds.len() < suite.seeds.len() {
                    place += if seeds.len() == 1 { ", seed " } else { ", seeds " };
                    place += &list(&seeds);
                }
                if ratios.len() < suite.ratios.len() {
                    place += &format!(", r = {}", list(&ratios));
                }
                match told.iter_mut().find(|(known, _)| *known == cause) {
                    Some((_, places)) => places.push(place),
                    None => told.push((cause, vec![place])),
                }
            }
        }
    }
    told.into_iter().map(|(cause, places)| format!("Left out: {}: {cause}", places.join("; "))).collect()
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What is missing from a method's line: the cause, its seeds and its ratios.
fn gaps(results: &Results, dataset: &str, method: &str) -> Vec<(String, Vec<u64>, Vec<f64>)> {
    let mut gaps: Vec<(String, Vec<u64>, Vec<f64>)> = Vec::new();
    let mut add = |cause: String, seed: u64, ratio: f64| {
        let at = gaps.iter().position(|(known, ..)| *known == cause).unwrap_or_else(|| {
            gaps.push((cause, Vec::new(), Vec::new()));
            gaps.len() - 1
        });
        let (_, seeds, ratios) = &mut gaps[at];
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
        if !ratios.contains(&ratio) {
            ratios.push(ratio);
        }
    };
    for &ratio in &results.suite.ratios {
        match super::number(results, dataset, method, ratio) {
            Some(number) => {
                for seed in &number.seeds {
                    if let Some(cause) = cause(&seed.value) {
                        add(cause, seed.seed, ratio);
                    }
                }
            }
            None => results.suite.seeds.iter().for_each(|&seed| add("not run".into(), seed, ratio)),
        }
    }
    gaps
}
