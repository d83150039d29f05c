//! Captions: what a table shows and which kind of results it holds; and below, how they were made.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluation::statistics::paired::LEAST_SEEDS;
use crate::report::results::{CellRecord, DatasetDescription, Results};
use crate::report::{target, words};

const MARKS: &str =
    "Best in bold, second best underlined; †: a lead within noise; *: negative transfer, above the full score.";

/// What table 3 says instead.
const LOWER: &str = "Lower is better, the best in bold.";

/// Removes what a caption says of marks, from there to its end.
pub fn without_marks(caption: &str) -> &str {
    let end = [MARKS, LOWER].iter().filter_map(|marks| caption.find(marks)).min();
    caption[..end.unwrap_or(caption.len())].trim_end()
}

/// What † means, which depends on the number of seeds.
fn noise(results: &Results) -> &'static str {
    match results.suite.seeds.len() < LEAST_SEEDS {
        true => "†: with fewer than 3 seeds nobody can say whether the lead of a best number is more than noise.",
        false => {
            "†: the lead over the next number is within noise (paired test over seeds and, of scores, test samples; Holm's \
             correction over the table, α = 0.05)."
        }
    }
}

/// The names of kinds of processors, which hold commas.
fn named(processors: &BTreeSet<String>) -> String {
    match processors.is_empty() {
        true => "a processor that was not recorded".to_owned(),
        false => processors.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" and "),
    }
}

/// Which kinds of processors are behind these trainings, where several are behind a table.
pub fn computed<'a>(cells: impl Iterator<Item = &'a CellRecord>) -> String {
    let mut trainings: BTreeMap<&BTreeSet<String>, u64> = BTreeMap::new();
    cells.for_each(|cell| *trainings.entry(&cell.provenance.computed_by).or_default() += 1);
    let each =
        |(kinds, n): (&BTreeSet<String>, u64)| format!("{} with {}", words::several(n, "training"), named(kinds));
    trainings.into_iter().map(each).collect::<Vec<_>>().join("; ")
}

/// The kinds of processors behind the results, if there are several.
pub fn kinds_of_processors(results: &Results) -> Option<usize> {
    let names = results.cells.iter().flat_map(|cell| &cell.provenance.computed_by);
    Some(names.collect::<BTreeSet<_>>().len()).filter(|kinds| *kinds > 1)
}

/// The caption of a table.
pub fn of(which: target::Table, results: &Results) -> String {
    let mark = results.suite.kind.mark();
    let (what, marks) = match which {
        target::Table::One => ("Test scores in percent with both modalities, a missing one and a noisy one", MARKS),
        target::Table::Two => ("Ablation: test scores in percent with both modalities and a missing one", MARKS),
        target::Table::Three => ("Conflicts of gradients, and missing ΔGap", LOWER),
        target::Table::Four | target::Table::Five => {
            ("Test scores in percent with both modalities and a missing one", MARKS)
        }
    };
    let spread = match (which, results.suite.seeds.len()) {
        (_, 0 | 1) => "One seed, no spread.".to_owned(),
        // Its columns are narrow.
        (target::Table::Three, n) => format!("± over {n} seeds."),
        (_, n) => format!("Mean ± sample standard deviation over {n} seeds."),
    };
    format!("{what} ({mark}). {spread} {marks}")
}

/// How the numbers of a table were made, and what its marks mean.
pub fn details(which: target::Table, results: &Results) -> Vec<String> {
    let computed = kinds_of_processors(results).map(|kinds| {
        let computed = computed(results.cells.iter());
        format!("Computed on {kinds} kinds of processors: {computed}. The last bits of results may differ.")
    });
    // What the last paragraph says depends on what is shown beside.
    [how(which, results), computed.into_iter().collect(), vec![noise(results).to_owned()]].concat()
}

/// How numbers are formed and trainings run.
fn how(which: target::Table, results: &Results) -> Vec<String> {
    let suite = &results.suite;
    let title = &suite.title;
    let training = format!("weights of the {}; {}", suite.selection, suite.optimizer);
    let (missing, noisy) = (&suite.missing, &suite.noisy);
    let formed = if suite.seeds.len() > 1 { "; Avg and ΔGap are formed per seed" } else { "" };
    if which == target::Table::Three {
        return vec![
            format!("{title}: {training}; {missing}."),
            "Conflict: share of training steps in which the task gradient and the KL gradient have a negative inner product, \
             in percent; in both rows it is measured before the projection, since after it the share is 0 by construction."
                .to_owned(),
            "Missing ΔGap: difference between the test scores without the image and without the text, in percentage points, \
             formed per seed. ± is one sample standard deviation."
                .to_owned(),
        ];
    }
    let metric = |dataset: &DatasetDescription| format!("{} for {}", dataset.metric, dataset.title);
    let metrics = suite.datasets.iter().map(metric).collect::<Vec<_>>().join(", ");
    let noisy = if which == target::Table::One { format!("; {noisy}") } else { String::new() };
    vec![
        format!("{title}: {metrics}; ΔGap in percentage points{formed}; {training}."),
        format!("\"Missing image\" means that the image is gone and the text remains; {missing}{noisy}."),
    ]
}
