//! Axes: where they begin and end, and where they are labelled.

/// An axis of a panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its ends, finite and different, the lower one first.
    pub ends: (f64, f64),
    /// Place and label; a label may have several lines.
    pub ticks: Vec<(f64, String)>,
    /// What it measures; may be empty.
    pub title: String,
}

impl Axis {
    /// An axis with about so many labels at round numbers.
    pub fn new(ends: (f64, f64), labels: usize, title: &str) -> Axis {
        let step = step((ends.1 - ends.0) / labels.max(1) as f64);
        Axis { ends, ticks: ticks(ends, step), title: title.to_owned() }
    }

    /// From 0 to a round number a little above the highest value.
    pub fn from_zero(highest: f64, title: &str) -> Axis {
        Axis::new((0.0, ceiling(highest)), 5, title)
    }

    /// Epochs 1 to `last`, labelled at whole numbers.
    pub fn epochs(last: usize) -> Axis {
        let last = last.max(1) as f64;
        let margin = if last > 1.0 { 0.03 * (last - 1.0) } else { 0.5 };
        let ticks = ticks((1.0, last), step((last - 1.0) / 6.0).max(1.0));
        Axis { ends: (1.0 - margin, last + margin), ticks, title: "epoch".into() }
    }

    /// Places of things side by side, a label each.
    pub fn of_names(names: impl Iterator<Item = String>) -> Axis {
        let ticks: Vec<(f64, String)> = names.enumerate().map(|(at, name)| (at as f64, name)).collect();
        Axis { ends: (-0.5, ticks.len().max(1) as f64 - 0.5), ticks, title: String::new() }
    }
}

/// Multiples of a step between two ends, with as many decimals as the step has.
fn ticks((low, high): (f64, f64), step: f64) -> Vec<(f64, String)> {
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    // An end that is a multiple but for rounding counts as one.
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let count = (last - first).clamp(0.0, 50.0) as usize;
    (0..=count)
        .map(|at| (first + at as f64) * step)
        .map(|at| if at.abs() < step / 2.0 { 0.0 } else { at })
        .map(|at| (at, minus(at, decimals)))
        .collect()
}

/// A number with a true minus sign; what rounds to 0 has none.
pub fn minus(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let is_zero = text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
    if is_zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// The smallest of 1, 2, 5, 10, … times a power of ten that is not below a width.
fn step(width: f64) -> f64 {
    if !(width.is_finite() && width > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(width.log10().floor());
    let of = |factor: f64| factor * power;
    [1.0, 2.0, 5.0].map(of).into_iter().find(|&step| step >= width * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// The end of an axis: a round number a little above the highest value.
pub fn ceiling(highest: f64) -> f64 {
    if !(highest.is_finite() && highest > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf((highest * 1.05).log10().floor());
    let rounded = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|factor| factor * power);
    let end = rounded.into_iter().find(|&top| top >= highest * 1.05).unwrap_or(10.0 * power);
    // The very smallest and largest of numbers have no round one above them.
    if end.is_finite() && end > 0.0 { end } else { highest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 0.7, 9.6, 12.0, 48.0, 99.0].map(ceiling), [1.0, 0.8, 15.0, 15.0, 60.0, 150.0]);
    }

    #[test]
    fn labels_are_round_and_within_the_ends() {
        assert_eq!(labels(&Axis::new((0.0, 60.0), 5, "")), ["0", "20", "40", "60"]);
        assert_eq!(labels(&Axis::new((-0.03, 1.03), 6, "")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::new((-1.0, 1.0), 4, "")), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::from_zero(0.0, "")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(
            [-0.0004, 0.0004, -0.0005001, -12.5].map(|number| minus(number, 3)),
            ["0.000", "0.000", "−0.001", "−12.500"]
        );
        assert_eq!([-0.4, -0.6].map(|number| minus(number, 0)), ["0", "−1"]);
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(labels(&Axis::epochs(20)), ["5", "10", "15", "20"]);
        assert_eq!(labels(&Axis::epochs(6)), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!((labels(&Axis::epochs(1)), Axis::epochs(1).ends), (vec!["1"], (0.5, 1.5)));
        assert_eq!(Axis::epochs(0), Axis::epochs(1));
    }

    /// No number makes an axis that cannot be drawn.
    #[test]
    fn no_number_is_too_strange() {
        for highest in [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e300, 1e-300, -1.0] {
            let axis = Axis::from_zero(highest, "");
            assert!(axis.ends.1.is_finite() && axis.ends.1 > 0.0, "{highest}: {axis:?}");
            assert!(axis.ticks.len() < 60 && axis.ticks.iter().all(|(at, _)| at.is_finite()), "{highest}: {axis:?}");
        }
    }
}
