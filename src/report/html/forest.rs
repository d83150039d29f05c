//! The forest plot at the head of the page: a row per claim and dataset, with the difference that is weakest for the claim.

use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use crate::report::claims::grammar::SmallestEffect;
use crate::report::claims::{Check, Judgement, Judgements};
use crate::report::results::Results;
use crate::report::words;

/// Heights of a claim's heading, of a row, and of the axis below all, in pixels.
const HEADING: f64 = 21.0;
const ROW: f64 = 15.0;
const AXIS: f64 = 34.0;

/// Where the axis begins and ends, in percent of the plot's width; labels stand before it.
const AXIS_ENDS: [f64; 2] = [34.0, 99.0];

/// Marks of the axis, in smallest meaningful differences.
const TICKS: [f64; 7] = [-100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0];

/// A row: places in percent of the width, the height in pixels.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    y: f64,
    dataset: String,
    at: f64,
    low: Option<f64>,
    high: Option<f64>,
    paper: Option<f64>,
    holds: bool,
    /// The comparison with its numbers.
    title: String,
}

/// The plot; none if nothing was compared. Differences are shown in smallest meaningful ones, which makes scores and cosines
/// comparable, on an axis that is linear around 0 and logarithmic beyond (asinh).
pub fn of(results: &Results, judged: &Judgements) -> Option<Value> {
    let shown: Vec<(&Judgement, Vec<&Check>)> =
        judged.claims.iter().map(|claim| (claim, weakest(claim))).filter(|(_, checks)| !checks.is_empty()).collect();
    let scale = Scale::of(shown.iter().flat_map(|(_, checks)| checks.iter().copied()))?;
    let mut y = 0.0;
    let mut claims = Vec::new();
    for (claim, checks) in shown {
        y += HEADING;
        let heading = y - 6.0;
        let mut rows = Vec::new();
        for check in checks {
            rows.push(row(results, check, &scale, y + ROW / 2.0));
            y += ROW;
        }
        claims.push(context! {
            id => claim.id.clone(),
            name => words::capitalized(&claim.id.replace('-', " ")),
            verdict => claim.verdict_name(),
            y => heading,
            rows => Value::from(Serde(rows)),
        });
    }
    let SmallestEffect { points, cosine } = judged.smallest_effect;
    let tick = |times: &f64| {
        let label = format!("{}", times * points).replace('-', "−");
        context! { at => scale.place(*times), label }
    };
    let [low, high] = [-1.0, 1.0].map(|times| scale.place(times));
    Some(context! {
        height => y + AXIS,
        bottom => y,
        claims,
        ticks => TICKS.iter().filter(|times| times.abs() <= scale.most).map(tick).collect::<Vec<_>>(),
        band => vec![low, round(high - low)],
        zero => scale.place(0.0),
        ends => AXIS_ENDS,
        points,
        cosine,
        times => (points / cosine).to_string(),
        paper => judged.claims.iter().flat_map(|claim| &claim.comparisons).any(|check| check.printed.is_some()),
    })
}

/// On each dataset the comparison whose difference speaks least for the claim.
fn weakest(claim: &Judgement) -> Vec<&Check> {
    let mut weakest: Vec<&Check> = Vec::new();
    for check in &claim.comparisons {
        match weakest.iter_mut().find(|known| known.dataset == check.dataset) {
            Some(known) if check.excess < known.excess => *known = check,
            Some(_) => {}
            None => weakest.push(check),
        }
    }
    weakest
}

/// The axis.
struct Scale {
    /// Where it ends, in smallest meaningful differences.
    most: f64,
}

impl Scale {
    fn of<'a>(checks: impl Iterator<Item = &'a Check>) -> Option<Scale> {
        let farthest = |check: &Check| {
            let ends = check.interval.map(|interval| [interval.low, interval.high]);
            let values = ends.into_iter().flatten().chain(check.printed).chain([check.excess]);
            values
                .map(|value| (value / check.smallest_effect).abs())
                .filter(|value| value.is_finite())
                .fold(0.0, f64::max)
        };
        // Room for the band, and no more than a mark beyond the last.
        checks.map(farthest).reduce(f64::max).map(|most| Scale { most: most.clamp(3.0, 200.0) })
    }

    /// The place of a difference in percent of the plot's width.
    fn place(&self, times: f64) -> f64 {
        let [begin, end] = AXIS_ENDS;
        let share = times.clamp(-self.most, self.most).asinh() / self.most.asinh();
        round(begin + (end - begin) * (1.0 + share) / 2.0)
    }
}

fn round(place: f64) -> f64 {
    (100.0 * place).round() / 100.0
}

fn row(results: &Results, check: &Check, scale: &Scale, y: f64) -> Row {
    let place = |value: f64| scale.place(value / check.smallest_effect);
    let mut title = format!("{}: {}", words::capitalized(&check.words), words::signed(check.excess));
    if let Some(interval) = check.interval {
        title += &format!(" (95 %: {} to {})", words::signed(interval.low), words::signed(interval.high));
    }
    if let Some(printed) = check.printed {
        title += &format!("; the paper: {}", words::signed(printed));
    }
    Row {
        y,
        dataset: results.suite.dataset_title(&check.dataset),
        at: place(check.excess),
        low: check.interval.map(|interval| place(interval.low)),
        high: check.interval.map(|interval| place(interval.high)),
        paper: check.printed.map(place),
        holds: check.holds,
        title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places rise with the difference; 0 is in the middle, the ends are those of the axis, and what lies beyond ends there.
    #[test]
    fn places_are_on_the_axis() {
        let scale = Scale { most: 100.0 };
        let places = [-1e9, -100.0, -1.0, 0.0, 1.0, 100.0, 1e9].map(|times| scale.place(times));
        assert!(places.is_sorted(), "{places:?}");
        let [begin, end] = AXIS_ENDS;
        assert_eq!([places[0], places[1], places[5], places[6]], [begin, begin, end, end]);
        assert_eq!(places[3], (begin + end) / 2.0);
        assert!((places[4] + places[2] - begin - end).abs() < 0.02, "{places:?}");
    }
}
