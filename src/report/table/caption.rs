//! Captions: what a table shows, which kind of results it holds, and how they were made.

use crate::evaluation::statistics::paired::LEAST_SEEDS;
use crate::report::results::{DatasetDescription, Results};
use crate::report::target;

const MARKS: &str = "Best in bold, second best underlined; * marks negative transfer, a score above the full one.";

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
        true => "† marks a best number: with fewer than 3 seeds nobody can say whether its lead is more than noise.",
        false => {
            "† marks a best number whose lead over the next is within noise (paired test over seeds and, of scores, test \
             samples; Holm's correction over the table, α = 0.05)."
        }
    }
}

/// The caption of a table.
pub fn of(which: target::Table, results: &Results) -> String {
    let suite = &results.suite;
    let head = format!("{} ({})", suite.title, suite.kind.mark());
    let training = format!("weights of the {}; {}", suite.selection, suite.optimizer);
    let (missing, noisy, noise) = (&suite.missing, &suite.noisy, noise(results));
    if which == target::Table::Three {
        let spread = spread(results, "ΔGap");
        return format!(
            "{head}. Conflict: share of training steps in which the task gradient and the KL gradient have a negative \
             inner product, in percent; in both rows it is measured before the projection, since after it the share is 0 \
             by construction. Missing ΔGap: difference between the test scores without the image and without the text, in \
             percentage points; {missing}; {spread}; {training}. {LOWER} {noise}"
        );
    }
    let metric = |dataset: &DatasetDescription| format!("{} for {}", dataset.metric, dataset.title);
    let metrics = suite.datasets.iter().map(metric).collect::<Vec<_>>().join(", ");
    let spread = spread(results, "Avg and ΔGap");
    let (ablation, noisy) = match which {
        target::Table::One => ("", format!("; {noisy}")),
        target::Table::Two => ("Ablation. ", String::new()),
        _ => ("", String::new()),
    };
    format!(
        "{head}. {ablation}Test scores in percent ({metrics}), ΔGap in percentage points; {spread}; {training}. \"Missing \
         image\" means that the image is gone and the text remains; {missing}{noisy}. {MARKS} {noise}"
    )
}

fn spread(results: &Results, formed: &str) -> String {
    match results.suite.seeds.len() {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("mean ± sample standard deviation over {n} seeds, {formed} formed per seed"),
    }
}
