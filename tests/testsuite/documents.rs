//! The documents agree with the program and with each other: links lead somewhere, paths exist, and what is made from a
//! data file is current.

use std::fs;
use std::path::{Path, PathBuf};

use seesaw::datasets::READERS;
use seesaw::encoders::{ImageEncoderOptions, TextEncoderOptions};
use seesaw::impairments::missing::MissingOptions;
use seesaw::methods::MethodOptions;
use seesaw::report::open_questions::{OpenQuestion, Span, open_questions};
use seesaw::training::config::TrainConfig;
use serde_json::{Value, json};

use crate::support::json as read_json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown files of the project.
fn documents() -> Vec<PathBuf> {
    let folders = [
        "",
        "docs",
        "data-manifests",
        "experiments",
        "templates",
        "tests/fixtures/methods",
        "tests/fuzz",
        "tests/mirror",
    ];
    let mut found = Vec::new();
    for entry in folders.iter().filter_map(|folder| fs::read_dir(root().join(folder)).ok()).flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text outside fenced code blocks.
fn prose(text: &str) -> String {
    let outside = text.split("\n```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let letters = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(letters).collect()
}

/// README.md is a page that people read to its end; details belong in docs/.
#[test]
fn the_readme_is_short() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= 150, "README.md has {lines} lines, at most 150 are allowed: move details into docs/");
}

/// Every relative link leads to a file, and its anchor to a heading.
#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = prose(&read(&document));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let found = target.exists() && (anchor.is_empty() || anchors(&read(&target)).iter().any(|a| a == anchor));
            if !found {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links without a target:\n{}", broken.join("\n"));
}

/// A path that a document names in backticks is in the repository. A path has a slash, begins with one of our folders,
/// and holds no placeholder such as `NAME` or `*`.
#[test]
fn paths_exist() {
    const FOLDERS: [&str; 9] =
        ["src", "docs", "tests", "benches", "experiments", "data-manifests", "templates", ".ci", ".setup"];
    let placeholder = |path: &str| {
        let is_capital = |part: &str| part.len() > 2 && part.chars().all(|c| c.is_ascii_uppercase() || c == '-');
        path.contains(['*', '{', '…', ' ', '<'])
            || path.split(['/', '.']).any(|part| is_capital(part) && part != "README")
    };
    let mut absent = Vec::new();
    for document in documents() {
        let text = read(&document);
        for code in prose(&text).split('`').skip(1).step_by(2) {
            let begins = |folder: &str| code.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            // Made by a run, never committed.
            let made = ["tests/fuzz/corpus", "tests/fuzz/artifacts", "src/methods/auxiliary.rs"];
            if !FOLDERS.iter().any(|folder| begins(folder)) || made.iter().any(|made| code.starts_with(made)) {
                continue;
            }
            let path = code.split(':').next().unwrap_or(code);
            if !placeholder(path) && !root().join(path).exists() {
                absent.push(format!("{}: {code}", document.display()));
            }
        }
    }
    assert!(absent.is_empty(), "paths that do not exist:\n{}", absent.join("\n"));
}

/// The words after a program's name in code, inline or in blocks.
fn commands(text: &str, program: &str) -> Vec<String> {
    let blocks: Vec<&str> = text.split("\n```").skip(1).step_by(2).flat_map(str::lines).collect();
    let prose = prose(text);
    let inline = prose.split('`').skip(1).step_by(2);
    let code = blocks.into_iter().chain(inline).map(|line| line.trim_start_matches("$ "));
    let arguments = code.filter_map(|line| line.strip_prefix(program)?.strip_prefix(' '));
    let first = arguments.filter_map(|rest| rest.split('#').next()?.split_whitespace().next());
    first.map(str::to_owned).collect()
}

/// Every command and make target that a document names exists, and the README names every command.
#[test]
fn commands_exist() {
    let help = crate::project::program().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let name = |line: &str| {
        line.strip_prefix("  ").filter(|l| !l.starts_with(' ')).map(|l| l.split(' ').next().unwrap().to_owned())
    };
    let known: Vec<String> = listed.lines().take_while(|line| !line.is_empty()).filter_map(name).collect();
    assert!(known.iter().any(|name| name == "run"), "{help}");
    let makefile = read(&root().join("Makefile"));
    let is_target = |word: &str| {
        let kind = word.split_once('-').filter(|(kind, _)| ["table", "figure"].contains(kind)).map(|(kind, _)| kind);
        let target = kind.map_or(format!("\n{word}:"), |kind| format!("\n{kind}-%:"));
        word.contains('=') || makefile.contains(&target)
    };
    for document in documents() {
        let text = read(&document);
        for word in commands(&text, "seesaw").into_iter().filter(|word| !word.starts_with('-')) {
            assert!(known.contains(&word), "{}: seesaw {word}", document.display());
        }
        for word in commands(&text, "make") {
            assert!(is_target(&word), "{}: make {word}", document.display());
        }
    }
    let readme = read(&root().join("README.md"));
    for name in known.iter().filter(|name| *name != "help") {
        assert!(commands(&readme, "seesaw").contains(name), "README.md does not mention `seesaw {name}`");
    }
}

/// docs/architecture.md shows the rooms of src/lib.rs, in the same order.
#[test]
fn rooms_are_current() {
    let rooms = |path: &str, before: &str, after: &str| -> Vec<String> {
        let text = read(&root().join(path));
        let names = text.lines().filter_map(|line| line.strip_prefix(before)?.split_once(after));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    let expected = rooms("src/lib.rs", "//! | [`", "`] |");
    let shown = rooms("docs/architecture.md", "| `", "` |");
    assert!(expected.len() > 10 && shown.starts_with(&expected), "docs/architecture.md should list {expected:?}");
}

fn markdown(spans: &[Span]) -> String {
    spans.iter().map(Span::to_string).collect()
}

/// docs/method.md shows src/report/open_questions.toml. With UPDATE_DOCS set, the table is written anew.
#[test]
fn open_questions_are_current() {
    const BEGIN: &str = "<!-- open questions: begin -->\n";
    const END: &str = "<!-- open questions: end -->";
    let path = root().join("docs/method.md");
    let text = read(&path);
    let (before, rest) = text.split_once(BEGIN).expect("docs/method.md marks where the table begins");
    let (shown, after) = rest.split_once(END).expect("docs/method.md marks where the table ends");
    let row = |question: &OpenQuestion| {
        let [asked, default, alternatives] =
            [&question.question, &question.default, &question.alternatives].map(|spans| markdown(spans));
        format!("| {} | {asked} | {default} | {alternatives} |\n", question.area)
    };
    let rows: String = open_questions().unwrap().iter().map(row).collect();
    let table = format!("| about | question | default | alternatives |\n|---|---|---|---|\n{rows}");
    if shown == table {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    panic!("docs/method.md is out of date: run `UPDATE_DOCS=1 cargo test --test testsuite documents`");
}

/// The part of the schema that describes an option, as DEFINITION.OPTION or DEFINITION.ENCODER.OPTION.
fn described<'a>(schema: &'a Value, option: &str) -> &'a Value {
    match option.split('.').collect::<Vec<_>>()[..] {
        [definition, name] => &schema["$defs"][definition]["properties"][name],
        [definition, encoder, name] => {
            let encoders = schema["$defs"][definition]["oneOf"].as_array().unwrap();
            let named = |row: &&Value| row["properties"]["name"]["const"] == encoder;
            &encoders.iter().find(named).unwrap_or_else(|| panic!("{option}"))["properties"][name]
        }
        _ => panic!("{option} should have two or three parts"),
    }
}

/// What the program does if an experiment does not set the option; null if the default is not written.
fn default_of(option: &str) -> Value {
    let parts: Vec<&str> = option.split('.').collect();
    let name = *parts.last().unwrap();
    let options = match parts[..] {
        ["training", _] => {
            let least = json!({ "epochs": 1, "optimizer": { "name": "adam", "learning-rate": 1.0 } });
            serde_json::to_value(serde_json::from_value::<TrainConfig>(least).unwrap())
        }
        ["missing", _] => {
            serde_json::to_value(serde_json::from_value::<MissingOptions>(json!({ "ratios": [1.0] })).unwrap())
        }
        ["image-encoder", encoder, _] => {
            let options = ImageEncoderOptions { name: encoder.into(), ..ImageEncoderOptions::default() };
            serde_json::to_value(options.resolved().unwrap())
        }
        ["text-encoder", encoder, _] => {
            let options = TextEncoderOptions { name: encoder.into(), ..TextEncoderOptions::default() };
            serde_json::to_value(options.resolved().unwrap())
        }
        [definition, _] => match definition.split_once('-').unwrap() {
            ("method", method) => serde_json::to_value(MethodOptions::default_of(method).unwrap()),
            (_, dataset) => {
                let reader = READERS.iter().find(|reader| reader.name == dataset).unwrap();
                serde_json::to_value(reader.options(toml::Table::new()).unwrap())
            }
        },
        _ => panic!("{option}"),
    };
    options.unwrap()[name].clone()
}

/// Whether one of the pieces of code is the value, alone or as `name = value`.
fn mentions(spans: &[Span], name: &str, value: &Value) -> bool {
    let is_value = |text: &str| match value {
        Value::String(expected) => text.trim_matches('"') == expected,
        Value::Number(expected) => text.parse::<f64>().is_ok_and(|found| Some(found) == expected.as_f64()),
        other => text == format!("{other}"),
    };
    spans.iter().filter(|span| span.code).any(|span| match span.text.split_once(" = ") {
        Some((option, text)) => option == name && is_value(text),
        None => is_value(&span.text),
    })
}

/// What the data file says of an option is what the schema says and what the program does.
#[test]
fn open_questions_agree_with_schema_and_program() {
    let schema = read_json(&root().join("experiments/schema.json"));
    let mut wrong = Vec::new();
    for question in open_questions().unwrap() {
        for option in &question.options {
            let name = option.rsplit('.').next().unwrap();
            let described = described(&schema, option);
            assert!(described.is_object(), "experiments/schema.json has no {option}");
            let from_schema = &described["default"];
            let default = Some(default_of(option)).filter(|value| !value.is_null()).unwrap_or(from_schema.clone());
            let same = default == *from_schema || default.as_f64().is_some_and(|d| Some(d) == from_schema.as_f64());
            if !same {
                wrong.push(format!("{option}: the default is {default}, the schema says {from_schema}"));
            }
            if !mentions(&question.default, name, &default) {
                wrong.push(format!("{}: `default` should mention {default} of {option} as code", question.id));
            }
            for value in described["enum"].as_array().into_iter().flatten().filter(|value| **value != default) {
                if !mentions(&question.alternatives, name, value) {
                    wrong.push(format!("{}: `alternatives` should mention {value} of {option} as code", question.id));
                }
            }
            let [asked, answer, others] =
                [&question.question, &question.default, &question.alternatives].map(|spans| markdown(spans));
            let description = format!("{asked}. Default: {answer}. Alternatives: {others}");
            if question.options.len() == 1 && described["description"] != description.as_str() {
                wrong.push(format!("{option}: its description should be {}", json!(description)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tables 1 to 3 in the documents are those of the recorded run, which others compare theirs with.
#[test]
fn the_documented_run_is_the_recorded_one() {
    let recorded = read_json(&root().join("tests/recorded/smoke.json"));
    let number = |number: &Value| {
        let [mean, std] = ["mean", "std"].map(|of| number[of].as_f64().unwrap());
        format!("{mean:.2} ± {std:.2}").replace('-', "−")
    };
    let recorded: Vec<String> = recorded["numbers"].as_array().unwrap().iter().map(number).collect();
    let text = read(&root().join("docs/results.md"));
    let (_, section) = text.split_once("\n## Smoke results\n").unwrap();
    let (_, tables) = section.split_once("\nTable 1, ").unwrap();
    let (tables, _) = tables.split_once("\nOn emoji-subgroup, four ").unwrap();
    let plain = ["**", "<u>", "</u>", "†", " [1]"].iter().fold(tables.to_owned(), |text, mark| text.replace(mark, ""));
    let shown: Vec<&str> = plain.split('|').map(str::trim).filter(|cell| cell.contains(" ± ")).collect();
    // Five methods in nine rows, four in five, two in two, on three datasets each.
    assert_eq!(shown.len(), 3 * (5 * 9 + 4 * 5 + 2 * 2));
    let other: Vec<&&str> = shown.iter().filter(|cell| !recorded.iter().any(|known| known == **cell)).collect();
    assert!(other.is_empty(), "docs/results.md shows what tests/recorded/smoke.json has not: {other:?}");
}
