//! The steps that fetch archives and prepare datasets.

use std::sync::Arc;

use anyhow::Context;

use crate::engine::graph::{Graph, NodeId, Source};
use crate::experiments::{Counts, DatasetPlan};
use crate::manifests::{Archive, Manifest};
use crate::steps::fetch::{self, Fetch};
use crate::steps::prepare::{Prepare, archive_role};

/// The graph that fetches every archive of these manifests, and its steps.
pub fn fetches(manifests: &[Manifest]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::default();
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    let nodes = archives.map(|archive| graph.add(Fetch { archive: archive.clone().into() }, [])).collect();
    (graph, nodes)
}

/// The preparation of a suite's dataset, and what it does with unexpected counts: arguments of [`prepare`].
pub fn preparation(plan: &DatasetPlan, subset: Option<u32>) -> (Prepare, Counts) {
    (Prepare::new(&plan.samples, plan.reader, plan.options.clone(), subset), plan.counts)
}

/// Adds the preparation of a dataset, with what its manifest says, and the fetches that it needs.
///
/// # Errors
/// If there is no manifest of the dataset, or it does not list one of the archives.
pub fn prepare(
    graph: &mut Graph,
    manifests: &[Manifest],
    (mut step, counts): (Prepare, Counts),
) -> anyhow::Result<NodeId> {
    let reader = step.reader;
    let needed = reader.needs(&step.options);
    let archives = archives(graph, manifests, reader.manifest, &needed)?;
    let manifest = manifest(manifests, reader.manifest)?;
    let is_open = |archive: &Archive| archive.needs_lock() && needed.contains(&archive.name.as_str());
    step.open = manifest.archives.iter().any(is_open).then(|| reader.manifest.to_owned());
    if counts == Counts::Exact {
        step.counts = manifest.counts.get(reader.name).cloned().unwrap_or_default();
    }
    Ok(graph.add(step, archives))
}

fn manifest<'a>(manifests: &'a [Manifest], name: &str) -> anyhow::Result<&'a Manifest> {
    let found = manifests.iter().find(|manifest| manifest.name == name);
    found.with_context(|| format!("there is no data-manifests/{name}.json"))
}

/// Adds the fetches of some archives of a manifest. Returns the archives by role.
pub(super) fn archives(
    graph: &mut Graph,
    manifests: &[Manifest],
    of: &str,
    names: &[&str],
) -> anyhow::Result<Vec<(Arc<str>, Source)>> {
    let mut inputs = Vec::new();
    for name in names {
        let archive = manifest(manifests, of)?.archive(name)?.clone().into();
        let node = graph.add(Fetch { archive }, []);
        inputs.push((archive_role(name).into(), output(node, fetch::ARCHIVE)));
    }
    Ok(inputs)
}

/// An output of a step, by name.
pub(super) fn output(node: NodeId, name: impl Into<Arc<str>>) -> Source {
    Source { node, output: name.into() }
}
