//! Durations, counts and differences as people read them.

use crate::evaluation::statistics::bootstrap::{How, Interval};
use crate::evaluation::statistics::paired::LEAST_SEEDS;
use crate::report::comparison::Comparison;
use crate::report::results::Number;
use crate::report::table::cell;

/// A duration in seconds.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.05 => "under 0.1 s".to_owned(),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => format!("{} min {} s", s.round() as u64 / 60, s.round() as u64 % 60),
        s => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
    }
}

/// A count, with commas between thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 seed`, `2 seeds`, `1,000 seeds`.
pub fn several(n: u64, one: &str) -> String {
    format!("{} {one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// With a capital letter in front.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `table1` as `Table 1`.
pub fn titled(name: &str) -> String {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    let (word, number) = name.split_at(digits);
    format!("{} {number}", capitalized(word)).trim().to_owned()
}

/// With a capital letter in front and a full stop behind.
pub fn sentence(text: &str) -> String {
    match text.trim_end_matches('.') {
        "" => String::new(),
        text => format!("{}.", capitalized(text)),
    }
}

/// How a number was formed from `n` of its seeds.
pub fn estimator(n: usize, seeds: usize) -> String {
    match (n, seeds) {
        (0, _) => "no seed has a value".to_owned(),
        (1, 1) => "one seed, no spread".to_owned(),
        (1, seeds) => format!("1 of {seeds} seeds"),
        (n, seeds) if n == seeds => format!("mean ± sample standard deviation over {n} seeds"),
        (n, seeds) => format!("mean ± sample standard deviation over {n} of {seeds} seeds"),
    }
}

/// A difference with its sign.
pub fn signed(difference: f64) -> String {
    match cell::shown(difference) {
        text if difference > 0.0 && text != "0.00" => format!("+{text}"),
        text => text.replace('-', "−"),
    }
}

/// `95 % interval 57.02 to 60.06 (…)`
pub fn interval(interval: &Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(cell::shown);
    let how = match interval.how {
        How::Bootstrap => "over seeds and test samples",
        How::TOverSeeds => "Student's t over seeds alone",
    };
    format!("95 % interval {low} to {high} ({how})")
}

/// `58.54 ± 1.12, 5 seeds; 95 % interval 57.02 to 60.06 (…)`; none if no seed has a value.
pub fn number(number: &Number) -> Option<String> {
    let mut text = cell::shown(number.mean?);
    if let Some(std) = number.std {
        text += &format!(" ± {}", cell::shown(std));
    }
    text += &match (number.n, number.seeds.len()) {
        (n, all) if n == all => format!(", {}", several(n as u64, "seed")),
        (n, all) => format!(", {n} of {}", several(all as u64, "seed")),
    };
    if let Some(of) = &number.interval {
        text += &format!("; {}", interval(of));
    }
    Some(text)
}

/// `+1.10 (−0.30 to 2.50), p = 0.12, corrected 0.48`
pub fn comparison(pair: &Comparison) -> String {
    let probability = |p: f64| if p < 0.001 { "< 0.001".to_owned() } else { format!("= {p:.3}") };
    let mut text = signed(pair.difference);
    if let Some(interval) = pair.interval {
        text += &format!(" ({} to {})", signed(interval.low), signed(interval.high));
    }
    match (pair.p, pair.p_corrected) {
        (Some(p), Some(corrected)) => {
            text += &format!(", p {}, after correction {}", probability(p), probability(corrected));
        }
        (Some(p), None) => text += &format!(", p {}", probability(p)),
        (None, _) if pair.n < LEAST_SEEDS => text += ", too few seeds for a test",
        (None, _) => text += ", no test without variation",
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign() {
        assert_eq!([1.0, -0.5, 0.001, -0.001, 0.0].map(signed), ["+1.00", "−0.50", "0.00", "0.00", "0.00"]);
        let interval = Interval { low: 1.0, high: 2.5, how: How::Bootstrap };
        assert_eq!(super::interval(&interval), "95 % interval 1.00 to 2.50 (over seeds and test samples)");
        let mut pair = Comparison {
            n: 3,
            difference: 1.0,
            interval: Some(Interval { low: -1.0, ..interval }),
            p: Some(0.0001),
            p_corrected: Some(0.25),
            ..Comparison::default()
        };
        assert_eq!(comparison(&pair), "+1.00 (−1.00 to +2.50), p < 0.001, after correction = 0.250");
        (pair.p, pair.n) = (None, 2);
        assert_eq!(comparison(&pair), "+1.00 (−1.00 to +2.50), too few seeds for a test");
        pair.n = 3;
        assert_eq!(comparison(&pair), "+1.00 (−1.00 to +2.50), no test without variation");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [0.0, 0.3, 59.94, 59.96, 61.0, 3599.6, 7384.0].map(duration);
        assert_eq!(shown, ["under 0.1 s", "0.3 s", "59.9 s", "1 min 0 s", "1 min 1 s", "1 h 0 min", "2 h 3 min"]);
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!([0, 999, 1_000, 22_716, 1_234_567].map(count), ["0", "999", "1,000", "22,716", "1,234,567"]);
        assert_eq!([several(1, "seed"), several(5, "seed")], ["1 seed", "5 seeds"]);
    }

    #[test]
    fn sentences_have_a_capital_and_a_full_stop() {
        assert_eq!(["all hold", "École.", ""].map(sentence), ["All hold.", "École.", ""]);
    }
}
