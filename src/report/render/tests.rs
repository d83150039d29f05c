use std::path::Path;

use super::*;
use crate::report::SuiteKind;
use crate::report::samples::{ablation, difficult, pdflatex, realistic};
use crate::report::target;

fn folders() -> Templates {
    Templates(vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")])
}

/// A target of these results, of some methods, in one format.
fn of_methods(target: &str, results: &Results, methods: &[&str], format: &str) -> String {
    in_format(target, &results.of_methods(methods).unwrap(), format)
}

fn in_format(target: &str, results: &Results, format: &str) -> String {
    let all = render(target::find(target).unwrap(), results, &folders()).unwrap();
    let (_, bytes) = all.into_iter().find(|(name, _)| *name == format).unwrap();
    String::from_utf8(bytes).unwrap()
}

const ABLATION: [&str; 4] = ["baseline", "balgrad-reweighting", "balgrad-projection", "balgrad"];

/// Table 1 of results with everything that can happen to a number: the best is ranked as shown, small gaps are better, and
/// a number without another to compare with is not the best; a missing number has the word and the cause of its worst seed.
/// Table 2, the ablation, has no noisy rows. Table 3 has a row per method: lower is better, without a second best.
#[test]
fn tables_in_all_formats() {
    let ablation = ablation(SuiteKind::Smoke);
    for (target, results, methods) in [
        ("table1", &difficult(SuiteKind::Smoke), &["baseline", "balgrad", "broken"][..]),
        ("table2", &ablation, &ABLATION),
        ("table3", &ablation, &["balgrad-reweighting", "balgrad"]),
    ] {
        for format in TABLE_FORMATS {
            let text = of_methods(target, results, methods, format);
            // A file ends with one line's end, and holds no two empty lines in a row.
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{target}.{format}: {text}");
            assert!(!text.starts_with('\n') && !text.contains("\n\n\n"), "{target}.{format}: {text}");
            insta::assert_snapshot!(format!("{target}.{format}"), text);
        }
    }
}

/// The number of methods is checked again, whatever the plan was.
#[test]
fn too_many_methods_are_refused() {
    let error = render(target::find("table3").unwrap(), &ablation(SuiteKind::Smoke), &folders()).unwrap_err();
    assert!(error.to_string().contains("`table3` shows exactly 2 methods"), "{error}");
    let error = ablation(SuiteKind::Smoke).of_methods(&["agm"]).unwrap_err();
    assert_eq!(error.to_string(), "the results hold no method `agm`");
}

/// The key of a table holds all of its templates, the shared ones too; figures have none.
#[test]
fn all_templates_are_digested() {
    let names: Vec<String> = template_digests(target::find("table2").unwrap(), &folders())
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let expected = TABLE_FORMATS.map(|format| [format!("table.{format}.j2"), format!("shared.{format}.j2")]);
    assert_eq!(names, expected.concat());
    assert!(template_digests(target::find("figure6").unwrap(), &folders()).unwrap().is_empty());
}

/// Compiles a fragment in a paper of two columns with the packages that tables need. The log has the size of each font in
/// the PDF.
fn compile(fragment: &str) -> Option<String> {
    let here = tempfile::tempdir().unwrap();
    let document = format!(
        "\\documentclass[twocolumn]{{article}}\n\\usepackage[utf8]{{inputenc}}\n\\usepackage[T1]{{fontenc}}\n\\IfFileExists\
         {{lmodern.sty}}{{\\usepackage{{lmodern}}}}{{}}\n\\usepackage{{textcomp,booktabs,graphicx,xcolor}}\n\\usepackage[a4paper,\
         textwidth=455pt,textheight=700pt,columnsep=17pt]{{geometry}}\n\\pagestyle{{empty}}\n\\begin{{document}}\n{fragment}\
         \\end{{document}}\n"
    );
    std::fs::write(here.path().join("table.tex"), document).unwrap();
    pdflatex(here.path(), "table.tex")
}

/// pdflatex compiles tables with special characters and up to seven methods. Nothing is too wide for the page, and nothing is
/// scaled to fit.
#[test]
fn the_latex_table_compiles() {
    let ablated = ablation(SuiteKind::Smoke);
    let pair = ablated.of_methods(&["balgrad-reweighting", "balgrad"]).unwrap();
    for (target, results) in [
        ("table1", difficult(SuiteKind::Smoke)),
        ("table1", realistic(SuiteKind::Smoke, 2)),
        ("table1", realistic(SuiteKind::Smoke, 5)),
        ("table1", realistic(SuiteKind::Smoke, 7)),
        ("table2", ablated),
        ("table3", pair),
    ] {
        let text = in_format(target, &results, "tex");
        assert!(!text.contains("resizebox") && !text.contains("\\tiny"), "{text}");
        let Some(log) = compile(&text) else { return };
        assert!(!log.contains("Overfull"), "{target}: {log}");
    }
}

/// A caption has at most three lines of a page; how numbers were made stands below.
#[test]
fn captions_are_short() {
    let ablated = ablation(SuiteKind::Smoke);
    for (name, results) in [("table1", &realistic(SuiteKind::Smoke, 5)), ("table2", &ablated), ("table3", &ablated)] {
        let Kind::Table(which) = target::find(name).unwrap().kind else { panic!("{name} is a table") };
        let table = layout(which, name, results);
        assert!(table.caption.chars().count() < 300, "{name}: {}", table.caption);
        assert!(table.details.iter().any(|detail| detail.contains(&results.suite.optimizer)), "{name}");
    }
}

/// No character of a name stops pdflatex.
#[test]
fn every_character_can_be_set() {
    let latin = ('\u{1}'..='\u{17f}').map(String::from);
    let others = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω±×−≤≥≠≈∞√∈→←·—–’‘“”…€漢😀\u{301}\u{202e}";
    let text: Vec<String> = latin.chain(others.chars().map(String::from)).collect();
    // Each alone, and next to each other, where there may be ligatures.
    let paragraphs = escape::latex(&text.join("x ")) + "\n\n" + &escape::latex(&text.concat());
    let _ = compile(&format!("\\sloppy {paragraphs}\n"));
}

/// Renders Table 1 with a template of its own.
fn with_template(format: &str, text: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let folder = tempfile::tempdir().unwrap();
    for name in TABLE_FORMATS.iter().flat_map(|format| ["table", "shared"].map(|name| format!("{name}.{format}.j2"))) {
        std::fs::copy(folders().path(&name), folder.path().join(&name)).unwrap();
    }
    std::fs::write(folder.path().join(format!("table1.{format}.j2")), text).unwrap();
    render(target::find("table1").unwrap(), &difficult(SuiteKind::Smoke), &Templates::from(folder.path()))
}

/// No template can pass off a smoke run as the paper's result: the mark has to be where a reader sees it.
#[test]
fn a_template_that_hides_the_mark_is_refused() {
    let refused = |format: &str, text: &str| {
        let error = with_template(format, text).expect_err(text);
        let message = format!("{error:#}");
        assert!(message.contains(&format!("table1.{format}.j2")), "{message}");
        assert!(message.contains("smoke run, not a result of the paper"), "{message}");
        assert!(errors::hint_of(&error).unwrap().contains("`caption` or `mark`"));
    };
    refused("md", "Table 1 of the paper\n");
    refused("md", "Table 1 of the paper\n<!-- {{ mark }} -->\n");
    refused("md", "<!-- {{ mark }}\n");
    refused("csv", "mean\n1\n");
    refused("tex", "% <<mark|latex>>\nTable 1 of the paper\n");
    refused("tex", "100\\% \\\\% <<mark|latex>>\n");
    // The project's template without its caption still has the comment at its head.
    let own = folders().read("table.tex.j2").unwrap();
    let without = own.replace("\\caption{<<caption|latex>>}\n", "\\caption{Table 1 of the paper.}\n");
    assert!(without != own && without.contains("% <<mark|latex>>"));
    refused("tex", &without);
    for (format, text) in
        [("md", "{{ mark }}\n"), ("tex", "100\\% <<mark|latex>>\n"), ("md", "{{ caption|markdown }}\n")]
    {
        with_template(format, text).unwrap();
    }
}

#[test]
fn an_error_in_a_template_names_its_line() {
    let error_of = |format: &str, text: &str| format!("{:#}", with_template(format, text).unwrap_err());
    let error = error_of("md", "{{ mark }}\n{{ captoin }}\n");
    assert!(error.contains("table1.md.j2 line 2"), "{error}");
    let error = error_of("md", "{{ mark }}\n\n{% for row in %}\n");
    assert!(error.contains("table1.md.j2 line 3"), "{error}");
    let error = error_of("tex", "<<mark>>\n<<rows[99].title>>\n");
    assert!(error.contains("table1.tex.j2 line 2"), "{error}");
    let error = error_of("md", "{% from \"shared.md.j2\" import grid %}\n{{ mark }}\n{{ grid(1, rows, labels) }}\n");
    assert!(error.contains("shared.md.j2 line"), "the error has the place of the macro: {error}");
    let error = error_of("csv", "{{ mark }}\n{% include \"other.j2\" %}\n");
    assert!(
        error.contains("table1.csv.j2 line 2"),
        "a template that is not part of the key cannot be included: {error}"
    );
}

#[test]
fn results_of_another_layout_are_refused() {
    let results = Results { schema: 7, ..difficult(SuiteKind::Smoke) };
    let error = render(target::find("table1").unwrap(), &results, &folders()).unwrap_err().to_string();
    assert_eq!(error, "these results have the layout 7, expected 5");
}
