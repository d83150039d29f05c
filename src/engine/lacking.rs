//! What a plan needs and only a person can get.

use super::Engine;
use super::graph::Graph;
use super::survey::State;
use crate::manifests::lacking;
use crate::steps::Kind;
use crate::steps::fetch::Fetch;

impl Engine {
    /// The archives that are neither in the store nor can be fetched as things are, each with what a person has to do.
    pub fn lacking(&self, graph: &Graph) -> Vec<(String, String)> {
        let states = self.survey(graph);
        let missing = graph
            .ids()
            .filter(|id| graph.node(*id).step.kind() == Kind::Fetch && !matches!(states[id.0], State::Done(..)));
        let archives = missing.filter_map(|id| {
            let step: &dyn std::any::Any = graph.node(id).step.as_ref();
            step.downcast_ref::<Fetch>().map(|fetch| &fetch.archive)
        });
        archives.filter_map(|archive| Some((archive.name.clone(), lacking(archive, &self.downloads.manual)?))).collect()
    }
}
