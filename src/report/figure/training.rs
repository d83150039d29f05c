//! The curves of one training, step by step, from its trace: losses, gradient norms, cosines and conflicts,
//! coefficients.

use super::chart::{Axis, Chart, Entry, Mark, Panel, Pen, Point, Row, Sample, ceiling, runs};
use super::{About, Figure, drawing};
use crate::report::trace::Columns;

/// The most points of a curve. If there are more steps, a point is the mean of consecutive ones.
const POINTS: usize = 200;
/// A share of steps needs more steps per point.
const POINTS_OF_A_SHARE: usize = 40;

/// One panel: its title, the title of its y-axis, whether that runs from -1 to 1, and the columns of the trace that it
/// can show, each with its name in the legend.
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

/// Draws the curves of a training; `made` is how it was recorded.
///
/// # Errors
/// If a format cannot be written.
pub fn draw(about: &About, made: &str, columns: &Columns) -> anyhow::Result<Figure> {
    drawing::draw(about, &chart(about.title, made, columns))
}

fn chart(title: &str, made: &str, columns: &Columns) -> Chart {
    let steps = columns.values().map(Vec::len).max().unwrap_or(0);
    let [width, of_share] = [POINTS, POINTS_OF_A_SHARE].map(|points| steps.div_ceil(points).max(1));
    let reading = format!("A point is the mean over {width} steps; of conflicts, over {of_share}.");
    Chart {
        caption: title.to_owned(),
        reading: if of_share > 1 { reading } else { String::new() },
        made: Vec::new(),
        rows: THEMES.iter().filter_map(|theme| row(theme, columns, steps)).collect(),
        notes: vec![made.to_owned()],
    }
}

/// None if the trace has no column of the theme.
fn row(theme: &Theme, columns: &Columns, steps: usize) -> Option<Row> {
    let (mut legend, mut marks) = (Vec::new(), Vec::new());
    let (mut lowest, mut highest) = (0.0f64, 0.0f64);
    for (at, (column, words)) in theme.columns.iter().enumerate() {
        let Some(values) = columns.get(*column) else { continue };
        let pen = Pen::of(at);
        legend.push(Entry::new(*words, pen, Sample::Line));
        for run in curve(values, if *column == "conflict" { POINTS_OF_A_SHARE } else { POINTS }) {
            lowest = run.iter().map(|(_, value, _)| *value).fold(lowest, f64::min);
            highest = run.iter().map(|(_, value, _)| *value).fold(highest, f64::max);
            marks.push(Mark::Line { pen, points: run, markers: 0 });
        }
    }
    let y = match theme.from_minus_one {
        true => Axis::new((-1.0, 1.0), 4, theme.axis),
        false if lowest < 0.0 => Axis::new((-ceiling(-lowest), ceiling(highest)), 5, theme.axis),
        false => Axis::from_zero(highest, theme.axis),
    };
    let x = Axis::new((0.0, 1.03 * steps.max(1) as f64), 8, "step");
    let panel = Panel { title: theme.title.to_owned(), keys: Vec::new(), span: 2, x, y, marks };
    (!legend.is_empty()).then(|| Row { heading: String::new(), panels: vec![panel], legend })
}

/// The means of consecutive steps, in runs: steps without a number break the line.
pub(super) fn curve(values: &[f32], points: usize) -> Vec<Vec<Point>> {
    let width = values.len().div_ceil(points).max(1);
    let point = |(at, chunk): (usize, &[f32])| {
        let numbers: Vec<f64> = chunk.iter().copied().filter(|x| x.is_finite()).map(f64::from).collect();
        let middle = (at * width) as f64 + (chunk.len() as f64 + 1.0) / 2.0;
        crate::evaluation::statistics::mean(&numbers).map(|mean| (middle, mean, 0.0))
    };
    runs(&values.chunks(width).enumerate().map(point).collect::<Vec<_>>())
}
