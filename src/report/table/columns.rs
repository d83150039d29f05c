//! A table for a terminal: aligned columns, datasets one below the other.

use super::{Table, TableCell};

/// A table in plain text of at most `width` characters a line, if that is possible: spreads are left out if they do not fit.
pub fn aligned(table: &Table, width: usize) -> String {
    let with_spreads = grids(table, true);
    let fits = with_spreads.lines().all(|line| line.chars().count() <= width);
    let mut text = if fits { with_spreads } else { grids(table, false) };
    let any = |has: fn(&TableCell) -> bool| table.rows.iter().flat_map(|row| &row.cells).any(has);
    let mut legend = Vec::new();
    for (is_used, meaning) in [
        (any(|cell| cell.best), "¹ best"),
        (any(|cell| cell.second), "² second"),
        (any(|cell| cell.within_noise), "† its lead is within noise"),
        (any(|cell| cell.negative_transfer), "* above the score with both modalities"),
        (any(|cell| !cell.paper.is_empty()), "(in brackets) the paper"),
        (!fits && any(|cell| !cell.std.is_empty()), "spreads: --format md"),
    ] {
        if is_used {
            legend.push(meaning);
        }
    }
    text += &format!("{}\n{}\n", table.mark, legend.join(", "));
    for (i, note) in table.footnotes.iter().enumerate() {
        text += &format!("[{}] {note}\n", i + 1);
    }
    text
}

/// A grid for each dataset, each with an empty line behind it.
fn grids(table: &Table, with_spreads: bool) -> String {
    let mut text = String::new();
    let mut first = 0;
    for group in &table.groups {
        let columns = first..first + group.columns.len();
        first = columns.end;
        let labels = vec![String::new(); table.labels];
        let mut lines = vec![[labels, group.columns.clone()].concat()];
        for row in &table.rows {
            let cells = row.cells.get(columns.clone()).unwrap_or_default();
            let cells: Vec<String> = cells.iter().map(|cell| shown(cell, with_spreads)).collect();
            lines.push([row.labels.clone(), cells].concat());
        }
        let length = |text: &String| text.chars().count();
        let of_column = |at: usize| lines.iter().filter_map(|line| line.get(at)).map(length).max().unwrap_or(0);
        let widths: Vec<usize> = (0..lines[0].len()).map(of_column).collect();
        text += &format!("{} ({})\n", group.title, group.metric);
        for line in &lines {
            for (at, part) in line.iter().enumerate() {
                let gap = " ".repeat(widths[at] - length(part));
                text += &if at < table.labels { format!("{part}{gap}  ") } else { format!("{gap}{part}  ") };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// A number with its marks. Those without a mark get a blank in its place, so that digits stand below digits.
fn shown(cell: &TableCell, with_spread: bool) -> String {
    let rank = if cell.best {
        '¹'
    } else if cell.second {
        '²'
    } else {
        ' '
    };
    let noise = if cell.within_noise { '†' } else { ' ' };
    let transfer = if cell.negative_transfer { '*' } else { ' ' };
    let mut text = format!("{}{rank}{noise}{transfer}", cell.text);
    if with_spread && !cell.std.is_empty() {
        text += &format!("± {}", cell.std);
    }
    if !cell.paper.is_empty() {
        text += &format!(" ({})", cell.paper);
    }
    for note in &cell.notes {
        text += &format!(" [{note}]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::results::Quantity;
    use super::super::{Group, Row};
    use super::*;

    fn table() -> Table {
        let cell = |text: &str, std: &str| TableCell {
            text: text.into(),
            std: std.into(),
            ..TableCell::empty("d", "m", Quantity::Full)
        };
        let best = TableCell { best: true, within_noise: true, ..cell("58.50", "0.52") };
        let group = |title: &str| Group {
            title: title.into(),
            metric: "accuracy".into(),
            columns: vec!["Baseline".into(), "BalGrad".into()],
            ..Group::default()
        };
        let row = |labels: [&str; 2], cells: Vec<TableCell>| Row {
            labels: labels.map(str::to_owned).to_vec(),
            cells,
            ..Row::default()
        };
        let failed = TableCell { notes: vec![1], ..cell("—", "") };
        Table {
            mark: "smoke run".into(),
            labels: 2,
            groups: vec![group("one"), group("two")],
            rows: vec![
                row(["Full", ""], vec![cell("7.25", "1.10"), best.clone(), failed, best.clone()]),
                row(["Missing", "Image"], vec![best.clone(), cell("8.00", "0.10"), best.clone(), cell("9.99", "1.00")]),
            ],
            footnotes: vec!["It failed.".into()],
            ..Table::default()
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        insta::assert_snapshot!(aligned(&table(), 80), @"
        one (accuracy)
                              Baseline         BalGrad
        Full             7.25   ± 1.10  58.50¹† ± 0.52
        Missing  Image  58.50¹† ± 0.52   8.00   ± 0.10

        two (accuracy)
                              Baseline         BalGrad
        Full                  —    [1]  58.50¹† ± 0.52
        Missing  Image  58.50¹† ± 0.52   9.99   ± 1.00

        smoke run
        ¹ best, † its lead is within noise
        [1] It failed.
        ");
        insta::assert_snapshot!(aligned(&table(), 30), @"
        one (accuracy)
                        Baseline   BalGrad
        Full             7.25     58.50¹†
        Missing  Image  58.50¹†    8.00

        two (accuracy)
                        Baseline   BalGrad
        Full            —    [1]  58.50¹†
        Missing  Image  58.50¹†    9.99

        smoke run
        ¹ best, † its lead is within noise, spreads: --format md
        [1] It failed.
        ");
    }
}
