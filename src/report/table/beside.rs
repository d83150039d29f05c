//! Compares a table with the paper's: ours, the paper's own numbers, the difference, or both.

use super::cell::{note_on, ranks, shown};
use super::{Table, TableCell};
use clap::ValueEnum;

use crate::errors;
use crate::report::SuiteKind;
use crate::report::agreement::{Agreements, LEGEND, Margin};
use crate::report::reference::{PrintedTable, Reference};
use crate::report::results::{DatasetDescription, Results};

/// Whose numbers a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// Our results
    Ours,
    /// The numbers that the paper prints
    Paper,
    /// Ours minus the paper's
    Delta,
    /// Ours, with the paper's in brackets
    Both,
}

/// Turns a table of ours, named as in the paper, into one of another kind. A number that was not transcribed, or not
/// computed, is shown as missing; ours and the paper's never replace each other.
///
/// # Errors
/// A usage error if the paper has no numbers for the datasets of the results.
pub fn beside(table: Table, name: &str, results: &Results, reference: &Reference, of: Of) -> anyhow::Result<Table> {
    if of == Of::Ours {
        return Ok(table);
    }
    let suite = &results.suite;
    let papers = |dataset: &DatasetDescription| reference.tables().any(|(_, table)| table.has_dataset(&dataset.name));
    if suite.kind == SuiteKind::Smoke || (reference.table(name).is_ok() && !suite.datasets.iter().any(papers)) {
        return Err(errors::usage(
            format!("the paper has no numbers for the suite `{}`: its datasets are others", suite.suite),
            "use `--of ours`, or a suite of the paper's datasets (`--suite paper`)",
        ));
    }
    let printed = reference.table(name);
    let mut table = table;
    if let (Of::Both, Err(missing)) = (of, &printed) {
        // One sentence instead of a dash in every cell.
        table.caption = format!("The paper's numbers do not stand beside: {missing}. {}", table.caption);
        return Ok(table);
    }
    let agreements = (of == Of::Both).then(|| Agreements::of(results, reference, Margin::default())).flatten();
    let mut footnotes = if of == Of::Paper { Vec::new() } else { std::mem::take(&mut table.footnotes) };
    for cell in table.rows.iter_mut().flat_map(|row| &mut row.cells) {
        turn(cell, &printed, of, &mut footnotes);
        let place = (cell.dataset.as_str(), cell.method.as_str(), cell.quantity);
        let found = agreements.as_ref().and_then(|agreements| agreements.find(name, place));
        if let Some(found) = found.filter(|found| found.ours.is_some()) {
            cell.paper += &format!(" {}", found.sign());
            (cell.agreement, cell.agreement_explained) = (Some(found.agreement), found.explained());
        }
    }
    if let Some(agreements) = &agreements {
        table.details.push(format!("{LEGEND}. {}", agreements.how()));
    }
    match of {
        Of::Paper => {
            rank(&mut table);
            table.mark = MARK.to_owned();
            table.details.clear();
        }
        // The last paragraph explains a mark, which differences do not have.
        Of::Delta => drop(table.details.pop()),
        Of::Ours | Of::Both => {}
    }
    table.footnotes = footnotes;
    table.caption = caption(&table, reference, of);
    Ok(table)
}

/// What the paper's own numbers are called.
const MARK: &str = "the paper's own numbers";

fn caption(table: &Table, reference: &Reference, of: Of) -> String {
    let cited = format!("{} ({})", reference.paper.title, reference.paper.venue);
    match of {
        Of::Ours => table.caption.clone(),
        Of::Paper => format!(
            "{cited}: {MARK}, as printed. Best in bold, second best underlined, by the numbers; * as marked in the paper."
        ),
        Of::Delta => {
            let ours = super::caption::without_marks(&table.caption);
            format!("Ours minus the numbers of {cited}, in percentage points. Ours: {ours}")
        }
        Of::Both => format!("In brackets: the numbers of {cited}. {}", table.caption),
    }
}

/// Adds the paper's number to a cell, and shows what is asked for.
fn turn(cell: &mut TableCell, printed: &Result<&PrintedTable, String>, of: Of, footnotes: &mut Vec<String>) {
    let number = match printed {
        Ok(table) => table
            .get(cell.quantity, &cell.dataset, &cell.method)
            .ok_or_else(|| "the paper's table has no such number".to_owned()),
        Err(missing) => Err(missing.clone()),
    };
    cell.paper_value = number.as_ref().ok().map(|number| number.value());
    // Without a number of ours there is no difference.
    cell.difference = cell.mean.zip(cell.paper_value).map(|(ours, papers)| ours - papers);
    let papers = number.as_ref().map_or_else(|_| MISSING.to_owned(), ToString::to_string);
    match of {
        Of::Ours => {}
        Of::Both => cell.paper = papers,
        Of::Delta => show_difference(cell),
        Of::Paper => {
            let marked = |table: &&PrintedTable| table.is_marked(cell.quantity, &cell.dataset, &cell.method);
            *cell = TableCell {
                text: papers,
                status: if number.is_ok() { "value" } else { "not-transcribed" },
                negative_transfer: printed.as_ref().is_ok_and(marked),
                paper_value: cell.paper_value,
                ..TableCell::empty(&cell.dataset, &cell.method, cell.quantity)
            };
        }
    }
    if let Err(cause) = number {
        note_on(cell, cause, footnotes);
    }
}

/// Shows ours minus the paper's with its sign. The cell's own note says why there is no number of ours.
fn show_difference(cell: &mut TableCell) {
    match (cell.difference, cell.mean) {
        (Some(difference), _) => {
            let text = shown(difference);
            cell.text = if difference > 0.0 && text != "0.00" { format!("+{text}") } else { text };
        }
        (None, Some(_)) => cell.text = MISSING.to_owned(),
        (None, None) => {}
    }
    (cell.std, cell.best, cell.second) = (String::new(), false, false);
    (cell.within_noise, cell.negative_transfer) = (false, false);
}

const MISSING: &str = "—";

/// Ranks the paper's numbers among themselves.
fn rank(table: &mut Table) {
    for mut cells in table.rankings() {
        let ranks = ranks(cells[0].quantity, cells.iter().map(|cell| cell.paper_value));
        cells.iter_mut().zip(ranks).for_each(|(cell, rank)| (cell.best, cell.second) = (rank == 0, rank == 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reference::committed;
    use crate::report::results::{Cell, collect};
    use crate::report::samples::{difficult, realistic, scored};
    use crate::report::table::{table1, table2, table3};

    /// Results with the names of the paper's datasets and methods.
    fn paper() -> Results {
        let mut suite = realistic(SuiteKind::Paper, 2).suite;
        suite.datasets.truncate(2);
        suite.seeds = vec![1];
        let names = ["food101", "hateful-memes"];
        let methods = ["baseline", "balgrad"];
        suite.methods.iter_mut().zip(methods).for_each(|(method, name)| method.name = name.into());
        for (dataset, name) in suite.datasets.iter_mut().zip(names) {
            dataset.name = name.into();
            dataset.methods = methods.map(str::to_owned).to_vec();
        }
        let cell = |dataset: &str, method: &str, full| Cell {
            dataset: dataset.into(),
            method: method.into(),
            seed: 1,
            outcome: scored(full, 20.0, 60.0),
        };
        collect(suite, &[cell("food101", "baseline", 75.5), cell("food101", "balgrad", 80.324)]).unwrap()
    }

    fn of(of: Of) -> Table {
        let results = paper();
        beside(table1(&results), "table1", &results, &committed(), of).unwrap()
    }

    fn texts(table: &Table, row: usize) -> Vec<&str> {
        table.rows[row].cells.iter().map(|cell| cell.text.as_str()).collect()
    }

    #[test]
    fn ours_is_left_as_it_is() {
        let results = paper();
        assert_eq!(of(Of::Ours), table1(&results));
        assert!(of(Of::Ours).rows[0].cells.iter().all(|cell| cell.paper_value.is_none()));
    }

    /// The paper's numbers are ranked among themselves and marked as the paper marks them, whatever is missing of ours.
    #[test]
    fn the_papers_table_is_the_papers() {
        let table = of(Of::Paper);
        assert_eq!(texts(&table, 0), ["76.01", "80.32", "65.10", "67.35"]);
        assert_eq!(texts(&table, 4), ["50.53", "39.54", "8.74", "8.28"]);
        let best: Vec<bool> = table.rows[4].cells.iter().map(|cell| cell.best).collect();
        assert_eq!(best, [false, true, false, true]);
        assert!(table.rows[0].cells.iter().all(|cell| cell.std.is_empty() && cell.mean.is_none()));
        assert!(table.footnotes.is_empty() && table.caption.contains(&table.mark));
    }

    /// The difference is that of the unrounded mean. It is missing where ours is, with the cause.
    #[test]
    fn a_difference_has_a_sign() {
        let table = of(Of::Delta);
        assert_eq!(texts(&table, 0), ["-0.51", "0.00", "—", "—"]);
        assert_eq!(texts(&table, 1), ["+7.01", "-5.49", "—", "—"]);
        assert!((table.rows[0].cells[1].difference.unwrap() - 0.004).abs() < 1e-9);
        assert!(table.rows[0].cells[2].note.contains("not run"));
        // The caption does not explain marks that differences do not have.
        let caption = table.caption;
        assert!(caption.contains("reproduction"), "{caption}");
        assert!(caption.starts_with("Ours minus the numbers of"), "{caption}");
        assert!(["Best in bold", "†", "negative transfer"].iter().all(|marks| !caption.contains(marks)), "{caption}");
    }

    /// A missing number of ours stays missing.
    #[test]
    fn both_stand_side_by_side() {
        let table = of(Of::Both);
        assert_eq!(texts(&table, 0), ["75.50", "80.32", "—", "—"]);
        let papers: Vec<&str> = table.rows[0].cells.iter().map(|cell| cell.paper.as_str()).collect();
        assert_eq!(papers, ["76.01 ?", "80.32 ?", "65.10", "67.35"]);
        let explained = &table.rows[0].cells[0].agreement_explained;
        assert!(explained.ends_with("At least three seeds are needed."), "{explained}");
        assert!(table.details.last().unwrap().starts_with(LEGEND));
        assert_eq!((table.rows[0].cells[2].mean, table.rows[0].cells[2].agreement), (None, None));
    }

    #[test]
    fn a_number_that_is_not_transcribed_has_a_note() {
        let results = paper();
        for (of, text) in [(Of::Paper, "—"), (Of::Both, "40.00"), (Of::Delta, "—")] {
            let table = beside(table3(&results), "table3", &results, &committed(), of).unwrap();
            assert_eq!(table.rows[0].cells[1].text, text);
            let missing = "the paper's table3 is not transcribed";
            match of {
                // Once, and no dash in any cell.
                Of::Both => {
                    assert!(table.caption.starts_with(&format!("The paper's numbers do not stand beside: {missing}")));
                    assert!(table.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.paper.is_empty()));
                }
                _ => assert!(table.footnotes.iter().any(|note| note.starts_with(missing)), "{:?}", table.footnotes),
            }
        }
        // The paper's Table 2 has neither MSLR nor a column of ours that it does not print.
        let mut other = paper();
        other.suite.methods[0].name = "mslr".into();
        let table = beside(table2(&other), "table2", &other, &committed(), Of::Paper).unwrap();
        assert_eq!(texts(&table, 0)[..2], ["—", "80.32"]);
        assert_eq!(table.rows[0].cells[0].note, "the paper's table has no such number");
    }

    #[test]
    fn other_suites_cannot_be_compared() {
        let refused = |results: &Results| {
            beside(table1(results), "table1", results, &committed(), Of::Both).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&difficult(SuiteKind::Smoke)),
            "the paper has no numbers for the suite `example`: its datasets are others"
        );
        refused(&difficult(SuiteKind::Trial));
    }
}
