use super::*;
use crate::report::samples::{difficult, realistic};

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

/// Compiles a fragment; the log, or none where pdflatex is not installed. CI installs it.
fn compile(fragment: &str) -> Option<String> {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("table.tex"), latex_document(fragment)).unwrap();
    let run = std::process::Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", "table.tex"])
        .current_dir(here.path())
        .output();
    let Ok(run) = run else {
        assert!(std::env::var_os("CI").is_none(), "CI installs pdflatex");
        // Past the capture of a passing test's output, which would hide it.
        let told = "SKIPPED: pdflatex is not installed, so LaTeX was not compiled\n";
        std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
        return None;
    };
    let log = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{log}");
    assert!(here.path().join("table.pdf").exists());
    Some(log)
}

fn tex(results: &Results) -> String {
    let all = render("table1", results, &folder()).unwrap();
    String::from_utf8(all.into_iter().find(|(format, _)| *format == "tex").unwrap().1).unwrap()
}

/// pdflatex takes the table, with all its special characters and with up to seven methods, and nothing is too wide.
#[test]
fn the_latex_table_compiles() {
    let tables = [difficult(SuiteKind::Smoke), realistic(SuiteKind::Smoke, 2), realistic(SuiteKind::Smoke, 7)];
    for results in tables {
        let Some(log) = compile(&tex(&results)) else { return };
        assert!(!log.contains("Overfull"), "{log}");
    }
}

/// No character of a name stops pdflatex.
#[test]
fn every_character_can_be_set() {
    let latin = ('\u{1}'..='\u{17f}').map(String::from);
    let others = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω±×−≤≥≠≈∞√∈→←·—–’‘“”…€漢😀\u{301}\u{202e}";
    let text: Vec<String> = latin.chain(others.chars().map(String::from)).collect();
    // Each alone, and next to each other, where ligatures lurk.
    let paragraphs = escape::latex(&text.join("x ")) + "\n\n" + &escape::latex(&text.concat());
    let _ = compile(&format!("\\sloppy {paragraphs}\n"));
}

/// Renders with a template of the user's in place of the project's.
fn with_template(format: &str, text: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let folder = tempfile::tempdir().unwrap();
    for format in TABLE_FORMATS {
        let name = format!("table1.{format}.j2");
        std::fs::copy(self::folder().join(&name), folder.path().join(&name)).unwrap();
    }
    std::fs::write(folder.path().join(format!("table1.{format}.j2")), text).unwrap();
    render("table1", &difficult(SuiteKind::Smoke), folder.path())
}

/// No template can pass a smoke result off as the paper's: the mark has to be where a reader sees it.
#[test]
fn a_template_that_hides_the_mark_is_refused() {
    let refused = |format: &str, text: &str| {
        let error = with_template(format, text).expect_err(text);
        let told = format!("{error:#}");
        assert!(told.contains(&format!("table1.{format}.j2")), "{told}");
        assert!(told.contains("smoke run, not a result of the paper"), "{told}");
        assert!(errors::hint_of(&error).unwrap().contains("`caption` or `mark`"));
    };
    refused("md", "Table 1 of the paper\n");
    refused("md", "Table 1 of the paper\n<!-- {{ mark }} -->\n");
    refused("md", "<!-- {{ mark }}\n");
    refused("csv", "mean\n1\n");
    refused("tex", "% <<mark|latex>>\nTable 1 of the paper\n");
    refused("tex", "100\\% \\\\% <<mark|latex>>\n");
    // The project's own template, its caption taken out: the comment at its head is still there.
    let own = std::fs::read_to_string(folder().join("table1.tex.j2")).unwrap();
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
fn a_mistake_in_a_template_is_told_with_its_line() {
    let told = |format: &str, text: &str| format!("{:#}", with_template(format, text).unwrap_err());
    let error = told("md", "{{ mark }}\n{{ captoin }}\n");
    assert!(error.contains("table1.md.j2 line 2"), "{error}");
    let error = told("md", "{{ mark }}\n\n{% for row in %}\n");
    assert!(error.contains("table1.md.j2 line 3"), "{error}");
    let error = told("tex", "<<mark>>\n<<rows[99].title>>\n");
    assert!(error.contains("table1.tex.j2 line 2"), "{error}");
    let error = told("csv", "{{ mark }}\n{% include \"other.j2\" %}\n");
    assert!(error.contains("table1.csv.j2 line 2"), "a template that is in no key cannot be taken in: {error}");
}

#[test]
fn an_unknown_target_gets_a_near_name() {
    let error = render("tabel1", &difficult(SuiteKind::Smoke), &folder()).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), errors::hint_of(&error)),
        ("there is no table or figure `tabel1`", Some("did you mean `table1`?"))
    );
}

#[test]
fn results_of_another_layout_are_refused() {
    let results = Results { schema: 2, ..difficult(SuiteKind::Smoke) };
    let error = render("table1", &results, &folder()).unwrap_err().to_string();
    assert_eq!(error, "these results have the layout 2, expected 1");
}
