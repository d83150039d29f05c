//! What sweeps tried and chose.

use std::collections::BTreeMap;

use minijinja::context;
use serde::Deserialize;
use serde_json::Value;

use crate::report::results::Results;

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

/// Every sweep of the suite, by dataset and method: `title`, and `candidates` with the `options` in which they differ and a
/// `score` or the `cause` why there is none. One choice is made for all seeds, so every seed's record holds it.
///
/// # Errors
/// If a record does not have the format of the choosing step.
pub fn of(results: &Results) -> anyhow::Result<Vec<minijinja::Value>> {
    let suite = &results.suite;
    let mut sweeps = Vec::new();
    for dataset in &suite.datasets {
        for method in &suite.methods {
            let mine = |seed: &u64| results.cell(&dataset.name, &method.name, *seed)?.provenance.choice.as_deref();
            if let Some(choice) = suite.seeds.iter().find_map(mine) {
                let Choice { by, chosen, candidates } = Choice::deserialize(choice)?;
                let differs =
                    |name: &String| candidates.iter().any(|other| other.options.get(name) != chosen.get(name));
                let option = |(name, value): (&String, &Value)| match value {
                    Value::String(text) => format!("{name} = {text}"),
                    value => format!("{name} = {value}"),
                };
                let row = |candidate: &Candidate| {
                    let options = candidate.options.iter().filter(|(name, _)| differs(name)).map(option);
                    context! {
                        options => options.collect::<Vec<_>>(),
                        score => candidate.validation.map(|score| format!("{score:.2}")),
                        cause => candidate.cause.clone(),
                        chosen => candidate.options == chosen,
                    }
                };
                sweeps.push(context! {
                    title => format!("{} on {}: chosen by the {by}", method.title, suite.title_of(dataset)),
                    candidates => candidates.iter().map(row).collect::<Vec<_>>(),
                });
            }
        }
    }
    Ok(sweeps)
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
        let tried = |scale: &str, score, cause, chosen| json!({ "options": [format!("kl-scale = {scale}")], "score": score, "cause": cause, "chosen": chosen });
        let expected = json!([{
            "title": "BalGrad on food_101 & more: chosen by the mean accuracy on the validation split over 2 seeds",
            "candidates": [
                tried("0.5", Some("61.24"), None, true),
                tried("50.0", Some("60.00"), None, false),
                tried("1000000000.0", None, Some("seed 2: loss_T is NaN"), false),
            ],
        }]);
        assert_eq!(serde_json::to_value(of(&results).unwrap()).unwrap(), expected);
        results.cells[0].provenance.choice = Some(Box::new(json!({ "by": 1 })));
        assert!(of(&results).is_err());
    }
}
