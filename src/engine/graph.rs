//! The graph of steps: the plan as data.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::steps::{Kind, Step};
use crate::store::Ingredients;

/// A step's number in its graph. Inputs have smaller numbers than what uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub node: NodeId,
    /// The name of one of its outputs.
    pub output: String,
}

/// A step and where its inputs come from.
pub struct Node {
    pub step: Step,
    /// Role → source.
    pub inputs: BTreeMap<String, Source>,
}

/// A file under `out/` that is a copy of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub source: Source,
    /// Its name in the suite's folder under `out/`.
    pub file: String,
}

/// What a step is, whatever it is called: kind, own parameters, inputs (role, node, output).
type Content = (Kind, Digest, Vec<(String, NodeId, String)>);

/// The steps of a suite, in an order in which they can run.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    by_label: BTreeMap<String, NodeId>,
    by_content: BTreeMap<Content, NodeId>,
    pub publications: Vec<Publication>,
}

impl Graph {
    /// Adds a step, or finds it: what computes the same of the same inputs is one step, and may have several labels.
    ///
    /// # Panics
    /// If an input has not been added before, or another step has the label.
    pub fn add(&mut self, step: impl Into<Step>, inputs: impl IntoIterator<Item = (String, Source)>) -> NodeId {
        let step = step.into();
        let label = step.label();
        let inputs: BTreeMap<String, Source> = inputs.into_iter().collect();
        let content = content(&step, &inputs);
        if let Some(&known) = self.by_content.get(&content) {
            let named = *self.by_label.entry(label.clone()).or_insert(known);
            assert!(named == known, "two steps are called `{label}`");
            return known;
        }
        let id = NodeId(self.nodes.len());
        assert!(inputs.values().all(|source| source.node < id), "the inputs of `{label}` come after it");
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

    pub fn find(&self, label: &str) -> Option<NodeId> {
        self.by_label.get(label).copied()
    }

    /// All labels, in the order of the steps.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|node| node.step.label())
    }

    /// How many steps there are of each kind.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        self.nodes.iter().for_each(|node| *counts.entry(node.step.kind()).or_default() += 1);
        counts
    }

    /// The steps that use an output of `id`.
    pub fn users(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ids().filter(move |&user| self.node(user).inputs.values().any(|source| source.node == id))
    }

    /// The steps that the given ones need, themselves included.
    pub fn needed_for(&self, wanted: &[NodeId]) -> Vec<NodeId> {
        let mut needed = vec![false; self.len()];
        wanted.iter().for_each(|id| needed[id.0] = true);
        for id in self.ids().rev().filter(|id| id.0 < self.len()) {
            if needed[id.0] {
                self.node(id).inputs.values().for_each(|source| needed[source.node.0] = true);
            }
        }
        self.ids().filter(|id| needed[id.0]).collect()
    }
}

fn content(step: &Step, inputs: &BTreeMap<String, Source>) -> Content {
    let mut own = Ingredients::default();
    step.ingredients(&mut own);
    let inputs = inputs.iter().map(|(role, source)| (role.clone(), source.node, source.output.clone())).collect();
    (step.kind(), own.key(), inputs)
}
