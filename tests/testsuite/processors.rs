//! A store with results that another kind of processor made: each record names what computed it, and a test can change that.

use std::collections::BTreeMap;

use seesaw::store::{Processor, Store};
use serde_json::Value;

use crate::project::{Project, told};

const OTHER: &str = "train emoji-subgroup balgrad seed 1";
const UNKNOWN: &str = "train emoji-subgroup baseline seed 2";

/// A finished run whose store says of one training that another processor made it, and of one not what did; and what names
/// this machine's.
fn mixed() -> (Project, Store, String) {
    let project = Project::new();
    project.succeed(&["run", "tiny"]);
    let store = Store::open(&project.root.join(".seesaw")).unwrap();
    let other = Processor { vector_instructions: vec!["imaginary".into()], gpus: Vec::new() };
    let here = store.latest(OTHER).unwrap().computed_by.unwrap().to_string();
    for (label, computed_by) in [(OTHER, Some(other)), (UNKNOWN, None)] {
        let mut action = store.latest(label).unwrap();
        action.computed_by = computed_by;
        store.record(&action).unwrap();
    }
    (project, store, here)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What several kinds of processors computed is said in every form of a table, in the results and on the page, and a bundle of
/// it is checked; the numbers are the same.
#[test]
fn tables_name_several_kinds_of_processors() {
    let (project, _, here) = mixed();
    let before = project.results();
    project.succeed(&["run", "tiny"]);
    let files = project.files();
    // LaTeX and HTML have quotation marks of their own.
    let quotes = [("table1.tex", ["``", "''"]), ("table1.md", ["\""; 2]), ("report.html", ["&quot;"; 2])];
    for (name, [open, close]) in quotes {
        let [here, imaginary] = [here.as_str(), "imaginary"].map(|kind| format!("{open}{kind}{close}"));
        let note = format!("3 trainings with {here}; 1 training with {here} and {imaginary}. The last");
        let text = String::from_utf8_lossy(&files[name]);
        assert!(text.contains(&format!("Computed on 2 kinds of processors: {note}")), "{name}: {text}");
    }
    let csv = |files: &BTreeMap<String, Vec<u8>>| String::from_utf8(files["table1.csv"].clone()).unwrap();
    let (old, new) = (csv(&before), csv(&files));
    for (old, new) in old.lines().zip(new.lines()).skip(1) {
        let numbers = |line: &str| line.split(',').take(9).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(numbers(old), numbers(new));
        assert_eq!(new.contains("imaginary"), new.contains(",balgrad,"), "{new}");
    }
    let [old, new] = [&before, &files].map(|files| json(std::str::from_utf8(&files["results.json"]).unwrap()));
    assert_eq!(old["numbers"], new["numbers"]);
    let computed_by = |results: &Value| {
        let cells = results["cells"].as_array().unwrap().iter();
        cells.map(|cell| cell["provenance"].get("computed_by").map_or(0, |all| all.as_array().unwrap().len())).collect()
    };
    let (old, mut new): (Vec<usize>, Vec<usize>) = (computed_by(&old), computed_by(&new));
    new.sort_unstable();
    assert_eq!((old, new), (vec![0; 4], vec![1, 1, 1, 2]));
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
    project.succeed(&["export", "tiny"]);
    let said = project.succeed(&["verify", "tiny.tar.gz"]);
    assert!(!said.contains("differ"), "{said}");
}

/// `--reuse exact` computes again what other kinds of processors made, or nobody knows which, and nothing else. Their results
/// are the same here, and so is everything that depends on them.
#[test]
fn results_of_other_processors_are_computed_again_on_request() {
    let (project, store, here) = mixed();
    let before = project.results();
    let would_run = |more: &[&str]| {
        let plan = json(&project.succeed(&[&["plan", "tiny", "--no-estimate", "--json"], more].concat()));
        let steps = plan["steps"].as_array().unwrap().iter().filter(|step| step["state"] == "would run");
        let named = steps.map(|step| [&step["step"], &step["reason"]].map(|text| text.as_str().unwrap().to_owned()));
        named.map(|[step, reason]| (step, reason)).collect::<BTreeMap<String, String>>()
    };
    assert!(!would_run(&[]).contains_key(OTHER));
    let expected = [
        (OTHER, format!("made on another kind of processor: imaginary; this one is {here}")),
        (UNKNOWN, format!("its record does not say what kind of processor made it; this one is {here}")),
    ];
    let expected: BTreeMap<String, String> = expected.map(|(step, reason)| (step.to_owned(), reason)).into();
    assert_eq!(would_run(&["--reuse", "exact"]), expected);
    let said = project.succeed(&["explain", "--suite", "tiny", "--reuse", "exact", OTHER]);
    assert!(said.contains("would run: made on another kind of processor: imaginary"), "{said}");
    let status =
        |reuse: &str| json(&project.succeed(&["status", "tiny", "--json", "--reuse", reuse]))[0]["cells_done"].clone();
    assert_eq!([status("any"), status("exact")], [4, 2]);
    let summary = json(&project.succeed(&["run", "tiny", "--reuse", "exact", "--json"]));
    assert_eq!(summary["computed"], 2);
    for label in [OTHER, UNKNOWN] {
        assert_eq!(store.latest(label).unwrap().computed_by.unwrap().to_string(), here);
    }
    assert!(project.results() == before, "the results differ");
    for reuse in ["exact", "any"] {
        assert!(project.succeed(&["run", "tiny", "--reuse", reuse]).starts_with("nothing to do"));
    }
    let refused = project.run(&["report", "tiny", "--reuse", "exact"]);
    assert!(refused.status.code() == Some(2) && told(&refused).contains("takes no option"), "{}", told(&refused));
}

/// Nor are they taken from a remote store then, and the others are.
#[test]
fn results_of_other_processors_stay_in_the_remote_store() {
    const OWN: &str = "train emoji-subgroup balgrad seed 2";
    let (project, store, here) = mixed();
    let remote = project.root.join("remote");
    let remote = remote.to_str().unwrap();
    project.succeed(&["push", "tiny", "--remote", remote]);
    let own = store.latest(OWN).unwrap();
    std::fs::remove_dir_all(project.root.join(".seesaw")).unwrap();
    project.succeed(&["run", "tiny", "--remote", remote, "--reuse", "exact"]);
    assert_eq!(store.latest(OWN).unwrap(), own);
    for label in [OTHER, UNKNOWN] {
        assert_eq!(store.latest(label).unwrap().computed_by.unwrap().to_string(), here);
    }
}
