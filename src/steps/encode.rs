//! Runs a frozen encoder over a list of pictures or texts.

use anyhow::{Context, ensure};
use tch::{Kind as TensorKind, Tensor};

use super::job::{Job, Outputs};
use super::kind::{Cost, Describe};
use super::prepare::archives;
use crate::encoders::{self, ImageEncoderOptions, TextEncoderOptions};
use crate::pictures::{Decoding, PictureItem};
use crate::store::Ingredients;
use crate::tensors;
use crate::terms::Split;

/// Which encoder.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoder {
    Image(ImageEncoderOptions),
    Text(TextEncoderOptions),
}

/// What is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Split(Split),
    /// The test split under noise.
    NoisyTest,
    /// The one item that stands for a missing modality, the same for all datasets.
    Blank,
}

/// Encodes the input `items`. The archives of the encoder's weights and of the pictures are inputs too. Output `features`:
/// a safetensors file with one tensor `features`, float32 [items, d].
#[derive(Clone, Debug)]
pub struct Encode {
    pub dataset: String,
    pub part: Part,
    pub encoder: Encoder,
    /// The encoder's name in labels.
    pub called: String,
    /// How picture files are decoded.
    pub decoding: Decoding,
}

impl Describe for Encode {
    fn label(&self) -> String {
        let (modality, encoder) = match &self.encoder {
            Encoder::Image(_) => ("image", &self.called),
            Encoder::Text(_) => ("text", &self.called),
        };
        let dataset = &self.dataset;
        match self.part {
            Part::Split(split) => format!("encode {dataset} {} {modality} with {encoder}", split.name()),
            Part::NoisyTest => format!("encode {dataset} test noisy {modality} with {encoder}"),
            Part::Blank => format!("encode blank {modality} with {encoder}"),
        }
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Items are in the key by content: pictures that two datasets share are encoded once.
        let Encode { dataset: _, part: _, encoder, called: _, decoding } = self;
        match encoder {
            Encoder::Image(options) => {
                list.natural("encoder's recipe", options.recipe());
                list.options("image", options);
                // The encoders' first recipes imply this decoding.
                if *decoding != Decoding::OVER_WHITE {
                    list.options("decoding", decoding);
                }
            }
            Encoder::Text(options) => {
                list.natural("encoder's recipe", options.recipe());
                list.options("text", options);
            }
        }
    }

    fn cost(&self) -> Cost {
        Cost::AllCores
    }
}

impl Encode {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        let archives = archives(job);
        let run = encoders::Run {
            device: job.device,
            workers: job.threads,
            interrupt: &job.interrupt,
            progress: job.progress.as_ref(),
        };
        let output = job.folder.join("features");
        match &self.encoder {
            Encoder::Image(options) => {
                let items: Vec<PictureItem> = job.read_json("items")?;
                encoders::encode_pictures(options, (&items, self.decoding), &archives, &run, &output)?;
            }
            Encoder::Text(options) => {
                let items: Vec<String> = job.read_json("items")?;
                encoders::encode_texts(options, &items, &archives, &run, &output)?;
            }
        }
        Ok(Outputs::from([("features".to_owned(), output)]))
    }
}

/// Reads the features that [`Encode`] wrote, float32 [items, d], to the job's device.
pub(super) fn read_features(job: &Job, role: &str) -> anyhow::Result<Tensor> {
    let features = job.parse(role, |bytes| {
        let features = tensors::from_safetensors(bytes)?.remove("features").context("there is no tensor `features`")?;
        let (kind, size) = (features.kind(), features.size());
        ensure!(kind == TensorKind::Float && size.len() == 2, "expected float32 [n, d], found {kind:?} {size:?}");
        Ok(features)
    })?;
    Ok(features.to_device(job.device))
}
