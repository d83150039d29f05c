//! Builds the graph of a suite: its cells, what they need, and what is made of them.

use std::collections::BTreeMap;

use anyhow::Context;

use super::graph::{Graph, NodeId, Publication, Source};
use crate::datasets::{DatasetOptions, Modality, Pictures, Reader, Split, check};
use crate::errors;
use crate::experiments::{Counts, DatasetPlan, MethodPlan, OutputPlan, Suite};
use crate::impairments::missing::{MissingImage, MissingText};
use crate::manifests::Manifest;
use crate::report::render;
use crate::report::results::{DatasetDescription, MethodDescription, SuiteDescription};
use crate::report::templates::Templates;
use crate::steps::choose::{self, Choose};
use crate::steps::collect::{self, Collect};
use crate::steps::encode::{Encode, Encoder};
use crate::steps::evaluate::{Condition, Evaluate};
use crate::steps::fetch::{self, Fetch};
use crate::steps::impair::{Draw, Impair};
use crate::steps::prepare::{self, Prepare, archive_role};
use crate::steps::render::Render;
use crate::steps::resample::{self, Resample};
use crate::steps::train::{self, Train};

/// Builds the graph of a suite.
///
/// # Errors
/// If a manifest or a template that the suite needs is missing or malformed.
pub fn build(suite: &Suite, manifests: &[Manifest], templates: &Templates) -> anyhow::Result<Graph> {
    let mut builder = Builder { graph: Graph::default(), suite, manifests };
    let mut scores = Vec::new();
    let features: Vec<Features> =
        suite.datasets.iter().map(|dataset| builder.features(dataset)).collect::<anyhow::Result<_>>()?;
    for (at, features) in features.iter().enumerate() {
        let trained = &suite.datasets[at].methods;
        for method in suite.methods.iter().filter(|method| trained.contains(&method.name)) {
            let (dataset, name) = (suite.datasets[at].name.clone(), method.name.clone());
            let mut predictions = Vec::new();
            let mut inputs = Vec::new();
            for &seed in &suite.seeds {
                let cell = builder.cell(at, features, method, seed);
                inputs.extend(cell.scores);
                predictions.extend(cell.predictions);
            }
            inputs
                .push((collect::replicates_role(&dataset, &name), builder.resample(at, features, &name, predictions)));
            scores.push(MethodScores { dataset, method: name, inputs });
        }
    }
    let everything = describe(suite)?;
    let results = builder.collect("results", everything.clone(), &scores);
    builder.graph.publications.push(Publication { source: results, file: "results.json".into() });
    for OutputPlan { target, methods, datasets } in &suite.outputs {
        let digests = render::template_digests(target, templates)
            .map_err(|error| errors::usage(format!("{error:#}"), "templates/README.md says which there should be"))?;
        let shown = SuiteDescription {
            optimizer: optimizer(suite, datasets, methods),
            selection: selection(suite, datasets),
            ..everything.restricted(datasets, methods)?
        };
        // A table needs its own cells alone.
        let results = builder.collect(target.name, shown, &scores);
        let step = Render { target, templates: templates.clone(), digests };
        let node = builder.graph.add(step, [("results".to_owned(), results)]);
        for format in render::formats(target) {
            let source = Source { node, output: (*format).to_owned() };
            builder.graph.publications.push(Publication { source, file: format!("{}.{format}", target.name) });
        }
    }
    Ok(builder.graph)
}

/// Adds the fetch of every archive that datasets and encoders of these manifests need; for `seesaw fetch`.
pub fn fetches(manifests: &[Manifest]) -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::default();
    let archives = manifests.iter().flat_map(|manifest| &manifest.archives);
    let nodes = archives.map(|archive| graph.add(Fetch { archive: archive.clone() }, [])).collect();
    (graph, nodes)
}

/// How a dataset is prepared.
pub struct Preparation {
    /// What its samples are called.
    pub name: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    /// So many samples of each split; none: all.
    pub subset: Option<u32>,
    pub counts: Counts,
}

impl Preparation {
    /// All of it, as a suite has it.
    pub fn of(plan: &DatasetPlan) -> Self {
        let DatasetPlan { samples, reader, options, counts, .. } = plan;
        Preparation { name: samples.clone(), reader, options: options.clone(), subset: None, counts: *counts }
    }
}

/// Adds the preparation of a dataset, and the fetches that it needs.
///
/// # Errors
/// If its manifest is missing, or does not list an archive.
pub fn prepare(graph: &mut Graph, manifests: &[Manifest], preparation: &Preparation) -> anyhow::Result<NodeId> {
    let Preparation { name, reader, options, subset, counts } = preparation;
    let archives = archives(graph, manifests, reader.manifest, &reader.needs(options))?;
    let counts = match counts {
        Counts::Exact => manifest(manifests, reader.manifest)?.counts.get(reader.name).cloned().unwrap_or_default(),
        Counts::Report => BTreeMap::new(),
    };
    let step = Prepare { name: name.clone(), reader, options: options.clone(), subset: *subset, counts };
    Ok(graph.add(step, archives))
}

fn manifest<'a>(manifests: &'a [Manifest], name: &str) -> anyhow::Result<&'a Manifest> {
    let found = manifests.iter().find(|manifest| manifest.name == name);
    found.with_context(|| format!("data-manifests/{name}.json is missing"))
}

/// The fetch steps of some archives of a manifest, by role.
fn archives(
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

struct Builder<'a> {
    graph: Graph,
    suite: &'a Suite,
    manifests: &'a [Manifest],
}

/// The scores of a method's cells on a dataset, as inputs of a collecting step.
struct MethodScores {
    dataset: String,
    method: String,
    inputs: Vec<(String, Source)>,
}

/// What comes of a cell: inputs of the collecting step, and of the resampling one.
struct CellOutputs {
    scores: Vec<(String, Source)>,
    predictions: Vec<(String, Source)>,
}

/// Where a dataset's prepared and encoded parts are.
struct Features {
    prepared: NodeId,
    /// Split × modality.
    encoded: Vec<(Split, Modality, NodeId)>,
    ranks: NodeId,
    /// Features of the noisy test split.
    noisy: [(Modality, NodeId); 2],
    /// Features that stand for a missing modality, where it is not the vector 0.
    blank: Vec<(Modality, NodeId)>,
}

fn output(node: NodeId, name: impl Into<String>) -> Source {
    Source { node, output: name.into() }
}

impl Builder<'_> {
    /// Adds the collection of a part of the suite.
    fn collect(&mut self, of: &str, part: SuiteDescription, scores: &[MethodScores]) -> Source {
        let is_of = |cell: &&MethodScores| {
            part.datasets.iter().any(|dataset| dataset.name == cell.dataset && dataset.methods.contains(&cell.method))
        };
        let inputs: Vec<_> = scores.iter().filter(is_of).flat_map(|cell| cell.inputs.clone()).collect();
        output(self.graph.add(Collect { of: of.to_owned(), suite: part }, inputs), "results")
    }

    /// Adds the resampling of a method's predictions on the dataset at a place in the suite.
    fn resample(&mut self, at: usize, features: &Features, method: &str, predictions: Vec<(String, Source)>) -> Source {
        let step = Resample {
            dataset: self.suite.datasets[at].name.clone(),
            name: method.to_owned(),
            seeds: self.suite.seeds.clone(),
            resamples: resample::RESAMPLES,
        };
        let labels = [("about", "about"), ("samples", "samples.test")];
        let labels = labels.map(|(role, name)| (role.to_owned(), output(features.prepared, name)));
        output(self.graph.add(step, predictions.into_iter().chain(labels)), "replicates")
    }

    fn archives(&mut self, manifest: &str, names: &[&str]) -> anyhow::Result<Vec<(String, Source)>> {
        archives(&mut self.graph, self.manifests, manifest, names)
    }

    fn features(&mut self, dataset: &DatasetPlan) -> anyhow::Result<Features> {
        let preparation = Preparation { subset: self.suite.subset, ..Preparation::of(dataset) };
        let prepared = prepare(&mut self.graph, self.manifests, &preparation)?;
        let mut encoded = Vec::new();
        for split in Split::ALL {
            for modality in Modality::ALL {
                let items = match modality {
                    Modality::Image => format!("pictures.{}", split.name()),
                    Modality::Text => format!("texts.{}", split.name()),
                };
                let node = self.encode(dataset, split.name(), modality, output(prepared, items), Some(prepared))?;
                encoded.push((split, modality, node));
            }
        }
        let test = |what: &str| (what.to_owned(), output(prepared, format!("{what}.test")));
        let impair = |draw| Impair { dataset: dataset.samples.clone(), draw };
        let ranks = self.graph.add(impair(Draw::Missing), [test("samples")]);
        let noisy = self.suite.noisy;
        let pictures = Draw::NoisyPictures { noise: noisy.image, seed: noisy.seed };
        let pictures = self.graph.add(impair(pictures), [test("samples"), test("pictures")]);
        let texts = Draw::NoisyTexts { noise: noisy.text, seed: noisy.seed };
        let texts = self.graph.add(impair(texts), [test("samples"), test("texts")]);
        let noisy = [
            (
                Modality::Image,
                self.encode(dataset, "test noisy", Modality::Image, output(pictures, "items"), Some(prepared))?,
            ),
            (
                Modality::Text,
                self.encode(dataset, "test noisy", Modality::Text, output(texts, "items"), Some(prepared))?,
            ),
        ];
        let mut blank = Vec::new();
        for (modality, wanted) in [
            (Modality::Image, self.suite.missing.image == MissingImage::ZeroImage),
            (Modality::Text, self.suite.missing.text == MissingText::EmptyText),
        ] {
            if wanted {
                let drawn = self.graph.add(impair(Draw::Blank(modality)), []);
                blank.push((modality, self.encode(dataset, "blank", modality, output(drawn, "items"), None)?));
            }
        }
        Ok(Features { prepared, encoded, ranks, noisy, blank })
    }

    fn encode(
        &mut self,
        dataset: &DatasetPlan,
        part: &str,
        modality: Modality,
        items: Source,
        prepared: Option<NodeId>,
    ) -> anyhow::Result<NodeId> {
        let reader = dataset.reader;
        let (encoder, (manifest, archives)) = match modality {
            Modality::Image => (Encoder::Image(dataset.image.clone()), dataset.image.needs()),
            Modality::Text => (Encoder::Text(dataset.text.clone()), dataset.text.needs()),
        };
        let mut inputs = self.archives(manifest, archives)?;
        if modality == Modality::Image && part != "blank" {
            match (reader.pictures, prepared) {
                (Pictures::InPlace(archives), _) => inputs.extend(self.archives(reader.manifest, archives)?),
                (Pictures::InTheWild, Some(prepared)) => {
                    inputs.extend(self.archives(reader.manifest, reader.archives)?);
                    inputs.push((archive_role(check::PACK), output(prepared, prepare::PACK)));
                }
                (Pictures::InTheWild, None) => {}
            }
        }
        inputs.push(("items".to_owned(), items));
        let [image, text] = &dataset.encoders;
        let encode = Encode {
            dataset: dataset.samples.clone(),
            part: part.to_owned(),
            encoder,
            called: if modality == Modality::Image { image.clone() } else { text.clone() },
            decoding: reader.decoding,
        };
        Ok(self.graph.add(encode, inputs))
    }

    /// Adds a training on the dataset at a place in the suite, and its evaluations.
    fn cell(&mut self, at: usize, features: &Features, method: &MethodPlan, seed: u64) -> CellOutputs {
        let name = &self.suite.datasets[at].name;
        let part = |split: Split| {
            let of_split = features.encoded.iter().filter(move |(of, ..)| *of == split);
            let samples = output(features.prepared, format!("samples.{}", split.name()));
            let encoded = of_split.map(move |(_, m, node)| (train::role(split, m.name()), output(*node, "features")));
            encoded.chain([(train::role(split, "samples"), samples)])
        };
        let about = || ("about".to_owned(), output(features.prepared, "about"));
        let config = &method.trainings[at];
        let mut train = |candidate: Option<usize>, seed: u64| {
            let options = &method.candidates[candidate.unwrap_or(0)];
            let number = candidate.map_or_else(String::new, |candidate| format!(" candidate {}", candidate + 1));
            let step = Train {
                dataset: name.clone(),
                name: format!("{}{number}", method.name),
                method: options.clone(),
                config: config.clone(),
                seed,
            };
            self.graph.add(step, part(Split::Train).chain(part(Split::Val)).chain([about()]))
        };
        let trained = if method.candidates.len() == 1 {
            train(None, seed)
        } else {
            let mut inputs = Vec::new();
            for candidate in 0..method.candidates.len() {
                for &other in &self.suite.seeds {
                    let node = train(Some(candidate), other);
                    inputs.push((choose::summary_role(candidate, other), output(node, "summary")));
                    if other == seed {
                        inputs.extend(
                            ["weights", "trace"].map(|what| (choose::role(what, candidate), output(node, what))),
                        );
                    }
                }
            }
            let (candidates, seeds) = (method.candidates.clone(), self.suite.seeds.clone());
            self.graph.add(Choose { dataset: name.clone(), name: method.name.clone(), candidates, seeds, seed }, inputs)
        };
        let weights = output(trained, "weights");
        let heads = method.candidates[0].needs_heads();
        let mut scores = vec![(collect::role("weights", name, &method.name, seed), weights.clone())];
        let swept = (method.candidates.len() > 1).then_some("choice");
        for what in ["trace", "summary"].into_iter().chain(swept) {
            scores.push((collect::role(what, name, &method.name, seed), output(trained, what)));
        }
        let feature = |kind: &str, (modality, node): &(Modality, NodeId)| {
            (format!("{kind} {}", modality.name()), output(*node, "features"))
        };
        let ranks = ("ranks".to_owned(), output(features.ranks, "ranks"));
        let missing = features.blank.iter().map(|blank| feature("blank", blank)).chain([ranks]).collect();
        let noisy = features.noisy.iter().map(|noisy| feature("noisy", noisy)).collect();
        let conditions: [(Condition, Vec<(String, Source)>); 3] = [
            (Condition::Full, Vec::new()),
            (Condition::Missing { ratios: self.suite.missing.ratios.clone() }, missing),
            (Condition::Noisy, noisy),
        ];
        let mut predictions = Vec::new();
        for (condition, more) in conditions {
            let role = collect::role(condition.name(), name, &method.name, seed);
            let predicted = resample::role(condition.name(), seed);
            let step = Evaluate {
                dataset: name.clone(),
                name: method.name.clone(),
                seed,
                condition,
                config: config.clone(),
                heads,
            };
            let inputs = part(Split::Test).chain([about(), ("weights".to_owned(), weights.clone())]).chain(more);
            let evaluated = self.graph.add(step, inputs);
            scores.push((role, output(evaluated, "scores")));
            predictions.push((predicted, output(evaluated, "predictions")));
        }
        CellOutputs { scores, predictions }
    }
}

/// What the results say of their suite.
fn describe(suite: &Suite) -> anyhow::Result<SuiteDescription> {
    let names: Vec<String> = suite.datasets.iter().map(|dataset| dataset.name.clone()).collect();
    let methods: Vec<String> = suite.methods.iter().map(|method| method.name.clone()).collect();
    let dataset = |dataset: &DatasetPlan| DatasetDescription {
        name: dataset.name.clone(),
        dataset: dataset.reader.name.to_owned(),
        title: dataset.title.clone(),
        metric: dataset.reader.metric.name().to_owned(),
        fusion: plain_name(&dataset.training.fusion),
        epochs: dataset.training.epochs,
        encoders: dataset.encoders.join(", "),
        methods: dataset.methods.clone(),
    };
    let method = |method: &MethodPlan| MethodDescription {
        name: method.name.clone(),
        title: method.title.clone(),
        source: method.citation.to_owned(),
    };
    Ok(SuiteDescription {
        kind: suite.kind,
        suite: suite.name.clone(),
        title: suite.title.clone(),
        seeds: suite.seeds.clone(),
        selection: selection(suite, &names),
        optimizer: optimizer(suite, &names, &methods),
        missing: suite.missing.description(),
        noisy: suite.noisy.description(),
        ratios: suite.missing.ratios.clone(),
        datasets: suite.datasets.iter().map(dataset).collect(),
        methods: suite.methods.iter().map(method).collect(),
    })
}

/// Different words, each once, in the order in which they come first.
fn distinct(words: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    words.for_each(|word| {
        if !seen.contains(&word) {
            seen.push(word)
        }
    });
    seen.join("; ")
}

/// Which epoch is evaluated on these datasets.
fn selection(suite: &Suite, datasets: &[String]) -> String {
    let shown = suite.datasets.iter().filter(|dataset| datasets.contains(&dataset.name));
    distinct(shown.map(|dataset| dataset.training.selection.description().to_owned()))
}

/// The optimiser of these datasets, and what these methods have of their own.
fn optimizer(suite: &Suite, datasets: &[String], methods: &[String]) -> String {
    let shown = |dataset: &&DatasetPlan| datasets.contains(&dataset.name);
    let common = suite.datasets.iter().filter(shown);
    let mut words = distinct(common.map(|dataset| dataset.training.optimizer.description()));
    for method in suite.methods.iter().filter(|method| methods.contains(&method.name)) {
        let trainings = method.trainings.iter().zip(&suite.datasets);
        let mut own: Vec<String> = trainings
            .filter(|(_, dataset)| shown(dataset))
            .filter(|(own, dataset)| own.optimizer != dataset.training.optimizer)
            .map(|(own, _)| own.optimizer.description())
            .collect();
        own.dedup();
        if !own.is_empty() {
            words += &format!("; {}: {}", method.title, own.join("; "));
        }
    }
    words
}

/// The name that a variant has in experiment files.
fn plain_name(variant: &impl serde::Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
