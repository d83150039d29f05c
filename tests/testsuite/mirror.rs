//! A mirror as a person meets it: made, served with faults, fetched from, and run on.

use seesaw::digest::Digest;
use seesaw::manifests::fetch::fetch_archive;
use seesaw::manifests::{Archive, Source};
use seesaw_mirror::serve::Server;

use crate::fetch::{Place, body, open};
use crate::project::{Project, told};

const FILE: &str = "archives/file.zip";

/// A server of one file, and what fetching it with a fault comes to: the error, if there is one.
struct Site {
    folder: tempfile::TempDir,
    server: Server,
}

impl Site {
    fn new(standing: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archives")).unwrap();
        std::fs::write(folder.path().join(FILE), body()).unwrap();
        let faults = standing.iter().map(|text| text.parse().unwrap()).collect();
        let server = Server::start(folder.path(), 0, faults).unwrap();
        Site { folder, server }
    }

    fn fetch(&self, fault: &str, place: &Place) -> Result<(), String> {
        let query = if fault.is_empty() { String::new() } else { format!("?fault={fault}") };
        let sources = vec![Source::Https { urls: vec![format!("{}/{FILE}{query}", self.server.url())] }];
        let content = std::fs::read(self.folder.path().join(FILE)).unwrap();
        let archive = Archive {
            sha256: Some(Digest::of(&content)),
            size: Some(content.len() as u64),
            at_most: None,
            about: None,
            ..open("file.zip", sources)
        };
        let result = fetch_archive(&archive, &place.destination(), &place.context);
        assert_eq!(result.is_ok(), std::fs::read(place.destination()).is_ok_and(|found| found == body()));
        result.map_err(|error| format!("{error:#}"))
    }
}

/// What passes is waited for, and gone on from where it was cut.
#[test]
fn passing_faults_end_well() {
    for fault in ["", "none", "slow:1", "norange", "redirect", "cut:100000", "status:503:2", "stall:1", "cut:7:2"] {
        let place = Place::new();
        Site::new(&[]).fetch(fault, &place).unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(place.quarantined(), 0, "{fault}");
    }
    // Of 300,000 bytes 100,000 come with each try.
    let place = Place::new();
    Site::new(&[]).fetch("cut:100000", &place).unwrap();
    let notes = place.notes.0.lock().unwrap().join("\n");
    assert!(notes.contains("cut after 100000 of 300000 bytes") && notes.contains("cut after 200000"), "{notes}");
}

/// What does not pass is told, with what was expected and found.
#[test]
fn lasting_faults_are_told() {
    for (fault, expected, set_aside) in [
        ("cut:1000", "cut after 4000 of 300000 bytes", 0),
        ("status:503", "the server answered 503", 0),
        ("status:404", "the server answered 404", 0),
        ("length:299999", "expected 300000 bytes, it announces 299999", 0),
        ("length:300001", "expected 300000 bytes, it announces 300001", 0),
        ("bytes", "expected SHA-256", 1),
        ("stall", "cut after 0 of 300000 bytes", 0),
        ("fire", "the server answered 400", 0),
    ] {
        let place = Place::new();
        let error = Site::new(&[]).fetch(fault, &place).unwrap_err();
        assert!(error.contains("cannot fetch file.zip") && error.contains(expected), "{fault}: {error}");
        assert_eq!(place.quarantined(), set_aside, "{fault}");
    }
}

/// A fault that stands meets whoever asks for none; a file that changed meanwhile is begun anew.
#[test]
fn standing_faults_meet_every_request() {
    let site = Site::new(&["archives/file.zip=cut:1000:4"]);
    let place = Place::new();
    assert!(site.fetch("", &place).unwrap_err().contains("cut after 4000"));
    site.fetch("", &place).unwrap();
    let site = Site::new(&["/archives/file.zip=redirect"]);
    site.fetch("", &Place::new()).unwrap();
}

/// The three benchmarks and the paper's encoders, with little training.
const SUITE: &str = r#"
version = 1
kind = "smoke"
title = "Imitated"
seeds = [1]

[encoders.vit-bert]
image = { name = "vit-b16-in21k" }
text = { name = "bert-base-uncased", max-length = 32 }

[encoders.resnet-distilbert]
image = { name = "resnet-50-v2" }
text = { name = "distilbert-base-uncased", max-length = 32 }

[encoders.clip]
image = { name = "clip-vit-b32" }
text = { name = "clip-vit-b32" }

[training]
embedding = 16
epochs = 2
optimizer = { name = "adam", learning-rate = 1e-3 }

[[datasets]]
name = "food101"
encoders = "vit-bert"

[[datasets]]
name = "hateful-memes"
encoders = "resnet-distilbert"

[[datasets]]
name = "mm-imdb"
encoders = "clip"

[[methods]]
name = "baseline"

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

/// From nothing to a table, over a server that stumbles, without a real dataset or weight.
#[test]
fn a_suite_runs_the_whole_way_on_a_mirror() {
    let project = Project::new();
    project.write_suite(SUITE);
    let folder = project.root.join("mirror");
    seesaw_mirror::make(&folder, 100, 7).unwrap();
    let faults =
        ["archives/mmimdb.tar.gz=cut:100000:2", "archives/hateful_memes.zip=status:503:1", "manifests.json=slow:10"];
    let server = Server::start(&folder, 0, faults.map(|fault| fault.parse().unwrap()).into()).unwrap();

    let output = project.run(&["run", "tiny", "--mirror", &server.url(), "--subset", "24", "--json"]);
    assert!(output.status.success(), "{}", told(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["failed"], serde_json::json!([]));
    let out = project.root.join(summary["out"].as_str().unwrap());
    let table = std::fs::read_to_string(out.join("table1.md")).unwrap();
    for name in ["food101", "hateful-memes", "mm-imdb"] {
        assert!(table.contains(name), "{table}");
    }

    // Without the mirror it is other data, which is said without hashes.
    let plan = project.succeed(&["plan", "tiny", "--no-estimate"]);
    for archive in ["mmimdb.tar.gz", "clip-vit-b32.config.json"] {
        let line = format!("fetch {archive} (the archive of last time was of a mirror or of an earlier manifest)");
        assert!(plan.contains(&line), "{plan}");
    }

    let output = project.run(&["fetch", "food101", "--mirror", "http://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
}
