//! A table turned so that a page can sort it: a block of rows per dataset, a row per method, a column per quantity.

use serde::Serialize;

use super::numbers::Numbers;
use crate::report::quantity::Quantity;
use crate::report::table::{Table, TableCell};

/// A table as the page lays it out.
#[derive(Debug, PartialEq, Serialize)]
pub struct Grid {
    pub columns: Vec<Column>,
    /// Neighbouring columns under one heading; one that is empty spans columns that need none.
    pub headings: Vec<Heading>,
    pub blocks: Vec<Block>,
    /// The most marks behind a number: they hang beside it and need room.
    pub marks: usize,
}

/// One quantity.
#[derive(Debug, PartialEq, Serialize)]
pub struct Column {
    pub title: String,
    /// With the heading above it: `Missing Image`.
    pub full_title: String,
    pub higher_is_better: bool,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Heading {
    pub title: String,
    pub span: usize,
}

/// A dataset.
#[derive(Debug, PartialEq, Serialize)]
pub struct Block {
    pub title: String,
    pub metric: String,
    pub rows: Vec<Row>,
}

/// A method.
#[derive(Debug, PartialEq, Serialize)]
pub struct Row {
    pub title: String,
    pub cells: Vec<Cell>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Cell {
    #[serde(flatten)]
    pub shown: TableCell,
    /// Its place among the page's numbers; none if the results hold no such number.
    pub number: Option<usize>,
}

/// Whether a table has a row per quantity, as Table 1 of the paper has; else it has a row per method.
fn is_by_quantity(table: &Table) -> bool {
    let same = |row: &crate::report::table::Row| row.cells.windows(2).all(|two| two[0].quantity == two[1].quantity);
    table.rows.iter().all(same)
}

/// Turns a table.
pub fn of(table: &Table, title: &str, numbers: &mut Numbers) -> Grid {
    let columns = if is_by_quantity(table) { by_rows(table) } else { by_group(table) };
    let mut headings: Vec<Heading> = Vec::new();
    for (heading, _) in &columns {
        match headings.last_mut() {
            Some(last) if last.title == *heading => last.span += 1,
            _ => headings.push(Heading { title: heading.clone(), span: 1 }),
        }
    }
    let quantities = quantities(table);
    let named = columns.into_iter().zip(&quantities).map(|((heading, title), quantity)| Column {
        full_title: if heading.is_empty() { title.clone() } else { format!("{heading} {title}") },
        title,
        higher_is_better: Quantity::ALL
            .into_iter()
            .find(|q| q.name() == *quantity)
            .is_none_or(Quantity::higher_is_better),
    });
    let cells = table.rows.iter().flat_map(|row| &row.cells);
    let marks = cells.map(marks).max().unwrap_or(0);
    Grid { columns: named.collect(), headings, blocks: blocks(table, title, numbers), marks }
}

/// How many characters stand behind a number: its marks and its footnotes' numbers, between commas.
fn marks(cell: &TableCell) -> usize {
    let marks = usize::from(cell.within_noise) + usize::from(cell.negative_transfer);
    let notes: Vec<String> = cell.notes.iter().map(usize::to_string).collect();
    let comma = usize::from(marks > 0 && !notes.is_empty());
    marks + comma + notes.join(",").len()
}

/// Heading and title of each column, of a table with a row per quantity. A first label that is empty goes on with the one
/// above it.
fn by_rows(table: &Table) -> Vec<(String, String)> {
    let mut heading = String::new();
    let titles = table.rows.iter().map(|row| match &row.labels[..] {
        [block, title] if !title.is_empty() => {
            if !block.is_empty() {
                heading.clone_from(block);
            }
            (heading.clone(), title.clone())
        }
        labels => {
            heading.clear();
            (String::new(), labels.join(" ").trim().to_owned())
        }
    });
    titles.collect()
}

fn by_group(table: &Table) -> Vec<(String, String)> {
    let columns = table.groups.first().map(|group| group.columns.clone()).unwrap_or_default();
    columns.into_iter().map(|title| (String::new(), title)).collect()
}

/// The quantity of each column of the page.
fn quantities(table: &Table) -> Vec<&'static str> {
    match is_by_quantity(table) {
        true => table.rows.iter().filter_map(|row| Some(row.cells.first()?.quantity)).collect(),
        false => {
            let width = table.groups.first().map_or(0, |group| group.columns.len());
            let row = table.rows.first().map(|row| &row.cells[..]).unwrap_or_default();
            row.iter().take(width).map(|cell| cell.quantity).collect()
        }
    }
}

fn blocks(table: &Table, title: &str, numbers: &mut Numbers) -> Vec<Block> {
    let by_quantity = is_by_quantity(table);
    let mut cell = |cell: &TableCell| Cell { shown: cell.clone(), number: numbers.place(cell, title) };
    let mut from = 0;
    let mut blocks = Vec::new();
    for group in &table.groups {
        let width = group.columns.len();
        let mine = from..from + width;
        from += width;
        let rows = match by_quantity {
            true => {
                let turned = mine.zip(&group.columns).map(|(at, method)| Row {
                    title: method.clone(),
                    cells: table.rows.iter().filter_map(|row| row.cells.get(at)).map(&mut cell).collect(),
                });
                turned.collect()
            }
            false => {
                let kept = table.rows.iter().map(|row| Row {
                    title: row.labels.join(" ").trim().to_owned(),
                    cells: row.cells.get(mine.clone()).unwrap_or_default().iter().map(&mut cell).collect(),
                });
                kept.collect()
            }
        };
        blocks.push(Block { title: group.title.clone(), metric: group.metric.clone(), rows });
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{ablation, difficult};
    use crate::report::table::{table1, table3};

    fn titles(grid: &Grid) -> Vec<&str> {
        grid.columns.iter().map(|column| column.full_title.as_str()).collect()
    }

    /// Table 1 is turned: its rows become columns, under the headings that its blocks had.
    #[test]
    fn a_table_with_a_row_per_quantity_is_turned() {
        let results = difficult(SuiteKind::Smoke);
        let table = table1(&results);
        let grid = of(&table, "Table 1", &mut Numbers::new(&results));
        assert_eq!(
            titles(&grid),
            [
                "Full",
                "Missing Image",
                "Missing Text",
                "Missing Avg",
                "Missing ΔGap",
                "Noisy Image",
                "Noisy Text",
                "Noisy Avg",
                "Noisy ΔGap"
            ]
        );
        let headings: Vec<(&str, usize)> = grid.headings.iter().map(|h| (h.title.as_str(), h.span)).collect();
        assert_eq!(headings, [("", 1), ("Missing", 4), ("Noisy", 4)]);
        assert!(grid.columns[1].higher_is_better && !grid.columns[4].higher_is_better);
        let shape: Vec<usize> = grid.blocks.iter().map(|block| block.rows.len()).collect();
        assert_eq!(shape, [3, 3]);
        for (b, block) in grid.blocks.iter().enumerate() {
            for (r, row) in block.rows.iter().enumerate() {
                assert_eq!(row.title, results.suite.methods[r].title);
                for (c, cell) in row.cells.iter().enumerate() {
                    assert_eq!(cell.shown, table.rows[c].cells[b * 3 + r]);
                }
            }
        }
    }

    /// Table 3 has a row per method already.
    #[test]
    fn a_table_with_a_row_per_method_keeps_its_rows() {
        let results = ablation(SuiteKind::Smoke);
        let datasets: Vec<String> = results.suite.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        let results = results.restricted(&datasets, &["balgrad-reweighting".into(), "balgrad".into()]).unwrap();
        let table = table3(&results);
        let grid = of(&table, "Table 1", &mut Numbers::new(&results));
        assert_eq!(titles(&grid), ["Conflict (%)", "Missing ΔGap"]);
        assert!(grid.columns.iter().all(|column| !column.higher_is_better));
        assert_eq!(grid.blocks.len(), 3);
        for (b, block) in grid.blocks.iter().enumerate() {
            let rows: Vec<&str> = block.rows.iter().map(|row| row.title.as_str()).collect();
            assert_eq!(rows, ["BalGrad w/o projection", "BalGrad"]);
            for (r, row) in block.rows.iter().enumerate() {
                assert_eq!(row.cells[1].shown, table.rows[r].cells[b * 2 + 1]);
            }
        }
    }
}
