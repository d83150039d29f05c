use std::path::{Path, PathBuf};

use super::*;
use crate::report::SuiteKind;
use crate::report::open_questions::open_questions;
use crate::report::render::{layout, render};
use crate::report::samples::{ablation, difficult};
use crate::report::target::{self, Kind};

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

pub fn folder() -> Templates {
    Templates(vec![ours()])
}

/// A report with everything that can be in one, of results in which everything happens that can.
pub fn example(kind: SuiteKind) -> Report {
    let results = difficult(kind);
    let table = |name: &str| {
        let target = target::find(name).unwrap();
        let Kind::Table(which) = target.kind else { panic!("{name} is a table") };
        let files = vec![format!("{name}.tex"), format!("{name}.csv")];
        TableEntry { name: name.into(), meaning: target.meaning.into(), table: layout(which, name, &results), files }
    };
    let drawn = render(target::find("figure4").unwrap(), &results, &folder()).unwrap();
    let svg = drawn.into_iter().find(|(format, _)| *format == "svg").unwrap().1;
    let step = |kind, label: &str, seconds| StepTime {
        kind,
        label: label.into(),
        key: crate::digest::Digest::of(label.as_bytes()).to_string(),
        seconds,
        finished: 1_742_205_900,
    };
    let claim = |id: &str, verdict: &str| Claim {
        id: id.into(),
        text: format!("The claim {id} holds"),
        verdict: verdict.into(),
        lines: vec!["Why.".into()],
        columns: vec!["Method".into(), "ΔGap".into()],
        numbers: vec![vec!["BalGrad".into(), "14.55".into()]],
    };
    Report {
        tables: vec![table("table1"), table("table2")],
        figures: vec![FigureEntry {
            name: "figure4".into(),
            meaning: "ΔGap against the missing ratio".into(),
            svg: String::from_utf8(svg).unwrap(),
            files: vec!["figure4.svg".into(), "figure4.pdf".into()],
        }],
        claims: Some(Claims {
            note: String::new(),
            claims: vec![claim("a", "reproduced"), claim("b", "not run"), claim("c", "reproduced")],
        }),
        datasets: vec![
            DatasetEntry {
                title: "words".into(),
                content: Ok(Counts {
                    task: "one of 7 classes".into(),
                    samples: vec![("train".into(), 12_070), ("test".into(), 1)],
                    found: vec![],
                    dropped: vec![("the picture is cut short".into(), 3)],
                }),
            },
            DatasetEntry { title: "food_101 & more".into(), content: Err("not run yet".into()) },
        ],
        methods: vec![MethodEntry {
            title: "BalGrad".into(),
            source: "Kwon et al.".into(),
            options: vec![Fact::new("kl-scale", "1")],
        }],
        questions: open_questions().unwrap(),
        environment: vec![Fact::new("libtorch", "2.13.0")],
        steps: vec![step("train", "train words balgrad seed 1", 61.0), step("render", "render table1", 0.01)],
        failures: vec![Failure {
            what: "fetch words.zip failed".into(),
            cause: "no network: <script>alert(1)</script> & \"more\"".into(),
            steps: vec!["prepare words".into()],
        }],
        results,
    }
}

fn html(kind: SuiteKind) -> String {
    page(&example(kind), &folder()).unwrap()
}

/// The sections of a page by their ids.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    rest.split_once("</section>").unwrap().0
}

#[test]
fn a_page_tells_everything() {
    let page = html(SuiteKind::Smoke);
    for (id, part) in [
        ("about", "Mitigate Dominant Modality Bias"),
        ("claims", "<b>2</b> reproduced"),
        ("tables", "Table 1: scores with full, missing and noisy modalities"),
        ("figures", "<title id=\"figure4-title\">An example (smoke run, not a result of the paper)</title>"),
        ("data", "12,071 samples; 3 left out"),
        ("training", "kl-scale = 1"),
        ("open", "<code>ratio-minus-one</code>"),
        ("failures", "no network"),
        ("time", "1 min 1 s"),
        ("numbers", "words baseline seed 1"),
    ] {
        assert!(section(&page, id).contains(part), "{id} lacks {part}: {}", section(&page, id));
    }
    assert_eq!(page, html(SuiteKind::Smoke), "the same report gives the same page");
}

/// Wherever numbers stand, a reader sees what kind of results they are.
#[test]
fn every_section_with_numbers_is_marked() {
    for kind in [SuiteKind::Smoke, SuiteKind::Paper, SuiteKind::Trial] {
        let page = html(kind);
        for id in ["about", "claims", "tables", "figures", "data", "training", "numbers"] {
            let mark = format!("<p class=\"mark\">{}</p>", kind.mark());
            assert!(section(&page, id).contains(&mark), "{id} of {kind:?}");
        }
    }
}

/// What a suite or a cause is called is text, never markup; the data for the script cannot end its element.
#[test]
fn names_and_causes_are_text() {
    let mut report = example(SuiteKind::Smoke);
    let evil = "</script><img src=x onerror=alert(1)> <b>\"&' {{ title }}";
    report.results.suite.title = evil.into();
    report.results.suite.methods[0].title = evil.into();
    report.tables[0].table = layout(target::Table::One, "table1", &report.results);
    let page = page(&report, &folder()).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "the page's own two");
    for part in ["<img", "<b>\"", "<script>alert"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("{{ title }}"), "what is placed is not a template");
}

/// Nothing in a page names a place to load from.
#[test]
fn a_page_asks_for_nothing() {
    let page = html(SuiteKind::Smoke);
    for part in ["src=", "@import", "url(http", "<iframe", "<object", "<embed", "fetch(", "XMLHttpRequest", "<form"] {
        assert!(!page.contains(part), "{part}");
    }
    for link in page.split("href=\"").skip(1) {
        assert!(link.starts_with('#') || link.starts_with("data:,\""), "{}", &link[..link.len().min(60)]);
    }
    assert!(page.contains("content=\"default-src 'none'; script-src 'sha256-"));
}

/// Ids are unique, and whatever refers to one finds it.
#[test]
fn ids_are_unique_and_found() {
    let mut report = example(SuiteKind::Smoke);
    report.figures.push(FigureEntry { name: "figure5".into(), ..report.figures[0].clone() });
    let page = page(&report, &folder()).unwrap();
    let (markup, _) = page.split_once("<script").unwrap();
    let values = |attribute: &str| -> Vec<&str> {
        let beginning = format!(" {attribute}=\"");
        let pieces = markup.split(beginning.as_str()).skip(1);
        pieces.map(|piece| piece.split_once('"').unwrap().0).collect()
    };
    let ids = values("id");
    let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len(), "{ids:?}");
    let hashes = values("href").into_iter().filter_map(|link| link.strip_prefix('#'));
    for id in values("aria-labelledby").into_iter().chain(values("aria-describedby")).chain(hashes) {
        assert!(distinct.contains(id), "{id}");
    }
}

/// What is not there is said.
#[test]
fn an_empty_report_says_so() {
    let full = example(SuiteKind::Smoke);
    let report = Report {
        tables: vec![],
        figures: vec![],
        claims: None,
        failures: vec![],
        steps: vec![],
        results: crate::report::results::collect(full.results.suite.clone(), &[]).unwrap(),
        ..full
    };
    let page = page(&report, &folder()).unwrap();
    for (id, part) in [
        ("claims", "no file of claims"),
        ("tables", "No table is there yet"),
        ("figures", "No figure is there yet"),
        ("failures", "Nothing: every step of the suite is done"),
    ] {
        assert!(section(&page, id).contains(part), "{id}");
    }
}

/// Without its script a page still shows every number with its seeds.
#[test]
fn numbers_can_be_read_without_the_script() {
    let report = example(SuiteKind::Smoke);
    let page = page(&report, &folder()).unwrap();
    let numbers = section(&page, "numbers");
    assert_eq!(numbers.matches("<td>missing-gap</td>").count(), 2 * 3 * 3, "datasets × methods × ratios");
    assert!(!page.split_once("<script").unwrap().0.contains("<button"), "buttons are made by what makes them work");
}

fn with_template(name: &str, change: impl Fn(String) -> String) -> anyhow::Result<String> {
    let copy = tempfile::tempdir().unwrap();
    for name in TEMPLATES {
        std::fs::copy(ours().join(name), copy.path().join(name)).unwrap();
    }
    let changed = change(std::fs::read_to_string(ours().join(name)).unwrap());
    std::fs::write(copy.path().join(name), changed).unwrap();
    page(&example(SuiteKind::Smoke), &copy.path().into())
}

/// A user's own template is told where it is wrong, and cannot pass a smoke run off as the paper's.
#[test]
fn a_template_of_ones_own_is_checked() {
    let told = |name, change: &dyn Fn(String) -> String| with_template(name, change).unwrap_err().to_string();
    let error = told("report.html.j2", &|text| text.replace("{{ title }}", "{{ titel }}"));
    assert!(error.contains("report.html.j2 line ") && error.contains("undefined"), "{error}");
    let error = told("report.html.j2", &|text| text.replace("{{ mark_of(mark) }}", ""));
    assert!(error.contains("at least 8 times, at the head and in each section with numbers"), "{error}");
    let error = told("report.js", &|text| text + "// </SCRIPT>");
    assert!(error.contains("holds `</script`"), "{error}");
    with_template("report.css", |text| text + "body { color: green }").unwrap();
}

/// A table that is by rows as wide as the paper's is not lost when the results of the suite are more than the table's.
#[test]
fn every_table_finds_its_numbers() {
    let results = ablation(SuiteKind::Smoke);
    let table = layout(target::Table::Two, "table2", &results);
    let mut numbers = numbers::Numbers::new(&results);
    let grid = grid::of(&table, "Table 2", &mut numbers);
    let places: Vec<Option<usize>> =
        grid.blocks.iter().flat_map(|b| &b.rows).flat_map(|row| &row.cells).map(|cell| cell.number).collect();
    assert!(places.iter().all(Option::is_some));
    assert_eq!(numbers.data().numbers.len(), places.len());
}
