//! How much the selection of the epoch moves each number.

use minijinja::{Value, context};

use crate::report::protocol::{self, Protocol, Row};
use crate::report::quantity::Quantity;
use crate::report::reference::Reference;
use crate::report::results::Results;
use crate::report::table::cell;
use crate::report::words;
use crate::terms::Selection;

/// The quantities of the summary, and what its columns are called.
const SUMMED_UP: [(Quantity, &str); 5] = [
    (Quantity::Full, "Full"),
    (Quantity::MissingAvg, "Missing Avg"),
    (Quantity::MissingGap, "Missing ΔGap"),
    (Quantity::NoisyAvg, "Noisy Avg"),
    (Quantity::NoisyGap, "Noisy ΔGap"),
];

/// A column's title, and how it sorts.
type Column = (&'static str, &'static str);

fn columns(columns: impl Iterator<Item = Column>) -> Vec<[&'static str; 2]> {
    columns.map(|(title, kind)| [title, kind]).collect()
}

/// Of each dataset on which selections are compared: `title`, `selections` (`name`, what it is, and whether the test split
/// decides), `shift_columns` and `shifts` (a row per selection), `columns` and `blocks` (a method:
/// `title`, `rows`).
pub fn of(results: &Results, reference: Option<&Reference>) -> Vec<Value> {
    protocol::of(results, reference).iter().map(dataset).collect()
}

fn dataset(protocol: &Protocol) -> Value {
    let Protocol { title, selections, rows } = protocol;
    let beside_paper = rows.iter().any(|row| row.printed.is_some());
    let selected = selections.iter().map(|selection| (selection.name(), "high"));
    let shifted = [("Selection", "text")].into_iter().chain(SUMMED_UP.map(|(_, title)| (title, "high")));
    let numbered = [("Number", "text")].into_iter().chain(selected).chain([("Moved by", "high")]);
    let paper = |columns: &[Column]| columns.iter().copied().filter(|_| beside_paper).collect::<Vec<_>>();
    let block = |rows: &[Row]| {
        let cells = rows.iter().map(|one| row(one, beside_paper));
        context! { title => rows[0].method.clone(), rows => cells.collect::<Vec<_>>() }
    };
    let selection = |selection: &Selection| {
        context! { name => selection.name(), means => selection.description(), uses_test => selection.uses_test() }
    };
    context! {
        title,
        selections => selections.iter().map(selection).collect::<Vec<_>>(),
        shift_columns => columns(shifted.chain(paper(&[("Nearest to the paper", "high")]))),
        columns => columns(numbered.chain(paper(&[("Paper", "high"), ("Nearest", "text")]))),
        shifts => (0..selections.len()).map(|at| shifts(protocol, at)).collect::<Vec<_>>(),
        blocks => rows.chunk_by(|one, next| one.method == next.method).map(block).collect::<Vec<_>>(),
    }
}

/// A selection's name, and how far it moves the quantities of the summary.
fn shifts(protocol: &Protocol, at: usize) -> Vec<String> {
    let selection = protocol.selections[at];
    let shift = |(quantity, _)| match protocol.shift(at, quantity) {
        Some(_) if at == 0 => "as shown".to_owned(),
        Some(shift) => {
            let [mean, low, high] = shift.map(words::signed);
            format!("{mean} ({low} to {high})")
        }
        None => "—".to_owned(),
    };
    let nearest = protocol.nearest(selection).map(|(n, of)| format!("{n} of {of}"));
    [selection.name().to_owned()].into_iter().chain(SUMMED_UP.map(shift)).chain(nearest).collect()
}

/// A number with each selection.
fn row(row: &Row, beside_paper: bool) -> Vec<String> {
    let none = || "—".to_owned();
    let value = |(at, value): (usize, &Option<protocol::Value>)| {
        let Some(value) = value else { return none() };
        let spread = |std: Option<f64>| std.map_or_else(String::new, |std| format!(" ± {}", cell::shown(std)));
        match value.shift.as_ref().filter(|_| at > 0) {
            None => format!("{}{}", cell::shown(value.mean), spread(value.std)),
            Some(shift) => format!("{} ({}{})", cell::shown(value.mean), words::signed(shift.mean), spread(shift.std)),
        }
    };
    let mut cells = vec![words::capitalized(row.quantity.title())];
    cells.extend(row.values.iter().enumerate().map(value));
    cells.push(row.moves.map_or_else(none, cell::shown));
    if beside_paper {
        let names: Vec<&str> = row.nearest.iter().map(|selection| selection.name()).collect();
        cells.push(row.printed.map_or_else(none, cell::shown));
        cells.push(if names.is_empty() { none() } else { names.join(", ") });
    }
    cells
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{compared, difficult};

    #[test]
    fn a_number_stands_beside_its_shift() {
        assert!(of(&difficult(SuiteKind::Smoke), None).is_empty());
        let shown = serde_json::to_value(of(&compared(SuiteKind::Smoke), None)).unwrap();
        let dataset = &shown[0];
        assert_eq!(
            dataset["columns"],
            json!([["Number", "text"], ["last", "high"], ["best-test", "high"], ["Moved by", "high"]])
        );
        assert_eq!(
            dataset["blocks"][0]["rows"][0],
            json!(["Full score", "51.50 ± 0.71", "53.50 (+2.00 ± 0.00)", "2.00"])
        );
        assert_eq!(dataset["blocks"][2]["title"], "Broken");
        assert_eq!(dataset["blocks"][2]["rows"][0], json!(["Full score", "—", "—", "—"]));
        assert_eq!(
            dataset["shifts"],
            json!([
                ["last", "as shown", "as shown", "as shown", "as shown", "as shown"],
                [
                    "best-test",
                    "+2.00 (+2.00 to +2.00)",
                    "+2.00 (+2.00 to +2.00)",
                    "0.00 (0.00 to 0.00)",
                    "+2.00 (+2.00 to +2.00)",
                    "0.00 (0.00 to 0.00)"
                ],
            ])
        );
        let label = dataset["selections"][1]["means"].as_str().unwrap();
        assert!(label.contains("usual in published code; optimistic, never for claims"), "{label}");
    }
}
