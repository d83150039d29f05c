//! A table turned for sorting: a block of rows per dataset, a row per method, a column per quantity.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::details;
use crate::report::results::Results;
use crate::report::table::{Group, Table, TableCell};

/// Turns a table of the results: its `columns`, the `headings` over neighbouring columns (an empty one spans columns without
/// a heading), a block per dataset, and the most `marks` behind a number, which hang beside it and need room.
pub fn of(results: &Results, table: &Table) -> Value {
    let width = table.groups.first().map_or(0, |group| group.columns.len());
    let in_rows = headed(table);
    let in_columns: Vec<[String; 2]> =
        table.groups.iter().flat_map(|group| &group.columns).take(width).map(|c| [String::new(), c.clone()]).collect();
    // Table 1 of the paper has a row per quantity, with two labels; Table 3 has a row per method, with one.
    let by_quantity = table.labels == 2;
    let (quantities, methods) = if by_quantity { (in_rows, in_columns) } else { (in_columns, in_rows) };
    let cell = |block: usize, method: usize, quantity: usize| {
        let (row, column) = if by_quantity { (quantity, method) } else { (method, quantity) };
        table.rows.get(row)?.cells.get(block * width + column)
    };
    let mut headings: Vec<(String, usize)> = Vec::new();
    for [heading, _] in &quantities {
        match headings.last_mut() {
            Some((last, span)) if last == heading => *span += 1,
            _ => headings.push((heading.clone(), 1)),
        }
    }
    let column = |(at, [heading, title]): (usize, &[String; 2])| {
        let full_title = format!("{heading} {title}").trim().to_owned();
        Some(context! { title, full_title, higher_is_better => cell(0, 0, at)?.quantity.higher_is_better() })
    };
    let shown =
        |cell: &TableCell| context! { details => details::of(results, cell), ..Value::from(Serde(cell.clone())) };
    let block = |(at, Group { title, metric, .. }): (usize, &Group)| {
        let row = |(method, [_, title]): (usize, &[String; 2])| {
            let cells = (0..quantities.len()).filter_map(|quantity| cell(at, method, quantity)).map(shown);
            context! { title => title.trim(), cells => cells.collect::<Vec<_>>() }
        };
        context! { title, metric, rows => methods.iter().enumerate().map(row).collect::<Vec<_>>() }
    };
    context! {
        columns => quantities.iter().enumerate().filter_map(column).collect::<Vec<_>>(),
        blocks => table.groups.iter().enumerate().map(block).collect::<Vec<_>>(),
        headings => Value::from(Serde(headings)),
        marks => table.cells().map(marks).max().unwrap_or(0),
    }
}

/// How many characters stand behind a number: its marks and the numbers of its footnotes, between commas.
fn marks(cell: &TableCell) -> usize {
    let marks = usize::from(cell.within_noise) + usize::from(cell.negative_transfer);
    let notes: Vec<String> = cell.notes.iter().map(usize::to_string).collect();
    marks + usize::from(marks > 0 && !notes.is_empty()) + notes.join(",").len()
}

/// Heading and title of each row. An empty first label continues the block above it.
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
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{ablation, difficult};
    use crate::report::table::{table1, table3};

    /// Table 1 is turned: its rows become columns, under the headings that its blocks had. Table 3 has a row per method
    /// already.
    #[test]
    fn rows_are_methods_and_columns_quantities() {
        let difficult = difficult(SuiteKind::Smoke);
        let pair = ablation(SuiteKind::Smoke).of_methods(&["balgrad-reweighting", "balgrad"]).unwrap();
        let impaired = |name: &str| ["Image", "Text", "Avg", "ΔGap"].map(|title| format!("{name} {title}")).to_vec();
        let quantities = [vec!["Full".to_owned()], impaired("Missing"), impaired("Noisy")].concat();
        let higher = [true, true, true, true, false, true, true, true, false];
        let headings = json!([["", 1], ["Missing", 4], ["Noisy", 4]]);
        for (results, table, titles, higher, headings) in [
            (&difficult, table1(&difficult), quantities, &higher[..], headings),
            (
                &pair,
                table3(&pair),
                ["Conflict (%)", "Missing ΔGap"].map(str::to_owned).into(),
                &[false; 2],
                json!([["", 2]]),
            ),
        ] {
            let grid = serde_json::to_value(of(results, &table)).unwrap();
            let columns =
                |key: &str| grid["columns"].as_array().unwrap().iter().map(|c| c[key].clone()).collect::<Json>();
            assert_eq!((columns("full_title"), columns("higher_is_better")), (json!(titles), json!(higher)));
            assert_eq!(grid["headings"], headings);
            for (b, block) in grid["blocks"].as_array().unwrap().iter().enumerate() {
                let suite = &results.suite;
                assert_eq!(block["title"], suite.datasets[b].title);
                assert_eq!(block["rows"].as_array().unwrap().len(), suite.methods.len());
                for (r, row) in block["rows"].as_array().unwrap().iter().enumerate() {
                    assert_eq!(row["title"], suite.methods[r].title);
                    for (c, cell) in row["cells"].as_array().unwrap().iter().enumerate() {
                        let at = |row: usize, column: usize, width| &table.rows[row].cells[b * width + column];
                        let shown =
                            if table.labels == 2 { at(c, r, suite.methods.len()) } else { at(r, c, titles.len()) };
                        assert_eq!([&cell["method"], &cell["text"]], [&json!(shown.method), &json!(shown.text)]);
                        assert_eq!(cell["quantity"], json!(shown.quantity));
                        assert_eq!(cell["details"].is_null(), cell["mean"].is_null());
                    }
                }
            }
        }
    }
}
