//! What the page shows of a number on request: its seeds, the steps behind them, and how to reproduce it.

use serde::Serialize;

use crate::report::comparison::PROPOSED;
use crate::report::quantity::Quantity;
use crate::report::results::{CellRecord, MethodDescription, Number, Results, SeedValue, Status};
use crate::report::table::{TableCell, cell};
use crate::report::words;

/// Everything about one number.
#[derive(Debug, PartialEq, Serialize)]
pub struct Details {
    /// `BalGrad on Emoji words`
    pub title: String,
    /// `missing-image`
    pub quantity: &'static str,
    pub meaning: &'static str,
    pub unit: &'static str,
    /// `mean ± sample standard deviation over 5 seeds`
    pub estimator: String,
    pub interval: Option<String>,
    /// With the proposed method, or of the proposed method with each other one.
    pub comparisons: Vec<String>,
    /// What the paper prints, and ours minus it.
    pub paper: Option<[String; 2]>,
    /// Values on a line: what each is, and where it lies in percent of the line's length. Empty for fewer than two seeds.
    pub strip: Vec<(&'static str, f64)>,
    /// The steps whose keys the seeds have.
    pub steps: Vec<&'static str>,
    pub seeds: Vec<Seed>,
    /// The commands that compute and explain it.
    pub commands: [String; 2],
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Seed {
    pub seed: u64,
    pub value: Option<String>,
    /// Why there is no value.
    pub cause: Option<String>,
    /// The beginning of the key of each of [`Details::steps`].
    pub keys: Vec<String>,
}

/// The details of a cell's number; none if the results hold no such number.
pub fn of(results: &Results, cell: &TableCell) -> Option<Details> {
    let suite = &results.suite;
    let quantity = Quantity::ALL.into_iter().find(|quantity| quantity.name() == cell.quantity)?;
    let number = results.number(&cell.dataset, &cell.method, quantity, None)?;
    let dataset = suite.datasets.iter().find(|known| known.name == cell.dataset)?;
    let method = suite.methods.iter().find(|known| known.name == cell.method)?;
    let mut steps = vec!["train", step(quantity)];
    steps.dedup();
    let first = number.seeds.first().map_or(0, |seed| seed.seed);
    Some(Details {
        title: format!("{} on {}", method.title, dataset.title),
        quantity: quantity.name(),
        meaning: quantity.meaning(),
        unit: quantity.unit(),
        estimator: words::estimator(number.n, number.seeds.len()),
        interval: number.interval.as_ref().map(words::interval),
        comparisons: comparisons(results, number),
        paper: cell
            .paper_value
            .map(|_| [cell.paper.clone(), cell.difference.map_or_else(|| "—".to_owned(), words::signed)]),
        strip: strip(number, cell.paper_value),
        seeds: number.seeds.iter().map(|seed| of_seed(results, number, seed, &steps)).collect(),
        steps,
        commands: [
            suite.command("run"),
            format!("{} train {} {} seed {first}", suite.command("explain --suite"), dataset.name, method.name),
        ],
    })
}

/// The comparisons of a number with those of other methods, where the proposed method is one of the two.
fn comparisons(results: &Results, number: &Number) -> Vec<String> {
    let minus = |one: &str, other: &str| {
        let side = |method| (method, number.quantity);
        results.comparisons.find(&number.dataset, side(one), side(other)).map(|pair| words::comparison(&pair))
    };
    let with = |method: &MethodDescription| match number.method.as_str() {
        PROPOSED => Some(format!("minus {}: {}", method.title, minus(PROPOSED, &method.name)?)),
        other if method.name == PROPOSED => Some(format!("{} minus this: {}", method.title, minus(PROPOSED, other)?)),
        _ => None,
    };
    results.suite.methods.iter().filter_map(with).collect()
}

fn strip(number: &Number, paper: Option<f64>) -> Vec<(&'static str, f64)> {
    let seeds = number.seeds.iter().filter_map(|seed| match seed.value {
        Status::Value { value } => Some(("seed", value)),
        _ => None,
    });
    let mean = number.mean.filter(|_| number.n > 1).map(|mean| ("mean", mean));
    let values: Vec<(&str, f64)> = seeds.chain(mean).chain(paper.map(|value| ("paper", value))).collect();
    let low = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let place = |value: f64| if high > low { (1000.0 * (value - low) / (high - low)).round() / 10.0 } else { 50.0 };
    if mean.is_none() { Vec::new() } else { values.into_iter().map(|(kind, value)| (kind, place(value))).collect() }
}

fn of_seed(results: &Results, number: &Number, seed: &SeedValue, steps: &[&'static str]) -> Seed {
    let value = match seed.value {
        Status::Value { value } => Some(cell::shown(value)),
        _ => None,
    };
    let record = results.cell(&number.dataset, &number.method, seed.seed);
    let key =
        |step: &&str| record.and_then(|record: &CellRecord| record.provenance.keys.get(*step)).map(|key| short(key));
    let keys = steps.iter().map(|step| key(step).unwrap_or_default()).collect();
    Seed { seed: seed.seed, value, cause: cell::cause(&seed.value), keys }
}

/// As much of a key as commands need.
pub fn short(key: &str) -> String {
    key.chars().take(12).collect()
}

/// The step that gives a quantity.
fn step(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Full => "evaluate full",
        Quantity::Conflict => "train",
        quantity if quantity.is_missing() => "evaluate missing",
        _ => "evaluate noisy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::difficult;
    use crate::report::table::table1;

    /// A number has each seed's value or the cause of its absence, the paper's number, and the commands that explain it.
    #[test]
    fn a_number_has_its_seeds() {
        let results = difficult(SuiteKind::Smoke);
        let table = table1(&results);
        let cell = |method: &str, quantity: &str| {
            let mut cells = table.rows.iter().flat_map(|row| &row.cells);
            cells.find(|c| c.dataset == "words" && c.method == method && c.quantity == quantity).unwrap().clone()
        };
        let partial = TableCell {
            paper: "19.00".into(),
            paper_value: Some(19.0),
            difference: Some(1.0),
            ..cell("balgrad", "missing-text")
        };
        let partial = of(&results, &partial).unwrap();
        assert_eq!((partial.title.as_str(), partial.estimator.as_str()), ("BalGrad on words", "1 of 2 seeds"));
        assert_eq!(partial.paper, Some(["19.00".to_owned(), "+1.00".to_owned()]));
        assert_eq!((&partial.steps[..], &partial.strip[..]), (&["train", "evaluate missing"][..], &[][..]));
        let [first, second] = &partial.seeds[..] else { panic!("{partial:?}") };
        assert_eq!((first.value.as_deref(), &first.keys[..]), (Some("20.00"), &["abc".to_owned(), String::new()][..]));
        assert_eq!(second.value, None);
        assert!(second.cause.as_ref().unwrap().contains("loss_T is NaN"), "{second:?}");
        assert!(partial.commands[1].ends_with("--suite example train words balgrad seed 1"), "{:?}", partial.commands);
        assert!(of(&results, &cell("broken", "full")).unwrap().seeds.iter().all(|seed| seed.value.is_none()));
        assert_eq!(of(&results, &TableCell { method: "agm".into(), ..cell("broken", "full") }), None);
    }

    /// Seeds, their mean and the paper's number lie on a line from the least to the greatest.
    #[test]
    fn a_strip_spans_its_values() {
        let results = difficult(SuiteKind::Smoke);
        let number = results.number("food_101 & more", "baseline", Quantity::Full, None).unwrap();
        let mean = number.mean.unwrap();
        assert_eq!(strip(number, None), [("seed", 0.0), ("seed", 100.0), ("mean", 50.0)]);
        assert_eq!(strip(number, Some(mean + 1.5)).last(), Some(&("paper", 100.0)));
    }
}
