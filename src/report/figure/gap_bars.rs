//! Figures 5, 8 and 9: missing ΔGap as bars, one per method, for other encoders and other fusions than the main
//! comparison's. Datasets with the same encoders and fusion stand side by side; each such setting is a row.

use super::Figure;
use super::axis::Axis;
use super::bars::{self, Bar};
use super::legend::{Entry, Sample};
use super::notes::Gaps;
use super::page::{self, NARROWEST, PANEL, Page, Panel, Row};
use super::pen::Pen;
use crate::report::results::{DatasetDescription, MethodDescription, Quantity, Results};
use crate::report::table::cell::{cause, status};

/// Draws the figure.
///
/// # Errors
/// If drawing or converting fails.
pub fn draw(results: &Results) -> anyhow::Result<Figure> {
    page::figure(results, &page(results))
}

pub(super) fn page(results: &Results) -> Page<'_> {
    let suite = &results.suite;
    let mut gaps = Gaps::new(suite);
    let settings = settings(&suite.datasets);
    let several = settings.len() > 1;
    let entry = |(at, method): (usize, &MethodDescription)| Entry {
        title: method.title.clone(),
        pen: Pen::of(at),
        sample: Sample::Bar,
    };
    let last = settings.len().saturating_sub(1);
    let row = |(at, datasets): (usize, &Vec<&DatasetDescription>)| {
        let letter = char::from(b'a' + (at % 26) as u8);
        let heading = heading(datasets[0]);
        Row {
            heading: if several { format!("({letter}) {heading}") } else { heading },
            panels: vec![panel(results, datasets, &mut gaps)],
            // One legend for all rows.
            legend: if at == last { suite.methods.iter().enumerate().map(entry).collect() } else { Vec::new() },
        }
    };
    let rows = settings.iter().enumerate().map(row).collect();
    let spread = match suite.seeds.len() {
        0 | 1 => "one seed, no spread".to_owned(),
        n => format!("means over {n} seeds, error bars: ± one sample standard deviation"),
    };
    Page {
        subtitle: format!(
            "Missing ΔGap: {spread}; weights of the {}; {}; {}.",
            suite.selection, suite.optimizer, suite.missing
        ),
        rows,
        notes: gaps.lines(),
    }
}

/// The datasets by their encoders and fusion, in the order in which these come first.
fn settings(datasets: &[DatasetDescription]) -> Vec<Vec<&DatasetDescription>> {
    let mut settings: Vec<Vec<&DatasetDescription>> = Vec::new();
    for dataset in datasets {
        let same = |known: &&mut Vec<&DatasetDescription>| {
            (&known[0].encoders, &known[0].fusion) == (&dataset.encoders, &dataset.fusion)
        };
        match settings.iter_mut().find(same) {
            Some(known) => known.push(dataset),
            None => settings.push(vec![dataset]),
        }
    }
    settings
}

fn heading(dataset: &DatasetDescription) -> String {
    format!("{}; {} fusion", dataset.encoders, dataset.fusion)
}

fn panel<'a>(results: &'a Results, datasets: &[&DatasetDescription], gaps: &mut Gaps<'_>) -> Panel<'a> {
    let suite = &results.suite;
    let mut groups: Vec<Vec<Bar>> = Vec::new();
    for dataset in datasets {
        groups.push(suite.methods.iter().map(|method| bar(results, dataset, method, gaps)).collect());
    }
    let pens: Vec<Pen> = (0..suite.methods.len()).map(Pen::of).collect();
    let names = datasets.iter().map(|dataset| format!("{}\n{}", dataset.title, dataset.metric));
    Panel {
        title: String::new(),
        width: (PANEL.0 * datasets.len() as i32).max(NARROWEST),
        x: Axis::of_names(names),
        y: Axis::from_zero(bars::highest(groups.iter().flatten()), "ΔGap (percentage points)"),
        draw: Box::new(move |area, frame| bars::draw(area, frame, &groups, &pens)),
    }
}

/// The bar of a method on a dataset; what it lacks is noted.
fn bar(results: &Results, dataset: &DatasetDescription, method: &MethodDescription, gaps: &mut Gaps<'_>) -> Bar {
    let of = format!("{} on {} ({})", method.title, dataset.title, heading(dataset));
    let Some(number) = results.number(&dataset.name, &method.name, Quantity::MissingGap, None) else {
        results.suite.seeds.iter().for_each(|&seed| gaps.add(&of, seed, None, "not run"));
        return Err("—");
    };
    for seed in &number.seeds {
        if let Some(cause) = cause(&seed.value) {
            gaps.add(&of, seed.seed, None, &cause);
        }
    }
    number.mean.map(|mean| (mean, number.std.unwrap_or(0.0))).ok_or(status(number).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::figure::tests::words;
    use crate::report::samples::difficult;

    /// A row per encoders and fusion, a group of bars per dataset, a bar per method with its value or why there is none.
    #[test]
    fn bars_are_grouped_by_setting() {
        let mut results = difficult(SuiteKind::Smoke);
        results.suite.datasets[1].fusion = "attention".into();
        let (drawn, _) = page::drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
        let told = words(&drawn);
        for part in [
            "(a) lite0-minilm; concat fusion",
            "(b) lite0-minilm; attention fusion",
            "18.5",
            "Broken on words (lite0-minilm; attention fusion): not run: `fetch words.zip` failed: no network",
            "BalGrad on words (lite0-minilm; attention fusion), seed 2: failed: loss_T is NaN at step 7_000 (epoch 2)",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        results.suite.datasets[1].fusion = "concat".into();
        let (drawn, _) = page::drawing(&results.suite.title, results.suite.kind, &page(&results)).unwrap();
        assert!(!words(&drawn).contains("(a)"), "{}", words(&drawn));
    }
}
