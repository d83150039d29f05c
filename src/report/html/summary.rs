//! What a suite is and how it was trained, in sentences and facts.

use std::collections::BTreeSet;

use super::{Fact, Report, words};
use crate::report::SuiteKind;
use crate::report::results::Results;

/// What a reader has to know first.
pub fn about(results: &Results) -> Vec<String> {
    let suite = &results.suite;
    let read: BTreeSet<&str> = suite.datasets.iter().map(|dataset| dataset.dataset.as_str()).collect();
    let [methods, datasets, seeds] =
        [(suite.methods.len(), "method"), (read.len(), "dataset"), (suite.seeds.len(), "seed")]
            .map(|(n, one)| words::several(n as u64, one));
    let settings = match suite.datasets.len() {
        n if n > read.len() => format!(" in {n} settings of encoders and fusion"),
        _ => String::new(),
    };
    let kind = match suite.kind {
        SuiteKind::Smoke => {
            "It shows that everything works, on a real benchmark that is small. Its numbers are no results of the paper, and \
             say nothing for or against it."
        }
        SuiteKind::Paper => "It reproduces the paper from its downloads to its tables and figures.",
        SuiteKind::Trial => {
            "It was run on a part of the data, or on imitations of data and weights, to try everything out. Its numbers mean \
             nothing."
        }
    };
    vec![
        format!("{methods} on {datasets}{settings}, {seeds} each. {kind}"),
        "The paper is “See-Saw Modality Balance: See Gradient, and Sew Impaired Vision-Language Balance to Mitigate Dominant \
         Modality Bias” (Kwon et al., NAACL 2025). It proposes BalGrad, a way to train vision-language classifiers that do \
         not lean on one modality alone."
            .to_owned(),
    ]
}

/// The run in a few numbers.
pub fn glance(report: &Report) -> Vec<Fact> {
    let results = &report.results;
    let suite = &results.suite;
    // A dataset may have methods of its own: what was planned is what the numbers speak of.
    let full = results.numbers.iter().filter(|n| n.quantity == crate::report::quantity::Quantity::Full);
    let planned: usize = full.map(|number| number.seeds.len()).sum();
    let computed = super::view::computed(&report.steps);
    let seconds: f64 = computed.iter().map(|step| step.seconds).sum();
    let mut facts = vec![
        Fact::new(
            "Trainings",
            format!("{} of {}", words::count(results.cells.len() as u64), words::count(planned as u64)),
        ),
        Fact::new("Seeds", suite.seeds.len().to_string()),
        Fact::new("Steps done", words::count(report.steps.len() as u64)),
        Fact::new("Time, summed over steps", words::duration(seconds)),
    ];
    if let Some(claims) = &report.claims {
        let reproduced = claims.claims.iter().filter(|claim| claim.verdict == "reproduced").count();
        facts.insert(0, Fact::new("Claims reproduced", format!("{reproduced} of {}", claims.claims.len())));
    }
    if let Some(last) = report.steps.iter().map(|step| step.finished).max() {
        facts.push(Fact::new("Last step ended", words::moment(last)));
    }
    facts
}

/// What all trainings share, and what each dataset has of its own.
pub fn training(results: &Results) -> Vec<Fact> {
    let suite = &results.suite;
    let list = |items: Vec<String>| items.join(", ");
    let mut facts = vec![
        Fact::new("Seeds", list(suite.seeds.iter().map(u64::to_string).collect())),
        Fact::new("Weights", format!("of the {}", suite.selection)),
        Fact::new("Optimiser", suite.optimizer.clone()),
        Fact::new("Missing modalities", suite.missing.clone()),
        Fact::new("Missing ratios r", list(suite.ratios.iter().map(f64::to_string).collect())),
        Fact::new("Noisy modalities", suite.noisy.clone()),
    ];
    facts.extend(suite.datasets.iter().map(|dataset| {
        let epochs = words::several(u64::from(dataset.epochs), "epoch");
        Fact::new(
            suite.title_of(dataset),
            format!("{}; fusion by {}; {epochs}; scored by {}", dataset.encoders, dataset.fusion, dataset.metric),
        )
    }));
    facts
}
