//! How much the selection of the epoch moves each number.

use minijinja::{Value, context};

use crate::report::protocol::{self, Protocol, Row};
use crate::report::quantity::Quantity;
use crate::report::reference::Reference;
use crate::report::results::Results;
use crate::report::table::cell;
use crate::report::words;
use crate::terms::Selection;

/// The quantities of the summary.
const SUMMED_UP: [Quantity; 5] =
    [Quantity::Full, Quantity::MissingAvg, Quantity::MissingGap, Quantity::NoisyAvg, Quantity::NoisyGap];

/// Of each dataset on which selections are compared: `title`, `selections` (`name`, and what it `means`), `shift_columns` and
/// `shifts` (a row per quantity), `columns` and `blocks` (a method: `title`, `rows`).
pub fn of(results: &Results, reference: Option<&Reference>) -> Vec<Value> {
    protocol::of(results, reference).iter().map(dataset).collect()
}

fn dataset(protocol: &Protocol) -> Value {
    let Protocol { title, selections, rows } = protocol;
    let beside_paper = rows.iter().any(|row| row.printed.is_some());
    // Titles, and how columns sort.
    let selected: Vec<[&str; 2]> = selections.iter().map(|selection| [selection.name(), "high"]).collect();
    let paper = [["Paper", "high"], ["Nearest", "text"]];
    let paper = if beside_paper { &paper[..] } else { &[] };
    let block = |rows: &[Row]| {
        let cells = rows.iter().map(|one| row(one, beside_paper));
        context! { title => rows[0].method.clone(), rows => cells.collect::<Vec<_>>() }
    };
    let selection = |selection: &Selection| context! { name => selection.name(), means => selection.description() };
    context! {
        title,
        selections => selections.iter().map(selection).collect::<Vec<_>>(),
        shift_columns => [&[["Number", "text"]], &selected[..]].concat(),
        shifts => shifts(protocol),
        columns => [&[["Number", "text"]], &selected[..], &[["Moved by", "high"]], paper].concat(),
        blocks => rows.chunk_by(|one, next| one.method == next.method).map(block).collect::<Vec<_>>(),
    }
}

/// How far each selection moves the quantities of the summary, and to how many of the paper's numbers it lies nearest.
fn shifts(protocol: &Protocol) -> Vec<Vec<String>> {
    let row = |title: &str, cell: &dyn Fn(usize) -> String| {
        [words::capitalized(title)].into_iter().chain((0..protocol.selections.len()).map(cell)).collect()
    };
    let shift = |quantity, at| match protocol.shift(at, quantity) {
        Some(_) if at == 0 => "as shown".to_owned(),
        Some(shift) => {
            let [mean, low, high] = shift.map(words::signed);
            format!("{mean} ({low} to {high})")
        }
        None => "—".to_owned(),
    };
    let nearest = |at: usize| {
        protocol.nearest(protocol.selections[at]).map_or_else(String::new, |(n, of)| format!("{n} of {of}"))
    };
    let mut rows: Vec<Vec<String>> =
        SUMMED_UP.iter().map(|quantity| row(quantity.title(), &|at| shift(*quantity, at))).collect();
    if protocol.nearest(protocol.selections[0]).is_some() {
        rows.push(row("nearest to the paper's number", &nearest));
    }
    rows
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
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{compared, difficult};

    #[test]
    fn a_number_stands_beside_its_shift() {
        assert!(of(&difficult(SuiteKind::Smoke), None).is_empty());
        let shown = of(&compared(SuiteKind::Smoke), None);
        insta::assert_snapshot!(serde_json::to_string_pretty(&shown).unwrap());
    }
}
