//! Draws an impairment of the test samples, once for all methods and seeds.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::job::{Job, Outputs};
use super::kind::Describe;
use crate::datasets::Sample;
use crate::impairments::missing;
use crate::impairments::noisy::{self, ImageNoise, TextNoise};
use crate::pictures::{PictureItem, PictureNoise};
use crate::store::Ingredients;
use crate::terms::Modality;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// Output `ranks`: each sample's rank in the order in which samples lose a modality, a list of integers.
    Missing,
    /// Output `items`: a noisy picture for each sample.
    NoisyPictures { noise: ImageNoise, seed: u64 },
    /// Outputs `items`, a noisy text for each sample, and `rate`, a [`Rate`].
    NoisyTexts { noise: TextNoise, seed: u64 },
    /// Output `items`: one picture of zeros, or one empty text, that stands for a missing one. It has no inputs.
    Blank(Modality),
}

impl Draw {
    /// The name in labels and keys.
    fn name(self) -> &'static str {
        match self {
            Draw::Missing => "missing",
            Draw::NoisyPictures { .. } => "noisy image",
            Draw::NoisyTexts { .. } => "noisy text",
            Draw::Blank(_) => "blank",
        }
    }
}

/// Draws an impairment for the test split of a dataset. Inputs: `samples`, and the `pictures` or `texts` that become noisy.
#[derive(Clone, Debug)]
pub struct Impair {
    pub dataset: String,
    pub draw: Draw,
}

/// How many characters or words the noise deleted from all texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub deleted: u64,
    pub total: u64,
}

impl Describe for Impair {
    fn label(&self) -> String {
        match self.draw {
            // The same for all datasets.
            Draw::Blank(modality) => format!("impair blank {}", modality.name()),
            draw => format!("impair {} {}", self.dataset, draw.name()),
        }
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // The dataset is in the key by the content of its samples.
        let Impair { dataset: _, draw } = self;
        list.text("draw", draw.name());
        match draw {
            Draw::Missing => {}
            Draw::NoisyPictures { noise, seed: _ } => list.options("noise", noise),
            Draw::NoisyTexts { noise, seed: _ } => list.options("noise", noise),
            Draw::Blank(modality) => list.text("modality", modality.name()),
        }
        if let Draw::NoisyPictures { seed, .. } | Draw::NoisyTexts { seed, .. } = draw {
            list.natural("seed", *seed);
        }
    }
}

impl Impair {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        Ok(match self.draw {
            Draw::Missing => {
                let samples: Vec<Sample> = job.read_json("samples")?;
                let ids: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).collect();
                Outputs::from([job.write_json("ranks", &missing::ranks(&ids))?])
            }
            Draw::NoisyPictures { noise, seed } => {
                let samples: Vec<Sample> = job.read_json("samples")?;
                let pictures: Vec<PictureItem> = job.read_json("pictures")?;
                let ImageNoise::Gaussian { sigma } = noise;
                // Each sample has noise of its own, even if it shares its picture with others.
                let noisy = |sample: &Sample| {
                    let picture = pictures.get(sample.picture)?.picture.clone()?;
                    let noise = PictureNoise { sigma, seed, sample: sample.id.clone() };
                    Some(PictureItem { picture: Some(picture), noise: Some(noise) })
                };
                let noisy: Option<Vec<PictureItem>> = samples.iter().map(noisy).collect();
                let noisy = noisy.context("some samples have no picture")?;
                Outputs::from([job.write_json("items", &noisy)?])
            }
            Draw::NoisyTexts { noise, seed } => {
                let samples: Vec<Sample> = job.read_json("samples")?;
                let texts: Vec<String> = job.read_json("texts")?;
                let text = |sample: &Sample| texts.get(sample.text).map(String::as_str);
                let pairs = samples.iter().filter_map(|sample| Some((sample.id.as_str(), text(sample)?)));
                let noisy = noisy::texts(noise, seed, pairs)?;
                anyhow::ensure!(noisy.texts.len() == samples.len(), "some samples have no text");
                let rate = Rate { deleted: noisy.deleted, total: noisy.total };
                Outputs::from([job.write_json("items", &noisy.texts)?, job.write_json("rate", &rate)?])
            }
            Draw::Blank(Modality::Image) => Outputs::from([job.write_json("items", &[PictureItem::blank()])?]),
            Draw::Blank(Modality::Text) => Outputs::from([job.write_json("items", &[""])?]),
        })
    }
}
