//! `seesaw verify`: unpacks a bundle into a temporary folder, checks it, and trains some of its cells again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::check::{self, Check, Verdict};
use super::plan::{self, Recorded};
use super::rerun::{self, Repetition, Rerun, There};
use super::unpack::{self, Bundle};
use crate::engine::Engine;
use crate::engine::devices::Devices;
use crate::engine::display::Style;
use crate::engine::graph::Graph;
use crate::engine::key::{self, Environment};
use crate::engine::reuse::Reuse;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::manifests::context::FetchPlaces;
use crate::manifests::mirror;
use crate::planning::project::{Options, Project, available_cores};
use crate::steps::{Execute, Kind};
use crate::store::{Output, Store};

/// What to verify.
pub struct Verification<'a> {
    pub bundle: &'a Path,
    /// The folder to work in. Everything that is written there is removed again.
    pub scratch: &'a Path,
    pub options: &'a Options,
    /// `None`: trains nothing.
    pub rerun: Option<Cells>,
    pub style: Style,
    pub interrupt: Interrupt,
}

/// The cells to train again, and with what.
pub struct Cells {
    pub count: usize,
    /// Selects the cells.
    pub seed: u64,
    pub devices: Devices,
    pub execute: Execute,
}

/// The result, for people and scripts.
#[derive(Serialize)]
pub struct Report {
    pub bundle: PathBuf,
    pub suite: String,
    pub verdict: Verdict,
    pub checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun: Option<Repetition>,
}

impl Verification<'_> {
    /// # Errors
    /// If the bundle cannot be read, or a cell cannot be trained again.
    pub fn run(&self) -> anyhow::Result<Report> {
        let scratch = tempfile::Builder::new().prefix("seesaw-verify-").tempdir_in(self.scratch);
        let scratch = scratch.with_context(|| format!("cannot write in {}", self.scratch.display()))?;
        let bundle = unpack::unpack(self.bundle, &scratch.path().join("bundle"), &self.interrupt)?;
        let checks = check::check(&bundle, &self.interrupt)?;
        let mut verdict = check::verdict(&checks);
        // There is no point in comparing with a damaged bundle.
        let cells = self.rerun.as_ref().filter(|_| verdict != Verdict::Differs);
        let rerun = cells.map(|cells| self.train(cells, &bundle, &scratch.path().join("again"))).transpose()?;
        if rerun.as_ref().is_some_and(|rerun| !rerun.is_good()) {
            verdict = Verdict::Differs;
        }
        Ok(Report { bundle: self.bundle.to_owned(), suite: bundle.manifest.suite, verdict, checks, rerun })
    }

    /// Trains cells again, in a store of their own.
    fn train(&self, cells: &Cells, bundle: &Bundle, store: &Path) -> anyhow::Result<Repetition> {
        let provenance = check::provenance(bundle)?;
        let mirror = self.options.mirror.as_ref();
        if provenance.suite.mirror && mirror.is_none() {
            return Err(errors::usage(
                "the archives of this run came from a mirror",
                "name a mirror with the same archives with --mirror, or verify without --rerun",
            ));
        }
        let engine = self.engine(cells.devices.clone(), store)?;
        let graph = plan::build(bundle, &provenance, |manifests| match mirror {
            Some(url) => mirror::overlay(manifests, url, &self.interrupt),
            None => Ok(()),
        })?
        .graph;
        let recorded = Recorded::of(&graph, bundle, &provenance);
        let done = graph.ids().filter(|id| check::is_done(&graph, *id, &provenance));
        let actions = done.filter_map(|id| Some((id, recorded.action(id)?.1.clone()))).collect();
        let has = |output: &Output| bundle.object(output.sha256) == Some(*output);
        let there = There { actions, store: &bundle.store, has: &has };
        let chosen = rerun::choose(&graph, &there, cells.count, cells.seed);
        if chosen.is_empty() {
            return Err(errors::usage(
                "no cell of this run was trained and evaluated, so none can be trained again",
                "verify without --rerun",
            ));
        }
        self.adopt_archives(&graph, &engine)?;
        Rerun::new(there, &graph, &engine, cells.execute).run(&chosen, self.style)
    }

    /// The project of the current folder, if there is one.
    fn project(&self) -> anyhow::Result<Option<Project>> {
        match (Project::find(self.options), &self.options.project) {
            (Ok(project), _) => Ok(Some(project)),
            (Err(_), None) => Ok(None),
            (Err(error), Some(_)) => Err(error),
        }
    }

    fn engine(&self, devices: Devices, store: &Path) -> anyhow::Result<Engine> {
        let store = Store::open(store)?;
        let mut manual = vec![PathBuf::from("downloads")];
        if let Some(project) = self.project()? {
            manual.extend([project.root.join("downloads"), project.root]);
        }
        let places = FetchPlaces::new(store.partial(), store.quarantine(), manual);
        let downloads = FetchPlaces { mirror: self.options.mirror.clone(), ..places };
        let threads = self.options.threads.map_or_else(available_cores, usize::from);
        let (environment, interrupt) = (Environment::here(&devices), self.interrupt.clone());
        // What is checked has to be computed here.
        let (remote, reuse) = (None, Reuse::Any);
        Ok(Engine { store, devices, environment, threads, downloads, remote, reuse, interrupt })
    }

    /// Takes archives from the project's store, so that they are not downloaded again: their hashes are verified.
    fn adopt_archives(&self, graph: &Graph, engine: &Engine) -> anyhow::Result<()> {
        let place = match self.project()? {
            Some(project) => Some(project.store_path()),
            None => self.options.named_store().cloned(),
        };
        let Some(place) = place.filter(|place| place.is_dir()) else { return Ok(()) };
        let theirs = Store::open(&place)?;
        for id in graph.ids().filter(|id| graph.node(*id).step.kind() == Kind::Fetch) {
            engine.interrupt.check()?;
            let ingredients = key::ingredients(&graph.node(id).step, &key::Inputs::new(), &engine.environment);
            engine.store.adopt(&theirs, ingredients.key())?;
        }
        Ok(())
    }
}
