//! The curves of one training, from its trace: losses, gradient norms, cosines and conflicts, coefficients, step by step.

use super::Figure;
use super::axis::{Axis, ceiling};
use super::frame::Frame;
use super::legend::{Entry, Sample};
use super::page::{self, Page, Panel, Row};
use super::pen::{Area, Drawn, Pen, px};
use crate::report::SuiteKind;
use crate::report::trace::Columns;

const WIDTH: i32 = px(760);
/// The most points of a curve: where there are more steps, a point is the mean of those that follow one another.
const POINTS: usize = 200;
/// A share of steps needs more of them.
const POINTS_OF_A_SHARE: usize = 40;

/// What is drawn in one panel: a title, the label of its axis, whether it runs from -1 to 1, and the columns that may be
/// in a trace, each with the words of the legend.
struct Theme {
    title: &'static str,
    axis: &'static str,
    from_minus_one: bool,
    columns: &'static [(&'static str, &'static str)],
}

const THEMES: [Theme; 4] = [
    Theme {
        title: "Losses",
        axis: "loss",
        from_minus_one: false,
        columns: &[
            ("loss_T", "L_T, fused"),
            ("loss_v", "L_v, image"),
            ("loss_l", "L_l, text"),
            ("loss_kl_v", "K_v"),
            ("loss_kl_l", "K_l"),
        ],
    },
    Theme {
        title: "Norms of the combined gradient",
        axis: "norm",
        from_minus_one: false,
        columns: &[
            ("norm_update_f_T", "f_T"),
            ("norm_update_h_v", "h_v, image"),
            ("norm_update_h_l", "h_l, text"),
            ("norm_update_f_v", "f_v"),
            ("norm_update_f_l", "f_l"),
        ],
    },
    Theme {
        title: "Cosines and conflicts",
        axis: "cosine; share of steps",
        from_minus_one: true,
        columns: &[
            ("cos_update_v_l", "cos of the updates of h_v and h_l"),
            ("cos_embedding_v_l", "cos of ∂L_T/∂z_v and ∂L_T/∂z_l"),
            ("cos_T_kl", "cos of g_T and g_kl"),
            ("conflict", "steps with a conflict"),
        ],
    },
    Theme {
        title: "Coefficients",
        axis: "coefficient",
        from_minus_one: false,
        columns: &[("coefficient_v", "image"), ("coefficient_l", "text")],
    },
];

/// Draws the curves of a training.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(title: &str, kind: SuiteKind, subtitle: String, columns: &Columns) -> anyhow::Result<Figure> {
    page::draw(title, kind, &page(subtitle, columns))
}

fn page(subtitle: String, columns: &Columns) -> Page<'static> {
    let steps = columns.values().map(Vec::len).max().unwrap_or(0);
    let rows = THEMES.iter().filter_map(|theme| row(theme, columns, steps)).collect();
    let [width, of_share] = [POINTS, POINTS_OF_A_SHARE].map(|points| steps.div_ceil(points).max(1));
    let note = format!("A point is the mean over {width} steps; of conflicts, over {of_share}.");
    let notes = if of_share > 1 { vec![note] } else { Vec::new() };
    Page { subtitle, rows, notes }
}

/// The pen, the words of the legend, and the runs of points of a column.
type Line = (Pen, &'static str, Vec<Vec<(f64, f64)>>);

/// None if the trace has no column of the theme.
fn row(theme: &'static Theme, columns: &Columns, steps: usize) -> Option<Row<'static>> {
    let known = theme.columns.iter().enumerate();
    let found: Vec<Line> = known
        .filter_map(|(at, (column, words))| {
            let points = if *column == "conflict" { POINTS_OF_A_SHARE } else { POINTS };
            Some((Pen::of(at), *words, curve(columns.get(*column)?, points)))
        })
        .collect();
    if found.is_empty() {
        return None;
    }
    let entry = |(pen, words, _): &Line| Entry { title: (*words).to_owned(), pen: *pen, sample: Sample::Line };
    let legend = found.iter().map(entry).collect();
    let values = || found.iter().flat_map(|(_, _, runs)| runs.iter().flatten()).map(|(_, value)| *value);
    let (lowest, highest) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let y = match theme.from_minus_one {
        true => Axis::new((-1.0, 1.0), 4, theme.axis),
        // Round numbers of little less than 0 come from rounding alone.
        false if lowest < 0.0 => Axis::new((-ceiling(-lowest), ceiling(highest)), 5, theme.axis),
        false => Axis::from_zero(highest, theme.axis),
    };
    let draw = move |area: &Area<'_>, frame: &Frame| -> Drawn {
        for (pen, _, runs) in &found {
            for run in runs {
                let points: Vec<(i32, i32)> = run.iter().map(|&(step, value)| frame.place(step, value)).collect();
                match points[..] {
                    [alone] => pen.marker(area, alone)?,
                    _ => pen.line(area, &points)?,
                }
            }
        }
        Ok(())
    };
    let x = Axis::new((0.0, 1.03 * steps.max(1) as f64), 8, "step");
    let panel = Panel { title: theme.title.to_owned(), width: WIDTH, x, y, draw: Box::new(draw) };
    Some(Row { heading: String::new(), panels: vec![panel], legend })
}

/// The means of steps that follow one another, in runs that are broken where none of them has a number.
fn curve(values: &[f32], points: usize) -> Vec<Vec<(f64, f64)>> {
    let width = values.len().div_ceil(points).max(1);
    let point = |(at, chunk): (usize, &[f32])| {
        let numbers: Vec<f64> = chunk.iter().copied().filter(|x| x.is_finite()).map(f64::from).collect();
        let middle = (at * width) as f64 + (chunk.len() as f64 + 1.0) / 2.0;
        crate::evaluation::statistics::mean(&numbers).map(|mean| (middle, mean))
    };
    let points: Vec<Option<(f64, f64)>> = values.chunks(width).enumerate().map(point).collect();
    let runs = points.split(Option::is_none).filter(|run| !run.is_empty());
    runs.map(|run| run.iter().copied().flatten().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_means_of_neighbours_and_break_where_there_is_nothing() {
        assert_eq!(curve(&[1.0, f32::NAN, 3.0], POINTS), [vec![(1.0, 1.0)], vec![(3.0, 3.0)]]);
        let many: Vec<f32> = (0..400).map(|step| step as f32).collect();
        let curve = curve(&many, POINTS);
        assert_eq!((curve.len(), curve[0].len()), (1, 200));
        assert_eq!((curve[0][0], curve[0][199]), ((1.5, 0.5), (399.5, 398.5)));
    }

    /// Whatever columns there are, a figure comes of them, each time the same.
    #[test]
    fn strange_traces_are_drawn() {
        let nothing = Columns::new();
        let one: Columns = [("loss_T".to_owned(), vec![1.0])].into();
        let undefined: Columns =
            [("cos_T_kl".to_owned(), vec![f32::NAN; 3]), ("coefficient_v".to_owned(), vec![-2.0, 1e30, 0.0])].into();
        for columns in [nothing, one, undefined] {
            let draw = || draw("A training", SuiteKind::Smoke, "words".into(), &columns).unwrap();
            assert!(draw() == draw());
        }
    }
}
