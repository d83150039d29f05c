//! What stands under a table: what it shows, what kind of results these are, and how they were made.

use crate::evaluation::statistics::paired::LEAST_SEEDS;
use crate::report::results::Results;

const MARKS: &str = "Best in bold, second best underlined; * marks negative transfer, a score above the full one.";

/// What table 3 says of its marks.
const LOWER: &str = "Lower is better, the best in bold.";

/// A caption without what it says of marks, which stands at its end.
pub fn without_marks(caption: &str) -> &str {
    let end = [MARKS, LOWER].iter().filter_map(|marks| caption.find(marks)).min();
    caption[..end.unwrap_or(caption.len())].trim_end()
}

/// What the mark of noise means for these seeds.
fn noise(results: &Results) -> &'static str {
    match results.suite.seeds.len() < LEAST_SEEDS {
        true => "† marks a best number: with fewer than 3 seeds nobody can say whether its lead is more than noise.",
        false => {
            "† marks a best number whose lead over the next is within noise (paired test over seeds and, of scores, test \
             samples; Holm's correction over the table, α = 0.05)."
        }
    }
}

pub fn table1(results: &Results) -> String {
    let suite = &results.suite;
    let (head, scores, training) = (head(results), scores(results), training(results));
    format!("{head}. {scores}; {training}. {}; {}. {MARKS} {}", missing(results), suite.noisy, noise(results))
}

pub fn table2(results: &Results) -> String {
    let (head, scores, training) = (head(results), scores(results), training(results));
    format!("{head}. Ablation. {scores}; {training}. {}. {MARKS} {}", missing(results), noise(results))
}

pub fn one_more(results: &Results) -> String {
    let (head, scores, training) = (head(results), scores(results), training(results));
    format!("{head}. {scores}; {training}. {}. {MARKS} {}", missing(results), noise(results))
}

pub fn table3(results: &Results) -> String {
    let (head, training) = (head(results), training(results));
    let spread = spread(results, "ΔGap");
    format!(
        "{head}. Conflict: share of training steps in which the task gradient and the KL gradient have a negative inner \
         product, in percent; in both rows it is measured before the projection, since after it the share is 0 by \
         construction. Missing ΔGap: difference between the test scores without the image and without the text, in percentage \
         points; {}; {spread}; {training}. {LOWER} {}",
        results.suite.missing,
        noise(results)
    )
}

/// The suite, and what kind of results these are.
fn head(results: &Results) -> String {
    format!("{} ({})", results.suite.title, results.suite.kind.mark())
}

fn scores(results: &Results) -> String {
    let datasets = &results.suite.datasets;
    let metrics: Vec<String> =
        datasets.iter().map(|dataset| format!("{} for {}", dataset.metric, dataset.title)).collect();
    let spread = spread(results, "Avg and ΔGap");
    format!("Test scores in percent ({}), ΔGap in percentage points; {spread}", metrics.join(", "))
}

fn spread(results: &Results, formed: &str) -> String {
    match results.suite.seeds.len() {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("mean ± sample standard deviation over {n} seeds, {formed} formed per seed"),
    }
}

fn training(results: &Results) -> String {
    format!("weights of the {}; {}", results.suite.selection, results.suite.optimizer)
}

fn missing(results: &Results) -> String {
    format!("\"Missing image\" means that the image is gone and the text remains; {}", results.suite.missing)
}
