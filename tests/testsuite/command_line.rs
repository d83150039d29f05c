//! What can be said on the command line, from where, and what is refused.

use crate::project::{Project, SUITE, told};

/// A subfolder of the project is as good as its root.
#[test]
fn every_folder_of_the_project_will_do() {
    let project = Project::new();
    let folder = project.root.join("downloads/deep");
    std::fs::create_dir(&folder).unwrap();
    let arguments = ["plan", "tiny", "--no-estimate"];
    let output = project.command(&arguments).current_dir(&folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), project.succeed(&arguments), "{}", told(&output));
    let fetch = ["fetch", "efficientnet-lite0"];
    assert!(project.command(&fetch).current_dir(&folder).output().unwrap().status.success());
    assert!(
        project.root.join(".seesaw/seesaw-store").is_file() && std::fs::read_dir(&folder).unwrap().next().is_none()
    );
}

/// Whoever looks creates no store, wherever it would be.
#[test]
fn looking_creates_no_store() {
    let project = Project::new();
    for arguments in [
        &["status"][..],
        &["plan", "tiny"],
        &["plan", "tiny", "--summary", "--json"],
        &["explain", "--suite", "tiny", "train emoji-subgroup balgrad 1"],
        &["store"],
        &["store", "verify"],
        &["claims", "tiny"],
        &["report", "tiny"],
        &["table", "1", "--suite", "tiny", "--of", "paper"],
        &["trace", "emoji-subgroup", "balgrad", "1", "--suite", "tiny"],
        &["prune", "--dry-run"],
        &["doctor"],
        &["export", "tiny"],
        &["fetch", "emoji", "--check"],
        &["submit", "tiny", "--dry-run"],
    ] {
        let output = project.command(arguments).env("SEESAW_STORE", "elsewhere/store").output().unwrap();
        assert!(output.status.code().is_some(), "{arguments:?}");
        let left = [".seesaw", "elsewhere", "out"].map(|name| project.root.join(name).exists());
        assert_eq!(left, [false; 3], "{arguments:?}: {}", told(&output));
    }
    let names = std::fs::read_dir(&project.root).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

/// An option that does nothing is refused, wherever it stands; a variable for all commands is not.
#[test]
fn options_that_do_not_apply_are_refused() {
    let project = Project::new();
    for (arguments, option) in [
        (&["audit", "--subset", "5"][..], "`seesaw audit` takes no option `--subset`"),
        (&["--seeds", "3", "methods"], "`seesaw methods` takes no option `--seeds`"),
        (&["store", "verify", "--mirror", "http://127.0.0.1:9"], "`seesaw store` takes no option `--mirror`"),
        (&["submit", "tiny", "--device", "cpu"], "`seesaw submit` takes no option `--device`"),
    ] {
        let output = project.run(arguments);
        assert!(output.status.code() == Some(2) && told(&output).contains(option), "{}", told(&output));
    }
    let everywhere = project.run(&["methods", "--threads", "1", "--store", "elsewhere"]);
    assert!(everywhere.status.success(), "{}", told(&everywhere));
    let output = project.command(&["methods"]).env("SEESAW_STORE", "elsewhere").output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let help = project.succeed(&["audit", "--help"]);
    assert!(help.contains("--project") && !help.contains("--subset"), "{help}");
    assert!(project.succeed(&["--help"]).contains("Exit codes: 0 done, 1 a step or a check failed"));
    for command in ["run", "table", "figure", "plan", "submit", "explain", "report", "trace", "export", "claims"] {
        let help = project.succeed(&[command, "-h"]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("[default: paper]"), "{help}");
    }
}

/// Every kind of name gets a near one; a number gets those that there are.
#[test]
fn near_names_are_offered() {
    let project = Project::new();
    let near = |arguments: &[&str], words: &str| {
        let output = project.run(arguments);
        assert!(output.status.code() == Some(2) && told(&output).contains(words), "{arguments:?}: {}", told(&output));
        told(&output)
    };
    near(&["data", "show", "emoji-subgruop"], "did you mean `emoji-subgroup`?");
    near(&["plan", "tiny", "--device", "cdua"], "did you mean `cuda`?");
    near(&["plan", "tiny", "--device", "gpu:0"], "did you mean `cuda`?");
    near(
        &["explain", "--suite", "tiny", "train emoji-subgroup balgard 1"],
        "did you mean `train emoji-subgroup balgrad seed 1`?",
    );
    let table = near(&["table", "11", "--suite", "tiny"], "Known: table1, table2, table3, table4, table5\n");
    assert!(!table.contains("did you mean"), "{table}");
    assert!(
        !near(&["explain", "--suite", "tiny", "train emoji-subgroup balgrad 7"], "similar: ").contains("did you mean")
    );
    for (from, to, words) in [
        ("epochs = 2", "epoch = 2", "did you mean `epochs`?"),
        ("name = \"adam\"", "name = \"adaam\"", "did you mean `adam`?"),
        ("seeds = [1, 2]", "seeds = [1, 2]\nmethosd = []", "did you mean `methods`?"),
        ("max-length = 8", "max-lenght = 8", "did you mean `max-length`?"),
        ("efficientnet-lite0", "eficientnet-lite0", "did you mean `efficientnet-lite0`?"),
        ("kind = \"gaussian\"", "kind = \"gausian\"", "did you mean `gaussian`?"),
        ("ratios =", "ratoi =", "did you mean `ratios`?"),
    ] {
        project.write_suite(&SUITE.replace(from, to));
        near(&["plan", "tiny"], words);
    }
}

/// `balgrad 1` and `balgrad seed 1` name the same training.
#[test]
fn a_training_has_one_name() {
    let project = Project::new();
    let explained = |words: &[&str]| project.succeed(&[&["explain", "--suite", "tiny"], words].concat());
    let label = explained(&["train", "emoji-subgroup", "balgrad", "seed", "1"]);
    assert_eq!(label, explained(&["train", "emoji-subgroup", "balgrad", "1"]));
    for words in [&["balgrad", "1"][..], &["balgrad", "seed", "1"]] {
        let output = project.run(&[&["trace", "emoji-subgroup"], words, &["--suite", "tiny"]].concat());
        assert!(output.status.code() == Some(1) && told(&output).contains("not been trained"), "{}", told(&output));
    }
}

/// Whoever runs what a hint names gets the suite that the hint is about.
#[test]
fn hints_repeat_the_options() {
    let project = Project::new();
    std::fs::create_dir(project.root.join("own templates")).unwrap();
    let options = ["--subset", "8", "--seeds", "2,", "--templates", "own templates"];
    let suite = "tiny --subset 8 --seeds 2, --templates 'own templates'`";
    let hints = |arguments: &[&str], hint: &str| {
        let said = told(&project.run(&[arguments, &options].concat()));
        assert!(said.contains(&format!("`seesaw {hint} {suite}")), "{arguments:?}: {said}");
        said
    };
    hints(&["status", "tiny"], "run");
    hints(&["recheck", "tiny"], "run");
    hints(&["trace", "emoji-subgroup", "balgrad", "2", "--suite", "tiny"], "run");
    let wrong = told(&project.run(&[&["explain", "--suite", "tiny", "train nothing"][..], &options].concat()));
    assert!(
        wrong.contains("Run `seesaw plan tiny --subset 8 --seeds 2, --templates 'own templates' --all`"),
        "{wrong}"
    );

    project.succeed(&[&["run", "tiny"][..], &options].concat());
    hints(&["recheck", "tiny", "--cells", "1"], "report");
    let out = "out/tiny.subset-8.seeds-only-2";
    std::fs::remove_file(project.root.join(out).join("table1.md")).unwrap();
    let stale = hints(&["status", "tiny"], "run");
    assert!(stale.contains(&format!("out of date under {out}: table1.md")), "{stale}");
    project.succeed(&[&["push", "tiny", "--remote", "remote"][..], &options].concat());
    hints(&["pull", "tiny", "--remote", "remote"], "run");
}

/// Of a suite whose data only a person can get, the status says what to get; and to run it only as long as that does something.
#[test]
fn the_status_names_unavailable_data() {
    let project = Project::new();
    std::fs::remove_dir_all(project.root.join("downloads")).unwrap();
    let status = || project.succeed(&["status", "tiny"]);
    let plan = project.succeed(&["plan", "tiny", "--summary", "--no-estimate"]);
    let before = status();
    for line in plan.lines().filter_map(|line| line.strip_prefix("unavailable    ")) {
        assert!(before.contains(&format!("    {line}\n")), "{before}\n{line}");
    }
    assert!(before.contains(" steps need unavailable data\n"), "{before}");
    assert!(before.contains("  run `seesaw run tiny` for the rest\n"), "{before}");
    assert_eq!(project.run(&["run", "tiny"]).status.code(), Some(3));
    let after = status();
    assert!(after.contains(" steps need unavailable data\n") && !after.contains("seesaw run"), "{after}");
}
