//! Lists the data of a plan that only a person can get.

use crate::engine::Engine;
use crate::engine::graph::Graph;
use crate::engine::survey::State;
use crate::manifests::unavailable;
use crate::steps::Step;

impl Engine {
    /// The archives that are not in the store and cannot be fetched, each with what the user has to do.
    pub fn unavailable(&self, graph: &Graph) -> Vec<(String, String)> {
        let states = self.survey(graph);
        let open = graph.ids().filter(|id| !matches!(states[id.0], State::Done(..)));
        let archives = open.filter_map(|id| match &graph.node(id).step {
            Step::Fetch(fetch) => Some(&fetch.archive),
            _ => None,
        });
        archives
            .filter_map(|archive| Some((archive.name.clone(), unavailable(archive, &self.downloads.manual)?)))
            .collect()
    }
}
