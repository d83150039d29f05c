//! Reports: from the scores of many cells to results, tables and figures. Knows nothing of training.
//!
//! [`results`] collects scores into [`results::Results`], the one thing that tables and figures see and that
//! `results.json` holds, with what [`summary`] makes of a training's [`trace`]; [`table`] lays tables out and [`render`]
//! writes them by templates; [`figure`] draws. [`target`] lists what can be rendered. [`reference`] holds the paper's own
//! numbers, which [`audit`] checks. [`html`] is the report: one page with all of it.

pub mod audit;
pub mod claims;
pub mod comparison;
pub mod escape;
pub mod figure;
pub mod html;
pub mod latex;
pub mod open_questions;
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

/// The version of how results are collected, laid out and drawn: part of the keys of collecting and rendering.
pub const RECIPE: u64 = 8;

/// What results may be called. Results of one kind can never be rendered as the other's: the mark is put into tables and
/// figures here, not by templates, and looked for in what a template made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuiteKind {
    /// A small run that shows that everything works.
    Smoke,
    /// A reproduction of the paper.
    Paper,
    /// Any suite on part of its data, or on data and weights that a mirror vouches for.
    Trial,
}

impl SuiteKind {
    /// What stands in every table and figure.
    pub fn mark(self) -> &'static str {
        match self {
            SuiteKind::Smoke => "smoke run, not a result of the paper",
            SuiteKind::Paper => "reproduction",
            SuiteKind::Trial => "trial run, not a result of the paper",
        }
    }
}
