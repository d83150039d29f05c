//! A checked suite, as plans use it.

use std::sync::Arc;

use super::file::Counts;
use super::seeds::Seeds;
use crate::datasets::{DatasetOptions, Reader};
use crate::encoders::{ImageEncoderOptions, TextEncoderOptions};
use crate::impairments::missing::MissingOptions;
use crate::impairments::noisy::NoisyOptions;
use crate::methods::MethodOptions;
use crate::report::SuiteKind;
use crate::report::reference::Reference;
use crate::report::results::Reading;
use crate::report::target::Target;
use crate::training::config::TrainConfig;

/// The most trainings of a suite. The plan of one with so many takes about a gigabyte.
const MOST_CELLS: usize = 20_000;

/// A checked suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// The file's name without `.toml`.
    pub name: String,
    pub kind: SuiteKind,
    pub title: String,
    pub seeds: Vec<u64>,
    pub datasets: Vec<DatasetPlan>,
    pub methods: Vec<MethodPlan>,
    pub missing: MissingOptions,
    pub noisy: NoisyOptions,
    pub outputs: Vec<OutputPlan>,
    /// The numbers that the paper prints, for a suite of the paper.
    pub reference: Option<Arc<Reference>>,
    /// The number of samples used of each split; none for all.
    pub subset: Option<u32>,
    /// The options that a command line needs besides the suite's name, such as ` --subset 24`.
    pub arguments: String,
}

/// A dataset of a suite, with all that its cells share.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetPlan {
    /// Unique in the suite; part of its cells' labels.
    pub name: String,
    /// The name of its samples, masks and noise: that of the first dataset in the suite that is read in the same way, since
    /// these share them.
    pub samples: String,
    pub reader: &'static Reader,
    pub options: DatasetOptions,
    pub counts: Counts,
    /// The name in tables.
    pub title: String,
    pub image: ImageEncoderOptions,
    pub text: TextEncoderOptions,
    /// The names of its encoders (image, text). If the suite has the same encoder with other options, the name of the pair
    /// is added.
    pub encoders: [String; 2],
    pub training: TrainConfig,
    /// The names of the methods trained on it, in the suite's order.
    pub methods: Vec<String>,
}

/// A method of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodPlan {
    /// Unique in the suite.
    pub name: String,
    /// The name in tables.
    pub title: String,
    /// Its publication.
    pub citation: &'static str,
    /// What it reads differently, if it is a method under another name.
    pub reading: Option<Reading>,
    /// Its options. With a sweep there are several, of which the validation split chooses.
    pub candidates: Vec<MethodOptions>,
    /// The settings of its trainings, one for each dataset of the suite.
    pub trainings: Vec<Arc<TrainConfig>>,
}

/// A table or figure of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputPlan {
    /// Unique in the suite.
    pub target: &'static Target,
    /// The names of the methods shown, in this order; the target checked their number.
    pub methods: Vec<String>,
    /// The names of the datasets shown, in this order. Each method is trained on each of them.
    pub datasets: Vec<String>,
}

impl Suite {
    /// The same suite on a subset of its data, or on the data of a mirror: a trial, and labelled as one everywhere.
    pub fn on_trial(mut self, subset: Option<u32>, mirrored: bool) -> Self {
        let mut reasons = Vec::new();
        if mirrored {
            self.arguments += " --mirror URL";
            reasons.push("data and weights of a mirror".to_owned());
        }
        if let Some(subset) = subset {
            self.arguments += &format!(" --subset {subset}");
            reasons.insert(0, format!("{subset} samples per split"));
        }
        if !reasons.is_empty() {
            self.kind = SuiteKind::Trial;
            self.reference = None;
            self.title = format!("{} ({})", self.title, reasons.join(", "));
        }
        self.subset = subset;
        self
    }

    /// The same suite with other seeds.
    pub fn with_seeds(mut self, seeds: Option<&Seeds>) -> Self {
        if let Some(seeds) = seeds {
            self.arguments += &format!(" --seeds {}", seeds.argument());
            self.seeds.clone_from(&seeds.0);
        }
        self
    }

    /// A command on this suite, such as `seesaw run paper --subset 24`.
    pub fn command(&self, verb: &str) -> String {
        format!("seesaw {verb} {}{}", self.name, self.arguments)
    }

    /// Checks the number of trainings, before they are planned.
    ///
    /// # Errors
    /// If there are more than one suite may have.
    pub fn check_size(&self) -> anyhow::Result<()> {
        let trained = |dataset: &DatasetPlan| {
            let methods = self.methods.iter().filter(|method| dataset.methods.contains(&method.name));
            methods.map(|method| method.candidates.len()).sum::<usize>()
        };
        let cells = self.seeds.len().saturating_mul(self.datasets.iter().map(trained).sum());
        anyhow::ensure!(
            cells <= MOST_CELLS,
            "`seeds`, `datasets` and `methods` make {cells} trainings, more than the {MOST_CELLS} of one suite"
        );
        Ok(())
    }

    /// Whether the test split selects an epoch that tables show.
    pub fn is_selected_by_test(&self) -> bool {
        let trained = |dataset: &DatasetPlan, method: &MethodPlan| dataset.methods.contains(&method.name);
        self.methods.iter().any(|method| {
            let mut on = self.datasets.iter().zip(&method.trainings);
            on.any(|(dataset, training)| trained(dataset, method) && training.selection.uses_test())
        })
    }

    /// Checks that the methods of a dataset compare the same selections.
    ///
    /// # Errors
    /// If one does not; the message names it.
    pub fn check_selections(&self) -> anyhow::Result<()> {
        for (at, dataset) in self.datasets.iter().enumerate() {
            for method in self.methods.iter().filter(|method| dataset.methods.contains(&method.name)) {
                let (own, shared) = (&method.trainings[at], &dataset.training);
                let compared = own.other_selections.len() + shared.other_selections.len() > 0;
                anyhow::ensure!(
                    !compared || own.selections().eq(shared.selections()),
                    "training of `{}` on `{}`: a dataset with `other-selections` should have one `selection` and \
                     `other-selections` for all of its methods; set them there, or for the suite",
                    method.name,
                    dataset.name
                );
            }
        }
        Ok(())
    }

    /// The number of epochs that a method trains on a dataset.
    pub fn epochs(&self, dataset: &str, method: &str) -> Option<u32> {
        let at = self.datasets.iter().position(|known| known.name == dataset)?;
        let method = self.methods.iter().find(|known| known.name == method)?;
        method.trainings.get(at).map(|training| training.epochs)
    }
}

impl DatasetPlan {
    /// Whether both have the same samples.
    pub(super) fn reads_like(&self, other: &DatasetPlan) -> bool {
        self.reader.name == other.reader.name && self.options == other.options && self.counts == other.counts
    }
}
