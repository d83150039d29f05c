//! The report as a LaTeX document, which contains the tables and includes the figures beside it.

use serde::Serialize;

use super::html::{self, Report};
use super::templates::{Language, Templates};
use super::{escape, render, target};
use crate::errors;

/// The template.
pub const TEMPLATE: &str = "report.tex.j2";

/// The document, `report.tex`. pdflatex compiles it in the folder with the figures' `.pdf`. Its tables are those of the
/// page, with the paper's numbers in brackets; the table files beside it have ours alone.
///
/// # Errors
/// If a template cannot be read, is malformed (the error names file and line), uses an undefined name, or does not show
/// what kind of results these are.
pub fn document(report: &Report, templates: &Templates) -> anyhow::Result<String> {
    let tables = tables(report, templates)?;
    let document = templates.fill(TEMPLATE, &[], Language::Latex, &context(report, &tables))?;
    let mark = escape::latex(report.results.suite.kind.mark());
    // Each table has the mark already; the rest of the document needs it, too.
    let own = tables.iter().fold(render::without_latex_comments(&document), |document, table| {
        document.replace(&render::without_latex_comments(&table.text), "")
    });
    if !own.contains(&mark) {
        return Err(errors::failed(
            format!(
                "the template {} does not show the kind of results: \"{mark}\"",
                templates.path(TEMPLATE).display()
            ),
            "place `mark` in it, where a reader sees it: a comment does not count",
        ));
    }
    Ok(document)
}

#[derive(Serialize)]
struct Table {
    text: String,
    before: u32,
}

fn tables(report: &Report, templates: &Templates) -> anyhow::Result<Vec<Table>> {
    let table = |entry: &html::TableEntry| {
        let text = render::fill(target::find(&entry.name)?, "tex", templates, &entry.table)?;
        Ok(Table { text, before: before(&entry.name) })
    };
    report.tables.iter().map(table).collect()
}

/// LaTeX counts on from this number, so that numbers are the paper's.
fn before(name: &str) -> u32 {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u32>().map_or(0, |number| number.saturating_sub(1))
}

fn context(report: &Report, tables: &[Table]) -> minijinja::Value {
    let figure = |figure: &html::FigureEntry| {
        let find = |ending: &str| figure.files.iter().find(|file| file.ends_with(ending));
        let (file, caption) = (find(".pdf")?, find(".caption.tex")?);
        Some(minijinja::context! { file, caption, before => before(&figure.name) })
    };
    minijinja::context! {
        tables => minijinja::Value::from(minijinja::value::Serde(tables)),
        figures => report.figures.iter().filter_map(figure).collect::<Vec<_>>(),
        ..html::shared(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SuiteKind;
    use crate::report::html::tests::{example, folder};
    use crate::report::samples::pdflatex;

    /// The document and what it takes in, compiled; the log, or none where pdflatex is not installed.
    fn compiled(report: &Report) -> Option<String> {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(here.path().join(name), bytes).unwrap();
        for entry in &report.figures {
            let target = target::find(&entry.name).unwrap();
            for (format, bytes) in render::render(target, &report.results, &folder()).unwrap() {
                write(&format!("{}.{format}", entry.name), &bytes);
            }
        }
        write("report.tex", document(report, &folder()).unwrap().as_bytes());
        pdflatex(here.path(), "report.tex")
    }

    /// pdflatex compiles the report with its tables, figures and claims, whatever characters names and causes have.
    #[test]
    fn the_report_compiles() {
        let mut report = example(SuiteKind::Smoke);
        report.tables[0].table.rows[0].cells[0].paper = "87.65".into();
        let text = document(&report, &folder()).unwrap();
        for part in [
            "\\setcounter{table}{0}\n% smoke run",
            "\\label{tab:example-table2}",
            "(87.65)",
            "\\setcounter{figure}{3}",
            "\\includegraphics{figure4.pdf}\n\\input{figure4.caption.tex}",
            "\\item[reproduced] The claim a holds\n\\par{\\small Why.}",
            "\\textbf{Incomplete: 3 of 4 downloads missing.}",
            "no network",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let Some(log) = compiled(&report) else { return };
        assert!(!log.contains("LaTeX Warning: File"), "{log}");
        // Only bitmaps of letters come from files like these.
        assert!(!log.contains("pk>"), "{log}");
    }

    /// A template that hides what kind of results these are is refused.
    #[test]
    fn the_mark_is_kept() {
        let copy = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(folder().path(TEMPLATE)).unwrap();
        let text: String = text.replace("<<mark|latex>>", "") + "% <<mark|latex>>\n";
        std::fs::write(copy.path().join(TEMPLATE), text).unwrap();
        let templates = Templates([vec![copy.path().to_owned()], folder().0].concat());
        let error = document(&example(SuiteKind::Smoke), &templates).unwrap_err().to_string();
        assert!(error.contains("does not show the kind of results"), "{error}");
    }
}
