//! Builds the graph of a suite: its cells, what they need, and what is made of them.

mod cells;
mod describe;

use std::collections::BTreeMap;

use anyhow::Context;

use self::cells::{Builder, Features, MethodScores};
use crate::datasets::{DatasetOptions, Reader};
use crate::engine::graph::{Graph, NodeId, Publication, Source};
use crate::errors;
use crate::experiments::{Counts, DatasetPlan, OutputPlan, Suite};
use crate::manifests::{Archive, Manifest};
use crate::report::render;
use crate::report::results::SuiteDescription;
use crate::report::templates::Templates;
use crate::steps::collect;
use crate::steps::fetch::{self, Fetch};
use crate::steps::prepare::{Prepare, archive_role};
use crate::steps::render::Render;

/// Builds the graph of a suite.
///
/// # Errors
/// If a manifest or a template that the suite needs is missing or malformed.
pub fn build(suite: &Suite, manifests: &[Manifest], templates: &Templates) -> anyhow::Result<Graph> {
    let mut builder = Builder { graph: Graph::default(), suite, manifests };
    let mut scores = Vec::new();
    let features: Vec<Features> =
        suite.datasets.iter().map(|dataset| builder.features(dataset)).collect::<anyhow::Result<_>>()?;
    for (at, features) in features.iter().enumerate() {
        let trained = &suite.datasets[at].methods;
        for method in suite.methods.iter().filter(|method| trained.contains(&method.name)) {
            let (dataset, name) = (suite.datasets[at].name.clone(), method.name.clone());
            let mut predictions = Vec::new();
            let mut inputs = Vec::new();
            for &seed in &suite.seeds {
                let cell = builder.cell(at, features, method, seed);
                inputs.extend(cell.scores);
                predictions.extend(cell.predictions);
            }
            inputs
                .push((collect::replicates_role(&dataset, &name), builder.resample(at, features, &name, predictions)));
            scores.push(MethodScores { dataset, method: name, inputs });
        }
    }
    let everything = describe::suite(suite)?;
    let results = builder.collect("results", everything.clone(), None, &scores);
    builder.graph.publications.push(Publication { source: results, file: "results.json".into() });
    for OutputPlan { target, methods, datasets } in &suite.outputs {
        let digests = render::template_digests(target, templates)
            .map_err(|error| errors::usage(format!("{error:#}"), "templates/README.md says which there should be"))?;
        let shown = SuiteDescription {
            optimizer: describe::optimizer(suite, datasets, methods),
            selection: describe::selection(suite, datasets),
            ..everything.restricted(datasets, methods)?
        };
        // A table needs its own cells alone.
        let results = builder.collect(target.name, shown, render::quantities(target), &scores);
        let step = Render { target, templates: templates.clone(), digests };
        let node = builder.graph.add(step, [("results".to_owned(), results)]);
        for format in render::formats(target) {
            let source = Source { node, output: (*format).to_owned() };
            builder.graph.publications.push(Publication { source, file: format!("{}.{format}", target.name) });
        }
    }
    Ok(builder.graph)
}

/// Adds the fetch of every archive that datasets and encoders of these manifests need; for `seesaw fetch`.
pub fn fetches(manifests: &[Manifest]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::default();
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    let nodes = archives.map(|archive| graph.add(Fetch { archive: archive.clone() }, [])).collect();
    (graph, nodes)
}

/// How a dataset is prepared.
pub struct Preparation {
    /// What its samples are called.
    pub name: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    /// So many samples of each split; none: all.
    pub subset: Option<u32>,
    pub counts: Counts,
}

impl Preparation {
    /// All of it, as a suite has it.
    pub fn of(plan: &DatasetPlan) -> Self {
        let DatasetPlan { samples, reader, options, counts, .. } = plan;
        Preparation { name: samples.clone(), reader, options: options.clone(), subset: None, counts: *counts }
    }
}

/// Adds the preparation of a dataset, and the fetches that it needs.
///
/// # Errors
/// If its manifest is missing, or does not list an archive.
pub fn prepare(graph: &mut Graph, manifests: &[Manifest], preparation: &Preparation) -> anyhow::Result<NodeId> {
    let Preparation { name, reader, options, subset, counts } = preparation;
    let needed = reader.needs(options);
    let archives = archives(graph, manifests, reader.manifest, &needed)?;
    let is_open = |archive: &Archive| archive.needs_lock() && needed.contains(&archive.name.as_str());
    let open = manifest(manifests, reader.manifest)?.archives.iter().any(is_open).then(|| reader.manifest.to_owned());
    let counts = match counts {
        Counts::Exact => manifest(manifests, reader.manifest)?.counts.get(reader.name).cloned().unwrap_or_default(),
        Counts::Report => BTreeMap::new(),
    };
    let step = Prepare { name: name.clone(), reader, options: options.clone(), subset: *subset, counts, open };
    Ok(graph.add(step, archives))
}

fn manifest<'a>(manifests: &'a [Manifest], name: &str) -> anyhow::Result<&'a Manifest> {
    let found = manifests.iter().find(|manifest| manifest.name == name);
    found.with_context(|| format!("data-manifests/{name}.json is missing"))
}

/// The fetch steps of some archives of a manifest, by role.
fn archives(
    graph: &mut Graph,
    manifests: &[Manifest],
    of: &str,
    names: &[&str],
) -> anyhow::Result<Vec<(String, Source)>> {
    let mut inputs = Vec::new();
    for name in names {
        let archive = manifest(manifests, of)?.archive(name)?.clone();
        let node = graph.add(Fetch { archive }, []);
        inputs.push((archive_role(name), output(node, fetch::ARCHIVE)));
    }
    Ok(inputs)
}

fn output(node: NodeId, name: impl Into<String>) -> Source {
    Source { node, output: name.into() }
}
