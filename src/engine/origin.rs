//! The processors behind a result: what computed the steps on tensors that it was made from.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, NodeId};
use crate::store::{Action, Processor};

/// The kinds of processors behind each input of a step, by the step that made it, if there are several kinds; empty if one kind
/// computed everything. Records that do not name theirs count for nothing. `known` gives the record of a step, if it has one.
pub fn processors<'a, I: 'a>(
    graph: &Graph,
    id: NodeId,
    known: impl Fn(NodeId) -> Option<&'a Action<I>>,
) -> BTreeMap<NodeId, BTreeSet<Processor>> {
    let needed = graph.needed_for(&[id]);
    let of = |id: &NodeId| known(*id).and_then(|action| action.computed_by.as_ref());
    // One look at each step, since nearly always there is one kind.
    let mut kinds = needed.iter().filter_map(of);
    let first = kinds.next();
    if kinds.all(|kind| Some(kind) == first) {
        return BTreeMap::new();
    }
    let mut behind: BTreeMap<NodeId, BTreeSet<&Processor>> = BTreeMap::new();
    for id in &needed {
        let before = graph.node(*id).inputs.values().filter_map(|source| behind.get(&source.node)).flatten().copied();
        let all = before.chain(of(id)).collect();
        behind.insert(*id, all);
    }
    let inputs = graph.node(id).inputs.values().map(|source| source.node);
    inputs.map(|from| (from, behind[&from].iter().map(|kind| (*kind).clone()).collect())).collect()
}
