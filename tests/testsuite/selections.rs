//! Several selections of the epoch in one run, and what a suite gets whose epochs the test split selects.

use std::path::Path;

use serde_json::Value;

use crate::project::{Project, SUITE, told};

fn json(project: &Project, file: &str) -> Value {
    serde_json::from_slice(&project.files()[file]).unwrap()
}

/// The suite with more settings of its trainings, and an epoch more to select from.
fn suite(settings: &str) -> String {
    SUITE.replacen("epochs = 2", &format!("epochs = 3\n{settings}"), 1)
}

/// Other selections change nothing that the suite shows, cost no training, and are listed with their numbers and labels.
#[test]
fn selections_share_a_training() {
    let alone = Project::new();
    alone.write_suite(&suite(""));
    alone.succeed(&["run", "tiny"]);
    let compared = Project::new();
    compared.write_suite(&suite("other-selections = [\"best-validation\", \"best-test\", \"best-test-impaired\"]"));
    let plan = compared.succeed(&["plan", "tiny", "--summary", "--no-estimate"]);
    assert!(plan.contains("train        4 steps") && plan.contains("evaluate    48 steps"), "{plan}");
    compared.succeed(&["run", "tiny"]);
    assert!(compared.succeed(&["run", "tiny"]).starts_with("nothing to do"));

    let label = "train emoji-subgroup balgrad seed 2";
    assert_eq!(compared.object(label, "weights"), {
        let weights = alone.object(label, "weights");
        compared.root.join(weights.strip_prefix(&alone.root).unwrap())
    });
    let (before, after) = (alone.results(), compared.results());
    for (name, bytes) in before.iter().filter(|(name, _)| *name != "results.json") {
        assert!(after[name] == *bytes, "{name} has other bytes");
    }
    let (before, after) = (json(&alone, "results.json"), json(&compared, "results.json"));
    assert!(before["numbers"] == after["numbers"] && before["comparisons"] == after["comparisons"]);
    assert!(before["other_selections"].is_null() && before["choices"].is_null());

    let others = after["other_selections"].as_array().unwrap();
    let names: Vec<&str> = others.iter().map(|other| other["selection"].as_str().unwrap()).collect();
    assert_eq!(names, ["best-validation", "best-test", "best-test-impaired"]);
    let full = |numbers: &Value, method: &str| {
        let is_it = |number: &&Value| number["method"] == method && number["quantity"] == "full";
        numbers.as_array().unwrap().iter().find(is_it).unwrap()["seeds"].clone()
    };
    for method in ["baseline", "balgrad"] {
        let value = |numbers: &Value, seed: usize| full(numbers, method)[seed]["value"].as_f64().unwrap();
        for seed in [0, 1] {
            // The best epoch by the full score on the test split has the best full score on it, and says so.
            let best = value(&others[1]["numbers"], seed);
            assert!(best >= value(&after["numbers"], seed) && best >= value(&others[0]["numbers"], seed));
            let cells = others[1]["cells"].as_array().unwrap();
            let cell = cells.iter().find(|cell| cell["method"] == method && cell["seed"] == seed + 1).unwrap();
            assert!((cell["score"].as_f64().unwrap() - best).abs() < 1e-9, "{cell}");
        }
    }
    let choices = after["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 2 * 4);
    assert!(choices.iter().all(|choice| choice["shown"] == (choice["settings"][0] == "selection = \"last\"")));
    let page = String::from_utf8(compared.files()["report.html"].clone()).unwrap();
    assert!(page.contains("(usual in published code; optimistic, never for claims)"));
    assert!(page.contains("Every choice with its score: 8 of selections."));
}

/// A sweep passes on what other selections keep of the chosen candidate.
#[test]
fn a_sweep_has_other_selections() {
    let project = Project::new();
    let swept = suite("other-selections = [\"best-test\"]").replacen(
        "name = \"balgrad\"",
        "name = \"balgrad\"\nsweep = { kl-scale = [0.5, 50] }",
        1,
    );
    project.write_suite(&swept);
    project.succeed(&["run", "tiny"]);
    let results = json(&project, "results.json");
    let cells = results["other_selections"][0]["cells"].as_array().unwrap();
    assert_eq!(cells.iter().filter(|cell| cell["method"] == "balgrad").count(), 2);
    let kinds: Vec<&str> =
        results["choices"].as_array().unwrap().iter().map(|choice| choice["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["sweep", "sweep", "selection", "selection", "selection", "selection"]);
}

/// Where the test split selects the epoch that tables show, every caption says so and no claim has a verdict.
#[test]
fn the_test_split_gets_no_verdicts() {
    let project = Project::new();
    let claims = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/claims.toml");
    let claims = std::fs::read_to_string(claims).unwrap().replace("[suites.smoke]", "[suites.tiny]");
    std::fs::write(project.root.join("experiments/claims.toml"), claims).unwrap();
    project.write_suite(&suite("selection = \"best-test-impaired\""));
    let not_judged = "selected by the test split: not judged";
    let run: Value = serde_json::from_str(&project.succeed(&["run", "tiny", "--json"])).unwrap();
    assert_eq!(run["claims"], not_judged);
    let judged = json(&project, "claims.json");
    assert!(judged["claims"].as_array().unwrap().iter().all(|claim| claim["verdict"].is_null()), "{judged}");
    let told_claims = told(&project.run(&["claims", "tiny"]));
    assert!(told_claims.contains("Selected by the test split: not judged."), "{told_claims}");
    let files = project.files();
    for file in ["claims.md", "report.html", "report.tex", "table1.md"] {
        let text = String::from_utf8_lossy(&files[file]).to_lowercase();
        let expected = if file.starts_with("table") { "never for claims" } else { not_judged };
        assert!(text.contains(expected), "{file}");
    }
}

/// A dataset's methods compare the same selections; the message says where to set them.
#[test]
fn a_method_cannot_select_alone() {
    let project = Project::new();
    let alone = "name = \"balgrad\"\ntraining = { other-selections = [\"best-test\"] }";
    project.write_suite(&SUITE.replacen("name = \"balgrad\"", alone, 1));
    let refused = project.run(&["plan", "tiny"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = told(&refused);
    assert!(text.contains("training of `balgrad` on `emoji-subgroup`") && text.contains("for the suite"), "{text}");
}
