//! `claims.md` and `claims.json`: what the paper claims, judged by the results of a suite.

use std::collections::BTreeSet;

use super::{Files, Finished};
use crate::experiments::Suite;
use crate::planning::project::Project;
use crate::report::claims::{self, Claims};
use crate::report::reference::{self, Reference};
use crate::{datasets, methods};

/// What the files that claims are judged by are called, in the folder of experiments.
pub const SOURCES: [&str; 2] = [claims::grammar::FILE, reference::FILE];

/// What the project claims.
///
/// # Errors
/// A usage error if the file is malformed, or names a method or a dataset that neither this program nor a suite has.
pub fn load(project: &Project) -> anyhow::Result<Claims> {
    let experiments = project.experiments();
    let claims = Claims::load(&experiments)?;
    let mut methods: BTreeSet<String> = methods::NAMES.iter().map(|method| method.name.to_owned()).collect();
    let mut datasets: BTreeSet<String> = datasets::READERS.iter().map(|reader| reader.name.to_owned()).collect();
    // A suite that cannot be read is told of when somebody asks for it.
    for suite in Suite::names(&experiments)?.iter().filter_map(|name| Suite::load(&experiments, name).ok()) {
        methods.extend(suite.methods.into_iter().map(|method| method.name));
        datasets.extend(suite.datasets.into_iter().map(|dataset| dataset.name));
    }
    claims.check_names(&methods, &datasets)?;
    Ok(claims)
}

/// Whether the project makes claims.
pub fn are_made(project: &Project) -> bool {
    project.experiments().join(claims::grammar::FILE).is_file()
}

/// `claims.md` and `claims.json`; none for a project that states no claims, or none about this suite.
///
/// # Errors
/// If the claims, the paper's numbers or the results cannot be read.
pub fn files(finished: &Finished) -> anyhow::Result<Files> {
    let (experiments, planned) = (finished.project.experiments(), finished.planned);
    if !are_made(finished.project) {
        return Ok(Files::new());
    }
    let claims = load(finished.project)?;
    let applies = claims.mapping(&planned.suite.name, planned.suite.kind).is_ok();
    if !applies {
        return Ok(Files::new());
    }
    let judged = claims::judge(&claims, &super::outputs::results(finished)?, &Reference::load(&experiments)?)?;
    let [json, markdown] = judged.files()?;
    Ok(vec![("claims.md".to_owned(), markdown), ("claims.json".to_owned(), json)])
}
