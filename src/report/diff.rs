//! What moved between two runs: every number of one beside the same number of the other.
//!
//! The difference of two runs is formed seed by seed where both have the seed, since these start from the same weights and see
//! the same samples; else between the means. Most numbers of two honest runs on different machines differ a little: rounding
//! differs, and training amplifies it. A number *moved* if its difference is significant after Holm's correction over all
//! numbers that differ.

use serde::Serialize;

use super::quantity::Quantity;
use super::results::{Number, Results};
use super::words;
use crate::evaluation::statistics::bootstrap::{Estimate, over_seeds};
use crate::evaluation::statistics::holm::holm;
use crate::evaluation::statistics::paired::{LEAST_SEEDS, ROUNDING, p_value};
use crate::evaluation::statistics::student::two_sided_p;

/// The numbers of two runs, compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Numbers {
    /// How many numbers both runs have.
    pub compared: usize,
    /// How many of them are the same in every seed.
    pub same: usize,
    /// Those that moved beyond noise.
    pub moved: Vec<Moved>,
    /// Those that differ within noise, or with too few seeds for a test.
    pub within_noise: Vec<Moved>,
    /// Those that only one run has.
    pub only_first: Vec<String>,
    pub only_second: Vec<String>,
}

/// A number that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    pub dataset: String,
    pub method: String,
    pub quantity: Quantity,
    pub ratio: Option<f64>,
    pub first: f64,
    pub second: f64,
    /// The second minus the first.
    pub difference: f64,
    /// Whether it is formed seed by seed.
    pub is_paired: bool,
    /// Two-sided; none for too few seeds.
    pub p: Option<f64>,
    pub p_corrected: Option<f64>,
}

/// Compares all numbers of two runs; `alpha` is the level of significance of all of them together.
pub fn numbers(first: &Results, second: &Results, alpha: f64) -> Numbers {
    let mut found = Numbers::default();
    let mut differ: Vec<Moved> = Vec::new();
    for one in &first.numbers {
        match (one.mean, same_place(second, one)) {
            (Some(_), Some(other)) => {
                found.compared += 1;
                match difference(one, other) {
                    None => found.same += 1,
                    Some(moved) => differ.push(moved),
                }
            }
            (Some(_), None) => found.only_first.push(name(one)),
            (None, Some(_)) => found.only_second.push(name(one)),
            (None, None) => {}
        }
    }
    let has_no_place = |one: &&Number| one.mean.is_some() && place(first, one).is_none();
    found.only_second.extend(second.numbers.iter().filter(has_no_place).map(name));
    let tested: Vec<f64> = differ.iter().filter_map(|moved| moved.p).collect();
    let mut corrected = holm(&tested).into_iter();
    for moved in &mut differ {
        moved.p_corrected = moved.p.and_then(|_| corrected.next());
    }
    let is_beyond = |moved: &Moved| moved.p_corrected.is_some_and(|p| p < alpha);
    (found.moved, found.within_noise) = differ.into_iter().partition(is_beyond);
    found
}

fn place<'a>(results: &'a Results, of: &Number) -> Option<&'a Number> {
    results.numbers.iter().find(|number| {
        (&number.dataset, &number.method, number.quantity, number.ratio)
            == (&of.dataset, &of.method, of.quantity, of.ratio)
    })
}

/// The same number of other results, if it has a value.
fn same_place<'a>(results: &'a Results, of: &Number) -> Option<&'a Number> {
    place(results, of).filter(|number| number.mean.is_some())
}

/// None if all seeds have the same value.
fn difference(first: &Number, second: &Number) -> Option<Moved> {
    let (one, other) = (first.values(), second.values());
    let seeds = |values: &[(u64, f64)]| values.iter().map(|(seed, _)| *seed).collect::<Vec<_>>();
    let is_paired = seeds(&one) == seeds(&other);
    let pairs: Vec<f64> = one.iter().zip(&other).map(|((_, a), (_, b))| b - a).collect();
    if is_paired && pairs.iter().all(|difference| difference.abs() <= ROUNDING) {
        return None;
    }
    let p = match is_paired {
        // The same shift in every seed is no noise.
        true => over_seeds(&pairs).and_then(|pairs| match pairs.std {
            Some(std) if std <= ROUNDING && pairs.n >= LEAST_SEEDS => Some(0.0),
            _ => p_value(&pairs),
        }),
        false => of_means(&first.estimate()?, &second.estimate()?),
    };
    let (first_mean, second_mean) = (first.mean?, second.mean?);
    Some(Moved {
        dataset: first.dataset.clone(),
        method: first.method.clone(),
        quantity: first.quantity,
        ratio: first.ratio,
        first: first_mean,
        second: second_mean,
        difference: second_mean - first_mean,
        is_paired,
        p,
        p_corrected: None,
    })
}

/// Welch's test of two means over different seeds (Welch 1947). None for too few seeds or no spread.
fn of_means(first: &Estimate, second: &Estimate) -> Option<f64> {
    let part = |of: &Estimate| Some(of.std.filter(|_| of.n >= LEAST_SEEDS)?.powi(2) / of.n as f64);
    let (one, other) = (part(first)?, part(second)?);
    let error = (one + other).sqrt();
    let df = (one + other).powi(2) / (one.powi(2) / (first.n - 1) as f64 + other.powi(2) / (second.n - 1) as f64);
    (error > ROUNDING).then(|| two_sided_p((second.mean - first.mean) / error, df))
}

fn name(number: &Number) -> String {
    called(&number.dataset, &number.method, number.quantity, number.ratio)
}

fn called(dataset: &str, method: &str, quantity: Quantity, ratio: Option<f64>) -> String {
    let ratio = ratio.filter(|ratio| *ratio != 1.0).map_or_else(String::new, |ratio| format!(" at r = {ratio}"));
    format!("{} of {method} on {dataset}{ratio}", quantity.name())
}

impl Moved {
    /// Which number it is.
    pub fn name(&self) -> String {
        called(&self.dataset, &self.method, self.quantity, self.ratio)
    }
}

impl Numbers {
    /// `3 of 135 numbers moved beyond noise, 20 differ within noise, and 112 are the same.`
    pub fn sentence(&self) -> String {
        let within = self.within_noise.len();
        format!(
            "{} of {} moved beyond noise, {within} {} within noise, and {} {} the same.",
            self.moved.len(),
            words::several(self.compared as u64, "number"),
            if within == 1 { "differs" } else { "differ" },
            self.same,
            if self.same == 1 { "is" } else { "are" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::report::SuiteKind;
    use crate::report::results::Status;
    use crate::report::samples::realistic;

    /// Results whose seeds' values are changed.
    fn changed(results: &Results, mut change: impl FnMut(&Number, f64) -> f64) -> Results {
        let mut results = results.clone();
        for number in &mut results.numbers {
            let of = number.clone();
            for seed in &mut number.seeds {
                if let Status::Value { value } = &mut seed.value {
                    *value = change(&of, *value);
                }
            }
            let values: Vec<f64> = number.seeds.iter().filter_map(|seed| seed.value.number()).collect();
            let estimate = over_seeds(&values);
            (number.mean, number.std) = (estimate.as_ref().map(|e| e.mean), estimate.and_then(|e| e.std));
        }
        results
    }

    #[test]
    fn the_same_results_are_the_same() {
        let results = realistic(SuiteKind::Smoke, 5);
        let found = numbers(&results, &results, 0.05);
        assert_eq!((found.same, found.moved.len(), found.within_noise.len()), (found.compared, 0, 0));
        assert!(found.sentence().starts_with(&format!("0 of {} numbers moved beyond noise", found.compared)));
    }

    /// Noise moves nothing, and one shift among it is found, whether the seeds are the same or others.
    #[test]
    fn a_shift_is_found_among_noise() {
        let results = realistic(SuiteKind::Smoke, 5);
        let mut stream = Stream::new(7, &["diff"]);
        let noisy = changed(&results, |_, value| value + 0.3 * stream.normal());
        let found = numbers(&results, &noisy, 0.05);
        assert_eq!((found.moved.len(), found.same), (0, 0), "{:?}", found.moved);
        let is_it = |number: &Number| number.dataset == "emoji-words" && number.quantity == Quantity::Full;
        let moved =
            changed(&noisy, |number, value| value + if is_it(number) && number.method == "agm" { 40.0 } else { 0.0 });
        let found = numbers(&results, &moved, 0.05);
        assert_eq!(found.moved.len(), 1, "{:?}", found.moved);
        assert_eq!(found.moved[0].name(), "full of agm on emoji-words");
        assert!(found.moved[0].is_paired && (found.moved[0].difference - 40.0).abs() < 1.0);
        let mut others = moved;
        others.numbers.iter_mut().flat_map(|number| &mut number.seeds).for_each(|seed| seed.seed += 100);
        let found = numbers(&results, &others, 0.05);
        assert_eq!(found.moved.len(), 1, "{:?}", found.moved);
        assert!(!found.moved[0].is_paired);
    }

    #[test]
    fn what_only_one_run_has_is_named() {
        let results = realistic(SuiteKind::Smoke, 5);
        let mut less = results.clone();
        less.numbers.retain(|number| number.method != "mslr");
        let found = numbers(&results, &less, 0.05);
        assert!(found.only_second.is_empty() && found.only_first.contains(&"full of mslr on emoji-words".to_owned()));
        assert_eq!(numbers(&less, &results, 0.05).only_second, found.only_first);
    }
}
