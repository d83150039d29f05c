//! The report as a LaTeX document, which takes in the tables and figures beside it.

use super::escape;
use super::html::{self, Report};
use super::templates::{Language, Templates};
use crate::errors;

/// The template.
pub const TEMPLATE: &str = "report.tex.j2";

/// The document, `report.tex`. pdflatex compiles it in the folder that holds the tables' `.tex` and the figures' `.pdf`.
///
/// # Errors
/// If the template cannot be read, is malformed (naming the file and the line), uses a name that is not there, or leaves
/// out the mark that says what kind of results these are.
pub fn document(report: &Report, templates: &Templates) -> anyhow::Result<String> {
    let document = templates.fill(TEMPLATE, &[], Language::Latex, &context(report))?;
    let mark = escape::latex(report.results.suite.kind.mark());
    if !super::render::without_latex_comments(&document).contains(&mark) {
        return Err(errors::failed(
            format!(
                "the template {} does not show what kind of results these are: \"{mark}\"",
                templates.path(TEMPLATE).display()
            ),
            "place `mark` in it, where a reader sees it: a comment does not count",
        ));
    }
    Ok(document)
}

fn context(report: &Report) -> minijinja::Value {
    let suite = &report.results.suite;
    let file = |files: &[String], ending: &str| files.iter().find(|file| file.ends_with(ending)).cloned();
    // LaTeX counts on from here, so that numbers are the paper's.
    let before = |name: &str| {
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().map_or(0, |number| number.saturating_sub(1))
    };
    let table = |table: &html::TableEntry| {
        file(&table.files, ".tex").map(|file| minijinja::context! { file, before => before(&table.name) })
    };
    let figure = |figure: &html::FigureEntry| {
        let (meaning, before) = (sentence(&figure.meaning), before(&figure.name));
        file(&figure.files, ".pdf").map(|file| minijinja::context! { file, meaning, before })
    };
    let claims = report.claims.as_ref();
    let claim =
        |claim: &html::Claim| minijinja::context! { verdict => claim.verdict.clone(), text => claim.text.clone() };
    let failure =
        |failure: &html::Failure| minijinja::context! { what => failure.what.clone(), cause => failure.cause.clone() };
    let fact = |fact: html::Fact| minijinja::context! { name => fact.name, value => fact.value };
    minijinja::context! {
        mark => suite.kind.mark(),
        suite => suite.suite.clone(),
        title => suite.title.clone(),
        about => html::about(&report.results),
        facts => html::training(&report.results).into_iter().map(fact).collect::<Vec<_>>(),
        claims => claims.map(|claims| claims.claims.iter().map(claim).collect::<Vec<_>>()).unwrap_or_default(),
        claims_note => claims.map_or("", |claims| claims.note.as_str()),
        failures => report.failures.iter().map(failure).collect::<Vec<_>>(),
        tables => report.tables.iter().filter_map(table).collect::<Vec<_>>(),
        figures => report.figures.iter().filter_map(figure).collect::<Vec<_>>(),
    }
}

/// With a capital in front.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::html::tests::{example, folder};
    use crate::report::{render, target};

    /// The document and what it takes in, compiled; the log, or none where pdflatex is not installed.
    fn compiled(report: &Report) -> Option<String> {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(here.path().join(name), bytes).unwrap();
        for name in report.tables.iter().map(|t| &t.name).chain(report.figures.iter().map(|f| &f.name)) {
            let target = target::find(name).unwrap();
            for (format, bytes) in render::render(target, &report.results, &folder()).unwrap() {
                write(&format!("{name}.{format}"), &bytes);
            }
        }
        write("report.tex", document(report, &folder()).unwrap().as_bytes());
        let run = std::process::Command::new("pdflatex")
            .args(["-interaction=nonstopmode", "-halt-on-error", "report.tex"])
            .current_dir(here.path())
            .output();
        let Ok(run) = run else {
            assert!(std::env::var_os("CI").is_none(), "CI installs pdflatex");
            let told = "SKIPPED: pdflatex is not installed, so the report was not compiled\n";
            std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
            return None;
        };
        let log = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{log}");
        assert!(here.path().join("report.pdf").exists());
        Some(log)
    }

    /// pdflatex takes the report with its tables and figures, whatever names and causes hold.
    #[test]
    fn the_report_compiles() {
        let report = example(SuiteKind::Smoke);
        let text = document(&report, &folder()).unwrap();
        for part in [
            "\\setcounter{table}{0}\n\\input{table1.tex}",
            "\\setcounter{figure}{3}",
            "{figure4.pdf}",
            "\\item[reproduced] The claim a holds",
            "no network",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let Some(log) = compiled(&report) else { return };
        assert!(!log.contains("LaTeX Warning: File"), "{log}");
    }

    /// A template that hides what kind of results these are is refused.
    #[test]
    fn the_mark_is_kept() {
        let copy = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(folder().path(TEMPLATE)).unwrap();
        let text: String = text.replace("<<mark|latex>>", "") + "% <<mark|latex>>\n";
        std::fs::write(copy.path().join(TEMPLATE), text).unwrap();
        let error = document(&example(SuiteKind::Smoke), &copy.path().into()).unwrap_err().to_string();
        assert!(error.contains("does not show what kind of results"), "{error}");
    }
}
