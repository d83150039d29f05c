//! Tables and figures as files: `templates/TARGET.FORMAT.j2`, filled, with macros from `templates/shared.FORMAT.j2`, or a
//! drawing.

use minijinja::Value;

use super::escape;
use super::figure::{figure2, figure4, figure6, figure7, gap_bars};
use super::quantity::Quantity;
use super::reference::Reference;
use super::results::{Results, SCHEMA};
use super::table::{self, Of, Table};
use super::target::{self, Kind, Target};
use super::templates::{Language, Templates};
use crate::digest::Digest;
use crate::errors;

/// The formats of tables.
const TABLE_FORMATS: [&str; 3] = ["tex", "md", "csv"];

/// The formats of figures.
const FIGURE_FORMATS: [&str; 3] = ["svg", "pdf", "png"];

/// The formats that a target is rendered in; its files are `TARGET.FORMAT`.
pub fn formats(target: &Target) -> &'static [&'static str] {
    match target.kind {
        Kind::Table(_) => &TABLE_FORMATS,
        Kind::Figure(_) => &FIGURE_FORMATS,
    }
}

/// A target's template in a format, and the one with the macros that all templates of the format share.
fn templates(target: &Target, format: &str) -> [String; 2] {
    [format!("{}.{format}.j2", target.name), format!("shared.{format}.j2")]
}

/// File name and digest of each template of a target, which belong to its key.
///
/// # Errors
/// If a template cannot be read.
pub fn template_digests(target: &Target, folders: &Templates) -> anyhow::Result<Vec<(String, Digest)>> {
    let formats: &[&str] = match target.kind {
        Kind::Table(_) => &TABLE_FORMATS,
        Kind::Figure(_) => &[],
    };
    let names = formats.iter().flat_map(|format| templates(target, format));
    folders.digests(names)
}

/// A target in all its formats: (format, bytes). The results hold the methods that it shows, in their order.
///
/// # Errors
/// If a template is malformed (naming the file and the line), uses a name that is not there, or leaves out the mark
/// that says what kind of results these are; if the target takes another number of methods; if the results have another
/// layout.
pub fn render(target: &Target, results: &Results, folders: &Templates) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    if results.schema != SCHEMA {
        return Err(errors::failed(
            format!("these results have the layout {}, expected {SCHEMA}", results.schema),
            "run the suite again with this version of the program",
        ));
    }
    let methods: Vec<String> = results.suite.methods.iter().map(|method| method.name.clone()).collect();
    target.check(&methods)?;
    match target.kind {
        Kind::Table(which) => {
            let table = layout(which, target.name, results);
            let filled = |format| Ok((format, fill(target, format, folders, &table)?.into_bytes()));
            TABLE_FORMATS.into_iter().map(filled).collect()
        }
        Kind::Figure(which) => {
            let figure = match which {
                target::Figure::Two => figure2::draw(results)?,
                target::Figure::Four => figure4::draw(results)?,
                target::Figure::GapBars => gap_bars::draw(results)?,
                target::Figure::Six => figure6::draw(results)?,
                target::Figure::Seven => figure7::draw(results)?,
            };
            Ok(vec![("svg", figure.svg), ("pdf", figure.pdf), ("png", figure.png)])
        }
    }
}

/// The quantities that a table shows; none for figures, which compare nothing.
pub fn quantities(target: &Target) -> Option<Vec<Quantity>> {
    match target.kind {
        Kind::Table(which) => Some(table::quantities(which)),
        Kind::Figure(_) => None,
    }
}

/// A table laid out; `name` is its target's.
pub fn layout(which: target::Table, name: &str, results: &Results) -> Table {
    match which {
        target::Table::One => table::table1(results),
        target::Table::Two => table::table2(results),
        target::Table::Three => table::table3(results),
        target::Table::Four | target::Table::Five => table::one_more(results, name),
    }
}

/// A table beside the paper's numbers, in one of the formats of tables or as `json`.
///
/// # Errors
/// If the target is no table or the format is none of its; if the paper has no numbers for these results (usage); those of
/// [`render`].
pub fn beside(
    target: &Target,
    results: &Results,
    folders: &Templates,
    reference: &Reference,
    (of, format): (Of, &str),
) -> anyhow::Result<String> {
    let Kind::Table(which) = target.kind else { anyhow::bail!("{} is no table", target.name) };
    let table = table::beside(layout(which, target.name, results), target.name, results, reference, of)?;
    if format == "json" {
        return Ok(serde_json::to_string_pretty(&table)? + "\n");
    }
    anyhow::ensure!(TABLE_FORMATS.contains(&format), "there is no table as {format}");
    fill(target, format, folders, &table)
}

/// A table that is laid out, in one of the formats of tables.
///
/// # Errors
/// If a template is malformed (naming the file and the line), uses a name that is not there, or leaves out the mark that
/// says what kind of results these are.
pub(super) fn fill(target: &Target, format: &str, folders: &Templates, table: &Table) -> anyhow::Result<String> {
    let [name, shared] = templates(target, format);
    let language = if format == "tex" { Language::Latex } else { Language::Text };
    let filled = folders.fill(&name, &[&shared], language, &Value::from(minijinja::value::Serde(table)))?;
    if !shows(format, &filled, &table.mark) {
        let name = folders.path(&name);
        return Err(errors::failed(
            format!("the template {} does not show what kind of results these are: \"{}\"", name.display(), table.mark),
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
pub(super) fn without_latex_comments(text: &str) -> String {
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
