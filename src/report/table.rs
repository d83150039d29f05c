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
            cells.extend(
                numbers.into_iter().flatten().zip(ranks).map(|(number, rank)| cell(number, rank, &mut footnotes)),
            );
        }
        Row { block: block.into(), title: title.into(), rule: !block.is_empty() && quantity != Quantity::Full, cells }
    });
    let rows = rows.collect();
    Table {
        caption: caption(results),
        mark: suite.kind.mark().into(),
        command: format!("seesaw run {}", suite.suite),
        label: format!("tab:{}-table1", suite.suite),
        groups: groups.collect(),
        rows,
        footnotes,
    }
}

/// How the best and the second are told: by the numbers as they are shown, so that what looks equal is equal.
fn ranks(quantity: Quantity, numbers: &[Option<&Number>]) -> Vec<usize> {
    let shown = |number: &Option<&Number>| Some((number.as_ref()?.mean? * 100.0).round() as i64);
    let values: Vec<Option<i64>> = numbers.iter().map(shown).collect();
    let mut distinct: Vec<i64> = values.iter().copied().flatten().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if quantity.higher_is_better() {
        distinct.reverse();
    }
    let rank = |value: &Option<i64>| value.and_then(|value| distinct.iter().position(|&other| other == value));
    // A method that has nothing to be compared with is not the best.
    let comparable = values.iter().flatten().count() > 1;
    values.iter().map(|value| if comparable { rank(value).unwrap_or(usize::MAX) } else { usize::MAX }).collect()
}

fn cell(number: &Number, rank: usize, footnotes: &mut Vec<String>) -> TableCell {
    let mut notes: Vec<usize> = causes(number).into_iter().map(|cause| note(cause, footnotes)).collect();
    notes.sort_unstable();
    let text = match number.mean {
        Some(mean) => format!("{mean:.2}"),
        None => word(number).to_owned(),
    };
    TableCell {
        text,
        std: number.std.map_or_else(String::new, |std| format!("{std:.2}")),
        best: rank == 0,
        second: rank == 1,
        negative_transfer: number.negative_transfer,
        notes,
        dataset: number.dataset.clone(),
        method: number.method.clone(),
        quantity: number.quantity.name(),
        mean: number.mean,
        full_std: number.std,
        n: number.n,
        seeds: number.seeds.len(),
    }
}

/// What stands in a cell without a number; what is worst is told.
fn word(number: &Number) -> &'static str {
    let any = |test: fn(&Status) -> bool| number.seeds.iter().any(|seed| test(&seed.value));
    if any(|status| matches!(status, Status::Failed { .. })) {
        "failed"
    } else if any(|status| matches!(status, Status::NotANumber)) {
        "NaN"
    } else {
        "—"
    }
}

/// Why seeds are missing from a number, each cause once.
fn causes(number: &Number) -> Vec<String> {
    let total = number.seeds.len();
    let mut causes: Vec<(String, Vec<u64>)> = Vec::new();
    for seed in &number.seeds {
        let cause = match &seed.value {
            Status::Value { .. } => continue,
            Status::NotANumber => "the score is not a number".to_owned(),
            Status::Failed { cause } => format!("failed: {}", one_line(cause)),
            Status::NotRun { cause } => format!("not run: {}", one_line(cause)),
        };
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

/// The number of a footnote; the same cause has the same number.
fn note(cause: String, footnotes: &mut Vec<String>) -> usize {
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
        n => format!("mean ± sample standard deviation over {n} seeds"),
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
    use crate::report::results::tests::difficult;

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
}
