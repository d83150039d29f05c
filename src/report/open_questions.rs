//! What the paper leaves open, and what was chosen: the table of the README, read from there so that it stands once.

use anyhow::{Context, ensure};
use serde::Serialize;

const README: &str = include_str!("../../README.md");
const HEADING: &str = "## What the paper leaves open";

/// A question that the paper does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenQuestion {
    pub question: Vec<Span>,
    /// What is done unless an experiment says otherwise.
    pub default: Vec<Span>,
    pub alternatives: Vec<Span>,
}

/// A piece of text, set as code or as prose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub text: String,
    pub code: bool,
}

/// The questions in the order of the README that this program was built with.
///
/// # Errors
/// If the README has no such table, or a row of it has not three columns.
pub fn open_questions() -> anyhow::Result<Vec<OpenQuestion>> {
    parse(README)
}

fn parse(readme: &str) -> anyhow::Result<Vec<OpenQuestion>> {
    let (_, section) = readme.split_once(HEADING).with_context(|| format!("the README has no `{HEADING}`"))?;
    let is_row = |line: &&str| line.starts_with('|');
    let rows = section.lines().skip_while(|line| !is_row(line)).take_while(is_row);
    // The first two lines are the head and the rule below it.
    let questions: Vec<OpenQuestion> = rows.skip(2).map(question).collect::<anyhow::Result<_>>()?;
    ensure!(!questions.is_empty(), "the README has no table below `{HEADING}`");
    Ok(questions)
}

fn question(row: &str) -> anyhow::Result<OpenQuestion> {
    let cells: Vec<&str> = row.trim().trim_matches('|').split(" | ").map(str::trim).collect();
    let &[question, default, alternatives] = &cells[..] else {
        anyhow::bail!(
            "a row of the README's table below `{HEADING}` should have 3 columns, found {}: {row}",
            cells.len()
        );
    };
    Ok(OpenQuestion { question: spans(question), default: spans(default), alternatives: spans(alternatives) })
}

/// Every other piece between backticks is code.
fn spans(markdown: &str) -> Vec<Span> {
    let pieces = markdown.split('`').enumerate();
    let spans = pieces.map(|(at, text)| Span { text: text.replace("\\|", "|"), code: at % 2 == 1 });
    spans.filter(|span| !span.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of the README's table is read whole.
    #[test]
    fn the_readme_answers_each_question() {
        let questions = open_questions().unwrap();
        let rows = README.split_once(HEADING).unwrap().1.lines().skip_while(|line| !line.starts_with('|'));
        assert_eq!(questions.len(), rows.take_while(|line| line.starts_with('|')).count() - 2);
        for OpenQuestion { question, default, alternatives } in &questions {
            assert!(!question.is_empty() && !default.is_empty() && !alternatives.is_empty(), "{question:?}");
        }
        let ogm = questions.iter().find(|q| q.question[0].text.contains("argument of tanh")).unwrap();
        let code = |text: &str| Span { text: text.into(), code: true };
        assert!(ogm.alternatives.contains(&code("ratio-minus-one")), "{ogm:?}");
    }

    #[test]
    fn a_table_of_another_shape_is_told() {
        let told = |text: &str| parse(text).unwrap_err().to_string();
        assert!(told("# Nothing").contains("has no `## What the paper leaves open`"));
        assert!(told(&format!("{HEADING}\n\nwords\n")).contains("no table"));
        let row = told(&format!("{HEADING}\n\n| a | b |\n|---|---|\n| a | b |\n"));
        assert!(row.contains("should have 3 columns, found 2: | a | b |"), "{row}");
    }
}
