//! The numbers that the paper prints beside those of a suite's results.

use serde::Serialize;

use super::{Finished, outputs};
use crate::errors;
use crate::report::SuiteKind;
pub use crate::report::agreement::{Agreement, Margin};
use crate::report::agreement::{Agreements, Compared, Tally};
use crate::report::words;

/// Every printed number, compared with ours.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// For each table, and for all of them.
    pub tally: Vec<Tally>,
    #[serde(flatten)]
    pub agreements: Agreements,
}

/// Compares each number that the paper prints with the results of a suite.
///
/// # Errors
/// A usage error if the suite is no reproduction of the paper, or has no results yet.
pub fn compare(finished: &Finished, margin: Margin) -> anyhow::Result<Comparison> {
    let suite = &finished.run.planned.suite;
    let nothing = || {
        let what = match suite.kind {
            SuiteKind::Trial => "a trial gets no verdicts",
            _ if suite.is_selected_by_test() => "the test split selects its epochs, so it gets no verdicts",
            _ => "the paper has no numbers for its datasets",
        };
        errors::usage(
            format!("cannot compare the suite `{}` with the paper: {what}", suite.name),
            "run `seesaw compare paper`",
        )
    };
    let reference = suite.reference.as_ref().ok_or_else(nothing)?;
    let agreements = Agreements::of(&outputs::results(finished)?, reference, margin).ok_or_else(nothing)?;
    Ok(Comparison { tally: agreements.tally(), agreements })
}

impl Comparison {
    /// The numbers that differ, or all that were run, with a line each; the tally, and what the words mean.
    pub fn text(&self, all: bool) -> String {
        let mut text = String::new();
        let shown = |one: &&Compared| one.agreement == Agreement::Differs || (all && one.ours.is_some());
        for one in self.agreements.numbers.iter().filter(shown) {
            let Compared { table, dataset, method, quantity, printed, .. } = one;
            let (table, quantity) = (words::titled(table), quantity.title());
            let explained = one.explained();
            text += &format!("{table}, {quantity} of {method} on {dataset}, {printed:.2} in the paper. {explained}\n");
        }
        for tally in &self.tally {
            text += &format!("{}\n", tally.sentence());
        }
        text + &self.agreements.how() + "\n"
    }
}
