//! A table turned for sorting: a block of rows per dataset, a row per method, a column per quantity.

use serde::Serialize;

use super::details::{self, Details};
use crate::report::quantity::Quantity;
use crate::report::results::Results;
use crate::report::table::{Table, TableCell};

/// A table as the page lays it out.
#[derive(Debug, PartialEq, Serialize)]
pub struct Grid {
    pub columns: Vec<Column>,
    /// Neighbouring columns under one heading, and how many they are; an empty heading spans columns without one.
    pub headings: Vec<(String, usize)>,
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
    /// None if the results hold no such number.
    pub details: Option<Details>,
}

/// Turns a table of the results.
pub fn of(results: &Results, table: &Table) -> Grid {
    // Table 1 of the paper has a row per quantity, with two labels; Table 3 has a row per method, with one.
    let by_quantity = table.labels == 2;
    let width = table.groups.first().map_or(0, |group| group.columns.len());
    let (titles, firsts): (Vec<[String; 2]>, Vec<&TableCell>) = match by_quantity {
        true => (headed(table), table.rows.iter().filter_map(|row| row.cells.first()).collect()),
        false => (
            table
                .groups
                .first()
                .into_iter()
                .flat_map(|group| &group.columns)
                .map(|c| [String::new(), c.clone()])
                .collect(),
            table.rows.first().into_iter().flat_map(|row| &row.cells).take(width).collect(),
        ),
    };
    let mut headings: Vec<(String, usize)> = Vec::new();
    for [heading, _] in &titles {
        match headings.last_mut() {
            Some((last, span)) if last == heading => *span += 1,
            _ => headings.push((heading.clone(), 1)),
        }
    }
    let column = |([heading, title], cell): ([String; 2], &TableCell)| Column {
        full_title: format!("{heading} {title}").trim().to_owned(),
        title,
        higher_is_better: Quantity::ALL.iter().any(|of| of.name() == cell.quantity && of.higher_is_better()),
    };
    let block = |(at, group): (usize, &crate::report::table::Group)| {
        let mine = at * width..(at + 1) * width;
        let row = |title: &str, cells: Vec<&TableCell>| Row {
            title: title.trim().to_owned(),
            cells: cells.into_iter().map(|c| Cell { shown: c.clone(), details: details::of(results, c) }).collect(),
        };
        let rows = match by_quantity {
            true => mine
                .zip(&group.columns)
                .map(|(at, method)| row(method, table.rows.iter().filter_map(|row| row.cells.get(at)).collect()))
                .collect(),
            false => table
                .rows
                .iter()
                .map(|of| row(&of.labels.join(" "), of.cells.get(mine.clone()).unwrap_or_default().iter().collect()))
                .collect(),
        };
        Block { title: group.title.clone(), metric: group.metric.clone(), rows }
    };
    Grid {
        headings,
        columns: titles.into_iter().zip(firsts).map(column).collect(),
        blocks: table.groups.iter().enumerate().map(block).collect(),
        marks: table.rows.iter().flat_map(|row| &row.cells).map(marks).max().unwrap_or(0),
    }
}

/// How many characters stand behind a number: its marks and the numbers of its footnotes, between commas.
fn marks(cell: &TableCell) -> usize {
    let marks = usize::from(cell.within_noise) + usize::from(cell.negative_transfer);
    let notes: Vec<String> = cell.notes.iter().map(usize::to_string).collect();
    marks + usize::from(marks > 0 && !notes.is_empty()) + notes.join(",").len()
}

/// Heading and title of each quantity's column. An empty first label continues the block above it.
fn headed(table: &Table) -> Vec<[String; 2]> {
    let mut heading = "";
    let titles = table.rows.iter().map(|row| match &row.labels[..] {
        [block, title] if !title.is_empty() => {
            heading = if block.is_empty() { heading } else { block };
            [heading.to_owned(), title.clone()]
        }
        labels => [String::new(), labels.join(" ").trim().to_owned()],
    });
    titles.collect()
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
        let grid = of(&results, &table);
        let impaired = |name: &str| ["Image", "Text", "Avg", "ΔGap"].map(|title| format!("{name} {title}")).to_vec();
        assert_eq!(titles(&grid), [vec!["Full".to_owned()], impaired("Missing"), impaired("Noisy")].concat());
        assert_eq!(grid.headings, [(String::new(), 1), ("Missing".into(), 4), ("Noisy".into(), 4)]);
        assert!(grid.columns[1].higher_is_better && !grid.columns[4].higher_is_better);
        for (b, block) in grid.blocks.iter().enumerate() {
            assert_eq!(block.rows.len(), 3);
            for (r, row) in block.rows.iter().enumerate() {
                assert_eq!(row.title, results.suite.methods[r].title);
                for (c, cell) in row.cells.iter().enumerate() {
                    assert_eq!(cell.shown, table.rows[c].cells[b * 3 + r]);
                    assert!(cell.details.is_some());
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
        let grid = of(&results, &table);
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
