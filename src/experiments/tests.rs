use super::*;
use crate::report::target;

fn smoke() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/smoke.toml")).unwrap()
}

/// The error of the suite with another text; `+` puts the text on a line of its own behind the first.
fn error(from: &str, to: &str) -> String {
    let text = smoke();
    assert!(text.contains(from), "{from}");
    let to = to.strip_prefix('+').map_or(to.to_owned(), |line| format!("{from}\n{line}"));
    let error = Suite::parse("smoke", &text.replacen(from, &to, 1)).unwrap_err();
    format!("{error:#} | {}", errors::hint_of(&error).unwrap_or_default())
}

#[test]
fn the_smoke_suite_is_what_the_benchmark_defines() {
    let suite = Suite::parse("smoke", &smoke()).unwrap();
    assert_eq!(suite.kind, SuiteKind::Smoke);
    assert_eq!((suite.seeds.len(), suite.datasets.len(), suite.methods.len()), (5, 3, 7));
    let epochs: Vec<u32> = suite.datasets.iter().map(|dataset| dataset.training.epochs).collect();
    assert_eq!(epochs, [20, 10, 20]);
    assert!(suite.datasets.iter().all(|dataset| dataset.image.size == Some(128) && dataset.training.batch_size == 64));
}

/// Each error names the field and what was found, and suggests what was probably meant.
#[test]
fn errors_name_field_and_value() {
    for (from, to, parts) in [
        ("seeds = [1, 2, 3, 4, 5]", "seeds = [1, 1]", &["`seeds` lists `1` twice"][..]),
        ("seeds = [1, 2, 3, 4, 5]", "sedes = [1]", &["unknown field `sedes`", "line 9"]),
        (
            "name = \"emoji-match\"",
            "name = \"emoji-mach\"",
            &["no dataset `emoji-mach`", "did you mean `emoji-match`?"],
        ),
        ("name = \"balgrad\"", "name = \"balgard\"", &["no method `balgard`", "did you mean `balgrad`?"]),
        ("name = \"balgrad\"", "+options = { kl-scal = 2 }", &["no option `kl-scal`", "did you mean `kl-scale`?"]),
        ("name = \"balgrad\"", "+options = { kl-scale = -2 }", &["`kl-scale`", "found -2"]),
        (
            "name = \"balgrad-reweighting\"",
            "+options = { project = true }",
            &["`project` is false in `balgrad-reweighting`", "use `balgrad`"],
        ),
        ("name = \"balgrad\"", "+sweep = { kl-scale = [] }", &["should list at least one value"]),
        (
            "name = \"balgrad\"",
            "+options = { kl-scale = 2 }\nsweep = { kl-scale = [1, 2] }",
            &["`kl-scale` is set in `options` and swept in `sweep`"],
        ),
        ("name = \"balgrad\"", "+sweep = { kl-scala = [1] }", &["did you mean `kl-scale`?"]),
        ("name = \"balgrad\"", "+training = { epochs = 0 }", &["training of `balgrad` on"]),
        ("epochs = 10", "epoch = 10", &["training of `emoji-match`", "unknown field `epoch`"]),
        ("epochs = 10", "epochs = 0", &["`epochs` should be at least 1"]),
        ("learning-rate = 1e-3", "learning-rate = -1", &["`learning-rate` should be a positive number, found -1"]),
        ("fusion = \"concat-mlp\"", "fusion = \"conct\"", &["unknown variant `conct`", "concat-mlp"]),
        ("encoders = \"lite0-minilm\"", "encoders = \"lite0\"", &["no pair of encoders `lite0`"]),
        ("size = 128", "size = 100", &["encoders.lite0-minilm.image", "multiple of 32", "found 100"]),
        ("0.8, 1.0]", "0.8]", &["impairments.missing", "end with 1"]),
        ("sigma = 0.5", "sigma = -0.5", &["impairments.noisy", "found -0.5"]),
        ("target = \"table1\"", "target = \"tabel1\"", &["no table or figure `tabel1`", "did you mean `table1`?"]),
        (
            "methods = [\"baseline\", \"mslr\",",
            "methods = [\"basline\", \"mslr\",",
            &["`outputs.table1.methods`: there is no method of this suite `basline`", "did you mean `baseline`?"],
        ),
        (
            "methods = [\"baseline\", \"mslr\",",
            "methods = [\"baseline\", \"baseline\",",
            &["`outputs.table1.methods` lists `baseline` twice"],
        ),
        ("methods = [\"baseline\"]", "methods = []", &["`figure2` shows exactly one method", "found none"]),
        ("methods = [\"baseline\"]", "method = [\"baseline\"]", &["unknown field `method`", "methods"]),
        ("target = \"table1\"", "target = \"figure4\"", &["`outputs` lists `figure4` twice"]),
        (
            "name = \"emoji-match\"",
            "name = \"match\"\ndataset = \"emoji-mach\"",
            &["no dataset `emoji-mach`", "did you mean `emoji-match`?"],
        ),
        (
            "name = \"emoji-match\"",
            "+methods = [\"baseline\", \"basline\"]",
            &["`datasets.emoji-match.methods`: there is no method of this suite `basline`"],
        ),
        (
            "name = \"emoji-match\"",
            "+methods = [\"baseline\"]",
            &["`outputs.table1` shows `mslr` on `emoji-match`, where it is not trained", "name the datasets shown"],
        ),
        ("target = \"table1\"", "+datasets = []", &["should name at least one dataset"]),
        (
            "target = \"table1\"",
            "+datasets = [\"emoji-mach\"]",
            &["`outputs.table1.datasets`: there is no dataset of this suite `emoji-mach`"],
        ),
        (
            "target = \"figure7\"\nmethods = [\"balgrad-reweighting\", \"balgrad\"]",
            "target = \"figure7\"",
            &["`figure7` shows exactly 2 methods", "1. without projection", "found 7: baseline, mslr", "methods = ["],
        ),
        ("version = 1", "version = 2", &["`version` should be 1, found 2"]),
    ] {
        let error = error(from, to);
        assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
    }
}

/// An output shows the methods that it lists, in this order, or else all of the suite.
#[test]
fn outputs_choose_their_methods() {
    let text = smoke().replacen("methods = [\"baseline\", \"mslr\", \"ogm-ge\", \"agm\", \"balgrad\"]\n", "", 1);
    let suite = Suite::parse("smoke", &text).unwrap();
    let shown = |target: &str| {
        let output = suite.outputs.iter().find(|output| output.target.name == target).unwrap();
        output.methods.iter().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(shown("table2"), ["baseline", "balgrad-reweighting", "balgrad-projection", "balgrad"]);
    let all: Vec<&str> = suite.methods.iter().map(|method| method.name.as_str()).collect();
    assert_eq!((shown("table1"), all.len()), (all.clone(), 7));
}

/// The page on the grammar lists every target with its meaning.
#[test]
fn every_target_is_explained() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/README.md")).unwrap();
    for target in target::TARGETS {
        let row = format!("| `{}` | {}", target.name, target.meaning);
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn an_unknown_suite_gets_a_suggestion() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let error = Suite::load(&folder, "smok").unwrap_err();
    assert_eq!(errors::class_of(&error), errors::Class::Usage);
    assert!(errors::hint_of(&error).unwrap().contains("did you mean `smoke`?"));
}

/// A sweep gives all combinations, and a method's own settings override those of the dataset.
#[test]
fn sweeps_and_own_settings_are_expanded() {
    let text = smoke().replace(
        "name = \"balgrad\"\n",
        "name = \"balgrad\"\nsweep = { kl-scale = [0.5, \"1/C\"], project = [true, false] }\n\
         training = { epochs = 3, optimizer = { name = \"sgd\", learning-rate = 0.1 } }\n",
    );
    let suite = Suite::parse("test", &text).unwrap();
    let balgrad = suite.methods.iter().find(|method| method.name == "balgrad").unwrap();
    let expected = [("0.5", "true"), ("0.5", "false"), ("\"1/C\"", "true"), ("\"1/C\"", "false")];
    assert_eq!(balgrad.candidates.len(), 4);
    for (options, (scale, project)) in balgrad.candidates.iter().zip(expected) {
        let value = serde_json::to_value(options).unwrap();
        assert_eq!((value["kl-scale"].to_string(), value["project"].to_string()), (scale.into(), project.into()));
    }
    assert!(balgrad.trainings.iter().all(|training| training.epochs == 3));
    assert!(suite.methods[0].trainings.iter().all(|training| training.epochs >= 10));
}

/// A suite may have a dataset with several settings. Datasets that are read in the same way share their samples.
#[test]
fn a_dataset_may_be_there_several_times() {
    let more = r#"
[encoders.small]
image = { name = "efficientnet-lite0", size = 64 }
text = { name = "all-minilm-l6-v2", pooling = "cls" }

[[datasets]]
name = "words-added"
dataset = "emoji-words"
encoders = "small"
training = { fusion = "addition", epochs = 5 }
methods = ["balgrad", "baseline"]

[[outputs]]
target = "figure8"
methods = ["balgrad", "baseline"]
datasets = ["words-added", "emoji-words"]
"#;
    let mut text = smoke();
    for target in ["table1", "table2", "table3", "figure2", "figure4", "figure6", "figure7"] {
        let datasets = "datasets = [\"emoji-subgroup\", \"emoji-match\", \"emoji-words\"]";
        text = text.replace(&format!("target = \"{target}\""), &format!("target = \"{target}\"\n{datasets}"));
    }
    let suite = Suite::parse("smoke", &format!("{text}{more}")).unwrap();
    let error = error("[[outputs]]\ntarget = \"table1\"", &format!("{more}\n[[outputs]]\ntarget = \"table1\""));
    assert!(error.contains("`outputs.table1` shows `mslr` on `words-added`, where it is not trained"), "{error}");
    assert_eq!(suite.outputs.last().unwrap().datasets, ["words-added", "emoji-words"]);
    let added = suite.datasets.last().unwrap();
    assert_eq!((added.name.as_str(), added.samples.as_str()), ("words-added", "emoji-words"));
    assert_eq!(added.methods, ["baseline", "balgrad"]);
    // The text encoder has other options here, so its name has the pair's.
    assert_eq!(added.encoders, ["efficientnet-lite0 at 64", "all-minilm-l6-v2 (small)"]);
    assert_eq!(suite.epochs("words-added", "balgrad"), Some(5));
}

/// The number of trainings has a limit, also with other seeds than the suite's.
#[test]
fn other_seeds_make_no_suite_too_large() {
    let suite = Suite::parse("smoke", &smoke()).unwrap();
    let with = |many: &str| suite.clone().with_seeds(Some(&seeds(many).unwrap())).check_size();
    with("900").unwrap();
    assert!(with("1000").unwrap_err().to_string().contains("make 21000 trainings, more than the 20000"));
}

#[test]
fn seeds_are_a_number_or_a_list() {
    assert_eq!(seeds("3"), Ok(Seeds(vec![1, 2, 3])));
    assert_eq!(seeds("1,2,7"), Ok(Seeds(vec![1, 2, 7])));
    assert_eq!(seeds("7,"), Ok(Seeds(vec![7])));
    assert_eq!(["3", "1,2,7", "7,"].map(|text| seeds(text).unwrap().to_string()), ["3", "1-2-7", "only-7"]);
    for wrong in ["0", "1001", "", "x", "1,x", "1,1", "-1", ","] {
        assert!(seeds(wrong).is_err(), "{wrong}");
    }
}
