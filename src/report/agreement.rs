//! Whether each number that the paper prints agrees with ours. Only a reproduction is compared: a trial gets no verdicts, and
//! the paper has no numbers for other benchmarks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SuiteKind;
use super::choices::Choice;
use super::quantity::Quantity;
use super::reference::Reference;
use super::results::Results;
use super::words;
pub use crate::evaluation::statistics::agreement::{Agreement, Margin};
use crate::evaluation::statistics::agreement::{Difference, compare};
use crate::evaluation::statistics::paired::SeedsNeeded;

/// The paper says neither how many trainings a number is the mean of, nor how they spread: it counts as one.
const DRAWS: usize = 1;

/// What else it may be the mean of.
const OTHER_DRAWS: [usize; 2] = [3, 5];

/// All printed numbers, compared with ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreements {
    pub margin: Margin,
    /// In the order of the paper's tables.
    pub numbers: Vec<Compared>,
}

/// What `results.json` holds: the results, what was tried for them and, of a reproduction, the paper's numbers beside them.
#[derive(Serialize)]
pub struct Published<'a> {
    #[serde(flatten)]
    pub results: &'a Results,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<Agreements>,
}

/// A printed number beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Compared {
    /// The paper's table, such as `table1`.
    pub table: String,
    pub dataset: String,
    pub method: String,
    pub quantity: Quantity,
    /// The paper's number.
    pub printed: f64,
    /// The mean of ours.
    pub ours: Option<f64>,
    pub agreement: Agreement,
    /// Ours minus the paper's, taken as a single training; none if we have no number.
    pub difference: Option<Difference>,
    /// What it would be if the paper's number were the mean of so many trainings.
    #[serde(default)]
    pub if_mean_of: BTreeMap<usize, Agreement>,
}

impl Agreements {
    /// Compares the numbers of all tables; none for a benchmark that is not the paper's, a trial, and a suite whose epochs the
    /// test split selects.
    pub fn of(results: &Results, reference: &Reference, margin: Margin) -> Option<Agreements> {
        let tables = || reference.tables().flat_map(|(name, table)| table.cells().map(move |cell| (name, cell)));
        let is_judged = results.suite.kind == SuiteKind::Paper && !results.suite.selected_by_test;
        is_judged.then(|| {
            let numbers = tables().map(|(name, cell)| {
                let ours = results.number(cell.dataset, cell.method, cell.quantity, None);
                let ours = ours.and_then(|number| number.estimate());
                let printed = cell.number.value();
                let difference = |draws| ours.as_ref().map(|ours| compare(ours, printed, draws, margin));
                let agreement = |draws| difference(draws).map_or(Agreement::NotRun, |found| found.agreement);
                Compared {
                    table: name.to_owned(),
                    dataset: cell.dataset.to_owned(),
                    method: cell.method.to_owned(),
                    quantity: cell.quantity,
                    printed,
                    ours: ours.as_ref().map(|ours| ours.mean),
                    agreement: agreement(DRAWS),
                    difference: difference(DRAWS),
                    if_mean_of: OTHER_DRAWS.into_iter().filter(|_| ours.is_some()).map(|n| (n, agreement(n))).collect(),
                }
            });
            Agreements { margin, numbers: numbers.collect() }
        })
    }

    /// A number of a table.
    pub fn find(&self, table: &str, (dataset, method, quantity): (&str, &str, Quantity)) -> Option<&Compared> {
        self.numbers.iter().find(|one| {
            one.table == table && one.dataset == dataset && one.method == method && one.quantity == quantity
        })
    }

    /// How many numbers agree, differ, cannot be told and are not run, in each table and in all of them.
    pub fn tally(&self) -> Vec<Tally> {
        let tables = self.numbers.chunk_by(|one, next| one.table == next.table);
        let mut tallies: Vec<Tally> = tables.map(|numbers| Tally::of(&numbers[0].table, numbers)).collect();
        if tallies.len() > 1 {
            tallies.push(Tally::of(ALL, &self.numbers));
        }
        tallies
    }

    /// What is assumed, and when a number agrees.
    pub fn how(&self) -> String {
        let Margin { points, deviations } = self.margin;
        let margin = match deviations {
            0.0 => format!("a margin of {points}"),
            _ => format!(
                "a margin of {points}, or of {deviations} times our standard deviation over seeds if that is more"
            ),
        };
        format!(
            "A number agrees if the difference in percentage points is shown to be within {margin} (two one-sided tests, \
             α = 0.05), and differs if its 95 % interval lies outside. The paper prints neither spread nor number of seeds: its number counts as one \
             training with our spread over seeds. No correction for the number of comparisons."
        )
    }
}

/// What the tally of all tables is called.
const ALL: &str = "all tables";

/// Numbers of a table by what their comparison says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    pub table: String,
    pub numbers: usize,
    pub agrees: usize,
    pub differs: usize,
    pub cannot_tell: usize,
    pub not_run: usize,
}

impl Tally {
    fn of<'a>(table: &str, numbers: impl IntoIterator<Item = &'a Compared>) -> Tally {
        let mut tally = Tally { table: table.to_owned(), ..Tally::default() };
        numbers.into_iter().for_each(|one| tally.add(one.agreement));
        tally
    }

    fn add(&mut self, agreement: Agreement) {
        self.numbers += 1;
        *match agreement {
            Agreement::Agrees => &mut self.agrees,
            Agreement::Differs => &mut self.differs,
            Agreement::CannotTell => &mut self.cannot_tell,
            Agreement::NotRun => &mut self.not_run,
        } += 1;
    }

    /// `Of the paper's 135 numbers of Table 1, 12 agree, 3 differ and 120 are not run.`
    pub fn sentence(&self) -> String {
        let Tally { table, numbers, agrees, differs, cannot_tell, not_run } = self;
        let parts = [
            (agrees, "agrees", "agree"),
            (differs, "differs", "differ"),
            (cannot_tell, "cannot be told", "cannot be told"),
            (not_run, "is not run", "are not run"),
        ];
        let said = parts.into_iter().filter(|(n, ..)| **n > 0);
        let mut said: Vec<String> = said
            .map(|(n, one, more)| format!("{} {}", words::count(*n as u64), if *n == 1 { one } else { more }))
            .collect();
        let last = said.pop().unwrap_or_default();
        let before = if said.is_empty() { String::new() } else { format!("{} and ", said.join(", ")) };
        let of = if table == ALL { String::new() } else { format!(" of {}", words::titled(table)) };
        format!("Of the paper's {}{of}, {before}{last}.", words::several(*numbers as u64, "number"))
    }
}

impl Compared {
    /// The sign beside the paper's number in tables; empty if we have none.
    pub fn sign(&self) -> &'static str {
        match self.agreement {
            Agreement::Agrees => "=",
            Agreement::Differs => "≠",
            Agreement::CannotTell => "?",
            Agreement::NotRun => "",
        }
    }

    /// What a reader wants to know of it, in sentences; empty if we have no number.
    pub fn explained(&self) -> String {
        let Some(Difference { difference, interval, margin, agreement, seeds_needed }) = &self.difference else {
            return String::new();
        };
        let mut text = format!("{}: ours minus the paper's is {}", agreement.name(), words::signed(*difference));
        if let Some((low, high)) = interval {
            text += &format!(" ({} to {})", words::signed(*low), words::signed(*high));
        }
        text += &format!(", the margin {margin:.2}.");
        text += &match seeds_needed {
            Some(SeedsNeeded::About(n)) => format!(" About {n} seeds would tell."),
            Some(SeedsNeeded::MoreThan(n)) => format!(" More than {n} seeds would be needed."),
            Some(SeedsNeeded::NoNumber) => {
                " No number of seeds would tell: a single training of the paper's spreads too much.".to_owned()
            }
            None if *agreement == Agreement::CannotTell => " At least three seeds are needed.".to_owned(),
            None => String::new(),
        };
        let others = self.if_mean_of.iter().filter(|(_, other)| *other != agreement);
        for (n, other) in others {
            text += &format!(" If the paper's were a mean of {n}: {}.", other.name());
        }
        words::capitalized(&text)
    }
}

/// What the signs mean.
pub const LEGEND: &str = "= agrees with the paper's number, ≠ differs from it, ? cannot tell";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::reference::committed;
    use crate::report::results::collect;
    use crate::report::samples::{description, realistic};

    /// Results with the paper's names, whose numbers are the paper's plus `away`, with a spread of `std`.
    fn paper(away: f64, std: f64, seeds: usize) -> Results {
        let mut results = realistic(SuiteKind::Paper, 5);
        let names = ["food101", "hateful-memes", "mm-imdb"];
        for (from, to) in results.suite.datasets.clone().iter().zip(names) {
            results.numbers.iter_mut().filter(|number| number.dataset == from.name).for_each(|n| n.dataset = to.into());
        }
        let reference = committed();
        for number in &mut results.numbers {
            let printed = reference.tables().find_map(|(_, t)| t.get(number.quantity, &number.dataset, &number.method));
            number.mean = printed.map(|printed| printed.value() + away);
            (number.std, number.n) = (Some(std), seeds);
        }
        results
    }

    fn tallies(results: &Results) -> Vec<Tally> {
        Agreements::of(results, &committed(), Margin::default()).unwrap().tally()
    }

    /// All numbers of the three transcribed tables are there, whatever was run.
    #[test]
    fn every_printed_number_has_a_word() {
        let nothing = collect(description(SuiteKind::Paper, &[1, 2, 3]), &[]).unwrap();
        let all = tallies(&nothing);
        let printed: usize = committed().tables().map(|(_, table)| table.cells().count()).sum();
        let total = all.last().unwrap();
        assert_eq!((total.table.as_str(), total.numbers, total.not_run), ("all tables", printed, printed));
        assert_eq!(all[0].numbers, 135);
        assert_eq!(all[0].sentence(), "Of the paper's 135 numbers of Table 1, 135 are not run.");
        let near = tallies(&paper(0.1, 0.1, 5));
        assert_eq!((near[0].agrees, near[0].differs, near[0].cannot_tell), (135, 0, 0), "{near:?}");
        let far = tallies(&paper(-4.0, 0.1, 5));
        assert_eq!((far[0].agrees, far[0].differs), (0, 135));
        let vague = tallies(&paper(0.1, 3.0, 5));
        assert_eq!((vague[0].agrees, vague[0].differs, vague[0].cannot_tell), (0, 0, 135));
    }

    #[test]
    fn a_number_is_explained() {
        let explained = |away, std, seeds| {
            let found = Agreements::of(&paper(away, std, seeds), &committed(), Margin::default()).unwrap();
            found.find("table1", ("food101", "balgrad", Quantity::Full)).unwrap().explained()
        };
        let near = explained(0.1, 0.1, 5);
        assert!(
            near.starts_with("Agrees: ours minus the paper's is +0.10 (−0.") && near.ends_with("margin 1.00."),
            "{near}"
        );
        let vague = explained(0.1, 3.0, 5);
        assert!(vague.starts_with("Cannot tell: ") && vague.contains("No number of seeds would tell"), "{vague}");
        let few = explained(0.1, 0.1, 2);
        assert!(few.ends_with("At least three seeds are needed."), "{few}");
        let mean = explained(2.2, 0.5, 5);
        assert!(mean.contains("If the paper's were a mean of 5: differs."), "{mean}");
    }

    #[test]
    fn what_is_no_reproduction_is_not_compared() {
        for kind in [SuiteKind::Smoke, SuiteKind::Trial] {
            assert!(Agreements::of(&realistic(kind, 3), &committed(), Margin::default()).is_none());
        }
        let mut results = realistic(SuiteKind::Paper, 3);
        results.suite.selected_by_test = true;
        assert!(Agreements::of(&results, &committed(), Margin::default()).is_none());
    }
}
