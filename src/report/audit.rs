//! The audit of the paper's own numbers: Avg and ΔGap recomputed from their rows, cells that two tables share, marks of
//! negative transfer, and the best methods by the numbers.
//!
//! Printed numbers are rounded. Two scores that are each off by up to 0.005 give a mean that is off by up to 0.005 and a
//! difference that is off by up to 0.01; printing it adds up to 0.005. So a printed Avg or ΔGap may differ by up to 0.01
//! from what its printed rows give: that counts as rounding, anything more is a finding.

use serde::Serialize;

use super::quantity::Quantity;
use super::reference::{Paper, Printed, PrintedCell, PrintedTable, Reference};

/// The outcome of the audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audit {
    pub paper: Paper,
    pub checked: Checked,
    /// What is wrong, in the order of the tables.
    pub findings: Vec<Finding>,
    /// Avg and ΔGap that differ from their rows by no more than rounding explains.
    pub rounding: Vec<Rounding>,
    /// The best and the second best by the printed numbers, row by row.
    pub rankings: Vec<Ranking>,
    /// Tables and figures whose numbers are not transcribed, and what they show.
    pub not_transcribed: Vec<(String, String)>,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub cells: usize,
    pub averages: usize,
    pub gaps: usize,
    /// Cells that two tables have.
    pub shared: usize,
    /// Impaired scores compared with the full one.
    pub impaired: usize,
}

/// A printed number and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub table: &'static str,
    pub row: Quantity,
    pub dataset: String,
    pub method: String,
    pub printed: Printed,
}

impl Place {
    fn of(table: &'static str, cell: PrintedCell<'_>) -> Self {
        let PrintedCell { quantity: row, dataset, method, number: printed } = cell;
        Place { table, row, dataset: dataset.into(), method: method.into(), printed }
    }
}

/// A number that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    #[serde(flatten)]
    pub place: Place,
    /// What it was compared with: recomputed from the rows, printed in another table, or the full score.
    pub against: String,
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An Avg or ΔGap is not what its rows give.
    Arithmetic,
    /// Two tables print different numbers for the same cell.
    TwoTables,
    /// An impaired score above the full one, without the mark.
    UnmarkedNegativeTransfer,
    /// The mark on a score that is not above the full one.
    MarkedWithoutNegativeTransfer,
}

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Kind::Arithmetic => "arithmetic",
            Kind::TwoTables => "two tables",
            Kind::UnmarkedNegativeTransfer => "unmarked negative transfer",
            Kind::MarkedWithoutNegativeTransfer => "marked without negative transfer",
        }
    }
}

/// An Avg or ΔGap that rounding explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rounding {
    #[serde(flatten)]
    pub place: Place,
    pub recomputed: f64,
}

/// The best methods in a row of a table on a dataset.
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

/// The derived rows: (row, its score with impaired image, with impaired text).
const DERIVED: [(Quantity, Quantity, Quantity); 4] = [
    (Quantity::MissingAvg, Quantity::MissingImage, Quantity::MissingText),
    (Quantity::MissingGap, Quantity::MissingImage, Quantity::MissingText),
    (Quantity::NoisyAvg, Quantity::NoisyImage, Quantity::NoisyText),
    (Quantity::NoisyGap, Quantity::NoisyImage, Quantity::NoisyText),
];

/// How far a derived number may differ from its printed rows by rounding alone, in half hundredths.
const ROUNDING: i32 = 2;

/// Audits the paper's numbers.
pub fn audit(reference: &Reference) -> Audit {
    let mut audit = Audit {
        paper: reference.paper.clone(),
        checked: Checked::default(),
        findings: Vec::new(),
        rounding: Vec::new(),
        rankings: Vec::new(),
        not_transcribed: reference.not_transcribed.0.clone(),
    };
    let tables: Vec<(&'static str, &PrintedTable)> = reference.tables().collect();
    for (at, (name, table)) in tables.iter().enumerate() {
        audit.checked.cells += table.cells().count();
        table.cells().for_each(|cell| audit.derived(name, table, cell));
        table.cells().for_each(|cell| audit.negative_transfer(name, table, cell));
        for (other, earlier) in &tables[..at] {
            table.cells().for_each(|cell| audit.shared((name, table), (other, earlier), cell));
        }
        audit.rankings.extend(rankings(name, table));
    }
    audit
}

/// What an Avg or ΔGap should be by its rows, in half hundredths so that it is exact.
fn recomputed(table: &PrintedTable, row: Quantity, dataset: &str, method: &str) -> Option<i32> {
    let (_, image, text) = DERIVED.into_iter().find(|(made, ..)| *made == row)?;
    let [image, text] = [image, text].map(|row| table.get(row, dataset, method));
    let (image, text) = (image?.hundredths, text?.hundredths);
    Some(if row.higher_is_better() { image + text } else { 2 * (image - text).abs() })
}

impl Audit {
    fn find(&mut self, kind: Kind, table: &'static str, cell: PrintedCell<'_>, against: String, note: &str) {
        self.findings.push(Finding { kind, place: Place::of(table, cell), against, note: note.to_owned() });
    }

    fn derived(&mut self, name: &'static str, table: &PrintedTable, cell: PrintedCell<'_>) {
        let Some(halves) = recomputed(table, cell.quantity, cell.dataset, cell.method) else { return };
        match cell.quantity.higher_is_better() {
            true => self.checked.averages += 1,
            false => self.checked.gaps += 1,
        }
        let off = (2 * cell.number.hundredths - halves).abs();
        if off > ROUNDING {
            let exact = exact(halves);
            let note = format!("its rows give {exact}; rounding explains at most 0.01");
            self.find(Kind::Arithmetic, name, cell, exact, &note);
        } else if off > 0 {
            self.rounding.push(Rounding { place: Place::of(name, cell), recomputed: f64::from(halves) / 200.0 });
        }
    }

    fn negative_transfer(&mut self, name: &'static str, table: &PrintedTable, cell: PrintedCell<'_>) {
        let PrintedCell { quantity: row, dataset, method, number } = cell;
        let Some(full) = table.get(Quantity::Full, dataset, method).filter(|_| row.can_be_negative_transfer()) else {
            return;
        };
        self.checked.impaired += 1;
        let full_score = format!("{full} (full)");
        match (number > full, table.is_marked(row, dataset, method)) {
            (true, false) => {
                let note = "is above the full score and has no mark";
                self.find(Kind::UnmarkedNegativeTransfer, name, cell, full_score, note);
            }
            (false, true) => {
                let note = "has the mark and is not above the full score";
                self.find(Kind::MarkedWithoutNegativeTransfer, name, cell, full_score, note);
            }
            _ => {}
        }
    }

    /// Compares a cell with the same cell of an earlier table.
    fn shared(
        &mut self,
        (name, table): (&'static str, &PrintedTable),
        (other, earlier): (&'static str, &PrintedTable),
        cell: PrintedCell<'_>,
    ) {
        let PrintedCell { quantity: row, dataset, method, number } = cell;
        let Some(before) = earlier.get(row, dataset, method) else { return };
        self.checked.shared += 1;
        if before == number {
            return;
        }
        // Where each table's number is what its own rows give, the rows are what differs.
        let follows = |table, number: Printed| {
            recomputed(table, row, dataset, method)
                .is_some_and(|halves| (2 * number.hundredths - halves).abs() <= ROUNDING)
        };
        let note = match follows(table, number) && follows(earlier, before) {
            true => "follows from the rows, which differ between the tables",
            false => "the same cell",
        };
        self.find(Kind::TwoTables, name, cell, format!("{before} ({other})"), note);
    }
}

/// Half hundredths with as many decimals as they need.
fn exact(halves: i32) -> String {
    let value = f64::from(halves) / 200.0;
    if halves % 2 == 0 { format!("{value:.2}") } else { format!("{value:.3}") }
}

/// The rankings of a table, in its order.
fn rankings(table: &'static str, printed: &PrintedTable) -> Vec<Ranking> {
    let rows = printed.rows.0.iter().flat_map(|(quantity, row)| row.0.iter().map(move |on| (*quantity, on)));
    let ranking = |(row, (dataset, methods)): (Quantity, &(String, _))| {
        let methods: &super::reference::Ordered<String, Option<Printed>> = methods;
        let numbers: Vec<(&String, Printed)> =
            methods.0.iter().filter_map(|(method, number)| Some((method, (*number)?))).collect();
        let mut distinct: Vec<Printed> = numbers.iter().map(|(_, number)| *number).collect();
        distinct.sort();
        distinct.dedup();
        if row.higher_is_better() {
            distinct.reverse();
        }
        let with = |wanted: Option<&Printed>| -> Vec<String> {
            numbers.iter().filter(|(_, number)| Some(number) == wanted).map(|(method, _)| (*method).clone()).collect()
        };
        let best_number = *distinct.first().filter(|_| numbers.len() > 1)?;
        Some(Ranking {
            table,
            row,
            dataset: dataset.clone(),
            best: with(Some(&best_number)),
            best_number,
            second: with(distinct.get(1)),
            second_number: distinct.get(1).copied(),
        })
    };
    rows.filter_map(ranking).collect()
}

impl Audit {
    /// For people: a line per finding, then what was checked and the best methods.
    pub fn text(&self) -> String {
        let Checked { cells, averages, gaps, shared, impaired } = self.checked;
        let mut text = format!("{}, {}: {} findings\n", self.paper.title, self.paper.venue, self.findings.len());
        for Finding { kind, place: Place { table, row, dataset, method, printed }, against, note } in &self.findings {
            let cell = format!("{table} {} {dataset} {method}", row.name());
            text += &format!("  {:<27} {cell:<43} printed {printed:>5}, against {against}: {note}\n", kind.title());
        }
        text += &format!(
            "checked {cells} numbers: {averages} Avg and {gaps} ΔGap against their rows, {shared} cells that two tables \
             have, {impaired} impaired scores against the full one\n"
        );
        if !self.rounding.is_empty() {
            let up = self.rounding.iter().filter(|one| one.place.printed.value() > one.recomputed).count();
            text += &format!("{} differ from their rows by rounding alone, {up} rounded up\n", self.rounding.len());
        }
        for (name, shows) in &self.not_transcribed {
            text += &format!("not checked: {name}, whose numbers are not transcribed ({shows})\n");
        }
        text += "best and second best by the printed numbers:\n";
        for Ranking { table, row, dataset, best, best_number, second, second_number } in &self.rankings {
            let best = format!("{} {best_number}", best.join(" = "));
            let second = second_number.map_or("—".to_owned(), |number| format!("{} {number}", second.join(" = ")));
            text += &format!("  {table} {:<14} {dataset:<14} {best:<28} {second}\n", row.name());
        }
        text
    }
}

#[cfg(test)]
mod tests;
