//! Captions: what a figure shows, with the kind of results, and in notes below how it was made and what is missing.

use super::chart::Chart;
use crate::report::SuiteKind;
use crate::report::escape::{latex, markdown};

/// What stands below a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// What it shows, which kind of results these are, and how to read it: at most three lines of a page.
    pub text: String,
    /// How it was made; what is missing, and why.
    pub notes: Vec<String>,
}

/// What a figure is about, besides its chart.
pub struct About<'a> {
    /// `Figure 4`, or what else a reader calls it.
    pub name: String,
    /// The suite's title.
    pub title: &'a str,
    pub kind: SuiteKind,
    /// The command that makes it again.
    pub command: String,
    /// Its file's name without an ending.
    pub file: &'a str,
    /// Its label in LaTeX.
    pub label: String,
}

impl Caption {
    pub fn of(about: &About, chart: &Chart) -> Caption {
        let text = format!("{} ({}). {}", chart.caption, about.kind.mark(), chart.reading);
        Caption { text: text.trim_end().to_owned(), notes: chart.notes.clone() }
    }

    /// `FILE.caption.tex`, for `\input` in a figure: the caption, its label, and the notes in smaller type.
    pub fn tex(&self, about: &About) -> String {
        let About { kind, command, file, label, .. } = about;
        let mut text = format!(
            "% {}\n% Made by `{}`; do not edit, run it again.\n% \\includegraphics{{{file}}} and then \\input{{{file}.caption}}\n\
             \\caption{{{}}}\n\\label{{{label}}}\n",
            latex(kind.mark()),
            latex(command),
            latex(&self.text)
        );
        if !self.notes.is_empty() {
            let notes = self.notes.iter().map(|note| format!("{}\\par\n", latex(note)));
            text += &format!("{{\\footnotesize\\raggedright\n{}}}\n", notes.collect::<String>());
        }
        text
    }

    /// `FILE.caption.md`: the caption, and a paragraph for each note.
    pub fn md(&self, about: &About) -> String {
        let notes = self.notes.iter().map(|note| format!("\n{}\n", markdown(note)));
        format!("**{}:** {}\n{}", markdown(&about.name), markdown(&self.text), notes.collect::<String>())
    }
}
