//! The steps that fetch archives and prepare datasets.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::datasets::{DatasetOptions, Reader};
use crate::engine::graph::{Graph, NodeId, Source};
use crate::experiments::{Counts, DatasetPlan};
use crate::manifests::{Archive, Manifest};
use crate::steps::fetch::{self, Fetch};
use crate::steps::prepare::{Prepare, archive_role};

/// The graph that fetches every archive of these manifests, and its steps.
pub fn fetches(manifests: &[Manifest]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::default();
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    let nodes = archives.map(|archive| graph.add(Fetch { archive: archive.clone() }, [])).collect();
    (graph, nodes)
}

/// How a dataset is prepared.
pub struct Preparation {
    /// The name of its samples in the suite.
    pub name: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    /// The number of samples used of each split; none for all.
    pub subset: Option<u32>,
    pub counts: Counts,
}

impl Preparation {
    /// All samples of a suite's dataset.
    pub fn of(plan: &DatasetPlan) -> Self {
        let DatasetPlan { samples, reader, options, counts, .. } = plan;
        Preparation { name: samples.clone(), reader, options: options.clone(), subset: None, counts: *counts }
    }
}

/// Adds the preparation of a dataset and the fetches that it needs.
///
/// # Errors
/// If there is no manifest of the dataset, or it does not list one of the archives.
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
    found.with_context(|| format!("there is no data-manifests/{name}.json"))
}

/// Adds the fetches of some archives of a manifest. Returns the archives by role.
pub(super) fn archives(
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

/// An output of a step, by name.
pub(super) fn output(node: NodeId, name: impl Into<String>) -> Source {
    Source { node, output: name.into() }
}
