//! Lays out tables as in the paper. Everything that a template shows is computed here.

mod beside;
mod caption;
pub mod cell;
pub mod columns;
mod noise;
mod page;

use std::collections::BTreeMap;

use serde::Serialize;

pub use beside::{Of, beside};
pub use page::Page;

use super::agreement::Agreement;
use super::results::{CellRecord, DatasetDescription, MethodDescription, Quantity, Results, SuiteDescription};
use super::target;

/// A table, ready for a template.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// What it shows, which kind of results these are, and its marks: at most three lines of a page.
    pub caption: String,
    /// How its numbers were made, in paragraphs.
    pub details: Vec<String>,
    pub mark: String,
    /// The command that makes this table again.
    pub command: String,
    pub label: String,
    /// The number of label columns before the numbers.
    pub labels: usize,
    pub groups: Vec<Group>,
    pub rows: Vec<Row>,
    /// Numbered from 1.
    pub footnotes: Vec<String>,
}

/// A dataset's columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    pub title: String,
    pub metric: String,
    /// What each column is: a method's title, or a quantity.
    pub columns: Vec<String>,
    /// The first and last of its columns, counted from 1 with those of the labels.
    pub first: usize,
    pub last: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Such as `Missing` and `Image`; the first one is empty except in the first row of its block.
    pub labels: Vec<String>,
    /// Whether a rule separates it from the row above.
    pub rule: bool,
    pub cells: Vec<TableCell>,
}

/// One number, as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableCell {
    /// `57.80`, or a word where there is no number.
    pub text: String,
    /// `0.52`, or empty.
    pub std: String,
    pub best: bool,
    pub second: bool,
    /// It is the best, but its lead over the next one is within noise, or there are too few seeds to test it.
    pub within_noise: bool,
    pub negative_transfer: bool,
    /// Numbers of footnotes.
    pub notes: Vec<usize>,
    /// What the footnotes say, in one line.
    pub note: String,
    /// `value`, `partial` (some seeds gave no number), `nan`, `failed`, `not-run`, `none` (the method has no such
    /// quantity) or `not-transcribed` (of the paper's own numbers).
    pub status: &'static str,
    pub dataset: String,
    pub method: String,
    pub quantity: Quantity,
    /// In full precision, for the CSV.
    pub mean: Option<f64>,
    pub full_std: Option<f64>,
    pub n: usize,
    pub seeds: usize,
    /// The ends of the 95 % interval, in full precision.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// What the paper prints, where it stands beside ours; else empty.
    pub paper: String,
    /// What the paper prints, and ours minus it; only in tables beside the paper's.
    pub paper_value: Option<f64>,
    pub difference: Option<f64>,
    /// Whether ours agrees with the paper's, and why; only in tables that show both.
    pub agreement: Option<Agreement>,
    pub agreement_explained: String,
}

impl TableCell {
    /// A cell without a number.
    fn empty(dataset: &str, method: &str, quantity: Quantity) -> Self {
        let (dataset, method) = (dataset.into(), method.into());
        TableCell { status: "not-run", dataset, method, quantity, ..TableCell::default() }
    }
}

/// The row of a quantity with its labels. A first label that is not empty begins a block.
type QuantityRow = (Quantity, &'static str, &'static str);

const FULL_AND_MISSING: [QuantityRow; 5] = [
    (Quantity::Full, "Full", ""),
    (Quantity::MissingImage, "Missing", "Image"),
    (Quantity::MissingText, "", "Text"),
    (Quantity::MissingAvg, "", "Avg"),
    (Quantity::MissingGap, "", "ΔGap"),
];

const NOISY: [QuantityRow; 4] = [
    (Quantity::NoisyImage, "Noisy", "Image"),
    (Quantity::NoisyText, "", "Text"),
    (Quantity::NoisyAvg, "", "Avg"),
    (Quantity::NoisyGap, "", "ΔGap"),
];

const CONFLICT_AND_GAP: [(Quantity, &str); 2] =
    [(Quantity::Conflict, "Conflict (%)"), (Quantity::MissingGap, "Missing ΔGap")];

/// The quantities that a table shows.
pub fn quantities(which: target::Table) -> Vec<Quantity> {
    match which {
        target::Table::Three => CONFLICT_AND_GAP.map(|(quantity, _)| quantity).into(),
        _ => rows(which).into_iter().map(|(quantity, ..)| quantity).collect(),
    }
}

/// The rows of a table that has a row per quantity.
fn rows(which: target::Table) -> Vec<QuantityRow> {
    match which {
        target::Table::One => [&FULL_AND_MISSING[..], &NOISY].concat(),
        _ => FULL_AND_MISSING.into(),
    }
}

/// Lays out a table with a group of columns per dataset; `name` is its target's. Table 3 has a row per method and a column
/// per quantity, of which lower is better; the others have a row per quantity and a column per method.
pub fn layout(which: target::Table, name: &str, results: &Results) -> Table {
    let suite = &results.suite;
    let by_method = which == target::Table::Three;
    let several = caption::kinds_of_processors(results).is_some();
    let (mut rows, mut footnotes) = (Vec::new(), Vec::new());
    let mut row = |labels: Vec<String>, rule: bool, columns: &[(&str, Quantity)]| {
        let places =
            suite.datasets.iter().flat_map(|dataset| columns.iter().map(move |column| (&dataset.name, column)));
        let cell = |(dataset, &(method, quantity)): (&String, &(&str, Quantity))| {
            let cell = cell::of(results, dataset, method, quantity, &mut footnotes);
            // Of two, the second best is the other one.
            let mut cell = TableCell { second: cell.second && !by_method, ..cell };
            if let Some(caveat) = caveat(&cell, suite).filter(|_| cell.best || cell.second) {
                cell::note_on(&mut cell, caveat, &mut footnotes);
            }
            if several {
                let of = |known: &&CellRecord| (&known.dataset, &known.method) == (&cell.dataset, &cell.method);
                let computed = caption::computed(results.cells.iter().filter(of));
                cell::note(&mut cell, &computed);
            }
            cell
        };
        rows.push(Row { labels, rule, cells: places.map(cell).collect() });
    };
    let columns: Vec<String> = if by_method {
        for MethodDescription { name, title, .. } in &suite.methods {
            row(vec![title.clone()], false, &CONFLICT_AND_GAP.map(|(quantity, _)| (name.as_str(), quantity)));
        }
        CONFLICT_AND_GAP.map(|(_, title)| title.to_owned()).into()
    } else {
        for (quantity, block, title) in self::rows(which) {
            let cells: Vec<_> = suite.methods.iter().map(|method| (method.name.as_str(), quantity)).collect();
            row(vec![block.into(), title.into()], !block.is_empty() && quantity != Quantity::Full, &cells);
        }
        suite.methods.iter().map(|method| method.title.clone()).collect()
    };
    let labels = if by_method { 1 } else { 2 };
    let group = |(at, dataset): (usize, &DatasetDescription)| Group {
        title: dataset.title.clone(),
        metric: dataset.metric.clone(),
        columns: columns.clone(),
        first: labels + 1 + at * columns.len(),
        last: labels + (at + 1) * columns.len(),
    };
    let mut table = Table {
        caption: caption::of(which, results),
        details: caption::details(which, results),
        mark: suite.kind.mark().into(),
        command: suite.command("run"),
        label: format!("tab:{}-{name}", suite.suite),
        labels,
        groups: suite.datasets.iter().enumerate().map(group).collect(),
        rows,
        footnotes,
    };
    noise::mark(&mut table, results);
    table
}

/// What a reader has to know of the rank of a gap where one modality alone is at chance by construction.
fn caveat(cell: &TableCell, suite: &SuiteDescription) -> Option<String> {
    let dataset = suite.dataset(&cell.dataset)?;
    let alone = dataset.chance_alone.first().filter(|_| cell.quantity == Quantity::MissingGap)?;
    Some(format!(
        "on {} the {} alone is at chance by construction: ΔGap is how far the other modality alone is above it, and a small \
         one is no better balance",
        dataset.title,
        alone.name()
    ))
}

impl Table {
    /// The caption with the details, where there is room for both.
    pub fn explained(&self) -> String {
        [std::slice::from_ref(&self.caption), &self.details].concat().join(" ")
    }

    pub fn cells(&self) -> impl Iterator<Item = &TableCell> {
        self.rows.iter().flat_map(|row| &row.cells)
    }

    /// The cells of each quantity on each dataset, which are ranked among themselves.
    fn rankings(&mut self) -> Vec<Vec<&mut TableCell>> {
        let mut rankings: BTreeMap<(String, Quantity), Vec<&mut TableCell>> = BTreeMap::new();
        for cell in self.rows.iter_mut().flat_map(|row| &mut row.cells) {
            rankings.entry((cell.dataset.clone(), cell.quantity)).or_default().push(cell);
        }
        rankings.into_values().collect()
    }
}

#[cfg(test)]
pub fn table1(results: &Results) -> Table {
    layout(target::Table::One, "table1", results)
}

#[cfg(test)]
pub fn table2(results: &Results) -> Table {
    layout(target::Table::Two, "table2", results)
}

#[cfg(test)]
pub fn table3(results: &Results) -> Table {
    layout(target::Table::Three, "table3", results)
}

#[cfg(test)]
mod tests;
