//! Templates: `templates/TARGET.FORMAT.j2`, filled by minijinja. A template has holes, not arithmetic.

use std::path::{Path, PathBuf};

use anyhow::Context;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::results::{Results, SCHEMA};
use super::{SuiteKind, escape, figure4, table};
use crate::errors;
use crate::store::Digest;

/// The formats of tables.
const TABLE_FORMATS: [&str; 3] = ["tex", "md", "csv"];

/// The formats of figures.
const FIGURE_FORMATS: [&str; 3] = ["svg", "pdf", "png"];

/// The formats that a target is rendered in; its files are `TARGET.FORMAT`.
pub fn formats(target: &str) -> &'static [&'static str] {
    if target.starts_with("figure") { &FIGURE_FORMATS } else { &TABLE_FORMATS }
}

/// The templates that a target is made of.
pub fn templates(target: &str, folder: &Path) -> Vec<PathBuf> {
    match target.starts_with("figure") {
        true => Vec::new(),
        false => TABLE_FORMATS.iter().map(|format| folder.join(format!("{target}.{format}.j2"))).collect(),
    }
}

/// File name and digest of each template of a target, which belong to its key.
///
/// # Errors
/// If a template cannot be read.
pub fn template_digests(target: &str, folder: &Path) -> anyhow::Result<Vec<(String, Digest)>> {
    let digest = |path: PathBuf| {
        let text = std::fs::read(&path).with_context(|| format!("cannot read the template {}", path.display()))?;
        Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), Digest::of(&text)))
    };
    templates(target, folder).into_iter().map(digest).collect()
}

/// A target in all its formats: (format, bytes).
///
/// # Errors
/// If a template is malformed (naming the file and the line), uses a name that is not there, or leaves out the mark
/// that says what kind of results these are; if there is no such target; if the results have another layout.
pub fn render(target: &str, results: &Results, folder: &Path) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    if results.schema != SCHEMA {
        return Err(errors::failed(
            format!("these results have the layout {}, expected {SCHEMA}", results.schema),
            "run the suite again with this version of the program",
        ));
    }
    match target {
        "table1" => {
            let table = table::table1(results);
            templates(target, folder)
                .iter()
                .zip(TABLE_FORMATS)
                .map(|(path, format)| Ok((format, fill(path, format, &table, results.suite.kind)?.into_bytes())))
                .collect()
        }
        "figure4" => {
            let figure = figure4::draw(results)?;
            Ok(vec![("svg", figure.svg), ("pdf", figure.pdf), ("png", figure.png)])
        }
        other => {
            let hint = match errors::nearest(other, super::TARGETS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", super::TARGETS.join(", ")),
            };
            Err(errors::usage(format!("there is no table or figure `{other}`"), hint))
        }
    }
}

fn fill(path: &Path, format: &str, table: &table::Table, kind: SuiteKind) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the template {}", path.display()))?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if format == "tex" {
        // Braces and percent signs belong to LaTeX.
        syntax.block_delimiters("<%", "%>").variable_delimiters("<<", ">>").comment_delimiters("<#", "#>");
    }
    environment.set_syntax(syntax.build().context("the template syntax")?);
    environment.add_filter("latex", |text: &str| escape::latex(text));
    environment.add_filter("markdown", |text: &str| escape::markdown(text));
    environment.add_filter("csv", |value: &Value| escape::csv(value));
    let name = path.display().to_string();
    let told = |error: minijinja::Error| {
        let line = error.line().map_or(String::new(), |line| format!(" line {line}"));
        let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
        errors::failed(
            format!("the template {name}{line}: {}{detail}", error.kind()),
            "templates/README.md lists the names that a template may use",
        )
    };
    environment.add_template("template", &text).map_err(told)?;
    let filled = environment
        .get_template("template")
        .and_then(|t| t.render(Value::from(minijinja::value::Serde(table))))
        .map_err(told)?;
    if !shows(format, &filled, kind.mark()) {
        return Err(errors::failed(
            format!("the template {name} does not show what kind of results these are: \"{}\"", kind.mark()),
            "place `caption` or `mark` in it, where a reader sees it: a comment does not count",
        ));
    }
    Ok(filled)
}

/// Whether a reader of the output sees the mark. What stands in a comment is in the file, but not on the page.
fn shows(format: &str, output: &str, mark: &str) -> bool {
    let (seen, mark) = match format {
        "tex" => (without_latex_comments(output), escape::latex(mark)),
        "md" => (without_html_comments(output), escape::markdown(mark)),
        _ => (output.to_owned(), mark.to_owned()),
    };
    // A template may break lines where it likes.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    words(&seen).contains(&words(&mark))
}

/// Each line up to its first percent sign that is not escaped.
fn without_latex_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut escaped = false;
        out.extend(line.chars().take_while(|&c| {
            let comment = c == '%' && !escaped;
            escaped = c == '\\' && !escaped;
            !comment
        }));
        out.push('\n');
    }
    out
}

/// The text outside of `<!-- … -->`; one that does not end hides the rest.
fn without_html_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

/// A minimal document around a fragment of LaTeX, with the packages that tables need.
pub fn latex_document(fragment: &str) -> String {
    format!(
        "\\documentclass{{article}}\n\\usepackage[utf8]{{inputenc}}\n\\usepackage[T1]{{fontenc}}\n\
         \\usepackage{{textcomp}}\n\\usepackage{{booktabs}}\n\\usepackage{{graphicx}}\n\\usepackage{{xcolor}}\n\
         \\usepackage[margin=2cm]{{geometry}}\n\\pagestyle{{empty}}\n\\begin{{document}}\n{fragment}\\end{{document}}\n"
    )
}

#[cfg(test)]
mod tests;
