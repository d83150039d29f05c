//! Whether the paper's own numbers satisfy a claim.

use serde::Serialize;

use super::grammar::{Assertion, Measure, Side};
use crate::report::reference::{PrintedTable, Reference};
use crate::report::words::titled;

/// What the paper prints about a claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Printed {
    pub outcome: PrintedOutcome,
    /// The comparisons that do not hold, or that could not be checked.
    pub details: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintedOutcome {
    /// Every comparison holds in the printed numbers.
    Satisfied,
    /// One does not, in one of the tables that print it.
    Violated,
    /// None is known not to hold, and some could not be checked.
    #[default]
    NotTranscribed,
}

/// Checks a claim's comparisons in every table that prints both sides. `in_words` gives the sentence of a comparison.
pub fn check(assertions: &[Assertion], reference: &Reference, in_words: impl Fn(&Assertion) -> String) -> Printed {
    let (mut violated, mut unknown) = (Vec::new(), Vec::new());
    for assertion in assertions {
        let mut seen = false;
        for (name, table) in reference.tables() {
            let Some([greater, smaller]) = sides(assertion, table) else { continue };
            seen = true;
            if !(greater > smaller || (assertion.or_equal && greater == smaller)) {
                let [greater, smaller] = [greater, smaller].map(|hundredths| f64::from(hundredths) / 100.0);
                let says = in_words(assertion);
                violated.push(format!("{says}: {greater:.2} against {smaller:.2} ({})", titled(name)));
            }
        }
        if !seen {
            unknown.push(in_words(assertion));
        }
    }
    let outcome = match (violated.is_empty(), unknown.is_empty()) {
        (false, _) => PrintedOutcome::Violated,
        (true, false) => PrintedOutcome::NotTranscribed,
        (true, true) => PrintedOutcome::Satisfied,
    };
    Printed { outcome, details: if outcome == PrintedOutcome::Violated { violated } else { unknown } }
}

/// The difference of both sides, in the first table that prints them.
pub fn difference(assertion: &Assertion, reference: &Reference) -> Option<f64> {
    let [greater, smaller] = reference.tables().find_map(|(_, table)| sides(assertion, table))?;
    Some(f64::from(greater - smaller) / 100.0)
}

/// Both sides in hundredths, if the table prints them.
fn sides(assertion: &Assertion, table: &PrintedTable) -> Option<[i32; 2]> {
    let of = |side: &Side| match side.measure {
        Measure::Quantity(quantity) => Some(table.get(quantity, &assertion.dataset, &side.method)?.hundredths),
        Measure::MeanCosine => None,
    };
    Some([of(&assertion.greater)?, of(assertion.smaller.as_ref()?)?])
}
