//! `report.html` and `report.tex`.

use super::{Files, Finished, gather};
use crate::report::{html, latex};

/// The templates that the report is made of.
pub const TEMPLATES: [&str; 4] = {
    let [page, style, script] = html::TEMPLATES;
    [page, style, script, latex::TEMPLATE]
};

/// The files of the report of a run.
///
/// # Errors
/// If the results cannot be read, or a template is malformed.
pub fn files(finished: &Finished) -> anyhow::Result<Files> {
    let report = gather::gather(finished)?;
    let templates = finished.project.templates();
    Ok(vec![
        ("report.html".to_owned(), html::page(&report, &templates)?.into_bytes()),
        ("report.tex".to_owned(), latex::document(&report, &templates)?.into_bytes()),
    ])
}
