//! A table as it fits on a page of a paper: in one column or across both, in type of 7 or 8 points, never scaled.

use serde::Serialize;

use super::{Group, Row, Table, TableCell};
use crate::report::figure::{COLUMN, TEXT, width};

/// How LaTeX sets a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// `table`, or `table*` for one that spans both columns.
    pub environment: &'static str,
    /// The size of the type in points.
    pub size: f64,
    /// Whether a spread stands below its number rather than beside it.
    pub below: bool,
    /// Whether the titles of columns run upwards.
    pub turned: bool,
    /// Parts of the table, one below the other.
    pub bands: Vec<Band>,
}

/// Some of a table's groups with their cells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    /// The columns of numbers as LaTeX declares them: with room for the marks that hang behind their numbers.
    pub columns: String,
    pub groups: Vec<Group>,
    pub rows: Vec<Row>,
}

/// An arrangement: the size of the type, `below`, `turned`.
type Arrangement = (f64, bool, bool);

/// From the most to the least comfortable one.
const ARRANGEMENTS: [Arrangement; 4] = [(8.0, false, false), (8.0, true, false), (7.0, true, false), (7.0, true, true)];

/// The space between two columns.
const BETWEEN: f64 = 5.0;

/// Latin Modern is narrower than the font that widths are measured in, at these sizes.
const NARROWER: f64 = 0.92;

impl Page {
    /// The first arrangement in which the table fits in one column, else across both; else its datasets stand below each
    /// other, as many side by side as fit.
    pub fn of(table: &Table) -> Page {
        let all = || 0..table.groups.len();
        for (environment, room) in [("table", COLUMN), ("table*", TEXT)] {
            let one_column = environment == "table";
            // Upright titles are for tables that need them to stay whole.
            let mut fitting = ARRANGEMENTS.into_iter().filter(|(.., turned)| !(one_column && *turned));
            if let Some(arrangement) = fitting.find(|arrangement| needed(table, all(), *arrangement) <= room) {
                return page(table, environment, arrangement, vec![all()]);
            }
        }
        let arrangement = ARRANGEMENTS[3];
        let mut bands: Vec<std::ops::Range<usize>> = Vec::new();
        for at in all() {
            match bands.last_mut() {
                Some(band) if needed(table, band.start..at + 1, arrangement) <= TEXT => band.end = at + 1,
                _ => bands.push(at..at + 1),
            }
        }
        page(table, "table*", arrangement, bands)
    }
}

fn page(
    table: &Table,
    environment: &'static str,
    (size, below, turned): Arrangement,
    bands: Vec<std::ops::Range<usize>>,
) -> Page {
    let bands = bands.into_iter().map(|groups| band(table, groups, size)).collect();
    Page { environment, size, below, turned, bands }
}

fn columns(table: &Table, groups: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let count = |groups: &[Group]| groups.iter().map(|group| group.columns.len()).sum::<usize>();
    let first = count(&table.groups[..groups.start]);
    first..first + count(&table.groups[groups.clone()])
}

fn band(table: &Table, groups: std::ops::Range<usize>, size: f64) -> Band {
    let columns = columns(table, &groups);
    let declared = |at: usize| {
        let marks = table.rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| hanging(cell, size));
        match marks.fold(0.0, f64::max) {
            0.0 => "r".to_owned(),
            more => format!("r@{{\\hspace{{{:.1}pt}}}}", BETWEEN + more),
        }
    };
    let moved =
        |group: &Group| Group { first: group.first - columns.start, last: group.last - columns.start, ..group.clone() };
    let cut = |row: &Row| Row { cells: row.cells.get(columns.clone()).unwrap_or_default().to_vec(), ..row.clone() };
    Band {
        columns: columns.clone().map(declared).collect(),
        groups: table.groups[groups].iter().map(moved).collect(),
        rows: table.rows.iter().map(cut).collect(),
    }
}

/// The width of these groups with the labels of rows, in points.
fn needed(table: &Table, groups: std::ops::Range<usize>, (size, below, turned): Arrangement) -> f64 {
    let measured = |text: &str| NARROWER * size * width(text);
    let label = |at: usize| {
        let texts = table.rows.iter().filter_map(|row| row.labels.get(at));
        texts.map(|text| measured(text)).fold(0.0, f64::max) + BETWEEN
    };
    let labels: f64 = (0..table.labels).map(label).sum();
    let of_columns = columns(table, &groups);
    let titles = table.groups[groups].iter().flat_map(|group| &group.columns);
    let column = |(at, title): (usize, &String)| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(at));
        let widest = cells.map(|cell| cell_width(cell, size, below)).fold(0.0, f64::max);
        widest.max(if turned { size } else { measured(title) }) + BETWEEN
    };
    labels + of_columns.zip(titles).map(column).sum::<f64>()
}

fn cell_width(cell: &TableCell, size: f64, below: bool) -> f64 {
    // Spreads and the paper's numbers have 7 points at every size.
    let [number, spread, paper] =
        [(&cell.text, "", size), (&cell.std, "±", 7.0), (&cell.paper, "()", 7.0)].map(|(text, around, size)| {
            if text.is_empty() { 0.0 } else { NARROWER * size * width(&format!("{text}{around}")) }
        });
    let bold = if cell.best { 1.12 } else { 1.0 };
    let marks = hanging(cell, size);
    if below {
        (bold * number + marks).max(spread).max(paper)
    } else {
        bold * number + spread + paper + marks + 0.4 * size
    }
}

/// How far marks hang beyond the space between columns, which is wide enough for one.
fn hanging(cell: &TableCell, size: f64) -> f64 {
    let marks = [cell.within_noise, cell.negative_transfer].iter().filter(|mark| **mark).count() + cell.notes.len();
    0.55 * size * (marks as f64 - 1.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{ablation, realistic};
    use crate::report::table::{table1, table3};

    /// Narrow tables stand in one column; a table of the paper's size stays whole; a wider one is broken between datasets,
    /// and loses nothing.
    #[test]
    fn a_table_is_as_wide_as_it_needs() {
        let pair = ablation(SuiteKind::Smoke).of_methods(&["balgrad-reweighting", "balgrad"]).unwrap();
        let mut one = realistic(SuiteKind::Smoke, 2);
        one = one.restricted(&["emoji-subgroup"], &["baseline", "mslr"]).unwrap();
        let of = |table: &Table| {
            let page = Page::of(table);
            (page.environment, page.below, page.turned, page.bands.len())
        };
        assert_eq!(of(&table1(&one)), ("table", false, false, 1));
        assert_eq!(of(&table3(&pair)).0, "table*");
        assert_eq!(of(&table1(&realistic(SuiteKind::Smoke, 5))), ("table*", true, true, 1));
        let table = table1(&realistic(SuiteKind::Smoke, 7));
        let page = Page::of(&table);
        assert_eq!(page.bands.iter().map(|band| band.groups.len()).collect::<Vec<_>>(), [2, 1]);
        for (at, row) in table.rows.iter().enumerate() {
            let cells: Vec<TableCell> = page.bands.iter().flat_map(|band| band.rows[at].cells.clone()).collect();
            assert_eq!(cells, row.cells);
        }
        // A mark more than fits between two columns gets room.
        let mut marked = table1(&one);
        assert_eq!(Page::of(&marked).bands[0].columns, "rr");
        let cell = &mut marked.rows[2].cells[0];
        (cell.within_noise, cell.notes) = (true, vec![1]);
        assert_eq!(Page::of(&marked).bands[0].columns, "r@{\\hspace{9.4pt}}r");
        let second = &page.bands[1].groups[0];
        assert_eq!((second.first, second.last), (3, 9));
    }
}
