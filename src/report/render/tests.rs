use super::*;
use crate::report::results::tests::difficult;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

fn rendered(format: &str) -> String {
    let all = render("table1", &difficult(SuiteKind::Smoke), &folder()).unwrap();
    let (_, bytes) = all.into_iter().find(|(name, _)| *name == format).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The same results, with everything that can happen to a number, in every format.
#[test]
fn tables_in_all_formats() {
    insta::assert_snapshot!("table1.md", rendered("md"));
    insta::assert_snapshot!("table1.csv", rendered("csv"));
    insta::assert_snapshot!("table1.tex", rendered("tex"));
}

/// pdflatex takes the table, with all its special characters, and no line is too wide. Where pdflatex is not
/// installed, the test says so; CI installs it.
#[test]
fn the_latex_table_compiles() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("table.tex"), latex_document(&rendered("tex"))).unwrap();
    let run = std::process::Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", "table.tex"])
        .current_dir(here.path())
        .output();
    let Ok(run) = run else {
        assert!(std::env::var_os("CI").is_none(), "CI installs pdflatex");
        eprintln!("SKIPPED: pdflatex is not installed, so the LaTeX table was not compiled");
        return;
    };
    let log = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{log}");
    assert!(!log.contains("Overfull"), "{log}");
    assert!(here.path().join("table.pdf").exists());
}

fn with_template(text: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let folder = tempfile::tempdir().unwrap();
    for format in ["md", "csv", "tex"] {
        std::fs::copy(
            self::folder().join(format!("table1.{format}.j2")),
            folder.path().join(format!("table1.{format}.j2")),
        )
        .unwrap();
    }
    std::fs::write(folder.path().join("table1.md.j2"), text).unwrap();
    render("table1", &difficult(SuiteKind::Smoke), folder.path())
}

/// No template can pass a smoke result off as the paper's.
#[test]
fn a_template_that_leaves_out_the_mark_is_refused() {
    let error = format!("{:#}", with_template("Table 1 of the paper\n").unwrap_err());
    assert!(error.contains("table1.md.j2") && error.contains("smoke run, not a result of the paper"), "{error}");
    assert!(with_template("{{ mark }}\n").is_ok());
}

#[test]
fn a_mistake_in_a_template_is_told_with_its_line() {
    let error = format!("{:#}", with_template("{{ mark }}\n{{ captoin }}\n").unwrap_err());
    assert!(error.contains("table1.md.j2 line 2"), "{error}");
    let error = format!("{:#}", with_template("{{ mark }}\n\n{% for row in %}\n").unwrap_err());
    assert!(error.contains("line 3"), "{error}");
}

#[test]
fn special_characters_are_escaped() {
    assert_eq!(
        escape_latex(r"50% of a_b & {c} \ ~^ Δ ±"),
        r"50\% of a\_b \& \{c\} \textbackslash{} \textasciitilde{}\textasciicircum{} $\Delta$ $\pm$"
    );
    assert_eq!(escape_latex("\"quoted\" 漢 é"), "``quoted'' [U+6F22] é");
    assert_eq!(escape_markdown("a|b*c_d"), r"a\|b\*c\_d");
    assert_eq!(escape_csv(&Value::from("a,\"b\"")), "\"a,\"\"b\"\"\"");
}
