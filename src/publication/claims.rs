//! `claims.md` and `claims.json`: the paper's claims, judged by the results of a suite.

use std::collections::BTreeSet;

use super::drafts::Drafts;
use super::{Finished, outputs};
use crate::experiments::Suite;
use crate::planning::project::Project;
use crate::report::audit::{self, Audit};
use crate::report::claims::{self, Claims, Judgements};
use crate::report::reference::{self, Reference};
use crate::{datasets, methods};

/// The files in `experiments/` that verdicts depend on.
pub const SOURCES: [&str; 2] = [claims::grammar::FILE, reference::FILE];

/// The claims that the project states.
///
/// # Errors
/// A usage error if the file is malformed, or names a method or dataset that neither this program nor a suite knows.
pub fn load(project: &Project) -> anyhow::Result<Claims> {
    let experiments = project.experiments();
    let claims = Claims::load(&experiments)?;
    let mut methods: BTreeSet<String> = methods::NAMES.iter().map(|method| method.name.to_owned()).collect();
    let mut datasets: BTreeSet<String> = datasets::READERS.iter().map(|reader| reader.name.to_owned()).collect();
    // Commands that use a malformed suite report it.
    for suite in Suite::names(&experiments)?.iter().filter_map(|name| Suite::load(&experiments, name).ok()) {
        methods.extend(suite.methods.into_iter().map(|method| method.name));
        datasets.extend(suite.datasets.into_iter().map(|dataset| dataset.name));
    }
    claims.check_names(&methods, &datasets)?;
    Ok(claims)
}

/// Whether the project has a file of claims.
pub fn exist(project: &Project) -> bool {
    project.experiments().join(claims::grammar::FILE).is_file()
}

/// Judges the claims by the results of a suite.
///
/// # Errors
/// A usage error if no claims apply to the suite or it has no results yet; if the claims or the paper's numbers cannot
/// be read.
pub fn judge(finished: &Finished) -> anyhow::Result<Judgements> {
    let (suite, experiments) = (&finished.run.planned.suite, finished.run.project.experiments());
    let claims = Claims::load(&experiments)?;
    claims.mapping(&suite.name, suite.kind)?;
    let reference = Reference::load(&experiments)?;
    claims::judge(&claims, &outputs::results(finished)?, &reference)
}

/// As [`judge`]; `None` if the project states no claims, or none about this suite.
///
/// # Errors
/// As [`judge`].
pub fn judge_if_any(finished: &Finished) -> anyhow::Result<Option<Judgements>> {
    let suite = &finished.run.planned.suite;
    let project = &finished.run.project;
    let apply = exist(project) && Claims::load(&project.experiments())?.mapping(&suite.name, suite.kind).is_ok();
    apply.then(|| judge(finished)).transpose()
}

/// `claims.md` and `claims.json`; no files if no claims apply.
///
/// # Errors
/// As [`judge`].
pub fn write(finished: &Finished, drafts: &Drafts<'_>) -> anyhow::Result<Vec<&'static str>> {
    let Some(judged) = judge_if_any(finished)? else { return Ok(Vec::new()) };
    let [json, markdown] = judged.files()?;
    Ok(vec![drafts.write("claims.md", markdown)?, drafts.write("claims.json", json)?])
}

/// Checks the paper's own arithmetic.
///
/// # Errors
/// If the paper's numbers cannot be read.
pub fn audit(project: &Project) -> anyhow::Result<Audit> {
    Ok(audit::audit(&Reference::load(&project.experiments())?))
}
