//! Templates: `templates/TARGET.FORMAT.j2`, filled by minijinja. A template has holes, not arithmetic.

use std::path::{Path, PathBuf};

use anyhow::Context;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::results::Results;
use super::{SuiteKind, figure4, table};
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
/// that says what kind of results these are.
pub fn render(target: &str, results: &Results, folder: &Path) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
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
        other => Err(errors::usage(
            format!("there is no table or figure `{other}`"),
            format!("there are: {}", super::TARGETS.join(", ")),
        )),
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
    environment.add_filter("latex", |text: &str| escape_latex(text));
    environment.add_filter("markdown", |text: &str| escape_markdown(text));
    environment.add_filter("csv", escape_csv);
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
    if !filled.contains(kind.mark()) {
        return Err(errors::failed(
            format!("the template {name} leaves out what kind of results these are: \"{}\"", kind.mark()),
            "place `caption` or `mark` in it",
        ));
    }
    Ok(filled)
}

/// Text for LaTeX: its special characters, and the few others that captions and causes hold.
pub fn escape_latex(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut opening = true;
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => out.extend(['\\', c]),
            '^' => out.push_str("\\textasciicircum{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '|' => out.push_str("\\textbar{}"),
            '`' => out.push_str("\\textasciigrave{}"),
            '"' => {
                out.push_str(if opening { "``" } else { "''" });
                opening = !opening;
            }
            'Δ' => out.push_str("$\\Delta$"),
            '±' => out.push_str("$\\pm$"),
            '×' => out.push_str("$\\times$"),
            '—' => out.push_str("---"),
            '–' => out.push_str("--"),
            '’' => out.push('\''),
            c if c.is_control() => out.push(' '),
            c if c.is_ascii() => out.push(c),
            // pdflatex knows Latin letters in UTF-8; others are written by number rather than break the document.
            c if ('\u{a0}'..='\u{17f}').contains(&c) => out.push(c),
            c => out.push_str(&format!("[U+{:04X}]", c as u32)),
        }
    }
    out
}

/// Text for a cell of a Markdown table.
pub fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '\\' | '[' | ']' | '<' | '>' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A field of a CSV file (RFC 4180); nothing for a missing number.
fn escape_csv(value: &Value) -> String {
    if value.is_none() {
        return String::new();
    }
    let text = value.to_string();
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
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
