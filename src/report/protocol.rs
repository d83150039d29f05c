//! How much the selection of the epoch moves each number, and which selection lies nearest to the paper's.
//!
//! All selections keep an epoch of the same trainings, so they are compared seed by seed.

use super::SuiteKind;
use super::comparison::{differences, estimate};
use super::quantity::Quantity;
use super::reference::Reference;
use super::results::{DatasetDescription, Number, Results};
use super::{table, target};
use crate::evaluation::statistics::bootstrap::Estimate;
use crate::evaluation::statistics::paired::ROUNDING;
use crate::terms::Selection;

/// The numbers of a dataset with each selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    pub title: String,
    /// The one that tables show first.
    pub selections: Vec<Selection>,
    pub rows: Vec<Row>,
}

/// A number with each selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The method's title.
    pub method: String,
    pub quantity: Quantity,
    /// In the order of the selections; none if no seed has a value.
    pub values: Vec<Option<Value>>,
    /// The distance between the highest and the lowest mean.
    pub moves: Option<f64>,
    /// What the paper prints.
    pub printed: Option<f64>,
    /// The selections whose means lie nearest to it: several if they are equal, none if the paper prints no number or all are
    /// equal.
    pub nearest: Vec<Selection>,
}

/// A number with one selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub mean: f64,
    pub std: Option<f64>,
    /// The difference from the first selection, over the seeds that have both.
    pub shift: Option<Estimate>,
}

/// The datasets on which selections are compared. The paper's numbers stand beside those of its own experiments.
pub fn of(results: &Results, reference: Option<&Reference>) -> Vec<Protocol> {
    let reference = reference.filter(|_| results.suite.kind == SuiteKind::Paper);
    let compared = results.suite.datasets.iter().filter(|dataset| !dataset.selections.is_empty());
    compared.map(|dataset| protocol(results, dataset, reference)).collect()
}

fn protocol(results: &Results, dataset: &DatasetDescription, reference: Option<&Reference>) -> Protocol {
    let suite = &results.suite;
    let methods = suite.methods.iter().filter(|method| dataset.methods.contains(&method.name));
    let quantities = table::quantities(target::Table::One);
    let row = |(method, title): (&str, &str), quantity: Quantity| {
        let found = |selection: &Selection| results.selected(*selection, dataset, (method, quantity));
        let numbers: Vec<Option<&Number>> = dataset.selections.iter().map(found).collect();
        let values: Vec<Option<Value>> = numbers.iter().map(|number| value(numbers[0], *number)).collect();
        let means = || values.iter().flatten().map(|value| value.mean);
        let range = means().reduce(f64::max).zip(means().reduce(f64::min));
        let moves = range.map(|(highest, lowest)| highest - lowest);
        let mut printed = reference.into_iter().flat_map(Reference::tables);
        let printed = printed.find_map(|(_, table)| table.get(quantity, &dataset.name, method)).map(|of| of.value());
        let nearest = printed.filter(|_| moves.is_some_and(|moves| moves > ROUNDING));
        let nearest = nearest.map_or_else(Vec::new, |printed| nearest_to(printed, &dataset.selections, &values));
        Row { method: title.to_owned(), quantity, values, moves, printed, nearest }
    };
    let rows =
        methods.flat_map(|method| quantities.iter().map(|quantity| row((&method.name, &method.title), *quantity)));
    Protocol { title: suite.title_of(dataset), selections: dataset.selections.clone(), rows: rows.collect() }
}

fn value(first: Option<&Number>, number: Option<&Number>) -> Option<Value> {
    let (first, number) = (first?, number?);
    let shift = estimate(&differences(&number.values(), &first.values()));
    Some(Value { mean: number.mean?, std: number.std, shift })
}

fn nearest_to(printed: f64, selections: &[Selection], values: &[Option<Value>]) -> Vec<Selection> {
    let distance = |value: &Option<Value>| value.as_ref().map(|value| (value.mean - printed).abs());
    let least = values.iter().filter_map(distance).fold(f64::INFINITY, f64::min);
    let is_least = |value: &Option<Value>| distance(value).is_some_and(|distance| distance <= least + ROUNDING);
    selections.iter().zip(values).filter(|(_, value)| is_least(value)).map(|(selection, _)| *selection).collect()
}

impl Protocol {
    /// How far a selection, by its place, moves a quantity: the mean, lowest and highest shift of all methods.
    pub fn shift(&self, at: usize, quantity: Quantity) -> Option<[f64; 3]> {
        let rows = self.rows.iter().filter(|row| row.quantity == quantity);
        let shifts: Vec<f64> = rows.filter_map(|row| Some(row.values[at].as_ref()?.shift.as_ref()?.mean)).collect();
        let mean = shifts.iter().sum::<f64>() / shifts.len() as f64;
        Some([mean, shifts.iter().copied().reduce(f64::min)?, shifts.iter().copied().reduce(f64::max)?])
    }

    /// To how many of the paper's numbers this selection lies nearest, and how many the paper prints; none if it prints none.
    pub fn nearest(&self, selection: Selection) -> Option<(usize, usize)> {
        let printed = self.rows.iter().filter(|row| row.printed.is_some() && row.moves.is_some()).count();
        let nearest = self.rows.iter().filter(|row| row.nearest.contains(&selection)).count();
        (printed > 0).then_some((nearest, printed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reference::committed;
    use crate::report::samples::compared;

    fn find(protocol: &Protocol, quantity: Quantity) -> &Row {
        protocol.rows.iter().find(|row| row.method == "Baseline" && row.quantity == quantity).unwrap()
    }

    /// A shift is formed seed by seed, and each number has what it is moved by.
    #[test]
    fn numbers_are_moved() {
        let protocols = of(&compared(SuiteKind::Smoke), Some(&committed()));
        let [protocol] = &protocols[..] else { panic!("one dataset is compared") };
        assert_eq!(protocol.selections, [Selection::Last, Selection::BestTest]);
        let full = find(protocol, Quantity::Full);
        let [Some(last), Some(best)] = &full.values[..] else { panic!("{full:?}") };
        assert!((best.mean - last.mean - 2.0).abs() < 1e-9 && (full.moves.unwrap() - 2.0).abs() < 1e-9);
        assert!((best.shift.as_ref().unwrap().mean - 2.0).abs() < 1e-9);
        assert_eq!(last.shift.as_ref().unwrap().mean, 0.0);
        assert_eq!((full.printed, full.nearest.len()), (None, 0), "the paper has no numbers of other suites");
        let broken = protocol.rows.iter().find(|row| row.method == "Broken").unwrap();
        assert_eq!((broken.values.clone(), broken.moves), (vec![None, None], None));
        assert_eq!(protocol.shift(1, Quantity::Full).unwrap().map(f64::round), [2.0; 3]);
        assert_eq!(protocol.nearest(Selection::Last), None);
    }

    /// The nearest selection is the one whose mean is nearest; none where nothing moves.
    #[test]
    fn the_papers_number_is_nearer_to_one() {
        let mut results = compared(SuiteKind::Paper);
        let rename = |name: &mut String| *name = "food101".to_owned();
        rename(&mut results.suite.datasets[0].name);
        results.numbers.iter_mut().for_each(|number| rename(&mut number.dataset));
        results.other_selections[0].numbers.iter_mut().for_each(|number| rename(&mut number.dataset));
        let protocols = of(&results, Some(&committed()));
        let printed = committed().table1.unwrap().get(Quantity::Full, "food101", "baseline").unwrap().value();
        let full = find(&protocols[0], Quantity::Full);
        assert_eq!(full.printed, Some(printed));
        let distance = |at: usize| (full.values[at].as_ref().unwrap().mean - printed).abs();
        let nearest = if distance(0) < distance(1) { Selection::Last } else { Selection::BestTest };
        assert_eq!(full.nearest, [nearest]);
        let gap = find(&protocols[0], Quantity::MissingGap);
        assert!(gap.moves.unwrap() < ROUNDING && gap.nearest.is_empty(), "both scores move together: {gap:?}");
        let (near, all) = protocols[0].nearest(nearest).unwrap();
        assert!(0 < near && near < all);
    }
}
