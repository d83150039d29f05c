//! What the paper leaves open, and what Seesaw does instead: `open_questions.toml`. The table in docs/method.md and the
//! list in the report are made from it, and `experiments/schema.json` is compared with it.

use std::fmt;

use anyhow::Context;
use serde::{Deserialize, Deserializer, Serialize};

const FILE: &str = include_str!("open_questions.toml");

/// A question that the paper does not answer. The head of `open_questions.toml` describes the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenQuestion {
    pub id: String,
    pub area: String,
    #[serde(deserialize_with = "spans")]
    pub question: Vec<Span>,
    #[serde(deserialize_with = "spans")]
    pub default: Vec<Span>,
    #[serde(deserialize_with = "spans")]
    pub alternatives: Vec<Span>,
    #[serde(default)]
    pub options: Vec<String>,
}

/// A piece of text, set as code or as prose. It displays as Markdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub text: String,
    pub code: bool,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code { write!(f, "`{}`", self.text) } else { f.write_str(&self.text) }
    }
}

/// All questions, in the order of the file.
///
/// # Errors
/// If the file that the program was built with does not have the expected fields.
pub fn open_questions() -> anyhow::Result<Vec<OpenQuestion>> {
    #[derive(Deserialize)]
    struct File {
        question: Vec<OpenQuestion>,
    }
    let file: File = toml::from_str(FILE).context("src/report/open_questions.toml is invalid")?;
    Ok(file.question)
}

/// Every other piece between backticks is code.
fn spans<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Span>, D::Error> {
    let markdown = String::deserialize(deserializer)?;
    let pieces = markdown.split('`').enumerate().filter(|(_, text)| !text.is_empty());
    Ok(pieces.map(|(at, text)| Span { text: text.to_owned(), code: at % 2 == 1 }).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The file is complete, and its Markdown survives a round trip.
    #[test]
    fn every_question_has_an_answer() {
        let questions = open_questions().unwrap();
        let ids: BTreeSet<&str> = questions.iter().map(|question| question.id.as_str()).collect();
        assert_eq!(ids.len(), questions.len(), "an id occurs twice");
        for OpenQuestion { id, area, question, default, alternatives, .. } in &questions {
            assert!(!area.is_empty(), "{id}");
            assert!([question, default, alternatives].iter().all(|spans| !spans.is_empty()), "{id}");
        }
        let argument = questions.iter().find(|question| question.id == "ogm-ge-argument").unwrap();
        let code = |text: &str| Span { text: text.into(), code: true };
        assert!(argument.alternatives.contains(&code("ratio-minus-one")), "{argument:?}");
        let markdown: String = argument.alternatives.iter().map(Span::to_string).collect();
        assert_eq!(markdown, "ρ − 1 (`ratio-minus-one`)");
    }
}
