//! Finds templates, first in the user's folder and then in the project, and fills them with minijinja. A template
//! places values; it does not compute them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};

use super::escape;
use crate::digest::Digest;
use crate::errors;

/// The most work that a template may do, in minijinja's units: an instruction costs one, 64 bytes of text cost one. A page of
/// 1 MB takes 60,000.
const MOST_WORK: u64 = 40_000_000;

/// What a template writes, which decides on its delimiters and on automatic escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Escapes automatically.
    Html,
    /// Has the delimiters `<% %>`, `<< >>` and `<# #>`, since braces and percent signs belong to LaTeX.
    Latex,
    /// Markdown, CSV.
    Text,
}

/// Folders of templates; an earlier one takes precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(pub Vec<PathBuf>);

impl From<&Path> for Templates {
    fn from(folder: &Path) -> Self {
        Templates(vec![folder.to_owned()])
    }
}

impl Templates {
    /// The path of a template: where it exists first, else in the last folder.
    pub fn path(&self, name: &str) -> PathBuf {
        let mut paths = self.0.iter().map(|folder| folder.join(name));
        paths.clone().find(|path| path.is_file()).or_else(|| paths.next_back()).unwrap_or_else(|| PathBuf::from(name))
    }

    /// Reads a template.
    ///
    /// # Errors
    /// If no folder has it, or it cannot be read.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.path(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read the template {}", path.display()))
    }

    /// The digests of templates, with their names.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn digests(&self, names: impl IntoIterator<Item = String>) -> anyhow::Result<Vec<(String, Digest)>> {
        names.into_iter().map(|name| Ok((name.clone(), Digest::of(self.read(&name)?.as_bytes())))).collect()
    }

    /// Fills a template, which may import macros from the `imported` ones.
    ///
    /// # Errors
    /// If a template is missing or malformed, or uses an unknown name. The error has the file and the line.
    pub fn fill(&self, name: &str, imported: &[&str], language: Language, context: &Value) -> anyhow::Result<String> {
        let mut filled = Vec::new();
        self.fill_into(&mut filled, name, imported, language, context)?;
        String::from_utf8(filled).context("a filled template is UTF-8")
    }

    /// As [`Templates::fill`], without holding the text.
    ///
    /// # Errors
    /// As [`Templates::fill`], or if it cannot be written.
    pub fn fill_into(
        &self,
        writer: &mut impl Write,
        name: &str,
        imported: &[&str],
        language: Language,
        context: &Value,
    ) -> anyhow::Result<()> {
        let mut environment = environment(language)?;
        let explain = |error: minijinja::Error| {
            // An error in a macro has the place of the macro.
            let at = innermost(&error);
            let path = self.path(at.name().unwrap_or(name));
            let line = at.line().map_or(String::new(), |line| format!(" line {line}"));
            let detail = at.detail().map_or(String::new(), |detail| format!(": {detail}"));
            errors::failed(
                format!("the template {}{line}: {}{detail}", path.display(), at.kind()),
                "templates/README.md lists the names that a template may use",
            )
        };
        for name in imported.iter().chain([&name]) {
            environment.add_template_owned((*name).to_owned(), self.read(name)?).map_err(explain)?;
        }
        let template = environment.get_template(name).map_err(explain)?;
        let written = template.render_captured_to(context, writer);
        written.map(|_| ()).map_err(|error| match error.kind() {
            ErrorKind::WriteFailure => anyhow::Error::new(error).context(format!("cannot write what {name} makes")),
            _ => explain(error),
        })
    }
}

fn environment(language: Language) -> anyhow::Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(MOST_WORK));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let escaping = move |_: &str| if language == Language::Html { AutoEscape::Html } else { AutoEscape::None };
    environment.set_auto_escape_callback(escaping);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if language == Language::Latex {
        syntax.block_delimiters("<%", "%>").variable_delimiters("<<", ">>").comment_delimiters("<#", "#>");
    }
    environment.set_syntax(syntax.build().context("the template syntax")?);
    environment.add_filter("latex", |text: &str| escape::latex(text));
    environment.add_filter("markdown", |text: &str| escape::markdown(text));
    environment.add_filter("csv", |value: &Value| escape::csv(value));
    Ok(environment)
}

/// The first cause of an error.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<minijinja::Error>());
    source.map_or(error, innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither an endless loop nor an endless text.
    #[test]
    fn templates_end() {
        let folder = tempfile::tempdir().unwrap();
        let filled = |text: &str| {
            std::fs::write(folder.path().join("a.j2"), text).unwrap();
            let templates = Templates::from(folder.path());
            templates.fill("a.j2", &[], Language::Text, &Value::UNDEFINED).map_err(|error| error.to_string())
        };
        assert_eq!(filled("{{ 1 + 1 }}"), Ok("2".to_owned()));
        let nested = "{% for a in range(9999) %}".repeat(4) + &"{% endfor %}".repeat(4);
        assert!(filled(&nested).unwrap_err().contains("a.j2 line 1: engine ran out of fuel"));
        let long = "{% for a in range(9999) %}{{ 'long ' * 9999999 }}{% endfor %}";
        assert!(filled(long).unwrap_err().contains("engine ran out of fuel"));
    }

    #[test]
    fn the_users_template_takes_precedence() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let templates = Templates(vec![theirs.path().to_owned(), ours.path().to_owned()]);
        std::fs::write(ours.path().join("a.j2"), "ours").unwrap();
        assert_eq!(templates.read("a.j2").unwrap(), "ours");
        std::fs::write(theirs.path().join("a.j2"), "theirs").unwrap();
        assert_eq!(templates.read("a.j2").unwrap(), "theirs");
        assert_eq!(templates.digests(["a.j2".to_owned()]).unwrap(), [("a.j2".to_owned(), Digest::of(b"theirs"))]);
        let error = format!("{:#}", templates.read("b.j2").unwrap_err());
        assert!(error.contains(&ours.path().join("b.j2").display().to_string()), "{error}");
    }
}
