//! The paper's suite the whole way, from a server on this machine to its tables, and what a person meets on that way.

use std::path::{Path, PathBuf};

use seesaw_mirror::serve::Server;

use crate::project::{Project, SUITE, told};

/// A project that has the paper's suite, and a mirror for it.
struct Place {
    project: Project,
    mirror: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new(samples: u32) -> Self {
        let project = Project::new();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["paper.toml", "claims.toml", "reference.json"] {
            std::fs::copy(repository.join("experiments").join(file), project.root.join("experiments").join(file))
                .unwrap();
        }
        let mirror = tempfile::tempdir().unwrap();
        seesaw_mirror::make(mirror.path(), samples, 0).unwrap();
        let server = Server::start(mirror.path(), 0, Vec::new()).unwrap();
        Place { project, mirror, server }
    }

    fn archive(&self, name: &str) -> PathBuf {
        self.mirror.path().join("archives").join(name)
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.project.succeed(arguments)).unwrap()
    }
}

/// From nothing to every table and figure of the paper, labelled as what it is; a second time there is nothing to do.
#[test]
fn the_papers_suite_runs_on_a_mirror() {
    let place = Place::new(150);
    let url = place.server.url();
    let of = ["--mirror", &url, "--subset", "16", "--seeds", "2"];
    // One figure first: it needs its own cells alone, of one encoder pair and five methods.
    place.project.succeed(&[&["figure", "5"], &of[..]].concat());
    let run = [&["run", "paper", "--json"], &of[..]].concat();
    let before = place.project.succeed(&[&["plan", "paper", "--summary", "--no-estimate"], &of[..]].concat());
    assert!(before.contains("train      212 steps    30 done"), "{before}");
    let summary = place.json(&run);
    assert_eq!(summary["failed"], serde_json::json!([]), "{summary}");
    assert_eq!(summary["unavailable"], serde_json::json!({}), "{summary}");
    let out = place.project.root.join("out/paper.mirror.subset-16.seeds-2");
    assert_eq!(Path::new(summary["out"].as_str().unwrap()), out);
    for target in ["table1", "table2", "table3", "table4", "table5"] {
        for format in ["tex", "md", "csv"] {
            let text = std::fs::read_to_string(out.join(format!("{target}.{format}"))).unwrap();
            assert!(text.contains("trial run, not a result of the paper"), "{target}.{format}");
            assert!(!text.contains("not run"), "{target}.{format}");
        }
    }
    let table = std::fs::read_to_string(out.join("table1.md")).unwrap();
    assert!(table.contains("16 samples per split, data and weights of a mirror") && table.contains("UPMC Food-101"));
    for figure in ["figure2", "figure4", "figure5", "figure6", "figure7", "figure8", "figure9"] {
        let png = std::fs::read(out.join(format!("{figure}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 10_000, "{figure}");
    }
    assert_eq!(summary["claims"], "trial: not judged");
    let claims: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("claims.json")).unwrap()).unwrap();
    assert!(claims["claims"].as_array().unwrap().iter().all(|claim| claim["verdict"].is_null()), "{claims}");
    let results: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["type"], "trial");
    for (file, part) in [
        ("claims.md", "Trial: not judged."),
        ("report.html", "trial run, not a result of the paper"),
        ("report.tex", "\\begin{document}"),
        ("provenance.json", "\"paper\""),
        ("ro-crate-metadata.json", "https://w3id.org/ro/crate/1.1"),
    ] {
        let text = std::fs::read_to_string(out.join(file)).unwrap();
        assert!(text.contains(part), "{file} should tell {part}");
    }
    compiles(&out);

    // Tables beside the paper's numbers: of ours, the paper's, their difference.
    let table = |words: &[&str]| place.project.succeed(&[&["table", "1", "--suite", "paper"], words, &of[..]].concat());
    assert!(table(&["--of", "paper"]).contains("80.32"));
    for of in ["delta", "both"] {
        for format in ["md", "tex", "csv"] {
            assert!(table(&["--of", of, "--format", format]).contains("trial run"), "{of} {format}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&table(&["--format", "json"])).unwrap();
    assert_eq!(json["datasets"].as_array().unwrap().len(), 3);

    let again = place.json(&run);
    assert_eq!((&again["computed"], &again["written"]), (&serde_json::json!(0), &serde_json::json!([])));
    // Trials leave the place of real results alone, and their data too: without the mirror nothing is there.
    assert!(!place.project.root.join("out/paper").exists());
    let status = place.project.succeed(&["status", "paper"]);
    let names: Vec<&str> = status.lines().filter_map(|line| line.split(':').next()).collect();
    assert!(!names.contains(&"claims"), "{status}");
    assert!(status.contains("paper: 0 of "), "{status}");
}

/// The report with all tables and figures is a document that pdflatex takes. CI installs it.
fn compiles(out: &Path) {
    let arguments = ["-interaction=nonstopmode", "-halt-on-error", "report.tex"];
    let run = std::process::Command::new("pdflatex").args(arguments).current_dir(out).output();
    let Ok(run) = run else {
        assert!(std::env::var_os("CI").is_none(), "CI installs pdflatex");
        return eprintln!("SKIPPED: pdflatex is not installed, so report.tex was not compiled");
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    assert!(std::fs::metadata(out.join("report.pdf")).unwrap().len() > 100_000);
}

/// A dataset that only a person can get leaves its cells out, and the run ends as incomplete; a strict run does not start.
#[test]
fn what_is_lacking_is_shown_as_a_dash() {
    let project = Project::new();
    let more = "\n[[datasets]]\nname = \"memes\"\ndataset = \"hateful-memes\"\nencoders = \"tiny\"\nmethods = [\"baseline\"]\n";
    let suite =
        SUITE.replace("\n[[methods]]\nname = \"baseline\"", &format!("{more}\n[[methods]]\nname = \"baseline\""));
    let suite = suite.replace("target = \"table1\"", "target = \"table1\"\nmethods = [\"baseline\"]");
    let suite = suite.replace("target = \"figure4\"", "target = \"figure4\"\ndatasets = [\"emoji-subgroup\"]");
    project.write_suite(&suite);
    let strict = project.run(&["run", "tiny", "--strict"]);
    assert_eq!(strict.status.code(), Some(3));
    let words = told(&strict);
    assert!(words.contains("nothing was started") && words.contains("put the file hateful_memes.zip"), "{words}");
    assert!(!project.root.join("out").exists());

    // What the plan lists, the doctor lists.
    let json = |arguments: &[&str]| -> serde_json::Value { serde_json::from_str(&project.succeed(arguments)).unwrap() };
    let (plan, doctor) = (json(&["plan", "tiny", "--no-estimate", "--json"]), json(&["doctor", "--json"]));
    let listed = plan["unavailable"].as_array().unwrap();
    assert!(listed.len() == 1 && listed[0][0] == "hateful_memes.zip", "{listed:?}");
    let by_doctor = doctor["unavailable"].as_array().unwrap();
    assert!(listed.iter().all(|one| by_doctor.contains(one)) && by_doctor.len() > 1, "{by_doctor:?}");

    let run = project.run(&["run", "tiny"]);
    assert_eq!(run.status.code(), Some(3), "{}", told(&run));
    let end = String::from_utf8_lossy(&run.stdout).into_owned();
    let (_, how) = end.split_once("incomplete: download the following by hand\n").unwrap();
    assert!(how.starts_with("  hateful_memes.zip: ") && how.contains("then put the file hateful_memes.zip"), "{end}");
    let table = std::fs::read_to_string(project.root.join("out/tiny/table1.md")).unwrap();
    assert!(table.contains("| — [1] |"), "{table}");
    assert!(table.contains("not run: ") && table.contains("has to be downloaded by hand"), "{table}");
    assert!(table.contains("**") || table.contains("±"), "the other dataset has numbers: {table}");
    // What is looked at afterwards is what that run came to: neither claims nor the report forget what it did without.
    let page = |project: &Project| std::fs::read_to_string(project.root.join("out/tiny/report.html")).unwrap();
    let before = (project.results(), page(&project));
    assert!(before.1.contains("<strong>Incomplete: 1 of "), "the page says so first");
    assert!(before.1.contains("put the file hateful_memes.zip") && !before.1.contains("not run yet"));
    project.succeed(&["report", "tiny"]);
    assert!((project.results(), page(&project)) == before);
    let claims = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/claims.toml");
    let claims = std::fs::read_to_string(claims).unwrap().replace("[suites.smoke]", "[suites.tiny]");
    std::fs::write(project.root.join("experiments/claims.toml"), claims).unwrap();
    let judged = project.succeed(&["claims", "tiny"]);
    assert!(judged.contains("generality, not the paper's claims"), "{judged}");
    let files = project.files();
    assert!(files.contains_key("results.json") && files.len() > 10, "{:?}", files.keys());
    project.assert_no_path_in(&files);
    // A table that does not show it is complete.
    assert!(project.run(&["figure", "4", "--suite", "tiny"]).status.success());
    assert_eq!(project.run(&["table", "1", "--suite", "tiny"]).status.code(), Some(3));
}

/// What a server refuses is known only when it was asked: a strict run asks for everything first, and starts nothing.
#[test]
fn a_strict_run_fetches_first() {
    let place = Place::new(60);
    std::fs::remove_file(place.archive("hateful_memes.zip")).unwrap();
    let url = place.server.url();
    let of = ["--mirror", &url, "--subset", "8", "--seeds", "1"];
    let run = place.project.run(&[&["run", "paper", "--strict"], &of[..]].concat());
    let words = told(&run);
    assert_eq!(run.status.code(), Some(1), "{words}");
    assert!(words.contains("nothing else was started") && words.contains("cannot fetch hateful_memes.zip"), "{words}");
    let plan = place.project.succeed(&[&["plan", "paper", "--summary", "--no-estimate"], &of[..]].concat());
    assert!(!plan.contains("prepare    0 steps") && !place.project.root.join("out").exists(), "{plan}");
    let done =
        |kind: &str| plan.lines().find(|line| line.trim_start().starts_with(kind)).unwrap_or_default().to_owned();
    assert!(done("prepare").contains(" 0 done") && !done("fetch").contains(" 0 done"), "{plan}");
}

/// A dataset can be looked at: what it holds against its manifest, what was left out and why, a picture.
#[test]
fn a_dataset_is_shown() {
    let place = Place::new(100);
    let url = place.server.url();
    let shown = place.json(&["data", "show", "food101", "--mirror", &url, "--json"]);
    assert_eq!(shown["expected"], shown["found"]);
    for (reason, n) in [("picture: cut short", 1), ("picture: empty file", 1), ("blank text", 1)] {
        assert_eq!(shown["dropped"][reason], n, "{shown}");
    }
    let samples: u64 = shown["samples"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let of_class: u64 = shown["of_class"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|splits| splits.as_object().unwrap().values())
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(samples, of_class);
    let sheet = std::fs::read(shown["sheet"].as_str().unwrap()).unwrap();
    assert!(sheet.starts_with(b"\x89PNG") && sheet.len() > 20_000);
    let text =
        place.project.succeed(&["data", "show", "mm-imdb", "--suite", "paper", "--mirror", &url, "--subset", "20"]);
    assert!(
        text.contains("train       20 samples") && text.contains("Film-Noir") && text.contains("as expected"),
        "{text}"
    );
    let wrong = place.project.run(&["data", "show", "food-101"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(told(&wrong).contains("did you mean `food101`?"), "{}", told(&wrong));
}

/// Gated data: what to accept where, which file to put where; then it is recorded, and held against its record.
#[test]
fn gated_data_are_put_there_by_hand_and_locked() {
    let place = Place::new(60);
    let fetch = ["fetch", "hateful-memes"];
    let refused = place.project.run(&fetch);
    // Something that only a person can get.
    assert_eq!(refused.status.code(), Some(3));
    let words = told(&refused);
    for expected in [
        "has to be downloaded by hand",
        "accept the Hateful Memes Dataset License Agreement",
        "https://hatefulmemeschallenge.com/#download",
        "put the file hateful_memes.zip, or the unpacked folder hateful_memes, into",
    ] {
        assert!(words.contains(expected), "{words}");
    }
    let lock = place.project.root.join("data-manifests/hateful-memes.lock.json");
    assert!(!lock.exists());

    // What is no archive is never recorded as the right one.
    let given = place.project.root.join("downloads/hateful_memes.zip");
    std::fs::write(&given, "a page that says: log in").unwrap();
    let garbage = place.project.run(&fetch);
    assert_eq!(garbage.status.code(), Some(1));
    assert!(told(&garbage).contains("downloads/hateful_memes.zip is neither a zip nor a tar"), "{}", told(&garbage));
    assert!(!lock.exists());
    // Days of work and gigabytes of downloads need a yes, and there is nobody to ask.
    for command in [&["run", "paper"][..], &["table", "1"], &["figure", "4"]] {
        let refused = place.project.command(command).stdin(std::process::Stdio::null()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
        assert!(told(&refused).contains(" to download") && told(&refused).contains("--yes"), "{}", told(&refused));
        assert!(!place.project.root.join("out").exists());
    }
    // The paper's own numbers need no data.
    let papers = place.project.succeed(&["table", "1", "--suite", "paper", "--of", "paper"]);
    assert!(papers.contains("80.32") && papers.contains("the paper's own numbers"), "{papers}");

    std::fs::copy(place.archive("hateful_memes.zip"), &given).unwrap();
    let output = place.project.run(&fetch);
    assert!(output.status.success(), "{}", told(&output));
    assert!(told(&output).contains("none of the 4 known versions"), "{}", told(&output));
    let recorded: serde_json::Value = serde_json::from_slice(&std::fs::read(&lock).unwrap()).unwrap();
    let (sha256, _) = seesaw::digest::Digest::of_file(&given).unwrap();
    assert_eq!(recorded["archives"]["hateful_memes.zip"]["sha256"], sha256.to_string());
    // From now on it is fetched by its hash, and is there already.
    let again = place.json(&["fetch", "hateful-memes", "--json"]);
    assert_eq!((&again[0]["state"], &again[0]["sha256"]), (&"present".into(), &sha256.to_string().into()));
    let planned = place.project.succeed(&["plan", "paper", "--all", "--no-estimate"]);
    assert!(
        planned.lines().any(|line| line.starts_with("done") && line.contains("fetch hateful_memes.zip")),
        "{planned}"
    );

    // It is not what the manifest expects, which ends a run and does not keep it from being looked at.
    let shown = place.project.succeed(&["data", "show", "hateful-memes"]);
    assert!(shown.contains("DIFFERS: expected 8500"), "{shown}");
    let run = place.project.run(&["data", "show", "hateful-memes", "--suite", "paper"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(told(&run).contains("train: expected 8500, found"), "{}", told(&run));
    assert!(
        told(&run).contains("counts = \\\"report\\\"") || told(&run).contains("counts = \"report\""),
        "{}",
        told(&run)
    );

    // Another file in its place is another file, until a person says that it is meant.
    std::fs::copy(place.archive("upmcfood101.zip"), &given).unwrap();
    std::fs::remove_dir_all(place.project.root.join(".seesaw")).unwrap();
    let other = place.project.run(&fetch);
    assert_eq!(other.status.code(), Some(1));
    assert!(
        told(&other).contains("as its lock file recorded") && told(&other).contains("--relock"),
        "{}",
        told(&other)
    );
    place.project.succeed(&["fetch", "hateful-memes", "--relock"]);
    let relocked: serde_json::Value = serde_json::from_slice(&std::fs::read(&lock).unwrap()).unwrap();
    assert_ne!(relocked, recorded);
    assert!(place.project.run(&fetch).status.success());
    // What is in the store does not come in its way.
    std::fs::copy(place.archive("hateful_memes.zip"), &given).unwrap();
    place.project.succeed(&["fetch", "hateful-memes", "--relock"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&std::fs::read(&lock).unwrap()).unwrap(), recorded);
    let again = place.json(&["fetch", "hateful-memes", "--check", "--json"]);
    assert_eq!((&again[0]["state"], &again[0]["sha256"]), (&"verified".into(), &sha256.to_string().into()));
}
