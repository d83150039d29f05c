//! Turns the scores of many cells into results, tables, figures and the report. Knows nothing of training.
//!
//! [`results`] collects scores, and the [`summary`] of each training's `trace`, into [`results::Results`]: the
//! content of `results.json`, and all that tables and figures see. [`table`] lays out tables, [`render`] writes them
//! with templates, and [`figure`] draws figures; [`target`] lists them. [`mod@reference`] holds the paper's own numbers,
//! which [`audit`] checks and [`agreement`] compares with ours. [`protocol`] says how much the selection of the epoch moves
//! each number, and [`choices`] lists all that was tried. [`html`] makes the page with all of it.

pub mod agreement;
pub mod audit;
pub mod choices;
pub mod claims;
pub mod comparison;
pub mod diff;
pub mod escape;
pub mod figure;
pub mod html;
pub mod latex;
pub mod open_questions;
pub mod protocol;
pub mod quantity;
pub mod reference;
pub mod render;
pub mod replicates;
pub mod results;
#[cfg(test)]
pub(crate) mod samples;
pub mod summary;
pub mod table;
pub mod target;
pub mod templates;
pub(crate) mod trace;
pub mod words;

use serde::{Deserialize, Serialize};

/// The value of a key in a list in the order of first appearance; a new one if the key is new.
pub fn value_of<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let at = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, V::default()));
        list.len() - 1
    });
    &mut list[at].1
}

/// The version of how results are collected, laid out and drawn. It is part of the keys of collecting and rendering.
pub const RECIPE: u64 = 12;

/// The templates that `report.html` and `report.tex` are made of.
pub const TEMPLATES: [&str; 4] = {
    let [page, style, script] = html::TEMPLATES;
    [page, style, script, latex::TEMPLATE]
};

/// Which kind of results a suite gives. One kind can never be rendered as another: captions contain the mark, and
/// figures of what is no result of the paper, whatever the template, and the output of a template has to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteKind {
    /// A small run that shows that everything works.
    Smoke,
    /// A reproduction of the paper.
    Paper,
    /// Any suite on a part of its data, or on data and weights from a mirror.
    Trial,
}

impl SuiteKind {
    /// The words in every table and figure that say so.
    pub fn mark(self) -> &'static str {
        match self {
            SuiteKind::Smoke => "smoke run, not a result of the paper",
            SuiteKind::Paper => "reproduction",
            SuiteKind::Trial => "trial run, not a result of the paper",
        }
    }

    /// What stands inside a figure, so that the picture alone says what it is not. A reproduction needs no stamp.
    pub fn stamp(self) -> Option<&'static str> {
        match self {
            SuiteKind::Smoke | SuiteKind::Trial => Some(self.mark()),
            SuiteKind::Paper => None,
        }
    }
}
