//! Whether the paper's own numbers satisfy a claim.

use serde::Serialize;

use super::assertion::{Assertion, Measure, Side};
use crate::report::reference::{PrintedTable, Reference};

/// What the paper prints about a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Printed {
    pub outcome: PrintedOutcome,
    /// The comparisons that do not hold, or that could not be looked at.
    pub details: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintedOutcome {
    /// Every comparison holds in the printed numbers.
    Satisfied,
    /// One does not, in one of the tables that print it.
    Violated,
    /// None is known not to hold, and some could not be looked at.
    NotTranscribed,
}

/// Holds a claim's comparisons against every table that prints both sides.
pub fn check(assertions: &[Assertion], reference: &Reference) -> Printed {
    let (mut violated, mut unknown) = (Vec::new(), Vec::new());
    for assertion in assertions {
        let mut seen = false;
        for (name, table) in reference.tables() {
            let Some([greater, smaller]) = sides(assertion, table) else { continue };
            seen = true;
            let excess = f64::from(greater - smaller) - 100.0 * assertion.margin;
            if !(excess > 1e-6 || (assertion.or_equal && excess > -1e-6)) {
                let [greater, smaller] = [greater, smaller].map(|hundredths| f64::from(hundredths) / 100.0);
                let detail =
                    format!("{}: {greater:.2} against {smaller:.2} ({name})", words(assertion, &assertion.dataset));
                violated.push(detail);
            }
        }
        if !seen {
            unknown.push(words(assertion, &assertion.dataset));
        }
    }
    let outcome = match (violated.is_empty(), unknown.is_empty()) {
        (false, _) => PrintedOutcome::Violated,
        (true, false) => PrintedOutcome::NotTranscribed,
        (true, true) => PrintedOutcome::Satisfied,
    };
    Printed { outcome, details: if outcome == PrintedOutcome::Violated { violated } else { unknown } }
}

/// Both sides in hundredths, if the table prints them.
fn sides(assertion: &Assertion, table: &PrintedTable) -> Option<[i32; 2]> {
    let of = |side: &Side| match side.measure {
        Measure::Quantity(quantity) => Some(table.get(quantity, &assertion.dataset, &side.method)?.hundredths),
        Measure::MeanCosine => None,
    };
    Some([of(&assertion.greater)?, of(assertion.smaller.as_ref()?)?])
}

/// A comparison in words, on a dataset by the name that it has there.
pub(super) fn words(assertion: &Assertion, dataset: &str) -> String {
    let Assertion { greater, smaller, margin, or_equal, .. } = assertion;
    let sign = if *or_equal { "≥" } else { ">" };
    let margin = if *margin == 0.0 { String::new() } else { format!(" + {margin}") };
    match smaller {
        Some(smaller) => format!("{greater} {sign} {smaller}{margin} on {dataset}"),
        None => format!("{greater} {sign} {} on {dataset}", assertion.margin),
    }
}
