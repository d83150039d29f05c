//! `experiments/schema.json`, by which editors help with suites, against the grammar that the program reads.

use std::collections::BTreeSet;
use std::path::Path;

use seesaw::datasets::READERS;
use seesaw::encoders::{IMAGE_ENCODERS, TEXT_ENCODERS};
use seesaw::experiments::Suite;
use seesaw::methods::{MethodOptions, NAMES};
use seesaw::report::target::TARGETS;
use seesaw::training::config::TrainConfig;
use serde_json::{Map, Value, json};

use crate::project::SUITE;

type Names = BTreeSet<String>;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/schema.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn fields(object: &Value) -> Names {
    object["properties"].as_object().unwrap().keys().cloned().collect()
}

fn values(object: &Value) -> Names {
    object["enum"].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// What serde says is known where something is not: the words in backticks behind "expected", or none.
fn expected(error: &str) -> Names {
    assert!(error.contains("`zzz`"), "{error}");
    let Some((_, known)) = error.split_once(", expected ") else {
        assert!(error.contains("there are no fields"), "{error}");
        return Names::new();
    };
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The fields that the program knows in a table of a suite, which is written with one that it does not.
fn known_in(from: &str, to: &str) -> Names {
    assert!(SUITE.contains(from), "{from}");
    expected(&format!("{:#}", Suite::parse("tiny", &SUITE.replacen(from, to, 1)).unwrap_err()))
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
    names.into_iter().map(str::to_owned).collect()
}

/// Every suite of the project passes, and names the schema in its first line.
#[test]
fn suites_pass() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let suites = Suite::names(&folder).unwrap();
    assert!(suites.len() >= 3);
    for name in suites {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
        assert_eq!(text.lines().next(), Some("#:schema ./schema.json"), "{name}");
        let told: Vec<String> =
            validator.iter_errors(&parsed(&text)).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(told, [""; 0], "{name}");
    }
    assert!(validator.is_valid(&parsed(SUITE)));
}

/// What is wrong in a suite is wrong for both.
#[test]
fn both_refuse_the_same() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (from, to) in [
        ("version = 1", "version = 2"),
        ("version = 1", "version = 1\nzzz = 1"),
        ("seeds = [1, 2]", "seeds = []"),
        ("seeds = [1, 2]", "seeds = [1, 1]"),
        ("kind = \"smoke\"", "kind = \"trial\""),
        ("name = \"efficientnet-lite0\"", "name = \"efficientnet\""),
        ("size = 32", "size = 33"),
        ("size = 32", "size = 32, pooling = \"cls\""),
        ("max-length = 8", "max-length = 2"),
        ("max-length = 8", "max-length = 8, zzz = 1"),
        ("embedding = 32", "embedding = 0"),
        ("embedding = 32", "zzz = 32"),
        ("epochs = 2", "epochs = 2\nfusion = \"sum\""),
        ("epochs = 2", "epochs = 2\nselection = \"best\""),
        ("epochs = 2", "epochs = 2\nother-selections = [\"best\"]"),
        ("epochs = 2", "epochs = 2\nother-selections = [\"best-test\", \"best-test\"]"),
        ("name = \"adam\"", "name = \"adamw\""),
        ("learning-rate = 1e-3", "learning-rate = 0.0"),
        ("learning-rate = 1e-3", "learning-rate = 1e-3, momentum = 0.9"),
        ("name = \"emoji-subgroup\"", "name = \"emoji\""),
        ("name = \"emoji-subgroup\"", "name = \"a\"\ndataset = \"emoji\""),
        ("name = \"emoji-subgroup\"", "name = \"emoji-subgroup\"\noptions = { plot = \"first\" }"),
        ("name = \"emoji-subgroup\"", "name = \"mm-imdb\"\noptions = { plot = \"last\" }"),
        ("name = \"emoji-subgroup\"", "name = \"a\"\ndataset = \"food101\"\noptions = { zzz = 1 }"),
        ("name = \"emoji-subgroup\"", "name = \"emoji-subgroup\"\nmethods = []"),
        ("name = \"balgrad\"", "name = \"balgard\""),
        ("name = \"balgrad\"", "name = \"a\"\nmethod = \"balgard\""),
        ("name = \"balgrad\"", "name = \"balgrad\"\noptions = { alpha = 1 }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\noptions = { weights = \"equal\" }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\noptions = { kl-scale = \"1/N\" }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\noptions = { kl-scale = -1.0 }"),
        ("name = \"balgrad\"", "name = \"balgrad-projection\"\noptions = { weights = \"uniform\" }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\nsweep = { alpha = [1] }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\nsweep = { kl-scale = [] }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\nsweep = { project = [1] }"),
        ("name = \"balgrad\"", "name = \"agm\"\noptions = { floor = 0.0 }"),
        ("ratios = [0.0, 0.5, 1.0]", "ratios = [0.0, 0.5]"),
        ("ratios = [0.0, 0.5, 1.0]", "ratios = [0.0, 2.0, 1.0]"),
        ("ratios = [0.0, 0.5, 1.0]", "ratios = [1.0]\nimage = \"nothing\""),
        ("sigma = 0.5", "sigma = 0.0"),
        ("sigma = 0.5", "sigma = 0.5, zzz = 1"),
        ("\"delete-characters\"", "\"insert-characters\""),
        ("probability = 0.2", "probability = 2.0"),
        ("target = \"table1\"", "target = \"table9\""),
        ("target = \"table1\"", "target = \"table1\"\ndatasets = [\"emoji-subgroup\", \"emoji-subgroup\"]"),
    ] {
        assert!(SUITE.contains(from), "{from}");
        let text = SUITE.replacen(from, to, 1);
        assert!(Suite::parse("tiny", &text).is_err(), "the program takes {to}");
        assert!(!validator.is_valid(&parsed(&text)), "the schema takes {to}");
    }
}

/// The schema takes what the program takes where it asks for special cases.
#[test]
fn both_take_the_same() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (from, to) in [
        ("name = \"emoji-subgroup\"", "name = \"a\"\ndataset = \"emoji-words\"\nmethods = [\"balgrad\", \"baseline\"]"),
        (
            "name = \"emoji-subgroup\"",
            "name = \"hateful-memes\"\ncounts = \"report\"\noptions = { test = \"test_unseen\" }",
        ),
        ("name = \"balgrad\"", "name = \"a\"\nmethod = \"balgrad-projection\"\noptions = { kl-scale = \"1/C\" }"),
        ("name = \"balgrad\"", "name = \"balgrad\"\nsweep = { kl-scale = [0.5, 2, \"1/C\"], project = [true, false] }"),
        ("epochs = 2", "epochs = 2\nselection = \"best-test\"\nother-selections = [\"last\", \"best-test-impaired\"]"),
        ("name = \"balgrad\"", "name = \"agm\"\ntraining = { optimizer = { name = \"sgd\", learning-rate = 0.1 } }"),
        ("name = \"all-minilm-l6-v2\"", "name = \"bert-base-uncased\", pooling = \"pooler\", precision = \"bfloat16\""),
        ("target = \"table1\"", "target = \"table1\"\nmethods = [\"balgrad\"]\ndatasets = [\"emoji-subgroup\"]"),
    ] {
        assert!(SUITE.contains(from), "{from}");
        let text = SUITE.replacen(from, to, 1);
        if let Err(error) = Suite::parse("tiny", &text) {
            panic!("the program refuses {to}: {error:#}");
        }
        let told: Vec<String> = validator.iter_errors(&parsed(&text)).map(|error| error.to_string()).collect();
        assert_eq!(told, [""; 0], "{to}");
    }
}

/// Every field of the program's types is in the schema, and no other.
#[test]
fn fields_agree() {
    let schema = schema();
    let definition = |name: &str| &schema["$defs"][name];
    for (object, from, to) in [
        (&schema, "version = 1", "version = 1\nzzz = 1"),
        (definition("encoders"), "[encoders.tiny]", "[encoders.tiny]\nzzz = 1"),
        (definition("dataset"), "[[datasets]]", "[[datasets]]\nzzz = 1"),
        (definition("method"), "[[methods]]", "[[methods]]\nzzz = 1"),
        (definition("impairments"), "[impairments.missing]", "[impairments]\nzzz = 1\n[impairments.missing]"),
        (definition("missing"), "[impairments.missing]", "[impairments.missing]\nzzz = 1"),
        (definition("noisy"), "[impairments.noisy]", "[impairments.noisy]\nzzz = 1"),
        (definition("output"), "[[outputs]]", "[[outputs]]\nzzz = 1"),
    ] {
        assert_eq!(fields(object), known_in(from, to), "{to}");
        assert_eq!(object["additionalProperties"], false, "{to}");
    }
    let training = serde_json::from_value::<TrainConfig>(json!({ "zzz": 1 })).unwrap_err();
    assert_eq!(fields(definition("training")), expected(&training.to_string()));
    for name in ["adam", "sgd"] {
        let optimizer = json!({ "epochs": 1, "optimizer": { "name": name, "zzz": 1 } });
        let mut known = expected(&serde_json::from_value::<TrainConfig>(optimizer).unwrap_err().to_string());
        known.insert("name".into());
        assert_eq!(fields(definition(name)), known, "{name}");
    }
    for (field, known) in [("fusion", "fusion"), ("binary-head", "binary-head"), ("selection", "selection")] {
        let error = serde_json::from_value::<TrainConfig>(json!({ field: "zzz" })).unwrap_err();
        assert_eq!(values(&definition("training")["properties"][known]), expected(&error.to_string()));
    }
    let unknown = json!({ "other-selections": ["zzz"] });
    let error = serde_json::from_value::<TrainConfig>(unknown).unwrap_err();
    let others = &definition("training")["properties"]["other-selections"]["items"];
    assert_eq!(values(others), expected(&error.to_string()));
    let image = known_in("name = \"efficientnet-lite0\"", "name = \"efficientnet-lite0\", zzz = 1");
    let text = known_in("name = \"all-minilm-l6-v2\"", "name = \"all-minilm-l6-v2\", zzz = 1");
    for (definition, known) in [(definition("image-encoder"), image), (definition("text-encoder"), text)] {
        let all = definition["oneOf"].as_array().unwrap().iter().flat_map(fields).collect::<Names>();
        assert_eq!(all, known);
    }
}

/// Every name that the program knows is in the schema, with its options, and no other.
#[test]
fn names_and_options_agree() {
    let schema = schema();
    let definition = |name: &str| &schema["$defs"][name];
    let known = |definition: &Value, field: &str| values(&definition["allOf"][0]["anyOf"][0]["properties"][field]);
    assert_eq!(values(&definition("output")["properties"]["target"]), names(TARGETS.iter().map(|target| target.name)));
    assert_eq!(known(definition("dataset"), "dataset"), names(READERS.iter().map(|reader| reader.name)));
    assert_eq!(known(definition("method"), "method"), names(NAMES.iter().map(|named| named.name)));
    let encoders = |name: &str| {
        let rows = definition(name)["oneOf"].as_array().unwrap().iter();
        rows.map(|row| row["properties"]["name"]["const"].as_str().unwrap().to_owned()).collect::<Names>()
    };
    assert_eq!(encoders("image-encoder"), names(IMAGE_ENCODERS.iter().map(|encoder| encoder.name)));
    assert_eq!(encoders("text-encoder"), names(TEXT_ENCODERS.iter().map(|encoder| encoder.name)));

    for reader in READERS {
        let options = definition(&format!("dataset-{}", reader.name));
        assert_eq!(fields(options), expected(&reader.options(toml::from_str("zzz = 1").unwrap()).unwrap_err()));
        for (name, option) in options["properties"].as_object().unwrap() {
            let with = |value: &str| reader.options(toml::from_str(&format!("{name} = {value}")).unwrap());
            if option["enum"].is_array() {
                assert_eq!(values(option), expected(&with("\"zzz\"").unwrap_err()), "{name} of {}", reader.name);
            } else {
                let bounds = option.as_object().unwrap();
                assert!(with(&bounds["minimum"].to_string()).is_ok(), "{name}");
                assert!(bounds.get("maximum").is_none_or(|most| with(&format!("{}1", most)).is_err()), "{name}");
            }
        }
    }
    for named in NAMES {
        let options = definition(&format!("method-{}", named.method))["properties"].as_object().unwrap();
        assert_eq!(options.keys().cloned().collect::<Names>(), names(named.options.iter().map(|option| option.name)));
        for (name, option) in options.iter().filter(|(_, option)| option["enum"].is_array()) {
            let mut given = Map::from_iter([("method".to_owned(), named.method.into())]);
            given.insert(name.clone(), "zzz".into());
            let error = serde_json::from_value::<MethodOptions>(given.into()).unwrap_err();
            assert_eq!(values(option), expected(&error.to_string()), "{name} of {}", named.name);
        }
        // A default that the schema tells is the program's.
        for (name, option) in options.iter().filter(|(_, option)| !option["default"].is_null()) {
            let default = MethodOptions::default_of(named.method).map(serde_json::to_value).unwrap().unwrap();
            assert_eq!(option["default"], default[name], "{name} of {}", named.name);
        }
    }
}
