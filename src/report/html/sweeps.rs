//! What sweeps tried and chose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::results::Results;

/// A sweep of a method's options on a dataset.
#[derive(Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// `BalGrad on words: chosen by the mean accuracy on the validation split over 5 seeds`
    title: String,
    candidates: Vec<Tried>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Tried {
    /// Those in which the candidates differ.
    options: Vec<String>,
    /// In percent, rounded.
    score: Option<String>,
    /// Why there is no score.
    cause: Option<String>,
    chosen: bool,
}

/// As the choosing step writes it.
#[derive(Deserialize)]
struct Choice {
    by: String,
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

/// Every sweep of the suite, by dataset and method. One choice is made for all seeds, so every seed's record holds it.
///
/// # Errors
/// If a record does not have the format of the choosing step.
pub fn of(results: &Results) -> anyhow::Result<Vec<Sweep>> {
    let suite = &results.suite;
    let mut sweeps = Vec::new();
    for dataset in &suite.datasets {
        for method in &suite.methods {
            let mine = |seed: &u64| results.cell(&dataset.name, &method.name, *seed)?.provenance.choice.as_deref();
            if let Some(choice) = suite.seeds.iter().find_map(mine) {
                let choice = Choice::deserialize(choice)?;
                let title = format!("{} on {}: chosen by the {}", method.title, suite.title_of(dataset), choice.by);
                sweeps.push(Sweep { title, candidates: tried(&choice) });
            }
        }
    }
    Ok(sweeps)
}

fn tried(choice: &Choice) -> Vec<Tried> {
    let differs =
        |name: &String| choice.candidates.iter().any(|other| other.options.get(name) != choice.chosen.get(name));
    let row = |candidate: &Candidate| Tried {
        options: candidate
            .options
            .iter()
            .filter(|(name, _)| differs(name))
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name} = {text}"),
                value => format!("{name} = {value}"),
            })
            .collect(),
        score: candidate.validation.map(|score| format!("{score:.2}")),
        cause: candidate.cause.clone(),
        chosen: candidate.options == choice.chosen,
    };
    choice.candidates.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::SuiteKind;
    use crate::report::samples::difficult;

    /// Each sweep is shown once, with what its candidates differ in, and why one has no score.
    #[test]
    fn a_sweep_is_shown_with_its_choice() {
        let mut results = difficult(SuiteKind::Smoke);
        assert!(of(&results).unwrap().is_empty(), "no sweep, no table");
        let options = |scale: f64| json!({ "method": "balgrad", "kl-scale": scale, "gap": "ratio" });
        let choice = json!({
            "by": "mean accuracy on the validation split over 2 seeds",
            "chosen": options(0.5),
            "candidates": [
                { "options": options(0.5), "validation": 61.238 },
                { "options": options(50.0), "validation": 60.0 },
                { "options": options(1e9), "validation": null, "cause": "seed 2: loss_T is NaN" },
            ],
        });
        for cell in results.cells.iter_mut().filter(|cell| cell.method == "balgrad" && cell.dataset != "words") {
            cell.provenance.choice = Some(Box::new(choice.clone()));
        }
        let sweeps = of(&results).unwrap();
        let tried = |scale: &str, score: Option<&str>, cause: Option<&str>, chosen| Tried {
            options: vec![format!("kl-scale = {scale}")],
            score: score.map(str::to_owned),
            cause: cause.map(str::to_owned),
            chosen,
        };
        let expected = Sweep {
            title: "BalGrad on food_101 & more: chosen by the mean accuracy on the validation split over 2 seeds"
                .into(),
            candidates: vec![
                tried("0.5", Some("61.24"), None, true),
                tried("50.0", Some("60.00"), None, false),
                tried("1000000000.0", None, Some("seed 2: loss_T is NaN"), false),
            ],
        };
        assert_eq!(sweeps, [expected]);
        results.cells[0].provenance.choice = Some(Box::new(json!({ "by": 1 })));
        assert!(of(&results).is_err());
    }
}
