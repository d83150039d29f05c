//! Claims, page, provenance and crate: made again from the bundle's records, and compared byte by byte.

use anyhow::Context;

use crate::engine::Engine;
use crate::engine::devices::Devices;
use crate::engine::graph::NodeId;
use crate::engine::key::Environment;
use crate::engine::reuse::Reuse;
use crate::engine::run::NodeOutcome;
use crate::experiments::Seeds;
use crate::interrupt::Interrupt;
use crate::network::Address;
use crate::planning::project::{Options, Planned, Project};
use crate::publication::drafts::Drafts;
use crate::publication::record::{Provenance, Status};
use crate::publication::{Finished, Run, claims, recheck, reports};
use crate::report;
use crate::steps::FetchPlaces;

use super::super::plan::Recorded;
use super::super::unpack::Bundle;
use super::finding::Check;
use super::own::Foreign;

/// Makes every report again, by the program and machine that the provenance names. What these are cannot be checked, only
/// that all reports agree on it.
///
/// # Errors
/// If a file cannot be read or written, or on an interrupt.
pub(super) fn reports(
    bundle: &Bundle,
    provenance: &Provenance,
    planned: Planned,
    foreign: &Foreign,
    interrupt: &Interrupt,
) -> anyhow::Result<Check> {
    let mut check = Check::new("claims, report, provenance and crate against what is made again from the records");
    if provenance.suite.mirror {
        check.unconfirmed.push("reports of a trial on a mirror's data: its manifests are not in the bundle".to_owned());
        return Ok(check);
    }
    if provenance.steps.iter().any(|step| step.status != Status::Done) {
        check
            .unconfirmed
            .push("reports of an incomplete run: why steps are not done is recorded nowhere else".to_owned());
        return Ok(check);
    }
    let made_with = report::TEMPLATES.map(|name| format!("templates/{name}"));
    let judged_by = claims::SOURCES.map(|name| format!("experiments/{name}"));
    if made_with.iter().chain(&judged_by).any(|file| foreign.has(file)) {
        check.unconfirmed.push("reports that are made with other files than this program's own".to_owned());
        return Ok(check);
    }
    // Figures are files in `out/`, and objects in a store.
    for file in &provenance.files {
        if let Some(bytes) = bundle.read(&format!("out/{}", file.file))? {
            bundle.store.put_bytes(&bytes)?;
        }
    }
    let recorded = Recorded::of(&planned.graph, bundle, provenance);
    let outcome = |id: NodeId| match recorded.action(id) {
        Some((key, action)) => NodeOutcome::Done(*key, Box::new(action.clone().with(()))),
        None => NodeOutcome::NotWanted,
    };
    let nodes: Vec<NodeOutcome> = planned.graph.ids().map(outcome).collect();
    let run = Run { project: project(bundle, provenance), engine: engine(bundle, provenance, interrupt), planned };
    let by = (&provenance.program, &provenance.machine);
    let drafts = Drafts::new(&bundle.store);
    let again = match reports::make_as(&Finished { run: &run, nodes: &nodes }, by, &drafts) {
        Ok(again) => again,
        Err(error) => {
            check.differs_here(provenance, format!("the reports cannot be made again: {error:#}"));
            return Ok(check);
        }
    };
    for name in &again {
        interrupt.check()?;
        check.examined += 1;
        let path = drafts.path(name)?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if bundle.read(&format!("out/{name}"))? != Some(bytes) {
            check.differs_here(provenance, format!("`out/{name}` differs when it is made again"));
        }
    }
    // What came of training cells again is stated, as times are: the page has to show it.
    let is_known = |file: &str| file == recheck::FILE || again.contains(&file);
    for report in provenance.reports.iter().filter(|report| !is_known(&report.file)) {
        check.differs_here(provenance, format!("`out/{}` is no report of this run", report.file));
    }
    Ok(check)
}

/// The project in the bundle, with the options of the run.
fn project(bundle: &Bundle, provenance: &Provenance) -> Project {
    let suite = &provenance.suite;
    let options = Options {
        subset: suite.subset,
        seeds: suite.seeds_asked.then(|| Seeds(suite.seeds.clone())),
        mirror: suite.mirror.then(|| Address::from("")),
        ..Options::default()
    };
    Project { root: bundle.project(), options }
}

/// An engine that reads the bundle's store, and computes nothing.
fn engine(bundle: &Bundle, provenance: &Provenance, interrupt: &Interrupt) -> Engine {
    let machine = &provenance.machine;
    let environment = Environment {
        device: machine.device.clone(),
        architecture: machine.architecture.clone(),
        libtorch: machine.libtorch.clone(),
    };
    Engine {
        store: bundle.store.clone(),
        devices: Devices::CPU,
        environment,
        threads: machine.threads,
        downloads: FetchPlaces::new(bundle.store.partial(), bundle.store.quarantine(), Vec::new()),
        remote: None,
        reuse: Reuse::Any,
        interrupt: interrupt.clone(),
    }
}
