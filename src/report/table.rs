//! Table 1 as the paper lays it out: rows for full, missing and noisy modalities, a group of columns per dataset, a
//! column per method. Everything that a template places is computed here.

use serde::Serialize;

use super::results::{Number, Quantity, Results, Status};

/// A table, ready for a template.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub caption: String,
    pub mark: String,
    /// The command that makes this table again.
    pub command: String,
    pub label: String,
    /// Whether the columns are so many that a spread stands below its number rather than beside it.
    pub wide: bool,
    pub groups: Vec<Group>,
    pub rows: Vec<Row>,
    /// Numbered from 1.
    pub footnotes: Vec<String>,
}

/// A dataset's columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub title: String,
    pub metric: String,
    /// The methods' titles.
    pub columns: Vec<String>,
    /// The first and last of its columns in a table with two columns of labels, counted from 1.
    pub first: usize,
    pub last: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `Missing` in the first row of its block, else empty.
    pub block: String,
    pub title: String,
    /// Whether a rule separates it from the row above.
    pub rule: bool,
    pub cells: Vec<TableCell>,
}

/// One number, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableCell {
    /// `57.80`, or a word where there is no number.
    pub text: String,
    /// `0.52`, or empty.
    pub std: String,
    pub best: bool,
    pub second: bool,
    pub negative_transfer: bool,
    /// Numbers of footnotes.
    pub notes: Vec<usize>,
    /// What the footnotes say, in one line.
    pub note: String,
    /// `value`, `partial` (some seeds gave no number), `nan`, `failed` or `not-run`.
    pub status: &'static str,
    pub dataset: String,
    pub method: String,
    pub quantity: &'static str,
    /// In full precision, for the CSV.
    pub mean: Option<f64>,
    pub full_std: Option<f64>,
    pub n: usize,
    pub seeds: usize,
}

const ROWS: [(Quantity, &str, &str); 9] = [
    (Quantity::Full, "Full", ""),
    (Quantity::MissingImage, "Missing", "Image"),
    (Quantity::MissingText, "", "Text"),
    (Quantity::MissingAvg, "", "Avg"),
    (Quantity::MissingGap, "", "ΔGap"),
    (Quantity::NoisyImage, "Noisy", "Image"),
    (Quantity::NoisyText, "", "Text"),
    (Quantity::NoisyAvg, "", "Avg"),
    (Quantity::NoisyGap, "", "ΔGap"),
];

/// More columns than this, each with its spread beside the number, would be too small to read on a page.
const WIDE: usize = 8;

/// Lays Table 1 out.
pub fn table1(results: &Results) -> Table {
    let suite = &results.suite;
    let methods: Vec<String> = suite.methods.iter().map(|method| method.title.clone()).collect();
    let groups = suite.datasets.iter().enumerate().map(|(i, dataset)| Group {
        title: dataset.title.clone(),
        metric: dataset.metric.clone(),
        columns: methods.clone(),
        first: 3 + i * methods.len(),
        last: 2 + (i + 1) * methods.len(),
    });
    let mut footnotes = Vec::new();
    let rows = ROWS.iter().map(|&(quantity, block, title)| {
        let mut cells = Vec::new();
        for dataset in &suite.datasets {
            let numbers: Vec<Option<&Number>> = suite
                .methods
                .iter()
                .map(|method| results.number(&dataset.name, &method.name, quantity, None))
                .collect();
            let ranks = ranks(quantity, &numbers);
            cells.extend(numbers.iter().zip(&suite.methods).zip(ranks).map(|((number, method), rank)| match number {
                Some(number) => cell(number, rank, &mut footnotes),
                None => absent(&dataset.name, &method.name, quantity, suite.seeds.len(), &mut footnotes),
            }));
        }
        Row { block: block.into(), title: title.into(), rule: !block.is_empty() && quantity != Quantity::Full, cells }
    });
    let rows = rows.collect();
    Table {
        caption: caption(results),
        mark: suite.kind.mark().into(),
        command: format!("seesaw run {}", suite.suite),
        label: format!("tab:{}-table1", suite.suite),
        wide: suite.datasets.len() * suite.methods.len() > WIDE,
        groups: groups.collect(),
        rows,
        footnotes,
    }
}

/// Ranks from 0, the best; equal ones share a rank. Compared is what is shown, so that what looks equal is equal.
fn ranks(quantity: Quantity, numbers: &[Option<&Number>]) -> Vec<usize> {
    let value = |number: &Option<&Number>| shown(number.as_ref()?.mean?).parse::<f64>().ok();
    let values: Vec<Option<f64>> = numbers.iter().map(value).collect();
    let mut distinct: Vec<f64> = values.iter().copied().flatten().collect();
    // A method that has nothing to be compared with is not the best.
    let comparable = distinct.len() > 1;
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if quantity.higher_is_better() {
        distinct.reverse();
    }
    let rank = |value: &Option<f64>| value.and_then(|value| distinct.iter().position(|&other| other == value));
    values.iter().map(|value| rank(value).filter(|_| comparable).unwrap_or(usize::MAX)).collect()
}

/// A number as the table shows it.
fn shown(number: f64) -> String {
    let text = format!("{number:.2}");
    // A gap of rounding errors is no negative number.
    if text == "-0.00" { "0.00".into() } else { text }
}

fn cell(number: &Number, rank: usize, footnotes: &mut Vec<String>) -> TableCell {
    let causes = causes(number);
    let note = causes.join(" | ");
    let mut notes: Vec<usize> = causes.into_iter().map(|cause| number_of(cause, footnotes)).collect();
    notes.sort_unstable();
    let (status, word) = status(number);
    let text = number.mean.map_or_else(|| word.to_owned(), shown);
    TableCell {
        text,
        std: number.std.map_or_else(String::new, shown),
        best: rank == 0,
        second: rank == 1,
        negative_transfer: number.negative_transfer,
        notes,
        note,
        status,
        dataset: number.dataset.clone(),
        method: number.method.clone(),
        quantity: number.quantity.name(),
        mean: number.mean,
        full_std: number.std,
        n: number.n,
        seeds: number.seeds.len(),
    }
}

/// A cell of which the results hold nothing: it stays in its column, and says so.
fn absent(dataset: &str, method: &str, quantity: Quantity, seeds: usize, footnotes: &mut Vec<String>) -> TableCell {
    let cause = format!("not run: the results hold no {}", quantity.name());
    TableCell {
        text: NOT_RUN.into(),
        std: String::new(),
        best: false,
        second: false,
        negative_transfer: false,
        notes: vec![number_of(cause.clone(), footnotes)],
        note: cause,
        status: "not-run",
        dataset: dataset.into(),
        method: method.into(),
        quantity: quantity.name(),
        mean: None,
        full_std: None,
        n: 0,
        seeds,
    }
}

const NOT_RUN: &str = "—";

/// What became of a number, and the word that stands in its place; of several seeds without a number, the worst is told.
fn status(number: &Number) -> (&'static str, &'static str) {
    let any = |test: fn(&Status) -> bool| number.seeds.iter().any(|seed| test(&seed.value));
    if number.mean.is_some() {
        (if number.n == number.seeds.len() { "value" } else { "partial" }, "")
    } else if any(|status| matches!(status, Status::Failed { .. })) {
        ("failed", "failed")
    } else if any(|status| matches!(status, Status::NotANumber)) {
        ("nan", "NaN")
    } else {
        ("not-run", NOT_RUN)
    }
}

/// Why seeds are missing from a number, each cause once.
fn causes(number: &Number) -> Vec<String> {
    let total = number.seeds.len();
    let mut causes: Vec<(String, Vec<u64>)> = Vec::new();
    for seed in &number.seeds {
        let Some(cause) = cause(&seed.value) else { continue };
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, seeds)) => seeds.push(seed.seed),
            None => causes.push((cause, vec![seed.seed])),
        }
    }
    let told = |(cause, seeds): (String, Vec<u64>)| match seeds.len() == total {
        true => cause,
        false => {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            format!("{} of {total} seeds; seed {}: {cause}", number.n, seeds.join(", "))
        }
    };
    causes.into_iter().map(told).collect()
}

/// Why a seed gave no number.
pub(super) fn cause(status: &Status) -> Option<String> {
    match status {
        Status::Value { .. } => None,
        Status::NotANumber => Some("the score is not a number".to_owned()),
        Status::Failed { cause } => Some(format!("failed: {}", one_line(cause))),
        Status::NotRun { cause } => Some(format!("not run: {}", one_line(cause))),
    }
}

/// The number of a footnote; the same cause has the same number.
fn number_of(cause: String, footnotes: &mut Vec<String>) -> usize {
    match footnotes.iter().position(|known| *known == cause) {
        Some(at) => at + 1,
        None => {
            footnotes.push(cause);
            footnotes.len()
        }
    }
}

fn one_line(cause: &str) -> &str {
    cause.lines().next().unwrap_or_default()
}

fn caption(results: &Results) -> String {
    let suite = &results.suite;
    let kind = suite.kind.mark();
    let seeds = suite.seeds.len();
    let spread = match seeds {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("mean ± sample standard deviation over {n} seeds, Avg and ΔGap formed per seed"),
    };
    let metrics: Vec<String> =
        suite.datasets.iter().map(|dataset| format!("{} for {}", dataset.metric, dataset.title)).collect();
    format!(
        "{} ({kind}). Test scores in percent ({}), ΔGap in percentage points; {spread}; weights of the {}; {}. \
         \"Missing image\" means that the image is gone and the text remains; {}; {}. \
         Best in bold, second best underlined; * marks negative transfer, a score above the full one.",
        suite.title,
        metrics.join(", "),
        suite.selection,
        suite.optimizer,
        suite.missing,
        suite.noisy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::results::{Cell, collect};
    use crate::report::samples::{description, difficult, scored};

    fn find<'a>(table: &'a Table, dataset: &str, method: &str, quantity: &str) -> &'a TableCell {
        let cells = table.rows.iter().flat_map(|row| &row.cells);
        cells.into_iter().find(|c| c.dataset == dataset && c.method == method && c.quantity == quantity).unwrap()
    }

    #[test]
    fn the_best_is_by_what_is_shown_and_gaps_are_better_when_small() {
        let table = table1(&difficult(SuiteKind::Smoke));
        let food = |method, quantity| find(&table, "food_101 & more", method, quantity);
        assert!(food("balgrad", "full").best && food("baseline", "full").second);
        assert!(food("baseline", "missing-gap").best && food("balgrad", "missing-gap").second);
        assert!(food("balgrad", "missing-text").negative_transfer);
        let alone = find(&table, "words", "baseline", "full");
        assert!(!alone.best, "there is nothing to compare it with");
    }

    #[test]
    fn what_is_no_number_says_so_with_its_cause() {
        let table = table1(&difficult(SuiteKind::Smoke));
        let zero = find(&table, "words", "baseline", "missing-image");
        assert_eq!((zero.text.as_str(), zero.std.as_str(), zero.notes.len()), ("0.00", "0.00", 0));
        let failed = find(&table, "food_101 & more", "broken", "full");
        let not_run = find(&table, "words", "broken", "full");
        assert_eq!((failed.text.as_str(), not_run.text.as_str()), ("failed", "—"));
        let cause = |cell: &TableCell| table.footnotes[cell.notes[0] - 1].clone();
        assert_eq!(cause(failed), "failed: loss_T is NaN at step 7_000 (epoch 2)");
        assert_eq!(cause(not_run), "not run: `fetch words.zip` failed: no network");
        let partly = find(&table, "words", "balgrad", "missing-text");
        assert_eq!(partly.text, "20.00");
        assert_eq!(cause(partly), "1 of 2 seeds; seed 2: failed: loss_T is NaN at step 7_000 (epoch 2)");
        let nan = find(&table, "words", "balgrad", "full");
        assert_eq!((nan.text.as_str(), nan.notes.len()), ("failed", 2));
    }

    fn ranked(full: [f64; 3]) -> Vec<(String, bool, bool)> {
        let suite = description(SuiteKind::Smoke, &[1]);
        let cell = |(method, full): (&super::super::results::MethodDescription, f64)| Cell {
            dataset: "words".into(),
            method: method.name.clone(),
            seed: 1,
            outcome: scored(full, 10.0, 10.0),
        };
        let cells: Vec<Cell> = suite.methods.iter().zip(full).map(cell).collect();
        let table = table1(&collect(suite, &cells).unwrap());
        let words = table.rows[0].cells.iter().filter(|cell| cell.dataset == "words");
        words.map(|cell| (cell.text.clone(), cell.best, cell.second)).collect()
    }

    /// 62.125 is shown as 62.12: it ties with 62.12 and not with 62.13, however halves are rounded elsewhere.
    #[test]
    fn ties_are_what_looks_equal() {
        let of = |text: &str, best, second| (text.to_owned(), best, second);
        assert_eq!(
            ranked([62.125, 62.13, 62.12]),
            [of("62.12", false, true), of("62.13", true, false), of("62.12", false, true)]
        );
        assert_eq!(
            ranked([62.1249, 62.1201, 10.0]),
            [of("62.12", true, false), of("62.12", true, false), of("10.00", false, true)]
        );
        assert_eq!(
            ranked([f64::NAN, 1.0, 2.0]),
            [of("NaN", false, false), of("1.00", false, true), of("2.00", true, false)]
        );
    }

    /// A number that the results do not hold keeps its column.
    #[test]
    fn columns_never_shift() {
        let mut results = difficult(SuiteKind::Smoke);
        results.numbers.retain(|number| number.method != "baseline" && number.quantity != Quantity::NoisyGap);
        let table = table1(&results);
        for row in &table.rows {
            let methods: Vec<&str> = row.cells.iter().map(|cell| cell.method.as_str()).collect();
            assert_eq!(methods, ["baseline", "balgrad", "broken", "baseline", "balgrad", "broken"]);
        }
        let absent = find(&table, "words", "baseline", "full");
        assert_eq!((absent.text.as_str(), absent.status), ("—", "not-run"));
        assert_eq!(table.footnotes[absent.notes[0] - 1], "not run: the results hold no full");
    }

    /// A gap of rounding errors has no sign.
    #[test]
    fn zero_has_no_sign() {
        assert_eq!([0.0, -0.0, -0.001, 0.004, -0.01].map(shown), ["0.00", "0.00", "0.00", "0.00", "-0.01"]);
    }

    #[test]
    fn a_status_tells_what_became_of_a_number() {
        let table = table1(&difficult(SuiteKind::Smoke));
        let status = |dataset, method, quantity| find(&table, dataset, method, quantity).status;
        assert_eq!(status("words", "baseline", "missing-image"), "value");
        assert_eq!(status("words", "balgrad", "missing-text"), "partial");
        assert_eq!(status("food_101 & more", "broken", "full"), "failed");
        assert_eq!(status("words", "broken", "full"), "not-run");
        assert_eq!(status("words", "baseline", "noisy-text"), "nan");
        let nan = find(&table, "words", "baseline", "noisy-gap");
        assert_eq!((nan.text.as_str(), nan.best, nan.second), ("NaN", false, false));
        assert_eq!(nan.note, "the score is not a number");
    }
}
