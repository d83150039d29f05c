//! The plan of a bundle's suite, made again from the files that it carries.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::key::{self, Inputs};
use crate::experiments::{Seeds, Suite};
use crate::manifests::{self, Manifest};
use crate::planning::plan;
use crate::publication::record::{Environment, Provenance, Status};
use crate::report::templates::Templates;
use crate::steps::Absence;
use crate::store::{Action, Ingredients, Value};

use super::unpack::Bundle;

/// Makes the plan. `overlay` changes the manifests as a mirror does.
///
/// # Errors
/// If a file of the project is missing in the bundle or malformed.
pub fn build(
    bundle: &Bundle,
    provenance: &Provenance,
    overlay: impl FnOnce(&mut Vec<Manifest>) -> anyhow::Result<()>,
) -> anyhow::Result<Graph> {
    let project = bundle.project();
    let suite = Suite::load(&project.join("experiments"), &provenance.suite.name)?;
    let suite = suite.on_trial(provenance.suite.subset, provenance.suite.mirror);
    let asked = provenance.suite.seeds_asked.then(|| Seeds(provenance.suite.seeds.clone()));
    let suite = suite.with_seeds(asked.as_ref());
    let mut manifests = manifests::load_all(&project.join("data-manifests"))?;
    overlay(&mut manifests)?;
    plan::build(&suite, &manifests, &Templates(vec![project.join("templates")]))
}

/// What the bundle knows of the steps of its plan.
pub struct Recorded<'a> {
    pub graph: &'a Graph,
    by_node: BTreeMap<NodeId, (Digest, Action)>,
}

impl<'a> Recorded<'a> {
    /// Finds the records of the steps that were done, by the keys that the provenance states.
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

    /// The inputs that a step was done with: digests from the records of the steps before it, and the causes of those
    /// that are absent from its own. None: a record before it is missing.
    pub fn inputs(&self, id: NodeId) -> Option<Inputs> {
        let (_, action) = self.action(id)?;
        let input = |(role, source): (&String, &crate::engine::graph::Source)| {
            if let Some(absence) = absence(&action.ingredients, role) {
                return Some((role.clone(), Err(absence)));
            }
            let output = self.action(source.node)?.1.outputs.get(&source.output)?;
            Some((role.clone(), Ok(output.sha256)))
        };
        self.graph.node(id).inputs.iter().map(input).collect()
    }

    /// What the key of a step is made of by this plan, on the machine that it was done on.
    pub fn ingredients(&self, id: NodeId, inputs: &Inputs) -> Option<Ingredients> {
        let (_, action) = self.action(id)?;
        let here = Environment::of(&action.ingredients).unwrap_or(Environment {
            device: String::new(),
            architecture: String::new(),
            libtorch: String::new(),
        });
        let Environment { device, architecture, libtorch } = here;
        let environment = key::Environment { device, architecture, libtorch };
        Some(key::ingredients(&self.graph.node(id).step, inputs, &environment))
    }
}

/// Why an input was absent, as the key of the step that did without it tells.
pub fn absence(ingredients: &Ingredients, role: &str) -> Option<Absence> {
    let name = key::absent_input(role);
    match &ingredients.0.iter().find(|ingredient| ingredient.name == name)?.value {
        Value::Text(json) => serde_json::from_str(json).ok(),
        _ => None,
    }
}
