//! The plan of a bundle's suite, made from the files in the bundle.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::engine::graph::{Graph, NodeId, Source};
use crate::engine::key::{self, Environment, Input, Inputs};
use crate::engine::origin;
use crate::experiments::{Seeds, Suite};
use crate::manifests::{self, Manifest};
use crate::planning::plan;
use crate::planning::project::Planned;
use crate::publication::record::{Provenance, Status};
use crate::report::templates::Templates;
use crate::steps::Absence;
use crate::store::{Action, Ingredients, Value};

use super::unpack::Bundle;

/// Makes the plan; `overlay` changes the manifests as a mirror does.
///
/// # Errors
/// If a file of the project is malformed or not in the bundle.
pub fn build(
    bundle: &Bundle,
    provenance: &Provenance,
    overlay: impl FnOnce(&mut Vec<Manifest>) -> anyhow::Result<()>,
) -> anyhow::Result<Planned> {
    let project = bundle.project();
    let suite = Suite::load(&project.join("experiments"), &provenance.suite.name)?;
    let suite = suite.on_trial(provenance.suite.subset, provenance.suite.mirror);
    let asked = provenance.suite.seeds_asked.then(|| Seeds(provenance.suite.seeds.clone()));
    let suite = suite.with_seeds(asked.as_ref());
    let mut manifests = manifests::load_all(&project.join("data-manifests"))?;
    overlay(&mut manifests)?;
    let graph = plan::build(&suite, &manifests, &Templates(vec![project.join("templates")]))?;
    Ok(Planned { suite, manifests, graph, out: bundle.folder.join("out") })
}

/// The bundle's records of the steps of its plan.
pub struct Recorded<'a> {
    pub graph: &'a Graph,
    by_node: BTreeMap<NodeId, (Digest, Action)>,
}

impl<'a> Recorded<'a> {
    /// Finds the records of finished steps, by the keys in the provenance.
    pub fn of(graph: &'a Graph, bundle: &Bundle, provenance: &Provenance) -> Self {
        let mut by_node = BTreeMap::new();
        for step in provenance.steps.iter().filter(|step| step.status == Status::Done) {
            let Some((id, key)) = graph.find(&step.step).zip(step.key) else { continue };
            if let Some(action) = bundle.store.action(key) {
                by_node.insert(id, (key, action));
            }
        }
        Recorded { graph, by_node }
    }

    pub fn action(&self, id: NodeId) -> Option<&(Digest, Action)> {
        self.by_node.get(&id)
    }

    /// The inputs that a step was computed with: digests come from the records of the steps before it, causes of absent
    /// inputs from its own. `None`: one of these records is not in the bundle.
    pub fn inputs(&self, id: NodeId) -> Option<Inputs> {
        let (_, action) = self.action(id)?;
        let processors = match self.graph.node(id).step.kind().names_processors() {
            true => origin::processors(self.graph, id, |from| Some(&self.action(from)?.1)),
            false => BTreeMap::new(),
        };
        let input = |(role, source): (&Arc<str>, &Source)| {
            if let Some(absence) = absence(&action.ingredients, role) {
                return Some((role.clone(), Err(absence)));
            }
            let output = self.action(source.node)?.1.outputs.get(&*source.output)?;
            let processors = processors.get(&source.node).cloned().unwrap_or_default();
            Some((role.clone(), Ok(Input { sha256: output.sha256, processors })))
        };
        self.graph.node(id).inputs.iter().map(input).collect()
    }

    /// The ingredients of a step's key by this plan, on the machine that computed it.
    pub fn ingredients(&self, id: NodeId, inputs: &Inputs) -> Option<Ingredients> {
        let (_, action) = self.action(id)?;
        let environment = Environment::of(&action.ingredients).unwrap_or_default();
        Some(key::ingredients(&self.graph.node(id).step, inputs, &environment))
    }
}

/// Why an input was absent, according to the key of the step that went on without it.
pub fn absence(ingredients: &Ingredients, role: &str) -> Option<Absence> {
    let name = key::absent_input(role);
    match &ingredients.0.iter().find(|ingredient| ingredient.name == name)?.value {
        Value::Text(json) => serde_json::from_str(json).ok(),
        _ => None,
    }
}
