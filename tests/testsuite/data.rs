//! Datasets as a person meets them: looked at, expected to hold something, and trained on.

use std::path::Path;

use seesaw::datasets::READERS;
use seesaw::manifests::load_all;
use seesaw_mirror::serve::Server;

use crate::project::{Project, told};

/// Memotion with BLIP, and birds with two encoders and another fusion.
const SUITE: &str = r#"
version = 1
kind = "smoke"
title = "Memes and birds"
seeds = [1]

[encoders.blip]
image = { name = "blip-itm-base-coco" }
text = { name = "blip-itm-base-coco", max-length = 35 }

[encoders.resnet-distilbert]
image = { name = "resnet-50" }
text = { name = "distilbert-base-uncased", max-length = 32 }

[training]
embedding = 16
epochs = 2
selection = "best-validation"
optimizer = { name = "adam", learning-rate = 1e-3 }

[[datasets]]
name = "memotion"
encoders = "blip"
options = { task = "humour" }

[[datasets]]
name = "cub-200-2011"
encoders = "resnet-distilbert"
training = { fusion = "addition" }

[[methods]]
name = "balgrad"

[impairments.missing]
ratios = [0.0, 1.0]

[impairments.noisy]
image = { kind = "gaussian", sigma = 0.5 }
text = { kind = "delete-characters", probability = 0.2 }

[[outputs]]
target = "table1"
"#;

struct Place {
    project: Project,
    server: Server,
}

impl Place {
    fn new(samples: u32) -> Self {
        let project = Project::new();
        project.write_suite(SUITE);
        seesaw_mirror::make(&project.root.join("mirror"), samples, 0).unwrap();
        let server = Server::start(&project.root.join("mirror"), 0, Vec::new()).unwrap();
        Place { project, server }
    }

    fn show(&self, arguments: &[&str]) -> serde_json::Value {
        let url = self.server.url();
        let all = [&["data", "show"], arguments, &["--mirror", &url, "--json"]].concat();
        serde_json::from_str(&self.project.succeed(&all)).unwrap()
    }

    /// How many steps are recorded.
    fn recorded(&self) -> usize {
        let shards = std::fs::read_dir(self.project.root.join(".seesaw/actions")).unwrap();
        shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
    }

    /// Changes what the mirror's manifest expects of a dataset.
    fn expect(&self, dataset: &str, what: &str, n: u64) {
        let path = self.project.root.join("mirror/manifests.json");
        let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let manifest = all.as_array_mut().unwrap().iter_mut().find(|manifest| manifest["name"] == dataset).unwrap();
        manifest["counts"][dataset][what] = n.into();
        std::fs::write(&path, all.to_string()).unwrap();
    }
}

/// Every dataset has a committed manifest, with its archives and the counts that its reader should find.
#[test]
fn every_dataset_has_a_manifest() {
    let all = load_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests")).unwrap();
    assert!(all.is_sorted_by_key(|manifest| &manifest.name));
    for reader in READERS {
        let manifest = all.iter().find(|manifest| manifest.name == reader.manifest).unwrap();
        assert!(manifest.serves(reader.name) && manifest.counts[reader.name].len() >= 3, "{}", reader.name);
        assert!(reader.archives.iter().all(|name| manifest.archive(name).is_ok()), "{}", reader.name);
    }
}

#[test]
fn memes_and_birds_are_shown() {
    let place = Place::new(100);
    let memes = place.show(&["memotion"]);
    assert_eq!((&memes["task"], &memes["metric"]), (&"multiclass".into(), &"f1-macro".into()));
    assert_eq!(memes["expected"], serde_json::json!({ "rows": 100, "image names": 100, "pictures": 99 }));
    for (reason, n) in [("picture: cut short", 1), ("blank text", 1), ("row without a picture", 1)] {
        assert_eq!(memes["dropped"][reason], n, "{memes}");
    }
    assert_eq!(memes["found"]["texts as the machine read them"], 1);
    let samples: Vec<u64> = ["train", "val", "test"].map(|split| memes["samples"][split].as_u64().unwrap()).into();
    assert_eq!(samples.iter().sum::<u64>(), 97);
    assert!(samples[1].abs_diff(10) <= 2 && samples[2].abs_diff(10) <= 2, "{samples:?}");

    let birds = place.show(&["cub-200-2011"]);
    let expected = serde_json::json!({ "pictures": 100, "train": 50, "test": 50, "classes": 5 });
    assert_eq!((&birds["expected"], &birds["dropped"]), (&expected, &serde_json::json!({})));
    assert_eq!(birds["samples"], serde_json::json!({ "train": 45, "val": 5, "test": 50 }));
    assert_eq!(birds["of_class"]["009.Brewer_Blackbird"]["test"], 10);
    for shown in [memes, birds] {
        let sheet = std::fs::read(shown["sheet"].as_str().unwrap()).unwrap();
        assert!(sheet.starts_with(b"\x89PNG") && sheet.len() > 20_000);
    }
    let text = place.project.succeed(&["data", "show", "memotion", "--mirror", &place.server.url()]);
    assert!(text.contains("memotion: multiclass, 3 classes, scored by F1-macro"), "{text}");
    assert!(text.contains("100 rows  as expected"), "{text}");
}

/// A dataset is prepared once, whoever expects what of it; what is not as a suite's manifest expects ends its run before
/// anything is encoded, even if it was prepared long ago.
#[test]
fn expectations_end_runs_and_prepare_nothing_anew() {
    let place = Place::new(60);
    let url = place.server.url();
    place.show(&["cub-200-2011"]);
    let recorded = place.recorded();
    let expected = place.show(&["cub-200-2011", "--suite", "tiny"])["expected"].clone();
    assert_eq!((expected["train"].as_u64(), place.recorded()), (Some(30), recorded));

    place.expect("cub-200-2011", "train", 5994);
    assert_eq!(place.show(&["cub-200-2011"])["expected"]["train"], 5994, "told, and shown all the same");
    let words = "the archives of cub-200-2011 do not hold what its manifest expects: train: expected 5994, found 30";
    for arguments in [&["data", "show", "cub-200-2011", "--suite", "tiny"][..], &["run", "tiny"]] {
        let output = place.project.run(&[arguments, &["--mirror", &url]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(told(&output).contains(words), "{}", told(&output));
    }
    let status = place.project.succeed(&["plan", "tiny", "--all", "--mirror", &url]);
    let birds = |line: &&str| line.contains("cub-200-2011") && (line.contains("encode") || line.contains("train"));
    assert!(status.lines().filter(birds).all(|line| !line.starts_with("done")), "{status}");

    let plan = place.project.succeed(&["plan", "tiny", "--summary", "--mirror", &url]);
    assert!(plan.contains(&format!("refused    prepare cub-200-2011: {words}")), "{plan}");
    assert!(plan.contains(" refused or blocked\n"), "{plan}");
    let steps: serde_json::Value =
        serde_json::from_str(&place.project.succeed(&["plan", "tiny", "--json", "--mirror", &url])).unwrap();
    let states = |state: &str| {
        let steps = steps["steps"].as_array().unwrap().iter().filter(move |step| step["state"] == state);
        steps.map(|step| step["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states("refused"), ["prepare cub-200-2011"]);
    assert!(!states("blocked").is_empty() && states("blocked").iter().all(|step| step.contains("cub-200-2011")));
    let status = place.project.succeed(&["status", "tiny", "--mirror", &url]);
    assert!(status.contains(&format!("refused: prepare cub-200-2011: {words}")), "{status}");

    // A person may say that it will do.
    let suite =
        SUITE.replace("encoders = \"resnet-distilbert\"", "encoders = \"resnet-distilbert\"\ncounts = \"report\"");
    place.project.write_suite(&suite);
    let summary = place.project.succeed(&["run", "tiny", "--mirror", &url, "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["failed"], serde_json::json!([]));
    let out = place.project.root.join(summary["out"].as_str().unwrap());
    let results: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
    let metrics = results["datasets"].as_array().unwrap().iter().map(|dataset| dataset["metric"].clone());
    assert_eq!(metrics.collect::<Vec<_>>(), ["F1-macro", "accuracy"]);
    let table = std::fs::read_to_string(out.join("table1.md")).unwrap();
    assert!(table.contains("F1-macro") && table.contains("accuracy"), "{table}");

    // Now all of it is done, and refused again when the suite expects more.
    place.project.write_suite(SUITE);
    let output = place.project.run(&["run", "tiny", "--mirror", &url]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains(words), "{}", told(&output));
}
