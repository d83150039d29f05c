//! Every choice that was tried for a suite, with its score, so that nobody reports the best of many as one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::quantity::Quantity;
use super::results::{Number, Results};
use crate::terms::Split;

/// A choice that was tried for a method on a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    pub kind: Kind,
    pub dataset: String,
    pub method: String,
    /// The settings that make it, as a suite writes them.
    pub settings: Vec<String>,
    /// The split that the score is of.
    pub split: Split,
    /// The mean score over the seeds with both modalities, in percent.
    pub score: Option<f64>,
    /// Why there is no score.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// What it is not good for: of a selection that looked at the test split.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub label: Option<String>,
    /// Whether tables show it.
    pub shown: bool,
}

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The options of a method, among the candidates of a sweep. The validation split chooses.
    Sweep,
    /// A reading of what the paper leaves open. Tables show each under a name of its own.
    Reading,
    /// The epoch whose weights are evaluated.
    Selection,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Sweep, Kind::Reading, Kind::Selection];
}

/// All choices of a suite, in the order of their kinds.
///
/// # Errors
/// If the record of a sweep does not have the format of the choosing step.
pub fn of(results: &Results) -> anyhow::Result<Vec<Choice>> {
    Ok([sweeps(results)?, readings(results), selections(results)].concat())
}

/// What the choosing step wrote.
#[derive(Deserialize)]
struct Choosing {
    chosen: Options,
    candidates: Vec<Candidate>,
}

type Options = BTreeMap<String, Value>;

#[derive(Deserialize)]
struct Candidate {
    options: Options,
    validation: Option<f64>,
    #[serde(default)]
    cause: Option<String>,
}

/// The candidates of every sweep, with the options in which they differ. One choice is made for all seeds, so every seed's
/// record holds it.
fn sweeps(results: &Results) -> anyhow::Result<Vec<Choice>> {
    let mut choices = Vec::new();
    for (dataset, method) in trained(results) {
        let mine = |seed: &u64| results.cell(dataset, method, *seed)?.provenance.choice.as_deref();
        let Some(record) = results.suite.seeds.iter().find_map(mine) else { continue };
        let Choosing { chosen, candidates } = Choosing::deserialize(record)?;
        let differs = |name: &String| candidates.iter().any(|other| other.options.get(name) != chosen.get(name));
        let choice = |candidate: &Candidate| Choice {
            kind: Kind::Sweep,
            dataset: dataset.to_owned(),
            method: method.to_owned(),
            settings: candidate
                .options
                .iter()
                .filter(|(name, _)| differs(name))
                .map(|(name, value)| format!("{name} = {value}"))
                .collect(),
            split: Split::Val,
            score: candidate.validation,
            cause: candidate.cause.clone(),
            label: None,
            shown: candidate.options == chosen,
        };
        choices.extend(candidates.iter().map(choice));
    }
    Ok(choices)
}

/// The readings of each method, and the method as it is by default.
fn readings(results: &Results) -> Vec<Choice> {
    let suite = &results.suite;
    let read =
        |name: &str| suite.methods.iter().any(|other| other.reading.as_ref().is_some_and(|of| of.method == name));
    let settings = |name: &str| match &suite.method(name)?.reading {
        Some(reading) => Some(reading.settings.clone()),
        None => read(name).then(Vec::new),
    };
    let choice = |(dataset, method)| {
        let number = results.number(dataset, method, Quantity::Full, None);
        Some(tested(Kind::Reading, (dataset, method), settings(method)?, number, true))
    };
    trained(results).filter_map(choice).collect()
}

/// The selections of the epoch that are compared.
fn selections(results: &Results) -> Vec<Choice> {
    let mut choices = Vec::new();
    for dataset in &results.suite.datasets {
        for method in &dataset.methods {
            for (at, selection) in dataset.selections.iter().enumerate() {
                let number = results.selected(*selection, dataset, (method, Quantity::Full));
                let settings = vec![format!("selection = \"{}\"", selection.name())];
                let choice = tested(Kind::Selection, (&dataset.name, method), settings, number, at == 0);
                choices.push(Choice { label: selection.label().map(str::to_owned), ..choice });
            }
        }
    }
    choices
}

/// A choice whose score is a number of the results.
fn tested(
    kind: Kind,
    (dataset, method): (&str, &str),
    settings: Vec<String>,
    number: Option<&Number>,
    shown: bool,
) -> Choice {
    let score = number.and_then(|number| number.mean);
    let causes = number.into_iter().flat_map(|number| &number.seeds).filter_map(|seed| seed.value.cause());
    Choice {
        kind,
        dataset: dataset.to_owned(),
        method: method.to_owned(),
        settings,
        split: Split::Test,
        score,
        cause: causes.take(usize::from(score.is_none())).next(),
        label: None,
        shown,
    }
}

/// Each dataset with each method that is trained on it.
fn trained(results: &Results) -> impl Iterator<Item = (&str, &str)> {
    let datasets = results.suite.datasets.iter();
    datasets.flat_map(|dataset| dataset.methods.iter().map(|method| (dataset.name.as_str(), method.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::SuiteKind;
    use crate::report::results::Reading;
    use crate::report::samples::{compared, difficult};
    use crate::terms::Selection;

    /// The settings, score, split and place of each choice.
    fn rows(choices: &[Choice]) -> Vec<(String, Option<f64>, Split, bool)> {
        choices.iter().map(|one| (one.settings.join(", "), one.score, one.split, one.shown)).collect()
    }

    /// Each candidate is there once, with what it differs in, and why it has no score.
    #[test]
    fn sweeps_are_listed() {
        let mut results = difficult(SuiteKind::Smoke);
        assert_eq!(of(&results).unwrap(), [], "nothing was chosen");
        let options = |scale: f64| json!({ "method": "balgrad", "kl-scale": scale, "weights": "ratio" });
        let record = json!({
            "by": "mean accuracy on the validation split over 2 seeds",
            "chosen": options(0.5),
            "candidates": [
                { "options": options(0.5), "validation": 61.238 },
                { "options": options(1e9), "validation": null, "cause": "seed 2: loss_T is NaN" },
            ],
        });
        for cell in results.cells.iter_mut().filter(|cell| cell.method == "balgrad" && cell.dataset != "words") {
            cell.provenance.choice = Some(Box::new(record.clone()));
        }
        let choices = of(&results).unwrap();
        let expected = [("kl-scale = 0.5", Some(61.238), true), ("kl-scale = 1000000000.0", None, false)];
        assert_eq!(rows(&choices), expected.map(|(set, score, shown)| (set.to_owned(), score, Split::Val, shown)));
        assert_eq!(choices[1].cause.as_deref(), Some("seed 2: loss_T is NaN"));
        results.cells[0].provenance.choice = Some(Box::new(json!({ "by": 1 })));
        assert!(of(&results).is_err());
    }

    /// A method under another name stands beside the method that it is a reading of; others do not.
    #[test]
    fn readings_are_listed() {
        let mut results = difficult(SuiteKind::Smoke);
        let settings = vec!["kl-scale = \"1/C\"".to_owned()];
        results.suite.methods[2].reading = Some(Reading { method: "balgrad".into(), settings });
        results.suite.datasets.truncate(1);
        let choices = of(&results).unwrap();
        assert_eq!(choices.iter().map(|one| one.method.as_str()).collect::<Vec<_>>(), ["balgrad", "broken"]);
        let score = results.number("food_101 & more", "balgrad", Quantity::Full, None).unwrap().mean;
        assert_eq!(rows(&choices)[0], (String::new(), score, Split::Test, true));
        assert_eq!((choices[1].settings[0].as_str(), choices[1].score), ("kl-scale = \"1/C\"", None));
        assert!(choices[1].cause.is_some());
    }

    /// Every selection is there with its own score, and the suite's alone is shown.
    #[test]
    fn selections_are_listed() {
        let results = compared(SuiteKind::Smoke);
        let choices = of(&results).unwrap();
        let dataset = &results.suite.datasets[0];
        assert_eq!(choices.len(), dataset.methods.len() * 2);
        let score = |selection| results.selected(selection, dataset, ("baseline", Quantity::Full)).unwrap().mean;
        let (last, best) = (score(Selection::Last), score(Selection::BestTest));
        assert!(last < best);
        let row = |name: &str, score, shown| (format!("selection = \"{name}\""), score, Split::Test, shown);
        assert_eq!(rows(&choices)[..2], [row("last", last, true), row("best-test", best, false)]);
        let label = Some("usual in published code; optimistic, never for claims");
        assert_eq!([&choices[0], &choices[1]].map(|one| one.label.as_deref()), [None, label]);
    }
}
