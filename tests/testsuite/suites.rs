//! Suites with every method and every table and figure, and what can be asked about their trainings.

use serde_json::Value;

use crate::project::{Project, SUITE, told};

fn suite() -> String {
    let methods = r#"
[[methods]]
name = "baseline"
options = { probe = true }

[[methods]]
name = "mslr"

[[methods]]
name = "ogm-ge"

[[methods]]
name = "agm"
training = { epochs = 3, optimizer = { name = "sgd", learning-rate = 0.01 } }

[[methods]]
name = "balgrad"
sweep = { kl-scale = [0.5, 50] }

[[methods]]
name = "balgrad-reweighting"

[[methods]]
name = "balgrad-projection"

[impairments"#;
    let outputs = r#"
[[outputs]]
target = "table1"
methods = ["baseline", "mslr", "ogm-ge", "agm", "balgrad"]

[[outputs]]
target = "table2"

[[outputs]]
target = "table3"
methods = ["balgrad-reweighting", "balgrad"]

[[outputs]]
target = "figure2"
methods = ["baseline"]

[[outputs]]
target = "figure6"
methods = ["balgrad-projection", "balgrad"]

[[outputs]]
target = "figure7"
methods = ["balgrad-reweighting", "balgrad"]
"#;
    let (before, rest) = SUITE.split_once("\n[[methods]]").unwrap();
    let (_, impairments) = rest.split_once("\n[impairments").unwrap();
    let (impairments, _) = impairments.split_once("\n[[outputs]]").unwrap();
    format!("{before}{methods}{impairments}{outputs}")
}

#[test]
fn every_method_and_target_and_what_is_asked_of_them() {
    let project = Project::new();
    project.write_suite(&suite());
    project.succeed(&["run", "tiny"]);
    let files = project.results();
    for target in ["table1", "table2", "table3"] {
        for format in ["tex", "md", "csv"] {
            assert!(files[&format!("{target}.{format}")].len() > 300, "{target}.{format}");
        }
    }
    for figure in ["figure2", "figure6", "figure7"] {
        for format in ["svg", "pdf", "png"] {
            assert!(files[&format!("{figure}.{format}")].len() > 3000, "{figure}.{format}");
        }
        for format in ["caption.tex", "caption.md"] {
            let caption = String::from_utf8_lossy(&files[&format!("{figure}.{format}")]);
            assert!(caption.contains("(smoke run, not a result of the paper)"), "{figure}.{format}: {caption}");
        }
    }
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    assert!(text("table1.md").contains("AGM: SGD, learning rate 0.01"), "every table names its optimiser");
    assert!(!text("table1.md").contains("Projection only") && text("table2.md").contains("Projection only"));

    // The sweep's candidates and the choice stand beside each cell that came of it.
    let results: Value = serde_json::from_slice(&files["results.json"]).unwrap();
    let cells = results["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 7 * 2);
    for cell in cells {
        let choice = &cell["provenance"]["choice"];
        if cell["method"] != "balgrad" {
            assert!(choice.is_null());
            continue;
        }
        let candidates = choice["candidates"].as_array().unwrap();
        let score = |at: usize| candidates[at]["validation"].as_f64().unwrap();
        assert_eq!(candidates.len(), 2);
        assert_eq!(choice["by"], "mean accuracy on the validation split over 2 seeds");
        let best = usize::from(score(1) > score(0));
        assert_eq!(choice["chosen"], candidates[best]["options"]);
    }
    // The page tells it, once.
    let page = std::fs::read_to_string(project.root.join("out/tiny/report.html")).unwrap();
    assert!(page.contains("Sweeps: the candidate with the best mean score on the validation split is evaluated"));
    assert_eq!(page.matches("<strong>chosen</strong>").count(), 1);
    let candidates = results["choices"].as_array().unwrap();
    assert!(candidates.iter().all(|one| one["kind"] == "sweep" && one["split"] == "val"), "{candidates:?}");
    assert_eq!(candidates.iter().map(|one| one["shown"] == true).filter(|shown| *shown).count(), 1);

    // A training can be looked into; what it says is what the file holds.
    let (csv, safetensors) = (project.root.join("a.csv"), project.root.join("a.safetensors"));
    let output = project
        .command(&["trace", "emoji-subgroup", "agm", "seed", "2", "--suite", "tiny", "--json", "--csv"])
        .arg(&csv)
        .arg("--safetensors")
        .arg(&safetensors)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let trace: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = trace["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    for name in ["loss_T", "coefficient_v", "coefficient_l", "clipped", "cos_embedding_v_l", "norm_update_h_v"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    let written = std::fs::read_to_string(&csv).unwrap();
    assert_eq!(written.lines().next().unwrap(), format!("step,epoch,{}", names.join(",")));
    assert_eq!(written.lines().count() as u64, trace["steps"].as_u64().unwrap() + 1);
    assert!(written.lines().last().unwrap().split(',').nth(1) == Some("3"), "AGM trains three epochs");
    assert!(std::fs::read(&safetensors).unwrap().len() > 1000);
    for figure in trace["figures"].as_array().unwrap() {
        let least = if figure.as_str().unwrap().contains(".caption.") { 100 } else { 3000 };
        assert!(std::fs::metadata(figure.as_str().unwrap()).unwrap().len() > least, "{figure}");
    }
    assert!(project.succeed(&["trace", "emoji-subgroup", "balgrad", "1", "--suite", "tiny"]).contains("g_kl conflict"));

    // Unknown cells are a wrong use, untrained ones a failure.
    for (words, code, said) in [
        (["emoji-subgroup", "balgard", "1"], 2, "did you mean `balgrad`?"),
        (["emoji-subgroup", "balgrad", "7"], 2, "no seed `7`"),
    ] {
        let output = project.run(&[&["trace"], &words[..], &["--suite", "tiny"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(told(&output).contains(said), "{}", told(&output));
    }
    project.write_suite(&suite().replace("seeds = [1, 2]", "seeds = [1, 2, 3]"));
    let output = project.run(&["trace", "emoji-subgroup", "mslr", "3", "--suite", "tiny"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("has not been trained yet"), "{}", told(&output));
}

#[test]
fn methods_are_listed_with_their_options() {
    let project = Project::new();
    let text = project.succeed(&["methods"]);
    for words in ["ogm-ge (OGM-GE)", "alpha = 0.1", "Yao & Mihalcea", "balgrad-projection", "weights = \"uniform\""] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let json: Value = serde_json::from_str(&project.succeed(&["methods", "agm", "--json"])).unwrap();
    assert_eq!(json[0]["name"], "agm");
    assert!(
        json[0]["options"].as_array().unwrap().iter().any(|o| o["name"] == "zero-at" && o["default"] == "\"features\"")
    );
    let output = project.run(&["methods", "agmm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("did you mean `agm`?"), "{}", told(&output));
}

/// A template of the user's under a name that there is none of would change nothing, and is told.
#[test]
fn templates_that_take_the_place_of_none_are_refused() {
    let project = Project::new();
    let folder = project.root.join("mine");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("notes.txt"), "no template").unwrap();
    let plan = ["plan", "tiny", "--no-estimate", "--templates", "mine"];
    project.succeed(&plan);
    std::fs::write(folder.join("tabel1.md.j2"), "{{ mark }}").unwrap();
    let refused = project.run(&plan);
    assert_eq!(refused.status.code(), Some(2));
    for part in ["tabel1.md.j2 replaces no template", "did you mean `table1.md.j2`?"] {
        assert!(told(&refused).contains(part), "{}", told(&refused));
    }
}
