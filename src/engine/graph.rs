//! The graph of steps: the plan as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::map::{Map, Names};
use crate::steps::Step;
use crate::store::Ingredients;

/// The index of a step in its graph. A step comes after all steps that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// The output of a step, as an input of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub node: NodeId,
    /// The name of the output.
    pub output: Arc<str>,
}

/// The inputs of a step: role → source.
pub type Inputs = Map<Source, Arc<str>>;

/// A step and its inputs.
pub struct Node {
    pub step: Step,
    pub inputs: Inputs,
}

/// A file under `out/` that is a copy of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub source: Source,
    /// Its name in the suite's folder under `out/`.
    pub file: String,
}

/// The steps of a suite, in an order in which they can run.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    by_label: BTreeMap<String, NodeId>,
    /// By what a step computes, whatever its label.
    by_content: BTreeMap<Digest, NodeId>,
    /// Roles and outputs.
    names: Names,
    pub publications: Vec<Publication>,
}

impl Graph {
    /// Adds a step, or finds it: steps that compute the same from the same inputs become one step with several labels.
    ///
    /// # Panics
    /// If an input is not in the graph yet, or another step has the label.
    pub fn add(&mut self, step: impl Into<Step>, inputs: impl IntoIterator<Item = (Arc<str>, Source)>) -> NodeId {
        let step = step.into();
        let label = step.label();
        let names = &mut self.names;
        let once = |(role, Source { node, output })| (names.one(role), Source { node, output: names.one(output) });
        let inputs: Inputs = inputs.into_iter().map(once).collect();
        let content = content(&step, &inputs);
        if let Some(&known) = self.by_content.get(&content) {
            let named = *self.by_label.entry(label.clone()).or_insert(known);
            assert!(named == known, "two steps are called `{label}`");
            return known;
        }
        let id = NodeId(self.nodes.len());
        assert!(inputs.values().all(|source| source.node < id), "an input of `{label}` is not in the graph yet");
        assert!(!self.by_label.contains_key(&label), "two steps are called `{label}`");
        self.by_content.insert(content, id);
        self.nodes.push(Node { step, inputs });
        self.by_label.insert(label, id);
        id
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The step with this label.
    pub fn find(&self, label: &str) -> Option<NodeId> {
        self.by_label.get(label).copied()
    }

    /// All labels, in the order of the steps.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|node| node.step.label())
    }

    /// The steps that use an output of this one.
    pub fn users(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ids().filter(move |&user| self.node(user).inputs.values().any(|source| source.node == id))
    }

    /// The steps in groups that need only steps of groups before.
    pub(super) fn levels(&self) -> Vec<Vec<NodeId>> {
        let mut level = vec![0; self.len()];
        let mut levels: Vec<Vec<NodeId>> = Vec::new();
        for id in self.ids() {
            let inputs = self.node(id).inputs.values();
            level[id.0] = inputs.map(|source| level[source.node.0] + 1).max().unwrap_or(0);
            if levels.len() == level[id.0] {
                levels.push(Vec::new());
            }
            levels[level[id.0]].push(id);
        }
        levels
    }

    /// These steps and all that they need, in the order of the graph.
    pub fn needed_for(&self, wanted: &[NodeId]) -> Vec<NodeId> {
        let mut needed = vec![false; self.len()];
        wanted.iter().for_each(|id| needed[id.0] = true);
        for id in self.ids().rev() {
            if needed[id.0] {
                self.node(id).inputs.values().for_each(|source| needed[source.node.0] = true);
            }
        }
        self.ids().filter(|id| needed[id.0]).collect()
    }
}

/// What a step computes, whatever its label: its kind, its parameters, and its inputs (role, node, output). A graph of tens of
/// thousands of steps keeps the digest alone.
fn content(step: &Step, inputs: &Inputs) -> Digest {
    let mut own = Ingredients::default();
    step.ingredients(&mut own);
    let mut text = format!("{} {}", step.kind().name(), own.key());
    for (role, Source { node, output }) in inputs {
        // Each part with its length: two lists never give the same text.
        text += &format!(" {} {} {} {role} {output}", node.0, role.len(), output.len());
    }
    Digest::of(text.as_bytes())
}
