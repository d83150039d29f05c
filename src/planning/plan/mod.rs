//! Builds the graph of a suite: its cells, what they need, and the tables and figures made from them.

mod cells;
mod data;
mod describe;

use self::cells::{Builder, Features};
pub use self::data::{fetches, preparation, prepare};
use crate::engine::graph::{Graph, Publication, Source};
use crate::errors;
use crate::experiments::{OutputPlan, Suite};
use crate::manifests::Manifest;
use crate::report::render;
use crate::report::results::SuiteDescription;
use crate::report::templates::Templates;
use crate::steps::render::Render;

/// Builds the graph of a suite.
///
/// # Errors
/// If a manifest or template that the suite needs is not there or malformed.
pub fn build(suite: &Suite, manifests: &[Manifest], templates: &Templates) -> anyhow::Result<Graph> {
    let mut builder =
        Builder { graph: Graph::default(), suite, ratios: suite.missing.ratios.as_slice().into(), manifests };
    let mut cells = Vec::new();
    let features: Vec<Features> =
        suite.datasets.iter().map(|dataset| builder.features(dataset)).collect::<anyhow::Result<_>>()?;
    for (at, features) in features.iter().enumerate() {
        let trained = &suite.datasets[at].methods;
        let methods = suite.methods.iter().filter(|method| trained.contains(&method.name));
        cells.extend(methods.map(|method| builder.cells(at, features, method)));
    }
    let everything = describe::suite(suite)?;
    let results = builder.collect("results", everything.clone(), None, suite.reference.clone(), &cells);
    builder.graph.publications.push(Publication { source: results, file: "results.json".into() });
    for OutputPlan { target, methods, datasets } in &suite.outputs {
        let digests = render::template_digests(target, templates)
            .map_err(|error| errors::usage(format!("{error:#}"), "templates/README.md lists the templates"))?;
        let shown = SuiteDescription {
            optimizer: describe::optimizer(suite, datasets, methods),
            selection: describe::selection(suite, datasets),
            ..everything.restricted(datasets, methods)?
        }
        .without_choices();
        // A table or figure depends on its own cells alone.
        let results = builder.collect(target.name, shown, render::quantities(target), None, &cells);
        let step = Render { target, templates: templates.clone(), digests };
        let node = builder.graph.add(step, [("results".into(), results)]);
        for format in render::formats(target) {
            let source = Source { node, output: (*format).into() };
            builder.graph.publications.push(Publication { source, file: format!("{}.{format}", target.name) });
        }
    }
    Ok(builder.graph)
}
