//! The best and the second best by the printed numbers.

use serde::Serialize;

use crate::report::quantity::Quantity;
use crate::report::reference::{Printed, PrintedTable};

/// A row of a table on a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ranking {
    pub table: &'static str,
    pub row: Quantity,
    pub dataset: String,
    /// The methods with the best number; several if they share it.
    pub best: Vec<String>,
    pub best_number: Printed,
    /// Those with the next one; none if all methods share the best.
    pub second: Vec<String>,
    pub second_number: Option<Printed>,
}

/// The rankings of a table, in its order.
pub(super) fn of(name: &'static str, table: &PrintedTable) -> Vec<Ranking> {
    let mut rankings = Vec::new();
    for (quantity, row) in &table.rows.0 {
        for (dataset, methods) in &row.0 {
            let numbers: Vec<(&String, Printed)> =
                methods.0.iter().filter_map(|(method, number)| Some((method, (*number)?))).collect();
            let mut distinct: Vec<Printed> = numbers.iter().map(|(_, number)| *number).collect();
            distinct.sort();
            distinct.dedup();
            if quantity.higher_is_better() {
                distinct.reverse();
            }
            let with = |wanted: Option<&Printed>| -> Vec<String> {
                numbers
                    .iter()
                    .filter(|(_, number)| Some(number) == wanted)
                    .map(|(method, _)| (*method).clone())
                    .collect()
            };
            if let (Some(&best_number), true) = (distinct.first(), numbers.len() > 1) {
                rankings.push(Ranking {
                    table: name,
                    row: *quantity,
                    dataset: dataset.clone(),
                    best: with(distinct.first()),
                    best_number,
                    second: with(distinct.get(1)),
                    second_number: distinct.get(1).copied(),
                });
            }
        }
    }
    rankings
}

/// For people: a line per row of a table.
pub(super) fn text(rankings: &[Ranking]) -> String {
    let mut text = String::from("best and second best by the printed numbers:\n");
    for ranking in rankings {
        let Ranking { table, row, dataset, best, best_number, second, second_number } = ranking;
        let second = match second_number {
            Some(number) => format!("{} {number}", second.join(" = ")),
            None => "—".to_owned(),
        };
        text += &format!(
            "  {table} {:<14} {dataset:<14} {:<28} {second}\n",
            row.name(),
            format!("{} {best_number}", best.join(" = "))
        );
    }
    text
}
