//! What the page shows of a number on request: its seeds, the steps behind them, and how to reproduce it.

use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::digest::Digest;
use crate::report::comparison::PROPOSED;
use crate::report::quantity::Quantity;
use crate::report::results::{MethodDescription, Number, Results, SeedValue};
use crate::report::table::{TableCell, cell};
use crate::report::words;

/// The details of a cell's number; none if the results hold no such number, or no seed gave one: then the cell's footnotes
/// say all there is to say.
pub fn of(results: &Results, cell: &TableCell) -> Option<Value> {
    let suite = &results.suite;
    let number = results.number(&cell.dataset, &cell.method, cell.quantity, None).filter(|number| number.n > 0)?;
    let dataset = suite.dataset(&cell.dataset)?;
    let method = suite.method(&cell.method)?;
    let mut steps = vec!["train", step(cell.quantity)];
    steps.dedup();
    let seed = |value: &SeedValue| {
        let record = results.cell(&number.dataset, &number.method, value.seed);
        let key = |step: &&str| record.and_then(|record| record.provenance.keys.get(*step)).copied();
        // A footnote of the table has the cause: hundreds of numbers may share it.
        let (number, absent) = (value.value.number(), value.value.in_a_word());
        Seed { seed: value.seed, number, absent, keys: steps.iter().map(key).collect() }
    };
    let first = number.seeds.first().map_or(0, |seed| seed.seed);
    let explain = suite.command("explain --suite");
    let difference = || cell.difference.map_or_else(|| "—".to_owned(), words::signed);
    Some(context! {
        title => format!("{} on {}", method.title, dataset.title),
        quantity => cell.quantity.name(),
        meaning => cell.quantity.meaning(),
        unit => cell.quantity.unit(),
        estimator => words::estimator(number.n, number.seeds.len()),
        interval => number.interval.as_ref().map(words::interval),
        comparisons => comparisons(results, number),
        paper => cell.paper_value.map(|_| vec![cell.paper.clone(), difference()]),
        strip => Value::from(Serde(strip(number, cell.paper_value))),
        seeds => shown_one_by_one(number.seeds.iter().map(seed).collect()),
        steps => steps.clone(),
        commands => vec![suite.command("run"), format!("{explain} train {} {} seed {first}", dataset.name, method.name)],
    })
}

/// A seed of a number, and the keys of the steps behind it.
struct Seed {
    seed: u64,
    number: Option<f64>,
    absent: Option<&'static str>,
    keys: Vec<Option<Digest>>,
}

/// The values of seeds, which are made when the template comes to them: a large suite has tens of thousands.
fn shown_one_by_one(seeds: Vec<Seed>) -> Value {
    let shown = |Seed { seed, number, absent, keys }: &Seed| {
        let keys = keys.iter().map(|key| key.as_ref().map(Digest::short).unwrap_or_default());
        context! { seed, value => number.map(cell::shown), absent, keys => keys.collect::<Vec<_>>() }
    };
    let seeds: Arc<[Seed]> = seeds.into();
    Value::make_iterable(move || {
        let seeds = seeds.clone();
        (0..seeds.len()).map(move |at| shown(&seeds[at]))
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

/// Values on a line: what each is, and where it lies in percent of the line's length. Empty for fewer than two seeds.
fn strip(number: &Number, paper: Option<f64>) -> Vec<(&'static str, f64)> {
    let seeds = number.seeds.iter().filter_map(|seed| Some(("seed", seed.value.number()?)));
    let mean = number.mean.filter(|_| number.n > 1).map(|mean| ("mean", mean));
    let values: Vec<(&str, f64)> = seeds.chain(mean).chain(paper.map(|value| ("paper", value))).collect();
    let low = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let place = |value: f64| if high > low { (1000.0 * (value - low) / (high - low)).round() / 10.0 } else { 50.0 };
    if mean.is_none() { Vec::new() } else { values.into_iter().map(|(kind, value)| (kind, place(value))).collect() }
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

    /// A number has each seed's value or how it ended, the paper's number, and the commands that explain it.
    #[test]
    fn a_number_has_its_seeds() {
        let results = difficult(SuiteKind::Smoke);
        let table = table1(&results);
        let cell = |method: &str, quantity| {
            let mut cells = table.rows.iter().flat_map(|row| &row.cells);
            cells.find(|c| c.dataset == "words" && c.method == method && c.quantity == quantity).unwrap().clone()
        };
        let partial = TableCell {
            paper: "19.00".into(),
            paper_value: Some(19.0),
            difference: Some(1.0),
            ..cell("balgrad", Quantity::MissingText)
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&of(&results, &partial)).unwrap());
        assert!(of(&results, &cell("broken", Quantity::Full)).is_none(), "no seed gave a number");
        assert!(of(&results, &TableCell { method: "agm".into(), ..cell("broken", Quantity::Full) }).is_none());
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
