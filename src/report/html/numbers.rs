//! What the page tells of a number when someone asks: its seeds, where they came from, and what makes it again.
//!
//! Everything is computed and rounded here; the page's script only places it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words;
use crate::report::comparison::PROPOSED;
use crate::report::quantity::Quantity;
use crate::report::results::{Number, Results, Status, SuiteDescription};
use crate::report::table::{TableCell, cell};

/// The numbers of a page, and the trainings behind them.
pub struct Numbers<'a> {
    results: &'a Results,
    shown: Vec<&'a Number>,
    paper: BTreeMap<usize, Vec<PaperNumber>>,
}

/// What the paper printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PaperNumber {
    /// `Table 1`
    pub place: String,
    /// As printed.
    pub value: String,
    /// For the drawing.
    pub exact: f64,
    /// Ours minus the paper's, with its sign.
    pub difference: String,
}

/// All that the script needs, as JSON.
#[derive(Debug, PartialEq, Serialize)]
pub struct Data {
    pub numbers: Vec<Told>,
    pub trainings: Vec<Training>,
}

/// One number.
#[derive(Debug, PartialEq, Serialize)]
pub struct Told {
    /// `BalGrad on Emoji words`
    pub title: String,
    /// `missing-image`, and what that is.
    pub quantity: &'static str,
    pub meaning: &'static str,
    pub unit: &'static str,
    pub mean: String,
    pub std: String,
    pub interval: Option<String>,
    /// Against the proposed method, or the proposed method against each other one.
    pub comparisons: Vec<String>,
    /// What the paper prints; not the same in each of its tables.
    pub paper: Vec<PaperNumber>,
    /// What the mark says of its seeds: `mean ± sample standard deviation over 5 seeds`.
    pub estimator: String,
    pub negative_transfer: bool,
    pub seeds: Vec<Seed>,
    /// The commands that make it again.
    pub commands: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Seed {
    pub seed: u64,
    /// Rounded, for a table.
    pub value: Option<String>,
    /// For the drawing.
    pub exact: Option<f64>,
    /// Why there is no value.
    pub cause: Option<String>,
    /// The place of its training among the page's.
    pub training: Option<usize>,
    /// The step that gave it, as the results name its key: `evaluate missing`.
    pub step: &'static str,
}

/// The steps behind a cell, and the content of what they read.
#[derive(Debug, PartialEq, Serialize)]
pub struct Training {
    pub label: String,
    pub keys: BTreeMap<String, String>,
    pub inputs: BTreeMap<String, String>,
}

impl<'a> Numbers<'a> {
    pub fn new(results: &'a Results) -> Self {
        Numbers { results, shown: Vec::new(), paper: BTreeMap::new() }
    }

    /// The place of a cell's number on the page. What the paper prints for it, the cell knows; `table` is where.
    pub fn place(&mut self, cell: &TableCell, table: &str) -> Option<usize> {
        let quantity = Quantity::ALL.into_iter().find(|quantity| quantity.name() == cell.quantity)?;
        let number = self.results.number(&cell.dataset, &cell.method, quantity, None)?;
        let at = match self.shown.iter().position(|known| std::ptr::eq(*known, number)) {
            Some(at) => at,
            None => {
                self.shown.push(number);
                self.shown.len() - 1
            }
        };
        if let Some(exact) = cell.paper_value {
            let difference = cell.difference.map_or_else(|| "—".to_owned(), words::signed);
            let paper = PaperNumber { place: table.to_owned(), value: cell.paper.clone(), exact, difference };
            let known = self.paper.entry(at).or_default();
            if known.iter().all(|known| known.value != paper.value) {
                known.push(paper);
            }
        }
        Some(at)
    }

    /// Everything that is told of the numbers that were placed.
    pub fn data(&self) -> Data {
        let suite = &self.results.suite;
        let training = |cell: &crate::report::results::CellRecord| Training {
            label: format!("{} {} seed {}", cell.dataset, cell.method, cell.seed),
            keys: cell.provenance.keys.clone(),
            inputs: cell.provenance.inputs.clone(),
        };
        let told = |(at, number): (usize, &&Number)| {
            self.told(number, self.paper.get(&at).cloned().unwrap_or_default(), suite)
        };
        Data {
            numbers: self.shown.iter().enumerate().map(told).collect(),
            trainings: self.results.cells.iter().map(training).collect(),
        }
    }

    fn told(&self, number: &Number, paper: Vec<PaperNumber>, suite: &SuiteDescription) -> Told {
        let Number { dataset, method, quantity, .. } = number;
        let titles = &self.results.suite;
        let title = |names: Option<&String>, name: &str| names.map_or_else(|| name.to_owned(), Clone::clone);
        let of_dataset = titles.datasets.iter().find(|known| known.name == *dataset).map(|known| &known.title);
        let of_method = titles.methods.iter().find(|known| known.name == *method).map(|known| &known.title);
        let (_, word) = cell::status(number);
        let seeds: Vec<Seed> = number.seeds.iter().map(|seed| self.seed(number, seed)).collect();
        let first = number.seeds.first().map_or(0, |seed| seed.seed);
        Told {
            title: format!("{} on {}", title(of_method, method), title(of_dataset, dataset)),
            quantity: quantity.name(),
            meaning: quantity.meaning(),
            unit: quantity.unit(),
            mean: number.mean.map_or_else(|| word.to_owned(), cell::shown),
            std: number.std.map_or_else(String::new, cell::shown),
            interval: number.interval.as_ref().map(words::interval),
            comparisons: self.comparisons(number),
            paper,
            estimator: words::estimator(number.n, number.seeds.len()),
            negative_transfer: number.negative_transfer,
            commands: vec![
                suite.command("run"),
                format!("{} train {dataset} {method} seed {first}", suite.command("explain --suite")),
            ],
            seeds,
        }
    }

    /// The comparisons of a number with those of other methods, where the proposed method is one of the two.
    fn comparisons(&self, number: &Number) -> Vec<String> {
        let at_full_ratio = number.ratio.is_none_or(|ratio| ratio == 1.0);
        let pair = |method: &str, other: &str| {
            let side = |method| (method, number.quantity);
            self.results.comparisons.find(&number.dataset, side(method), side(other))
        };
        let methods = self.results.suite.methods.iter();
        let told = |method: &crate::report::results::MethodDescription| {
            let title = &method.title;
            let (sides, words) = match number.method.as_str() {
                PROPOSED => ((PROPOSED, method.name.as_str()), format!("minus {title}")),
                other if method.name == PROPOSED => ((PROPOSED, other), format!("{title} minus this")),
                _ => return None,
            };
            Some(format!("{words}: {}", words::comparison(&pair(sides.0, sides.1)?)))
        };
        if at_full_ratio { methods.filter_map(told).collect() } else { Vec::new() }
    }

    fn seed(&self, number: &Number, seed: &crate::report::results::SeedValue) -> Seed {
        let is_it = |cell: &crate::report::results::CellRecord| {
            cell.dataset == number.dataset && cell.method == number.method && cell.seed == seed.seed
        };
        let exact = match seed.value {
            Status::Value { value } => Some(value),
            _ => None,
        };
        Seed {
            seed: seed.seed,
            value: exact.map(cell::shown),
            exact,
            cause: cell::cause(&seed.value),
            training: self.results.cells.iter().position(is_it),
            step: step(number.quantity),
        }
    }
}

/// The step that gives a quantity.
pub fn step(quantity: Quantity) -> &'static str {
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

    /// A number is told once, however often it is shown, with each seed's value or the cause of its absence.
    #[test]
    fn a_number_tells_its_seeds() {
        let results = difficult(SuiteKind::Smoke);
        let table = table1(&results);
        let mut numbers = Numbers::new(&results);
        let mut place = |method: &str, quantity: &str| {
            let cells = table.rows.iter().flat_map(|row| &row.cells);
            let mut found = cells.filter(|c| c.dataset == "words" && c.method == method && c.quantity == quantity);
            numbers.place(found.next().unwrap(), "Table 1")
        };
        assert_eq!(place("balgrad", "missing-text"), Some(0));
        assert_eq!(place("broken", "full"), Some(1));
        assert_eq!(place("balgrad", "missing-text"), Some(0), "it is the same number");
        let cells = table.rows.iter().flat_map(|row| &row.cells);
        let cell =
            cells.clone().find(|c| c.dataset == "words" && c.method == "balgrad" && c.quantity == "missing-text");
        let printed = TableCell {
            paper: "19.00".into(),
            paper_value: Some(19.0),
            difference: Some(1.0),
            ..cell.unwrap().clone()
        };
        assert_eq!(numbers.place(&printed, "Table 1"), Some(0));
        assert_eq!(numbers.place(&printed, "Table 2"), Some(0));
        let data = numbers.data();
        let [partial, absent] = &data.numbers[..] else { panic!("{data:?}") };
        assert_eq!(
            (partial.title.as_str(), partial.mean.as_str(), partial.std.as_str()),
            ("BalGrad on words", "20.00", "")
        );
        let [paper] = &partial.paper[..] else { panic!("the paper's number once: {partial:?}") };
        assert_eq!((paper.place.as_str(), paper.difference.as_str()), ("Table 1", "+1.00"));
        assert_eq!(partial.estimator, "1 of 2 seeds");
        let [first, second] = &partial.seeds[..] else { panic!("{partial:?}") };
        assert_eq!((first.value.as_deref(), first.step), (Some("20.00"), "evaluate missing"));
        assert_eq!(data.trainings[first.training.unwrap()].label, "words balgrad seed 1");
        assert_eq!((second.value.as_deref(), second.training), (None, None));
        assert!(second.cause.as_ref().unwrap().contains("loss_T is NaN"), "{second:?}");
        assert_eq!((absent.mean.as_str(), absent.std.as_str()), ("—", ""));
        assert!(partial.commands[1].ends_with("--suite example train words balgrad seed 1"), "{:?}", partial.commands);
    }

    /// What the page's script reads is JSON, even where a number is not a number.
    #[test]
    fn the_data_is_json() {
        let results = difficult(SuiteKind::Smoke);
        let table = table1(&results);
        let mut numbers = Numbers::new(&results);
        table.rows.iter().flat_map(|row| &row.cells).for_each(|cell| {
            numbers.place(cell, "Table 1");
        });
        let json = serde_json::to_value(numbers.data()).unwrap();
        assert_eq!(json["numbers"].as_array().unwrap().len(), 6 * 9);
    }
}
