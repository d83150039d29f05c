use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::report::SuiteKind;
use crate::report::claims::grammar::SmallestEffect;
use crate::report::claims::printed::{Printed, PrintedOutcome};
use crate::report::claims::{Claims, Judgement, Verdict, judge};
use crate::report::figure;
use crate::report::open_questions::open_questions;
use crate::report::reference::committed;
use crate::report::render::{layout, render};
use crate::report::samples::{difficult, realistic};
use crate::report::target::{self, Kind};

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

pub fn folder() -> Templates {
    Templates(vec![ours()])
}

fn page(report: &Report, templates: &Templates) -> anyhow::Result<String> {
    let mut written = Vec::new();
    write(report.clone(), templates, &mut written)?;
    Ok(String::from_utf8(written)?)
}

/// A mark is counted wherever a part of the page ends.
#[test]
fn marks_are_counted_across_writes() {
    for size in 1..12 {
        let mut counting = Counting { writer: Vec::new(), mark: b"not judged", end: Vec::new(), found: 0 };
        let text = "trial: not judged, not not judged; nota bene: not judge";
        text.as_bytes().chunks(size).for_each(|part| counting.write_all(part).unwrap());
        assert_eq!((counting.found, counting.writer.as_slice()), (2, text.as_bytes()), "{size}");
    }
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
        key: crate::digest::Digest::of(label.as_bytes()),
        seconds,
        finished: "2025-03-17T10:05:00Z".into(),
    };
    let claim = |id: &str, verdict| Judgement {
        id: id.into(),
        says: format!("The claim {id} holds"),
        at: "Table 1".into(),
        verdict: Some(verdict),
        because: "Why.".into(),
        paper: Printed { outcome: PrintedOutcome::Satisfied, details: Vec::new() },
        ..Judgement::default()
    };
    let claims = [("a", Verdict::Reproduced), ("b", Verdict::NotRun), ("c", Verdict::Reproduced)];
    let target = target::find("figure4").unwrap();
    let (caption, spots) = figure::explained(target::Figure::Four, target, &results);
    Report {
        tables: vec![table("table1"), table("table2")],
        figures: vec![FigureEntry {
            name: "figure4".into(),
            meaning: "ΔGap against the missing ratio".into(),
            caption,
            spots,
            svg: String::from_utf8(svg).unwrap(),
            files: ["svg", "pdf", "caption.tex"].map(|format| format!("figure4.{format}")).into(),
        }],
        paper: Some(committed().paper),
        reference: None,
        agreements: None,
        claims: Some(Judgements {
            suite: "example".into(),
            kind,
            about: "an example",
            standing: BTreeMap::new(),
            seeds: vec![1, 2],
            alpha: 0.05,
            not_judged: None,
            family: Some("no correction".into()),
            smallest_effect: SmallestEffect { points: 0.5, cosine: 0.01 },
            claims: claims.map(|(id, verdict)| claim(id, verdict)).into(),
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
        incomplete: Some("3 of 4 downloads missing".into()),
        failures: vec![
            Failure {
                what: "fetch words.zip failed".into(),
                cause: Some("no network: <script>alert(1)</script> & \"more\"".into()),
                hint: Some("connect it".into()),
                each: vec![],
                steps: vec!["prepare words".into()],
            },
            Failure {
                what: "2 downloads unavailable".into(),
                cause: None,
                hint: None,
                each: ["a", "b"]
                    .map(|name| Origin {
                        step: format!("fetch {name}.zip"),
                        cause: Some(format!("{name} has a licence")),
                        hint: Some(format!("put the file {name}.zip there")),
                    })
                    .into(),
                steps: (0..5_000).map(|seed| format!("train words balgrad seed {seed}")).collect(),
            },
        ],
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
fn a_page_contains_everything() {
    let page = html(SuiteKind::Smoke);
    for (id, part) in [
        ("about", "Mitigate Dominant Modality Bias"),
        ("claims", "<b>2</b> reproduced"),
        ("tables", "Table 1: scores with full, missing and noisy modalities"),
        ("figures", "alt=\"Figure 4: ΔGap against the missing ratio (smoke run, not a result of the paper)\""),
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

/// Each section with numbers shows what kind of results they are.
#[test]
fn every_section_with_numbers_is_marked() {
    for kind in [SuiteKind::Smoke, SuiteKind::Paper, SuiteKind::Trial] {
        let page = html(kind);
        for id in ["about", "claims", "tables", "figures", "data", "training", "selection", "choices", "numbers"] {
            let mark = format!("<p class=\"mark\">{}</p>", kind.mark());
            assert!(section(&page, id).contains(&mark), "{id} of {kind:?}");
        }
    }
}

/// The first section answers: a sentence, the tally, a plot with a row per claim and dataset, then the claims.
#[test]
fn the_answer_comes_first() {
    let mut report = example(SuiteKind::Smoke);
    report.results = realistic(SuiteKind::Smoke, 5);
    report.results.suite.suite = "smoke".into();
    let claims = Claims::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments")).unwrap();
    report.claims = Some(judge(&claims, &report.results, &committed()).unwrap());
    let mut page = page(&report, &folder()).unwrap();
    if let Some(to) = std::env::var_os("SEESAW_PAGE") {
        std::fs::write(to, &page).unwrap();
    }
    let main = page.split_off(page.find("<main").unwrap());
    let place = |part: &str| main.find(part).unwrap_or_else(|| panic!("no {part}"));
    let order = [
        "On other datasets, ",
        "class=\"verdicts\"",
        "<svg width=\"100%\"",
        "<details class=\"claim\"",
        "id=\"about\"",
    ];
    assert!(order.map(place).is_sorted(), "{:?}", order.map(place));
    let compared = report.claims.unwrap().claims.into_iter().map(|claim| {
        claim.comparisons.into_iter().map(|check| check.dataset).collect::<std::collections::BTreeSet<_>>().len()
    });
    assert_eq!(main.matches("<circle").count(), compared.sum::<usize>());
    // A claim leads to its table, and the table back to it.
    assert!(main.contains("Shown in <a href=\"#table1\">Table 1</a>"));
    assert!(section(&main, "tables").contains("<a href=\"#claim-lowest-missing-gap\">Lowest missing gap ("));
}

/// The page of a trial shows no verdict, and says why.
#[test]
fn a_trials_page_has_no_verdicts() {
    let mut report = example(SuiteKind::Trial);
    let judged = report.claims.as_mut().unwrap();
    (judged.family, judged.about) = (None, "trial: not judged");
    judged.claims.iter_mut().for_each(|claim| claim.verdict = None);
    let page = page(&report, &folder()).unwrap();
    let (about, claims) = (section(&page, "about"), section(&page, "claims"));
    assert!(claims.contains("Trial: not judged.") && claims.contains("The claim a holds"), "{claims}");
    for verdict in Verdict::ALL {
        assert!(!claims.contains(verdict.name()) && !about.contains(verdict.name()), "{}", verdict.name());
    }
}

/// An incomplete run says so first, with what to do; what is missing is said once, however many numbers and steps it concerns.
#[test]
fn an_incomplete_run_says_so_once() {
    let mut report = example(SuiteKind::Paper);
    let page = |report: &Report| page(report, &folder()).unwrap();
    let shown = page(&report);
    let (head, _) = shown.split_once("<main").unwrap();
    assert!(head.contains("<strong>Incomplete: 3 of 4 downloads missing.</strong> <a href=\"#failures\">"), "{head}");
    assert!(section(&shown, "about").contains("as far as they were run"));
    let failures = section(&shown, "failures");
    for part in ["2 downloads unavailable", "put the file b.zip there", "connect it", "5,000 (5,000 train)"] {
        assert!(failures.contains(part), "{part}: {failures}");
    }
    assert!(!shown.contains("train words balgrad seed 4999"));
    // Every number of the method is missing for this cause: each table and figure says it in one note, and nothing else does.
    let cause = "`fetch words.zip` failed: no network";
    assert_eq!(shown.matches(cause).count(), report.tables.len() + report.figures.len(), "{shown}");
    report.incomplete = None;
    report.failures.clear();
    let complete = page(&report);
    assert!(!complete.contains("Incomplete") && !complete.contains("as far as"));
}

/// Names and causes are text, never markup.
#[test]
fn names_and_causes_are_text() {
    let mut report = example(SuiteKind::Smoke);
    let evil = "</script><img src=x onerror=alert(1)> <b>\"&' {{ title }}";
    report.results.suite.title = evil.into();
    report.results.suite.methods[0].title = evil.into();
    report.tables[0].table = layout(target::Table::One, "table1", &report.results);
    let page = page(&report, &folder()).unwrap();
    assert_eq!(page.matches("</script>").count(), 1, "the page's own");
    for part in ["<img src=x", "<b>\"", "<script>alert"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(page.contains("{{ title }}"), "a name is not a template");
}

/// A page loads nothing. Its policy allows its own script, by the hash that browsers compute:
/// `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`.
#[test]
fn a_page_loads_nothing() {
    let page = html(SuiteKind::Smoke);
    for part in ["@import", "url(http", "<iframe", "<object", "<embed", "fetch(", "XMLHttpRequest", "<form"] {
        assert!(!page.contains(part), "{part}");
    }
    for source in page.split("src=\"").skip(1) {
        assert!(source.starts_with("data:image/svg+xml;base64,"), "{}", &source[..source.len().min(60)]);
    }
    for link in page.split("href=\"").skip(1) {
        let (link, _) = link.split_once('"').unwrap();
        let papers = ["https://aclanthology.org/", "https://arxiv.org/abs/"];
        let is_beside = link.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        let known = link.starts_with('#') || link == "data:," || papers.iter().any(|paper| link.starts_with(paper));
        assert!(known || is_beside, "{link}");
    }
    assert!(page.contains("content=\"default-src 'none'; script-src 'sha256-"));
    assert!(policy("alert(1)").contains("script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=';"));
}

/// Ids are unique, and every reference has its target.
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
    for id in ["aria-labelledby", "aria-describedby", "popovertarget"].into_iter().flat_map(values).chain(hashes) {
        assert!(distinct.contains(id), "{id}");
    }
}

#[test]
fn an_empty_report_says_so() {
    let full = example(SuiteKind::Smoke);
    let report = Report {
        tables: vec![],
        figures: vec![],
        claims: None,
        incomplete: None,
        failures: vec![],
        steps: vec![],
        results: crate::report::results::collect(full.results.suite.clone(), &[]).unwrap(),
        ..full
    };
    let page = page(&report, &folder()).unwrap();
    for (id, part) in [
        ("claims", "There are no claims about this suite"),
        ("tables", "There are no tables yet"),
        ("figures", "There are no figures yet"),
        ("failures", "Every step of the suite is done"),
    ] {
        assert!(section(&page, id).contains(part), "{id}");
    }
}

/// Without its script a page shows every number with its seeds; its only buttons are those that work by themselves.
#[test]
fn numbers_can_be_read_without_the_script() {
    let report = example(SuiteKind::Smoke);
    let page = page(&report, &folder()).unwrap();
    let numbers = section(&page, "numbers");
    assert_eq!(numbers.matches("<td>missing-gap</td>").count(), 2 * 3 * 3, "datasets × methods × ratios");
    for button in page.split_once("<script").unwrap().0.split("<button").skip(1) {
        assert!(button.starts_with(" type=\"button\" class=\"n\" popovertarget="), "{}", &button[..60]);
    }
    let tables = section(&page, "tables");
    let key = format!("<code>{}</code>", Digest::of(b"train").short());
    for part in ["<td class=\"cause\" colspan=\"3\">failed</td>", &key, "seed 1</pre>"] {
        assert!(tables.contains(part), "{part}");
    }
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

/// An error in a user's own template names its place, and no template can present a smoke run as the paper's results.
#[test]
fn a_users_template_is_checked() {
    let refused = |name, change: &dyn Fn(String) -> String| with_template(name, change).unwrap_err().to_string();
    let error = refused("report.html.j2", &|text| text.replace("{{ title }}", "{{ titel }}"));
    assert!(error.contains("report.html.j2 line ") && error.contains("undefined"), "{error}");
    let error = refused("report.html.j2", &|text| text.replace("{{ mark_of(mark) }}", ""));
    assert!(error.contains("at least 10 times, at the head and in each section with numbers"), "{error}");
    let error = refused("report.js", &|text| text + "// </SCRIPT>");
    assert!(error.contains("contains `</script`"), "{error}");
    with_template("report.css", |text| text + "body { color: green }").unwrap();
}
