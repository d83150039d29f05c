//! Where the results of a finished run came from: `provenance.json` and `ro-crate-metadata.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::drafts::{By, Drafts};
use super::record::{self, Checkout, Machine, Material, Program, Provenance, Recipes, ReportFile, SourceFile};
use super::{Finished, Run, claims, machine, recheck, ro_crate, source_digest};
use crate::digest::Digest;
use crate::engine::graph::Graph;
use crate::engine::processor::{self, answer};
use crate::engine::variables;
use crate::experiments::{DatasetPlan, Suite};
use crate::files;
use crate::manifests::{Manifest, lock};
use crate::planning::project::{BUILT_WITH_CUDA, Planned, Project};
use crate::report;
use crate::steps::{Kind, Step, fetch};

/// Reports that are written before these files, and what they are made from in `out/SUITE/`.
const COMPANIONS: [&str; 5] = ["claims.json", "claims.md", "report.html", "report.tex", recheck::FILE];

/// Both files, by name, made by this program on this machine.
///
/// # Errors
/// If a file of the project cannot be read.
pub fn write(
    finished: &Finished,
    (program, machine): By<'_>,
    drafts: &Drafts<'_>,
) -> anyhow::Result<Vec<&'static str>> {
    let Finished { run: Run { project, planned, engine }, nodes } = finished;
    let Planned { suite, manifests, graph, .. } = planned;
    let used: Vec<&Manifest> = used(manifests, graph).collect();
    let provenance = Provenance {
        schema: record::SCHEMA,
        suite: record::Suite {
            name: suite.name.clone(),
            title: suite.title.clone(),
            kind: suite.kind,
            seeds: suite.seeds.clone(),
            seeds_asked: project.options.seeds.is_some(),
            subset: suite.subset,
            mirror: project.options.mirror.is_some(),
        },
        program: program.clone(),
        machine: machine.clone(),
        sources: sources(project, suite, &used, graph)?,
        materials: used.iter().map(|manifest| material(manifest)).collect(),
        recipes: recipes(suite),
        steps: record::steps(graph, nodes, &engine.environment),
        files: record::files(graph, nodes),
        reports: COMPANIONS.into_iter().filter_map(|name| companion(&planned.out, name)).collect(),
    };
    let path = drafts.path(record::FILE)?;
    files::write_json(&path, &provenance)?;
    let written = Digest::of_file(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let crate_json = serde_json::to_string_pretty(&ro_crate::ro_crate(&provenance, written))? + "\n";
    Ok(vec![record::FILE, drafts.write(ro_crate::FILE, crate_json)?])
}

/// `None` if the file does not exist: not every suite has claims.
fn companion(out: &Path, name: &str) -> Option<ReportFile> {
    let (sha256, size) = Digest::of_file(&out.join(name)).ok()?;
    Some(ReportFile { file: name.to_owned(), sha256, size })
}

/// The manifests with an archive that the plan fetches.
pub(super) fn used<'a>(manifests: &'a [Manifest], graph: &Graph) -> impl Iterator<Item = &'a Manifest> {
    let is_fetched = |archive| graph.find(&fetch::label(archive)).is_some();
    manifests.iter().filter(move |manifest| manifest.archives.iter().any(is_fetched))
}

/// The program that makes the reports, and the project's folder.
pub fn program(finished: &Finished) -> Program {
    Program {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source_sha256: env!("SEESAW_SOURCE_SHA256").to_owned(),
        rustc: env!("SEESAW_RUSTC_VERSION").to_owned(),
        checkout: checkout(&finished.run.project.root),
    }
}

/// The commit describes the folder as it is now; the source's digest says whether the program was built from it.
fn checkout(root: &Path) -> Checkout {
    let git = |arguments: &[&str]| answer(Command::new("git").arg("-C").arg(root).args(arguments));
    // The folder may lie inside an unrelated repository, whose commit says nothing about it.
    let tracked = git(&["ls-files", "--", "experiments", "data-manifests"]).is_some_and(|files| !files.is_empty());
    let commit = tracked.then(|| git(&["rev-parse", "HEAD"])).flatten().map(|text| text.trim().to_owned());
    let changes = commit.as_ref().and_then(|_| git(&["status", "--porcelain", "--untracked-files=no", "--", "."]));
    Checkout {
        dirty: changes.map(|changes| !changes.is_empty()),
        commit,
        is_as_built: source_digest::source_digest(root).ok().map(|found| found == env!("SEESAW_SOURCE_SHA256")),
    }
}

/// This machine.
pub fn machine(finished: &Finished) -> Machine {
    let engine = &finished.run.engine;
    let environment = &engine.environment;
    let gpus = engine.devices.iter().flat_map(|device| processor::here(device).gpus).collect();
    Machine {
        system: std::env::consts::OS.to_owned(),
        architecture: environment.architecture.clone(),
        vector_instructions: processor::vector_instructions(),
        device: environment.device.clone(),
        libtorch: environment.libtorch.clone(),
        libtorch_cuda: BUILT_WITH_CUDA,
        gpus,
        threads: engine.threads,
        cores: machine::Machine::look().all_cores,
        ignored: variables::ignored(),
    }
}

/// The project's files that provenance depends on, with their digests; `None`: the file cannot be read. Parts of them
/// (comments in a suite, titles and licences in manifests) are in no step's key.
pub fn project_digests(finished: &Finished) -> Vec<(String, Option<Digest>)> {
    let Run { project, planned, .. } = finished.run;
    let used: Vec<&Manifest> = used(&planned.manifests, &planned.graph).collect();
    let digest = |file: String| {
        let found = Digest::of_file(&project.root.join(&file)).ok().map(|(digest, _)| digest);
        (file, found)
    };
    project_files(project, &planned.suite, &used).into_iter().map(digest).collect()
}

/// The project's files that a plan is made from, except templates; paths relative to the project.
fn project_files(project: &Project, suite: &Suite, used: &[&Manifest]) -> Vec<String> {
    let mut files = vec![format!("experiments/{}.toml", suite.name)];
    let judged_by = claims::SOURCES.into_iter().filter(|name| project.experiments().join(name).is_file());
    files.extend(judged_by.map(|name| format!("experiments/{name}")));
    for manifest in used {
        files.push(format!("data-manifests/{}.json", manifest.name));
        if lock::path(&project.manifests(), &manifest.name).exists() {
            files.push(format!("data-manifests/{}.lock.json", manifest.name));
        }
    }
    files
}

/// The project's files that the plan was made from. The plan read them when the run began; a file that has changed since
/// has no digest.
fn sources(project: &Project, suite: &Suite, used: &[&Manifest], graph: &Graph) -> anyhow::Result<Vec<SourceFile>> {
    let mirror = project.options.mirror.is_some();
    let asked = |found: Suite| found.on_trial(suite.subset, mirror).with_seeds(project.options.seeds.as_ref());
    let same_suite = Suite::load(&project.experiments(), &suite.name).is_ok_and(|found| asked(found) == *suite);
    // A mirror's manifests replace those of the project, whose files are listed all the same.
    let same_manifest = |manifest: &Manifest| {
        let path = project.manifests().join(format!("{}.json", manifest.name));
        mirror || Manifest::load(&path).is_ok_and(|found| unlocked(&found) == unlocked(manifest))
    };
    let changed: Vec<String> = used
        .iter()
        .filter(|manifest| !same_manifest(manifest))
        .map(|manifest| format!("data-manifests/{}.json", manifest.name))
        .chain((!same_suite).then(|| format!("experiments/{}.toml", suite.name)))
        .collect();
    let source = |file: String| {
        let path = project.root.join(&file);
        let sha256 = match changed.contains(&file) {
            false => Some(Digest::of_file(&path).with_context(|| format!("cannot read {}", path.display()))?.0),
            true => None,
        };
        Ok(SourceFile { file, sha256 })
    };
    let files = project_files(project, suite, used).into_iter().map(source).collect::<anyhow::Result<Vec<_>>>()?;
    let mut templates = templates(graph);
    for name in report::TEMPLATES {
        templates.insert(name.to_owned(), Digest::of(project.templates().read(name)?.as_bytes()));
    }
    let templates = templates.into_iter();
    let templates =
        templates.map(|(name, sha256)| SourceFile { file: format!("templates/{name}"), sha256: Some(sha256) });
    Ok(files.into_iter().chain(templates).collect())
}

/// Without the content of the lock file, which this very run may have written.
fn unlocked(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    manifest.archives.iter_mut().for_each(|archive| archive.locked = None);
    manifest
}

/// The templates of all tables, as they were when the plan was made.
fn templates(graph: &Graph) -> BTreeMap<String, Digest> {
    let render = |id| match &graph.node(id).step {
        Step::Render(render) => Some(render),
        _ => None,
    };
    graph.ids().filter_map(render).flat_map(|render| render.digests.iter().cloned()).collect()
}

fn material(manifest: &Manifest) -> Material {
    Material {
        name: manifest.name.clone(),
        title: manifest.title.clone(),
        licence: manifest.licence.id.clone(),
        note: manifest.licence.note.clone(),
        url: manifest.licence.url.clone().or_else(|| manifest.homepage.clone()),
        citation: manifest.citation.clone(),
    }
}

fn recipes(suite: &Suite) -> Recipes {
    let encoders = |DatasetPlan { image, text, .. }: &DatasetPlan| {
        [(image.name.clone(), image.recipe()), (text.name.clone(), text.recipe())]
    };
    let methods = suite.methods.iter().flat_map(|method| &method.candidates);
    Recipes {
        steps: Kind::ALL.map(|kind| (kind.name().to_owned(), kind.recipe())).into(),
        datasets: suite.datasets.iter().map(|plan| (plan.reader.name.to_owned(), plan.reader.recipe)).collect(),
        encoders: suite.datasets.iter().flat_map(encoders).collect(),
        methods: methods.map(|options| (options.name().to_owned(), options.recipe())).collect(),
        report: report::RECIPE,
    }
}
