//! Renders tables and figures as files. A table fills `table.FORMAT.j2`, with macros from `shared.FORMAT.j2`; a figure
//! is drawn.

use minijinja::Value;

use super::escape;
use super::figure;
use super::quantity::Quantity;
use super::reference::Reference;
use super::results::{Results, SCHEMA};
pub use super::table::layout;
use super::table::{self, Of, Page, Table};
use super::target::{Kind, TARGETS, Target};
use super::templates::{Language, Templates};
use crate::digest::Digest;
use crate::errors;

/// The formats of tables.
const TABLE_FORMATS: [&str; 3] = ["tex", "md", "csv"];

/// The formats of a target, whose files are `TARGET.FORMAT`.
pub fn formats(target: &Target) -> &'static [&'static str] {
    match target.kind {
        Kind::Table(_) => &TABLE_FORMATS,
        Kind::Figure(_) => &figure::FORMATS,
    }
}

/// The template of a table in a format, and the one that holds the macros of the format. A template of the table's own,
/// `table1.md.j2`, takes precedence over the one of all tables.
fn templates(target: &Target, format: &str, folders: &Templates) -> [String; 2] {
    let own = own_template(target, format);
    let name = if folders.path(&own).is_file() { own } else { format!("table.{format}.j2") };
    [name, format!("shared.{format}.j2")]
}

fn own_template(target: &Target, format: &str) -> String {
    format!("{}.{format}.j2", target.name)
}

/// The names that templates of a single table may have.
pub fn own_templates() -> impl Iterator<Item = String> {
    let tables = TARGETS.iter().filter(|target| matches!(target.kind, Kind::Table(_)));
    tables.flat_map(|target| TABLE_FORMATS.map(|format| own_template(target, format)))
}

/// The file name and digest of each template of a target. They are part of its key.
///
/// # Errors
/// If a template cannot be read.
pub fn template_digests(target: &Target, folders: &Templates) -> anyhow::Result<Vec<(String, Digest)>> {
    let formats: &[&str] = match target.kind {
        Kind::Table(_) => &TABLE_FORMATS,
        Kind::Figure(_) => &[],
    };
    let names = formats.iter().flat_map(|format| templates(target, format, folders));
    folders.digests(names)
}

/// Renders a target in all its formats, as pairs of format and content. The results hold only the methods that it
/// shows, in their order.
///
/// # Errors
/// If a template is malformed, uses an unknown name, or leaves out the mark that says which kind of results it shows;
/// if the target shows another number of methods; if the results have another layout.
pub fn render(
    target: &'static Target,
    results: &Results,
    folders: &Templates,
) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
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
        Kind::Figure(which) => Ok(figure::draw(which, target, results)?.into_files().into()),
    }
}

/// The quantities that a table shows; `None` for figures, which compare nothing.
pub fn quantities(target: &Target) -> Option<Vec<Quantity>> {
    match target.kind {
        Kind::Table(which) => Some(table::quantities(which)),
        Kind::Figure(_) => None,
    }
}

/// Renders a table with the paper's numbers, in one of the formats of tables or as `json`.
///
/// # Errors
/// A usage error if the paper has no numbers for these results; otherwise if the target is not a table, if the format
/// is unknown, and those of [`render`].
pub fn beside(
    target: &Target,
    results: &Results,
    folders: &Templates,
    reference: &Reference,
    (of, format): (Of, &str),
) -> anyhow::Result<String> {
    let Kind::Table(which) = target.kind else { anyhow::bail!("{} is not a table", target.name) };
    let table = table::beside(layout(which, target.name, results), target.name, results, reference, of)?;
    if format == "json" {
        return Ok(serde_json::to_string_pretty(&table)? + "\n");
    }
    anyhow::ensure!(TABLE_FORMATS.contains(&format), "a table has no format `{format}`");
    fill(target, format, folders, &table)
}

/// Renders a table in one of the formats of tables.
///
/// # Errors
/// If a template is malformed, uses an unknown name, or leaves out the mark that says which kind of results it shows.
pub(super) fn fill(target: &Target, format: &str, folders: &Templates, table: &Table) -> anyhow::Result<String> {
    let [name, shared] = templates(target, format, folders);
    let language = if format == "tex" { Language::Latex } else { Language::Text };
    let table_values = Value::from(minijinja::value::Serde(table));
    let context = match language {
        Language::Latex => {
            let page = Value::from(minijinja::value::Serde(Page::of(table)));
            minijinja::context! { page, ..table_values }
        }
        _ => table_values,
    };
    let filled = folders.fill(&name, &[&shared], language, &context)?;
    if !shows(format, &filled, &table.mark) {
        let name = folders.path(&name);
        return Err(errors::failed(
            format!("the template {} does not show what kind of results these are: \"{}\"", name.display(), table.mark),
            "place `caption` or `mark` in it, where a reader sees it: a comment does not count",
        ));
    }
    Ok(filled)
}

/// Whether a reader of the output sees the mark. A comment is in the file, but not on the page.
fn shows(format: &str, output: &str, mark: &str) -> bool {
    let (seen, mark) = match format {
        "tex" => (without_latex_comments(output), escape::latex(mark)),
        "md" => (without_html_comments(output), escape::markdown(mark)),
        _ => (output.to_owned(), mark.to_owned()),
    };
    // A template may break lines anywhere.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    words(&seen).contains(&words(&mark))
}

/// Removes what follows a percent sign that is not escaped.
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

/// Removes `<!-- … -->`; a comment that does not end hides the rest.
fn without_html_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    out + rest
}

#[cfg(test)]
mod tests;
