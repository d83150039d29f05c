//! A comparison, measured in the results.

use super::Check;
use super::grammar::{Assertion, Measure, Side, SmallestEffect};
use crate::evaluation::statistics::paired::{ROUNDING, effect_size, p_below, p_value};
use crate::report::comparison::{self, Values};
use crate::report::quantity::Quantity;
use crate::report::results::{Number, Results};
use crate::report::summary::Cosine;

/// Why a comparison cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `full of balgrad`, and on which dataset; none if the cause is complete by itself.
    pub of: Option<(String, String)>,
    pub cause: String,
}

impl Missing {
    /// A cause that is complete by itself.
    pub fn plain(cause: String) -> Self {
        Missing { of: None, cause }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.of {
            Some((side, dataset)) => write!(f, "{side} on {dataset}: {}", self.cause),
            None => f.write_str(&self.cause),
        }
    }
}

/// Measures a comparison on a dataset of the suite.
///
/// # Errors
/// Which numbers are missing, and why.
pub fn check(
    results: &Results,
    dataset: &str,
    assertion: &Assertion,
    SmallestEffect { points, cosine }: SmallestEffect,
) -> Result<Check, Missing> {
    if !results.suite.datasets.iter().any(|known| known.name == dataset) {
        return Err(Missing::plain(format!("the suite has no dataset `{dataset}`")));
    }
    let Assertion { greater, smaller, or_equal, .. } = assertion;
    let (one, compared) = values(results, dataset, greater)?;
    let other = smaller.as_ref().map(|side| values(results, dataset, side)).transpose()?.map(|(values, _)| values);
    let difference = match (greater.measure, smaller.as_ref().map(|side| (side, side.measure))) {
        (Measure::Quantity(quantity), None) => {
            results.number(dataset, &greater.method, quantity, None).and_then(Number::estimate)
        }
        (Measure::Quantity(quantity), Some((side, Measure::Quantity(subtracted)))) => {
            let pair = results.comparisons.find(dataset, (&greater.method, quantity), (&side.method, subtracted));
            pair.map(|pair| pair.estimate())
        }
        _ => comparison::estimate(
            &other.as_ref().map_or_else(|| one.clone(), |other| comparison::differences(&one, other)),
        ),
    };
    let difference = difference.ok_or_else(|| Missing::plain(format!("{dataset}: no seed has both sides")))?;
    let mean = |values: &Values| values.iter().map(|(_, value)| value).sum::<f64>() / values.len() as f64;
    let of = compared.map_or_else(String::new, |cosine| format!(" (cosine of {})", cosine.meaning()));
    let smallest_effect = if greater.measure == Measure::MeanCosine { cosine } else { points };
    Ok(Check {
        words: in_words(results, dataset, assertion),
        printed: None,
        says: format!("{}{of}", assertion.on(dataset)),
        dataset: dataset.to_owned(),
        holds: difference.mean > ROUNDING || (*or_equal && difference.mean >= -ROUNDING),
        greater: mean(&one),
        smaller: other.as_ref().map(mean),
        excess: difference.mean,
        interval: difference.interval,
        n: difference.n,
        p: p_value(&difference),
        p_small: p_below(&difference, smallest_effect).filter(|_| !or_equal),
        effect: effect_size(&difference),
        smallest_effect,
        estimate: difference,
    })
}

/// A comparison as a part of a sentence, with the titles of methods and datasets.
pub fn in_words(results: &Results, dataset: &str, Assertion { greater, smaller, or_equal, .. }: &Assertion) -> String {
    let suite = &results.suite;
    let dataset = suite.dataset_title(dataset);
    let (one, title) = (suite.method_title(&greater.method), greater.measure.title());
    let least = if *or_equal { "at least" } else { "above" };
    match smaller {
        None => format!("the {title} of {one} is {least} 0 on {dataset}"),
        Some(side) if side.measure == greater.measure => {
            format!("{one} has a higher {title} than {} on {dataset}", suite.method_title(&side.method))
        }
        Some(side) => format!("the {title} of {one} is {least} its {} on {dataset}", side.measure.title()),
    }
}

/// A side's value per seed, and which cosine it is where it is one.
fn values(results: &Results, dataset: &str, side: &Side) -> Result<(Values, Option<Cosine>), Missing> {
    if !results.suite.dataset(dataset).is_some_and(|known| known.methods.contains(&side.method)) {
        return Err(Missing::plain(format!("the suite does not train {} on {dataset}", side.method)));
    }
    let (found, column): (Values, _) = match side.measure {
        Measure::Quantity(quantity) => {
            (results.number(dataset, &side.method, quantity, None).map(Number::values).unwrap_or_default(), None)
        }
        Measure::MeanCosine => {
            let of = |seed: &u64| results.cell(dataset, &side.method, *seed)?.trace.as_ref()?.cosine.as_ref();
            let column = results.suite.seeds.iter().find_map(of).map(|cosine| cosine.column);
            // Only of trainings whose cosine compares the same gradients as the first one's.
            let value = |seed: &u64| of(seed).filter(|cosine| Some(cosine.column) == column)?.mean;
            (results.suite.seeds.iter().filter_map(|seed| Some((*seed, value(seed)?))).collect(), column)
        }
    };
    if found.is_empty() {
        return Err(Missing { of: Some((side.to_string(), dataset.to_owned())), cause: why(results, dataset, side) });
    }
    Ok((found, column))
}

/// Why a side has no value at all.
fn why(results: &Results, dataset: &str, side: &Side) -> String {
    let quantity = match side.measure {
        Measure::Quantity(Quantity::Conflict) | Measure::MeanCosine => Quantity::Full,
        Measure::Quantity(quantity) => quantity,
    };
    let number = results.number(dataset, &side.method, quantity, None);
    let causes = number.into_iter().flat_map(|number| number.seeds.iter().filter_map(|seed| seed.value.cause()));
    causes.into_iter().next().unwrap_or_else(|| "its trainings have no such value".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{ablation, difficult, realistic};

    fn side(method: &str, measure: Measure) -> Side {
        Side { method: method.into(), measure }
    }

    fn compare(results: &Results, dataset: &str, greater: Side, smaller: Option<Side>) -> Result<Check, Missing> {
        let assertion = Assertion { dataset: String::new(), greater, smaller, or_equal: false };
        check(results, dataset, &assertion, SmallestEffect { points: 0.5, cosine: 0.01 })
    }

    /// A difference of quantities is the results' own comparison.
    #[test]
    fn quantities_are_compared_as_in_the_results() {
        let results = realistic(SuiteKind::Smoke, 5);
        let full = Measure::Quantity(Quantity::Full);
        let found = compare(&results, "emoji-match", side("balgrad", full), Some(side("agm", full))).unwrap();
        let pair =
            results.comparisons.find("emoji-match", ("balgrad", Quantity::Full), ("agm", Quantity::Full)).unwrap();
        assert_eq!(found.estimate, pair.estimate());
        assert!((found.greater - found.smaller.unwrap() - pair.difference).abs() < 1e-9);
    }

    /// ΔGap in the samples is linear in the ratio, which is ½ and 1: it grows by half of ΔGap at 1, with that as its slope.
    #[test]
    fn growth_is_measured_between_the_ratios() {
        let results = difficult(SuiteKind::Smoke);
        let gap = results.number("food_101 & more", "balgrad", Quantity::MissingGap, None).unwrap().mean.unwrap();
        for (quantity, expected) in [(Quantity::MissingGapGrowth, gap / 2.0), (Quantity::MissingGapTrend, gap)] {
            let growth = side("balgrad", Measure::Quantity(quantity));
            let found = compare(&results, "food_101 & more", growth, None).unwrap();
            assert!((found.excess - expected).abs() < 1e-9, "{} {expected}", found.excess);
            assert_eq!((found.smaller, found.n), (None, 2));
            let number = results.number("food_101 & more", "balgrad", quantity, None).unwrap();
            assert_eq!((Some(found.excess), found.interval), (number.mean, number.interval));
        }
    }

    #[test]
    fn cosines_come_from_traces() {
        let results = ablation(SuiteKind::Smoke);
        let sides = (side("balgrad", Measure::MeanCosine), side("balgrad-reweighting", Measure::MeanCosine));
        let found = compare(&results, "emoji-words", sides.0, Some(sides.1)).unwrap();
        // 0.02 + 0.07·3 against 0.02 + 0.07·1; one seed failed.
        assert!((found.excess - 0.14).abs() < 1e-9);
        assert_eq!(found.n, 4);
        assert!(found.says.ends_with(&format!("(cosine of {})", Cosine::Update.meaning())), "{}", found.says);
    }

    #[test]
    fn what_is_missing_is_missing() {
        let results = difficult(SuiteKind::Smoke);
        let full = Measure::Quantity(Quantity::Full);
        let missing = |dataset: &str, method: &str, measure| {
            compare(&results, dataset, side(method, measure), Some(side("baseline", full))).unwrap_err().to_string()
        };
        assert_eq!(missing("food101", "balgrad", full), "the suite has no dataset `food101`");
        assert_eq!(missing("words", "agm", full), "the suite does not train agm on words");
        assert_eq!(
            missing("words", "broken", full),
            "full of broken on words: not run: `fetch words.zip` failed: no network"
        );
        assert_eq!(
            missing("words", "baseline", Measure::MeanCosine),
            "mean cosine of baseline on words: its trainings have no such value"
        );
    }
}
