//! The audit of the paper's own numbers: Avg and ΔGap recomputed from their rows, one cell in two tables, marks of
//! negative transfer, and who is best by the numbers.
//!
//! Printed numbers are rounded. Of two scores that are each off by up to 0.005, the mean is off by up to 0.005 and the
//! difference by up to 0.01; rounding what is printed adds 0.005. So a printed Avg, and a printed ΔGap, may lie up to
//! 0.01 from what its printed rows give: that is rounding, and counted as such. Anything more is a finding.

mod rankings;

use serde::Serialize;

use super::quantity::Quantity;
use super::reference::{Paper, Printed, PrintedCell, PrintedTable, Reference};
pub use rankings::Ranking;

/// What the audit came to.
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
    /// Tables and figures that could not be looked at, and what they show.
    pub not_transcribed: Vec<(String, String)>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub cells: usize,
    pub averages: usize,
    pub gaps: usize,
    /// Cells that two tables have.
    pub shared: usize,
    /// Impaired scores held against the full one.
    pub impaired: usize,
}

/// Something that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: Kind,
    pub table: &'static str,
    pub row: Quantity,
    pub dataset: String,
    pub method: String,
    pub printed: Printed,
    /// What it is held against: recomputed from the rows, printed in another table, or the full score.
    pub against: String,
    /// What it means.
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

/// A derived number that rounding explains.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rounding {
    pub table: &'static str,
    pub row: Quantity,
    pub dataset: String,
    pub method: String,
    pub printed: Printed,
    pub recomputed: f64,
}

/// The rows that others are made of: (made, of the image, of the text).
const DERIVED: [(Quantity, Quantity, Quantity); 4] = [
    (Quantity::MissingAvg, Quantity::MissingImage, Quantity::MissingText),
    (Quantity::MissingGap, Quantity::MissingImage, Quantity::MissingText),
    (Quantity::NoisyAvg, Quantity::NoisyImage, Quantity::NoisyText),
    (Quantity::NoisyGap, Quantity::NoisyImage, Quantity::NoisyText),
];

/// How far a derived number may lie from its printed rows by rounding alone, in half hundredths.
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
    let mut before: Vec<(&'static str, &PrintedTable)> = Vec::new();
    for (name, table) in reference.tables() {
        audit.checked.cells += table.cells().count();
        audit.derived(name, table);
        audit.negative_transfer(name, table);
        for (other, earlier) in &before {
            audit.shared(name, table, other, earlier);
        }
        audit.rankings.extend(rankings::of(name, table));
        before.push((name, table));
    }
    audit
}

/// What an Avg or ΔGap is by its rows, in half hundredths, so that it is exact.
fn recomputed(table: &PrintedTable, row: Quantity, dataset: &str, method: &str) -> Option<i32> {
    let (_, image, text) = DERIVED.into_iter().find(|(made, ..)| *made == row)?;
    let [image, text] = [image, text].map(|row| table.get(row, dataset, method));
    let (image, text) = (image?.hundredths, text?.hundredths);
    Some(if row.higher_is_better() { image + text } else { 2 * (image - text).abs() })
}

impl Audit {
    fn derived(&mut self, name: &'static str, table: &PrintedTable) {
        for PrintedCell { quantity: row, dataset, method, number: printed } in table.cells() {
            let Some(halves) = recomputed(table, row, dataset, method) else { continue };
            match row.higher_is_better() {
                true => self.checked.averages += 1,
                false => self.checked.gaps += 1,
            }
            let off = (2 * printed.hundredths - halves).abs();
            let recomputed = f64::from(halves) / 200.0;
            if off > ROUNDING {
                self.findings.push(Finding {
                    kind: Kind::Arithmetic,
                    table: name,
                    row,
                    dataset: dataset.into(),
                    method: method.into(),
                    printed,
                    against: exact(halves),
                    note: format!("its rows give {}; rounding explains at most 0.01", exact(halves)),
                });
            } else if off > 0 {
                let (dataset, method) = (dataset.into(), method.into());
                self.rounding.push(Rounding { table: name, row, dataset, method, printed, recomputed });
            }
        }
    }

    fn negative_transfer(&mut self, name: &'static str, table: &PrintedTable) {
        for PrintedCell { quantity: row, dataset, method, number: printed } in table.cells() {
            let Some(full) = table.get(Quantity::Full, dataset, method) else { continue };
            if !row.can_be_negative_transfer() {
                continue;
            }
            self.checked.impaired += 1;
            let (kind, note) = match (printed > full, table.is_marked(row, dataset, method)) {
                (true, false) => (Kind::UnmarkedNegativeTransfer, "lies above the full score and bears no mark"),
                (false, true) => {
                    (Kind::MarkedWithoutNegativeTransfer, "bears the mark and lies not above the full score")
                }
                _ => continue,
            };
            self.findings.push(Finding {
                kind,
                table: name,
                row,
                dataset: dataset.into(),
                method: method.into(),
                printed,
                against: format!("{full} (full)"),
                note: note.to_owned(),
            });
        }
    }

    /// Cells of a table that an earlier one has too.
    fn shared(&mut self, name: &'static str, table: &PrintedTable, other: &'static str, earlier: &PrintedTable) {
        for PrintedCell { quantity: row, dataset, method, number: printed } in table.cells() {
            let Some(before) = earlier.get(row, dataset, method) else { continue };
            self.checked.shared += 1;
            if before == printed {
                continue;
            }
            // Where each table's number is what its own rows give, the difference is that of the rows.
            let follows = |table, number: Printed| {
                recomputed(table, row, dataset, method)
                    .is_some_and(|halves| (2 * number.hundredths - halves).abs() <= ROUNDING)
            };
            let note = match follows(table, printed) && follows(earlier, before) {
                true => "follows from the rows, which differ between the tables",
                false => "the same cell",
            };
            self.findings.push(Finding {
                kind: Kind::TwoTables,
                table: name,
                row,
                dataset: dataset.into(),
                method: method.into(),
                printed,
                against: format!("{before} ({other})"),
                note: note.to_owned(),
            });
        }
    }
}

/// Half hundredths with as many decimals as they need.
fn exact(halves: i32) -> String {
    let value = f64::from(halves) / 200.0;
    if halves % 2 == 0 { format!("{value:.2}") } else { format!("{value:.3}") }
}

impl Audit {
    /// For people: a line per finding, then what was looked at and who is best.
    pub fn text(&self) -> String {
        let Checked { cells, averages, gaps, shared, impaired } = self.checked;
        let mut text = format!("{}, {}: {} findings\n", self.paper.title, self.paper.venue, self.findings.len());
        for Finding { kind, table, row, dataset, method, printed, against, note } in &self.findings {
            let cell = format!("{table} {} {dataset} {method}", row.name());
            text += &format!("  {:<27} {cell:<43} printed {printed:>5}, against {against}: {note}\n", kind.title());
        }
        text += &format!(
            "looked at {cells} numbers: {averages} Avg and {gaps} ΔGap against their rows, {shared} cells that two \
             tables have, {impaired} impaired scores against the full one\n"
        );
        text += &self.rounding_text();
        for (name, shows) in &self.not_transcribed {
            text += &format!("not looked at: {name}, whose numbers are not transcribed ({shows})\n");
        }
        text + &rankings::text(&self.rankings)
    }

    fn rounding_text(&self) -> String {
        let up = self.rounding.iter().filter(|one| one.printed.value() > one.recomputed).count();
        match (self.rounding.len(), up) {
            (0, _) => String::new(),
            (all, up) if all == up => {
                format!("{all} of them differ from their rows by rounding alone, all rounded up\n")
            }
            (all, up) => format!("{all} of them differ from their rows by rounding alone, {up} rounded up\n"),
        }
    }
}

#[cfg(test)]
mod tests;
