//! What takes the space in the store, what is damaged in it, and what nobody needs any more.

use serde_json::Value;

use crate::project::{Project, SUITE, told};

fn json(project: &Project, arguments: &[&str]) -> Value {
    serde_json::from_str(&project.succeed(&[arguments, &["--json"]].concat())).unwrap()
}

/// What is left after a suite loses a seed is removed, and nothing else: the suite has nothing to do afterwards.
#[test]
fn what_no_suite_needs_is_removed() {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let before = json(&project, &["store"]);
    assert_eq!(before["unneeded"]["results"], 0, "{before}");
    let kinds: Vec<&str> =
        before["kinds"].as_array().unwrap().iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(kinds[..5], ["fetch", "prepare", "impair", "encode", "train"]);
    assert_eq!(kinds.last(), Some(&"reports"));
    assert_eq!(before["suites"][0]["name"], "tiny");

    // What the finished run was made from is needed as long as its folder is there.
    project.write_suite(&SUITE.replace("seeds = [1, 2]", "seeds = [1]"));
    assert_eq!(json(&project, &["prune", "--keep-days", "0"])["removed"]["actions"], 0);
    project.succeed(&["run", "tiny"]);
    let kept = json(&project, &["prune"]);
    assert_eq!(kept["removed"]["actions"], 0, "younger than seven days: {kept}");
    let unneeded = kept["kept"]["results"].as_u64().unwrap();
    // Of both methods: the training, three evaluations; and what was made of all seeds.
    assert!(unneeded > 8, "{kept}");

    // A second without which nothing is older than no days.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let would = json(&project, &["prune", "--keep-days", "0", "--dry-run"]);
    assert_eq!(json(&project, &["store"])["unneeded"]["results"], unneeded);
    let mut removed = json(&project, &["prune", "--keep-days", "0"]);
    removed["dry_run"] = true.into();
    assert_eq!(removed, would);
    assert_eq!(removed["removed"]["actions"], unneeded);
    let labels: Vec<&str> =
        removed["results"].as_array().unwrap().iter().map(|r| r["label"].as_str().unwrap()).collect();
    assert!(labels.contains(&"train emoji-subgroup balgrad seed 2"), "{labels:?}");
    assert!(!labels.iter().any(|label| label.ends_with("seed 1") || label.starts_with("encode")), "{labels:?}");
    let after = json(&project, &["store"]);
    let files = || walk(&project.root.join(".seesaw/objects"));
    assert_eq!(after["all"]["size"], files(), "what is listed is what lies there");
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
    assert!(project.succeed(&["store", "verify"]).ends_with("all are whole\n"));
}

/// The bytes of all files in a folder.
fn walk(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

/// A suite that cannot be read may need anything.
#[test]
fn nothing_is_removed_if_a_suite_cannot_be_read() {
    let project = Project::new();
    project.succeed(&["fetch", "emoji"]);
    std::fs::write(project.root.join("experiments/broken.toml"), "version = 1\nkind =").unwrap();
    let output = project.run(&["prune", "--keep-days", "0"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("broken.toml"), "{}", told(&output));
}

/// A store that other projects may use is pruned only on request.
#[test]
fn a_store_of_several_projects_is_spared() {
    let project = Project::new();
    let shared = tempfile::tempdir().unwrap();
    let store = shared.path().to_str().unwrap();
    project.succeed(&["fetch", "emoji", "--store", store]);
    let output = project.run(&["prune", "--store", store]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("--shared"), "{}", told(&output));
    project.succeed(&["prune", "--store", store, "--dry-run"]);
    project.succeed(&["prune", "--store", store, "--shared"]);
}

/// Damage is found, set aside, and made good by the next run.
#[test]
fn damage_is_found_and_made_good() {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let results = project.results();
    let weights = project.object("train emoji-subgroup balgrad seed 1", "weights");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, bytes).unwrap();
    let output = project.run(&["store", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("of train emoji-subgroup balgrad seed 1: its content has"), "{}", told(&output));
    assert!(!weights.exists());
    // What looks at the suite says what the run then does.
    let plan = project.succeed(&["plan", "tiny", "--no-estimate"]);
    assert!(plan.starts_with("tiny: 39 steps, 38 done, 1 would run\n"), "{plan}");
    let reason = "train emoji-subgroup balgrad seed 1 (its output `weights` is damaged or missing)";
    assert!(plan.contains(reason), "{plan}");
    let explained = project.succeed(&["explain", "--suite", "tiny", "train", "emoji-subgroup", "balgrad", "1"]);
    assert!(explained.contains("would run: its output `weights` is damaged or missing"), "{explained}");
    let status = project.succeed(&["status", "tiny"]);
    assert!(status.contains("tiny: 38 of 39 steps done, 3 of 4 trainings\n"), "{status}");
    assert!(status.contains("run `seesaw run tiny` to finish"), "{status}");
    let run = project.succeed(&["run", "tiny"]);
    assert!(run.starts_with("tiny: 1 step computed, 38 taken from the store"), "{run}");
    assert!(project.succeed(&["store", "verify"]).ends_with("all are whole\n"));
    assert!(project.results() == results);
}

/// Who mistypes the folder of a store is told so; a project that has computed nothing has none yet.
#[test]
fn a_store_that_is_not_there_is_told() {
    let project = Project::new();
    for command in
        [&["store", "--store", "typo"][..], &["store", "verify", "--store", "typo"], &["prune", "--store", "typo"]]
    {
        let output = project.run(command);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains("there is no store in typo"), "{}", told(&output));
    }
    assert!(project.succeed(&["store"]).contains(".seesaw (does not exist yet)\n0 results"));
}
