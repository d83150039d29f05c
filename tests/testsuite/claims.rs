//! The paper's numbers and its claims, as a person meets them.

use std::path::Path;

use crate::project::{Project, SUITE, told};

/// A project that has what the paper prints and claims.
fn project() -> Project {
    let project = Project::new();
    let experiments = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    for name in ["reference.json", "claims.toml"] {
        std::fs::copy(experiments.join(name), project.root.join("experiments").join(name)).unwrap();
    }
    project
}

/// The audit finds what there is to find, a line each, and that is no failure; a number that is none of the paper's is
/// refused with its place.
#[test]
fn the_papers_numbers_are_audited() {
    let project = project();
    let text = project.succeed(&["audit"]);
    let line = |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(
        line(&["two tables", "table2 missing-text hateful-memes balgrad", "printed 57.48", "57.58 (table1)"]),
        "{text}"
    );
    assert!(line(&["unmarked negative transfer", "table1 missing-image hateful-memes mslr", "66.04"]), "{text}");
    let audit: serde_json::Value = serde_json::from_str(&project.succeed(&["audit", "--json"])).unwrap();
    assert_eq!(audit["findings"].as_array().unwrap().len(), 4);

    let path = project.root.join("experiments/reference.json");
    let reference = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, reference.replacen("80.32", "80.321", 1)).unwrap();
    let refused = project.run(&["audit"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(told(&refused).contains("expected a number of at most two decimals, found 80.321"), "{}", told(&refused));
}

/// Before a run there is nothing to judge; after it every claim has a verdict, in files and on demand, and none is more
/// confident than two seeds allow. Results have intervals by resampling, and no paper beside them.
#[test]
fn claims_are_judged_after_a_run() {
    let project = project();
    let unmapped = project.run(&["claims", "tiny"]);
    assert_eq!(unmapped.status.code(), Some(2), "{}", told(&unmapped));
    assert!(told(&unmapped).contains("[suites.tiny]"), "{}", told(&unmapped));
    let path = project.root.join("experiments/claims.toml");
    let claims = std::fs::read_to_string(&path).unwrap();
    // The only dataset stands for all three.
    let mapped = claims.replace("[suites.smoke]", "[suites.tiny]");
    let mapped = ["emoji-match", "emoji-words"].iter().fold(mapped, |text, name| text.replace(name, "emoji-subgroup"));
    std::fs::write(&path, &mapped).unwrap();
    let early = project.run(&["claims", "tiny"]);
    assert_eq!(early.status.code(), Some(2));
    assert!(told(&early).contains("run `seesaw run tiny`"), "{}", told(&early));

    project.succeed(&["run", "tiny"]);
    let results = project.results();
    let numbers: serde_json::Value = serde_json::from_slice(&results["results.json"]).unwrap();
    for number in numbers["numbers"].as_array().unwrap() {
        let how = if number["quantity"] == "conflict" { "t-over-seeds" } else { "bootstrap" };
        assert_eq!(number["interval"]["how"], how, "{number}");
    }
    let pairs = numbers["comparisons"]["pairs"].as_array().unwrap();
    assert!(!pairs.is_empty() && pairs.iter().all(|pair| pair["n"] == 2 && pair["p"].is_null()), "{pairs:?}");

    let json: serde_json::Value = serde_json::from_slice(&results["claims.json"]).unwrap();
    let verdicts: Vec<&str> =
        json["claims"].as_array().unwrap().iter().map(|claim| claim["verdict"].as_str().unwrap()).collect();
    assert!(verdicts.iter().all(|verdict| ["undecided", "not-run"].contains(verdict)), "{verdicts:?}");
    assert!(verdicts.contains(&"undecided") && verdicts.contains(&"not-run"), "{verdicts:?}");
    assert!(json["about"].as_str().unwrap().starts_with("generality"));
    let said: serde_json::Value = serde_json::from_str(&project.succeed(&["claims", "tiny", "--json"])).unwrap();
    assert_eq!(said, json);
    assert!(String::from_utf8_lossy(&results["claims.md"]).contains("The suite does not train mslr"));

    // What the claims say is part of what is current.
    std::fs::write(&path, mapped.replace("points = 0.5", "points = 0.25")).unwrap();
    project.succeed(&["run", "tiny"]);
    let changed: serde_json::Value = serde_json::from_slice(&project.results()["claims.json"]).unwrap();
    assert_eq!(changed["smallest_effect"]["points"], 0.25);

    let beside = project.run(&["table", "1", "--suite", "tiny", "--of", "both"]);
    assert_eq!(beside.status.code(), Some(2));
    assert!(told(&beside).contains("the paper has no numbers for the suite `tiny`"), "{}", told(&beside));
    assert!(project.succeed(&["table", "1", "--suite", "tiny"]).contains('†'));
    assert!(SUITE.contains("seeds = [1, 2]"));
}

/// Of a suite with the paper's names, each printed number is compared with ours: in the results, in tables, on the page, and
/// with an exit code.
#[test]
fn printed_numbers_agree_or_differ() {
    let project = project();
    let path = project.root.join("experiments/reference.json");
    let reference = std::fs::read_to_string(&path).unwrap();
    project.write_suite(
        &SUITE.replace("kind = \"smoke\"", "kind = \"paper\"").replace("seeds = [1, 2]", "seeds = [1, 2, 3]"),
    );
    let early = project.run(&["compare", "tiny"]);
    assert_eq!(early.status.code(), Some(2), "{}", told(&early));
    std::fs::write(&path, reference.replace("food101", "emoji-subgroup")).unwrap();
    project.succeed(&["run", "tiny"]);
    let compare = |more: &[&str]| {
        let output = project.run(&[&["compare", "tiny", "--json"], more].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let ran: Vec<serde_json::Value> =
            json["numbers"].as_array().unwrap().iter().filter(|one| !one["ours"].is_null()).cloned().collect();
        (output.status.code(), json["tally"][0].clone(), ran)
    };
    // A training of two epochs is nowhere near the paper's Full; within 100 points everything is.
    let (code, tally, ran) = compare(&[]);
    assert_eq!(
        (code, tally["numbers"].as_u64(), tally["not-run"].as_u64()),
        (Some(1), Some(135), Some(117)),
        "{tally}"
    );
    assert!(ran.iter().any(|one| one["agreement"] == "differs"), "{ran:?}");
    let (code, tally, ran) = compare(&["--margin", "1000"]);
    assert_eq!((code, tally["agrees"].as_u64()), (Some(4), Some(18)), "{tally}");
    assert!(ran.iter().all(|one| one["agreement"] == "agrees"), "{ran:?}");
    let results: serde_json::Value = serde_json::from_slice(&project.results()["results.json"]).unwrap();
    let numbers = results["paper"]["numbers"].as_array().unwrap();
    assert!(numbers.iter().any(|one| one["agreement"] == "differs") && numbers[0]["printed"].is_number());
    let table = project.succeed(&["table", "1", "--suite", "tiny", "--of", "both", "--format", "md"]);
    assert!(table.contains(" ≠)") && table.contains("= agrees with the paper's number, ≠ differs"), "{table}");
    let tex = project.succeed(&["table", "1", "--suite", "tiny", "--of", "both", "--format", "tex"]);
    assert!(tex.contains(" $\\ne$)") && tex.contains("= agrees with the paper's number, $\\ne$ differs"), "{tex}");
    let csv = project.succeed(&["table", "1", "--suite", "tiny", "--of", "both", "--format", "csv"]);
    let column = csv.lines().next().unwrap().split(',').position(|name| name == "agreement").unwrap();
    let agreements: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(column).unwrap()).collect();
    assert!(agreements.contains(&"differs"), "{csv}");
    let page = String::from_utf8(project.files()["report.html"].clone()).unwrap();
    assert!(page.contains(" 135 numbers of Table 1, "), "the page says how many agree");
    assert!(page.contains("<p>Differs: ours minus the paper"));
    // Another number of the paper's is another result, and nothing is trained for it.
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("76.01", "76.02", 1)).unwrap();
    let plan = project.succeed(&["plan", "tiny"]);
    assert!(plan.contains("would run  collect results") && !plan.contains("would run  train"), "{plan}");
}
