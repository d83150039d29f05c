//! `seesaw claims SUITE`, and the files that a run writes of them.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::finish::{Files, Finished};
use super::{Global, Project, report};
use crate::experiments::Suite;
use crate::interrupt::Interrupt;
use crate::report::claims::{self, Claims};
use crate::report::reference::{self, Reference};
use crate::{datasets, methods};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The suite: the name of a file in `experiments/`, without `.toml`
    suite: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What the files that claims are judged by are called, in the folder of experiments.
pub const SOURCES: [&str; 2] = [claims::grammar::FILE, reference::FILE];

/// Prints the verdicts on the paper's claims. Whatever they are, they are no failure.
///
/// # Errors
/// A usage error if the suite has no results yet, or if no claims are made about it.
pub fn run(global: &Global, args: &Args, device: tch::Device) -> anyhow::Result<ExitCode> {
    let project = Project::find(global)?;
    let claims = load(&project)?;
    let interrupt = Interrupt::default();
    let planned = project.planned(global, &args.suite, &interrupt)?;
    claims.mapping(&planned.suite.name, planned.suite.kind)?;
    let engine = project.engine(global, device, interrupt)?;
    let nodes = report::outcomes(&engine, &planned);
    let finished = Finished { project: &project, global, planned: &planned, engine: &engine, nodes: &nodes };
    let results = report::results(&finished)?;
    let judged = claims::judge(&claims, &results, &Reference::load(&project.experiments())?)?;
    match args.json {
        true => super::print_json(&judged)?,
        false => super::print(&judged.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

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
    let judged = claims::judge(&claims, &report::results(finished)?, &Reference::load(&experiments)?)?;
    let [json, markdown] = judged.files()?;
    Ok(vec![("claims.md".to_owned(), markdown), ("claims.json".to_owned(), json)])
}
