use serde_json::{Value, json};

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data-manifests")
}

fn committed() -> Vec<Manifest> {
    load_all(&folder()).unwrap()
}

/// A manifest in which every field is present.
fn full() -> Value {
    json!({
        "schema": 1,
        "name": "full",
        "kind": "dataset",
        "title": "Everything",
        "homepage": "https://example.org/",
        "licence": { "id": "other", "note": "Ask.", "url": "https://example.org/licence" },
        "citation": "Nobody, 2025",
        "datasets": ["full-a", "full-b"],
        "counts": { "full-a": { "train": 3, "test": 1 } },
        "archives": [{
            "name": "full.zip",
            "sha256": "0".repeat(64),
            "size": 10,
            "sources": [
                { "type": "https", "urls": ["https://example.org/full.zip"] },
                { "type": "hub", "repository": "a/full", "revision": "0".repeat(40), "file": "full.zip" },
                { "type": "kaggle", "dataset": "a/full", "version": 1 },
                { "type": "python-package", "package": "full", "version": "1.0" },
                {
                    "type": "manual", "accept": "accept", "url": "https://example.org/", "file": "full.zip",
                    "folder": "full"
                }
            ]
        }, {
            "name": "open.zip",
            "at-most": 10,
            "about": 9,
            "git-blob": "0".repeat(40),
            "known": [{ "sha256": "0".repeat(64), "note": "the first one" }],
            "sources": [{ "type": "https", "urls": ["https://example.org/open.zip"] }]
        }]
    })
}

/// A manifest of a model whose one archive, without a hash, has this source.
pub(super) fn model(name: &str, archive: &str, source: &Value) -> Value {
    json!({
        "schema": 1, "name": name, "kind": "model", "title": "t", "licence": { "id": "other", "note": "n" },
        "citation": "c", "archives": [{ "name": archive, "at-most": 10, "sources": [source] }]
    })
}

fn parse(manifest: &Value) -> Result<Manifest, String> {
    Manifest::parse("full", manifest.to_string().as_bytes()).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_wrong_field_is_named() {
    parse(&full()).unwrap();
    let error = |pointer: &str, value: Value| {
        let mut manifest = full();
        *manifest.pointer_mut(pointer).unwrap() = value;
        parse(&manifest).unwrap_err()
    };
    let cases = [
        ("/schema", json!(2), "`schema` should be 1, found 2"),
        ("/name", json!("other"), "`name` should be that of the file, `full`, found `other`"),
        ("/kind", json!("models"), "unknown variant `models`"),
        ("/kind", json!("model"), "`datasets` is for datasets"),
        ("/datasets", json!(["full-a", "full-a"]), "full-a is listed twice"),
        ("/datasets", json!(["full-b"]), "`counts`: full-a is not among `datasets`"),
        ("/counts/full-a/train", json!(-1), "-1"),
        ("/archives", json!([]), "`archives` should list at least one"),
        ("/archives/0/name", json!("../full.zip"), "`archives[0]`: `name`: should be a name"),
        ("/archives/0/sha256", json!("A".repeat(64)), "64 lower-case hexadecimal digits"),
        ("/archives/0/size", json!(0), "`archives[0]`: `size` should be above 0"),
        ("/archives/0/sources", json!([]), "`archives[0]`: `sources` should list at least one"),
        ("/archives/0/sources/0/urls", json!([]), "`sources[0]`: `urls` should list at least one"),
        ("/archives/0/sources/0/urls/0", json!("http://example.org/"), "`urls`: \"http://example.org/\" should begin"),
        ("/archives/0/sources/1/revision", json!("main"), "`sources[1]`: `revision` should be a commit"),
        ("/archives/0/sources/1/repository", json!("a/../b"), "`repository` should be OWNER/NAME"),
        ("/archives/0/sources/1/file", json!("../x"), "`file`: should be a name"),
        ("/archives/0/sources/2/dataset", json!("a?b/c"), "`sources[2]`: `dataset` should be OWNER/NAME"),
        ("/archives/0/sources/2/version", json!(0), "`version` should be above 0"),
        ("/archives/0/sources/3/package", json!("-r x"), "`sources[3]`: `package` should be a plain word"),
        ("/archives/0/sources/3/version", json!("1\n-e ."), "`version` should be a plain word"),
        ("/archives/0/sources/4/file", json!("/etc/passwd"), "`sources[4]`: `file`: should be a name"),
        ("/archives/0/sources/4/folder", json!("full.zip"), "`folder` should be another name than `file`"),
        ("/archives/1/at-most", json!(0), "`archives[1]`: `at-most` should be above 0"),
        ("/archives/1/about", json!(11), "`archives[1]`: `about` should be 1 to 10, the bound"),
        ("/archives/1/at-most", json!(1 << 30), "`git-blob` is for files of up to 16777216 bytes"),
        ("/archives/1/git-blob", json!("x"), "40 lower-case hexadecimal digits"),
    ];
    for (pointer, value, expected) in cases {
        let found = error(pointer, value);
        assert!(found.contains(expected), "{pointer}: {found}");
    }
}

/// A file that is wrong is named, with where the schema is described.
#[test]
fn a_wrong_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("full.json"), "{\"schema\": 1,}").unwrap();
    let error = load_all(folder.path()).unwrap_err();
    assert!(error.to_string().contains("full.json") && error.to_string().contains("line 1"), "{error}");
    assert!(errors::hint_of(&error).unwrap().contains("data-manifests/README.md"));
}

/// `schema.json`, which editors use, asks for the same fields as the types here.
#[test]
fn the_schema_for_editors_agrees() {
    let schema: Value = serde_json::from_slice(&std::fs::read(folder().join("schema.json")).unwrap()).unwrap();
    let archive = &schema["properties"]["archives"]["items"];
    let sources = archive["properties"]["sources"]["items"]["oneOf"].as_array().unwrap();
    assert_eq!(sources.len(), 5);
    let mut objects = vec![
        (String::new(), &schema),
        ("/licence".to_owned(), &schema["properties"]["licence"]),
        ("/archives/1/known/0".to_owned(), &archive["properties"]["known"]["items"]),
    ];
    objects.extend(sources.iter().enumerate().map(|(i, source)| (format!("/archives/0/sources/{i}"), source)));
    for (pointer, described) in objects {
        assert_eq!(described["additionalProperties"], json!(false), "{pointer}");
        let required: Vec<&str> =
            described["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let fields =
            |value: &Value| value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
        let mut manifest = full();
        assert_eq!(fields(&described["properties"]), fields(manifest.pointer(&pointer).unwrap()), "{pointer}");
        for field in fields(&described["properties"]) {
            let mut manifest = full();
            manifest.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(&field);
            // Counts are of datasets, which therefore have to be there: a rule that the schema leaves to us.
            let needed = required.contains(&field.as_str()) || field == "datasets";
            assert_eq!(parse(&manifest).is_err(), needed, "{pointer}/{field}");
        }
        manifest.pointer_mut(&pointer).unwrap()["surplus"] = json!(1);
        assert!(parse(&manifest).unwrap_err().contains("unknown field `surplus`"), "{pointer}");
    }
    // An archive has some of its fields where a public source states its hash, and others where none does.
    let manifest = full();
    let fields = |pointer: &str| manifest.pointer(pointer).unwrap().as_object().unwrap().keys().cloned();
    let ours: std::collections::BTreeSet<String> = fields("/archives/0").chain(fields("/archives/1")).collect();
    assert_eq!(ours, archive["properties"].as_object().unwrap().keys().cloned().collect());
    assert_eq!(archive["required"], json!(["name", "sources"]));
}

/// What a manifest says of a file is enough to bound and to check it, and does not contradict itself.
#[test]
fn an_archive_is_pinned_or_left_open() {
    let with = |archive: Value| {
        let mut manifest = full();
        manifest["archives"] = json!([archive]);
        manifest["archives"][0]["name"] = json!("a.zip");
        parse(&manifest).map(|mut manifest| manifest.archives.remove(0))
    };
    let https = json!([{ "type": "https", "urls": ["https://example.org/a.zip"] }]);
    let pip = json!([{ "type": "python-package", "package": "a", "version": "1" }]);
    let (sha256, known) = ("1".repeat(64), json!([{ "sha256": "2".repeat(64), "note": "the first" }]));
    for (archive, expected) in [
        (json!({ "sources": https }), "either `size` or `at-most`"),
        (json!({ "size": 1, "at-most": 1, "sources": https }), "either `size` or `at-most`"),
        (json!({ "sha256": sha256, "sources": https }), "either `size` or `at-most`"),
        (json!({ "sha256": sha256, "size": 1, "known": known, "sources": https }), "`known` is for a file without"),
        (json!({ "size": 2, "about": 2, "sources": https }), "`about` is for a file with `at-most`"),
        (json!({ "at-most": 1, "sources": pip }), "a Python package needs `sha256`"),
    ] {
        let error = with(archive).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let open = with(json!({ "at-most": 9, "known": known, "sources": https })).unwrap();
    assert_eq!((open.expected(), open.size(), open.most(), open.needs_lock()), (None, None, 9, true));
    assert!(open.remark("2".repeat(64).parse().unwrap()).unwrap().ends_with("a known version: the first"));
    assert!(open.remark("3".repeat(64).parse().unwrap()).unwrap().contains("none of the 1 known versions"));
    let pinned = with(json!({ "sha256": sha256, "size": 9, "sources": https })).unwrap();
    assert_eq!((pinned.size(), pinned.most(), pinned.needs_lock()), (Some(9), 9, false));
    assert_eq!(pinned.remark(pinned.expected().unwrap()), None);
}

#[test]
fn two_manifests_that_clash_are_refused() {
    let first = parse(&full()).unwrap();
    let clash = |change: &dyn Fn(&mut Manifest)| {
        let mut second = first.clone();
        second.name = "second".to_owned();
        second.datasets = vec!["second-a".to_owned()];
        change(&mut second);
        check_together(&[first.clone(), second]).map_err(|error| error.to_string())
    };
    clash(&|_| {}).unwrap();
    let error = clash(&|second| second.datasets.push("full-b".to_owned())).unwrap_err();
    assert!(error.contains("full.json and data-manifests/second.json both have the name `full-b`"), "{error}");
    assert!(clash(&|second| second.datasets.push("full".to_owned())).is_err());
    let error = clash(&|second| second.archives[0].size = Some(11)).unwrap_err();
    assert!(error.contains("different archives under the name full.zip"), "{error}");
}

#[test]
fn manifests_are_found_by_name_and_by_dataset() {
    let found = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        find(committed(), &names).map(|found| found.into_iter().map(|manifest| manifest.name).collect::<Vec<_>>())
    };
    assert_eq!(found(&[]).unwrap().len(), committed().len());
    assert_eq!(found(&["emoji-words", "emoji-match"]).unwrap(), ["emoji"]);
    assert_eq!(found(&["efficientnet-lite0", "emoji"]).unwrap(), ["efficientnet-lite0", "emoji"]);
    let error = found(&["emoji-word"]).unwrap_err();
    assert_eq!(errors::class_of(&error), errors::Class::Usage);
    let hint = errors::hint_of(&error).unwrap();
    assert!(hint.starts_with("did you mean `emoji-words`?") && hint.contains("all-minilm-l6-v2"), "{hint}");
}
