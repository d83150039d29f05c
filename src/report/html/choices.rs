//! The list of all choices that were tried.

use minijinja::{Value, context};

use crate::report::choices::{self, Choice, Kind};
use crate::report::results::Results;
use crate::report::table::cell;
use crate::report::words;
use crate::terms::Split;

/// `summary`, a sentence, and `blocks`, one per kind: `title` and `rows` (`method`, `dataset`, `settings`, `score`, `split`,
/// `outcome`, and whether it is `shown`). Empty if nothing was tried but what tables show.
///
/// # Errors
/// If the record of a sweep does not have the format of the choosing step.
pub fn of(results: &Results) -> anyhow::Result<Option<Value>> {
    let all = choices::of(results)?;
    if all.is_empty() {
        return Ok(None);
    }
    let of_kind = |kind| all.iter().filter(move |choice| choice.kind == kind);
    let count = |kind, of| {
        let n = of_kind(kind).count();
        (n > 0).then(|| format!("{} of {of}", words::count(n as u64)))
    };
    let counts = [count(Kind::Sweep, "sweeps"), count(Kind::Reading, "readings"), count(Kind::Selection, "selections")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let block = |kind: Kind| {
        let rows: Vec<Value> = of_kind(kind).map(|choice| row(results, choice)).collect();
        (!rows.is_empty()).then(|| context! { title => title(kind), rows })
    };
    Ok(Some(context! {
        summary => words::sentence(&format!("every choice with its score: {}", counts.join(", "))),
        blocks => Kind::ALL.into_iter().filter_map(block).collect::<Vec<_>>(),
    }))
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Sweep => "Sweeps: the candidate with the best mean score on the validation split is evaluated",
        Kind::Reading => "Readings of what the paper leaves open: tables show each under a name of its own",
        Kind::Selection => "Selections of the epoch: tables show one, of the same trainings as the others",
    }
}

fn row(results: &Results, choice: &Choice) -> Value {
    let suite = &results.suite;
    let outcome = match (choice.kind, choice.shown) {
        (_, false) => choice.cause.iter().chain(&choice.label).next().cloned().unwrap_or_default(),
        (Kind::Sweep, true) => "chosen".to_owned(),
        (_, true) => "shown".to_owned(),
    };
    context! {
        method => suite.method_title(&choice.method),
        dataset => suite.dataset_title(&choice.dataset),
        settings => choice.settings.clone(),
        score => choice.score.map(cell::shown),
        split => match choice.split {
            Split::Train => "training",
            Split::Val => "validation",
            Split::Test => "test",
        },
        outcome,
        shown => choice.shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::{compared, difficult};

    #[test]
    fn choices_are_grouped_by_kind() {
        assert!(of(&difficult(SuiteKind::Smoke)).unwrap().is_none());
        let list = of(&compared(SuiteKind::Smoke)).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&list).unwrap());
    }
}
