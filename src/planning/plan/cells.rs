//! The steps of a suite's cells: what is encoded, impaired, trained and evaluated, from which inputs.

use std::sync::Arc;

use super::data::{self, output};
use crate::datasets::{Pictures, check};
use crate::engine::graph::{Graph, NodeId, Source};
use crate::experiments::{DatasetPlan, MethodPlan, Suite};
use crate::impairments::missing::{MissingImage, MissingText};
use crate::manifests::Manifest;
use crate::report::reference::Reference;
use crate::report::results::{Quantity, SuiteDescription};
use crate::steps::choose::{self, Choose};
use crate::steps::collect::{self, Collect};
use crate::steps::condition::Condition;
use crate::steps::encode::{Encode, Encoder, Part};
use crate::steps::evaluate::Evaluate;
use crate::steps::impair::{Draw, Impair};
use crate::steps::prepare::{self, archive_role};
use crate::steps::resample::{self, Resample};
use crate::steps::train::{self, Train};
use crate::terms::{Modality, Selection, Split};

/// The inputs of a step: role and source.
pub(super) type Inputs = Vec<(Arc<str>, Source)>;

/// A graph under construction.
pub(super) struct Builder<'a> {
    pub(super) graph: Graph,
    pub(super) suite: &'a Suite,
    /// The missing ratios of the suite.
    pub(super) ratios: Arc<[f64]>,
    pub(super) manifests: &'a [Manifest],
}

/// The cells of a method on a dataset, as inputs of other steps.
pub(super) struct MethodCells {
    pub(super) dataset: Arc<str>,
    pub(super) method: Arc<str>,
    /// Of [`Collect`].
    pub(super) scores: Inputs,
    /// Of [`Collect`], those of other selections, which the results alone show.
    pub(super) others: Inputs,
    /// Of [`Resample`].
    predictions: Inputs,
}

/// The steps that prepare and encode a dataset.
pub(super) struct Features {
    pub(super) prepared: NodeId,
    /// Features of each split and modality.
    pub(super) encoded: Vec<(Split, Modality, NodeId)>,
    pub(super) ranks: NodeId,
    /// Features of the noisy test split.
    pub(super) noisy: Vec<(Modality, NodeId)>,
    /// Features that stand for a missing modality, if they are not the vector 0.
    pub(super) blank: Vec<(Modality, NodeId)>,
}

impl Builder<'_> {
    /// Adds the collection of a part of the suite. It has the other selections where the description does.
    pub(super) fn collect(
        &mut self,
        of: &str,
        part: SuiteDescription,
        quantities: Option<Vec<Quantity>>,
        paper: Option<Arc<Reference>>,
        cells: &[MethodCells],
    ) -> Source {
        let is_of = |cell: &&MethodCells| {
            let has = |name: &String| **name == *cell.method;
            part.datasets.iter().any(|dataset| *dataset.name == *cell.dataset && dataset.methods.iter().any(has))
        };
        let compared = part.datasets.iter().any(|dataset| !dataset.selections.is_empty());
        let others = |cell: &MethodCells| if compared { cell.others.clone() } else { Inputs::new() };
        let inputs: Vec<_> =
            cells.iter().filter(is_of).flat_map(|cell| [cell.scores.clone(), others(cell)].concat()).collect();
        output(self.graph.add(Collect { of: of.to_owned(), suite: part.into(), quantities, paper }, inputs), "results")
    }

    /// Adds the cells of a method on a dataset, by its index in the suite, and the resampling of their predictions.
    pub(super) fn cells(&mut self, at: usize, features: &Features, method: &MethodPlan) -> MethodCells {
        let (dataset, name) = (&self.suite.datasets[at].name, &method.name);
        let role = collect::replicates_role(dataset, name).into();
        let (scores, others, predictions) = Default::default();
        let (dataset, method_name) = (dataset.as_str().into(), name.as_str().into());
        let mut cells = MethodCells { dataset, method: method_name, scores, others, predictions };
        for &seed in &self.suite.seeds {
            self.cell(at, features, method, seed, &mut cells);
        }
        cells.scores.push((role, self.resample(at, features, &cells)));
        cells
    }

    fn resample(&mut self, at: usize, features: &Features, cells: &MethodCells) -> Source {
        let step = Resample {
            dataset: cells.dataset.to_string(),
            name: cells.method.to_string(),
            seeds: self.suite.seeds.clone(),
            ratios: self.suite.missing.ratios.clone(),
            unit: self.suite.datasets[at].reader.unit,
            resamples: resample::RESAMPLES,
        };
        let labels = [("about", "about"), ("samples", "samples.test")];
        let labels = labels.map(|(role, name)| (role.into(), output(features.prepared, name)));
        output(self.graph.add(step, cells.predictions.iter().cloned().chain(labels)), "replicates")
    }

    fn archives(&mut self, manifest: &str, names: &[&str]) -> anyhow::Result<Inputs> {
        data::archives(&mut self.graph, self.manifests, manifest, names)
    }

    /// Adds all that a dataset's cells share.
    pub(super) fn features(&mut self, dataset: &DatasetPlan) -> anyhow::Result<Features> {
        let preparation = data::preparation(dataset, self.suite.subset);
        let prepared = data::prepare(&mut self.graph, self.manifests, preparation)?;
        let mut encoded = Vec::new();
        for split in Split::ALL {
            for modality in Modality::ALL {
                let items = match modality {
                    Modality::Image => format!("pictures.{}", split.name()),
                    Modality::Text => format!("texts.{}", split.name()),
                };
                let node =
                    self.encode(dataset, Part::Split(split), modality, output(prepared, items), Some(prepared))?;
                encoded.push((split, modality, node));
            }
        }
        let test = |what: &str| (Arc::from(what), output(prepared, format!("{what}.test")));
        let impair = |draw| Impair { dataset: dataset.samples.clone(), draw };
        let ranks = self.graph.add(impair(Draw::Missing), [test("samples")]);
        let noisy = self.suite.noisy;
        let pictures = Draw::NoisyPictures { noise: noisy.image, seed: noisy.seed };
        let pictures = self.graph.add(impair(pictures), [test("samples"), test("pictures")]);
        let texts = Draw::NoisyTexts { noise: noisy.text, seed: noisy.seed };
        let texts = self.graph.add(impair(texts), [test("samples"), test("texts")]);
        let mut noisy = Vec::new();
        for (modality, drawn) in [(Modality::Image, pictures), (Modality::Text, texts)] {
            let items = output(drawn, "items");
            noisy.push((modality, self.encode(dataset, Part::NoisyTest, modality, items, Some(prepared))?));
        }
        let mut blank = Vec::new();
        for (modality, wanted) in [
            (Modality::Image, self.suite.missing.image == MissingImage::ZeroImage),
            (Modality::Text, self.suite.missing.text == MissingText::EmptyText),
        ] {
            if wanted {
                let drawn = self.graph.add(impair(Draw::Blank(modality)), []);
                blank.push((modality, self.encode(dataset, Part::Blank, modality, output(drawn, "items"), None)?));
            }
        }
        Ok(Features { prepared, encoded, ranks, noisy, blank })
    }

    /// Adds the encoding of a part of a dataset. The pictures of a split may be in the dataset's archives or in the pack that
    /// its preparation made.
    fn encode(
        &mut self,
        dataset: &DatasetPlan,
        part: Part,
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
        if modality == Modality::Image && part != Part::Blank {
            match (reader.pictures, prepared) {
                (Pictures::InPlace(archives), _) => inputs.extend(self.archives(reader.manifest, archives)?),
                (Pictures::InTheWild, Some(prepared)) => {
                    inputs.extend(self.archives(reader.manifest, reader.archives)?);
                    inputs.push((archive_role(check::PACK).into(), output(prepared, prepare::PACK)));
                }
                (Pictures::InTheWild, None) => {}
            }
        }
        inputs.push(("items".into(), items));
        let [image, text] = &dataset.encoders;
        let encode = Encode {
            dataset: dataset.samples.clone(),
            part,
            encoder,
            called: if modality == Modality::Image { image.clone() } else { text.clone() },
            decoding: reader.decoding,
        };
        Ok(self.graph.add(encode, inputs))
    }

    /// Adds a training on a dataset, by its index in the suite, and its evaluations.
    fn cell(&mut self, at: usize, features: &Features, method: &MethodPlan, seed: u64, outputs: &mut MethodCells) {
        let name = &self.suite.datasets[at].name;
        let part = |split: Split| {
            let of_split = features.encoded.iter().filter(move |(of, ..)| *of == split);
            let samples = output(features.prepared, format!("samples.{}", split.name()));
            let encoded =
                of_split.map(move |(_, m, node)| (Arc::from(train::role(split, m.name())), output(*node, "features")));
            encoded.chain([(train::role(split, "samples").into(), samples)])
        };
        let about = || ("about".into(), output(features.prepared, "about"));
        let config = &method.trainings[at];
        let feature = |kind: &str, (modality, node): &(Modality, NodeId)| {
            (format!("{kind} {}", modality.name()).into(), output(*node, "features"))
        };
        let blank: Inputs = features.blank.iter().map(|blank| feature("blank", blank)).collect();
        let noisy: Inputs = features.noisy.iter().map(|noisy| feature("noisy", noisy)).collect();
        // A training gets what its selections look at, and no more.
        let mut looked_at = Inputs::new();
        if config.selections().any(Selection::uses_test) {
            looked_at.extend(part(Split::Test));
        }
        if config.selections().any(|selection| selection == Selection::BestTestImpaired) {
            looked_at.extend([blank.clone(), noisy.clone()].concat());
        }
        let mut train = |candidate: Option<usize>, seed: u64| {
            let options = &method.candidates[candidate.unwrap_or(0)];
            let step = Train {
                dataset: outputs.dataset.clone(),
                name: outputs.method.clone(),
                candidate,
                method: options.clone(),
                config: config.clone(),
                seed,
            };
            let inputs = part(Split::Train).chain(part(Split::Val)).chain([about()]);
            self.graph.add(step, inputs.chain(looked_at.clone()))
        };
        let trained = if method.candidates.len() == 1 {
            train(None, seed)
        } else {
            let mut inputs = Vec::new();
            for candidate in 0..method.candidates.len() {
                for &other in &self.suite.seeds {
                    let node = train(Some(candidate), other);
                    inputs.push((choose::summary_role(candidate, other).into(), output(node, "summary")));
                    if other == seed {
                        let passed_on = choose::passed_on(&config.other_selections).into_iter();
                        let input = |what: String| (choose::role(&what, candidate).into(), output(node, what));
                        inputs.extend(passed_on.map(input));
                    }
                }
            }
            let (candidates, seeds) = (method.candidates.clone(), self.suite.seeds.clone());
            let others = config.other_selections.clone();
            let choose = Choose { dataset: name.clone(), name: method.name.clone(), candidates, seeds, seed, others };
            self.graph.add(choose, inputs)
        };
        let of_cell = |what: &str| Arc::from(collect::role(what, name, &method.name, seed));
        let swept = (method.candidates.len() > 1).then_some("choice");
        for what in ["weights", "trace", "summary"].into_iter().chain(swept) {
            outputs.scores.push((of_cell(what), output(trained, what)));
        }
        let ranks = ("ranks".into(), output(features.ranks, "ranks"));
        let conditions = [
            (Condition::Full, Inputs::new()),
            (Condition::Missing, [blank, vec![ranks]].concat()),
            (Condition::Noisy, noisy),
        ];
        for selection in [None].into_iter().chain(config.other_selections.iter().copied().map(Some)) {
            let named = |what: &str| selection.map_or_else(|| what.to_owned(), |other| other.named(what));
            let weights = output(trained, named("weights"));
            if selection.is_some() {
                outputs.others.push((of_cell(&named("weights")), weights.clone()));
            }
            for (condition, more) in &conditions {
                let step = Evaluate {
                    dataset: outputs.dataset.clone(),
                    name: outputs.method.clone(),
                    seed,
                    selection,
                    condition: *condition,
                    // The last ratio is all that tables show of a missing modality.
                    ratios: if selection.is_some() { [1.0].into() } else { self.ratios.clone() },
                    config: config.clone(),
                    heads: method.candidates[0].needs_heads(),
                };
                let inputs = part(Split::Test).chain([about(), ("weights".into(), weights.clone())]);
                let evaluated = self.graph.add(step, inputs.chain(more.clone()));
                let scored = (of_cell(&named(condition.name())), output(evaluated, "scores"));
                if selection.is_some() {
                    outputs.others.push(scored);
                    continue;
                }
                outputs.scores.push(scored);
                outputs.predictions.push((resample::role(*condition, seed).into(), output(evaluated, "predictions")));
            }
        }
    }
}
