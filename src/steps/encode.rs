//! Runs a frozen encoder over a list of pictures or texts.

use std::collections::BTreeMap;

use anyhow::Context;
use tch::{Kind as TensorKind, Tensor};

use super::prepare::archives;
use super::{Cost, Describe, Job, Outputs};
use crate::encoders::{self, ImageEncoderOptions, TextEncoderOptions};
use crate::pictures::{Decoding, PictureItem};
use crate::store::Ingredients;
use crate::tensors;

/// Which encoder.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoder {
    Image(ImageEncoderOptions),
    Text(TextEncoderOptions),
}

/// Encodes the input `items`. The archives of the encoder's weights, and of the pictures, are inputs too. Output
/// `features`: a safetensors file with one tensor `features`, float32 [items, d].
#[derive(Clone, Debug)]
pub struct Encode {
    pub dataset: String,
    /// `train`, `val`, `test`, `test noisy`, or `blank`.
    pub part: String,
    pub encoder: Encoder,
    /// What the encoder is called.
    pub called: String,
    /// How files become pictures.
    pub decoding: Decoding,
}

impl Describe for Encode {
    fn label(&self) -> String {
        let (modality, encoder) = match &self.encoder {
            Encoder::Image(_) => ("image", &self.called),
            Encoder::Text(_) => ("text", &self.called),
        };
        match self.part.as_str() {
            "blank" => format!("encode blank {modality} with {encoder}"),
            part => format!("encode {} {part} {modality} with {encoder}", self.dataset),
        }
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Items count by content: the same pictures in two datasets are encoded once.
        let Encode { dataset: _, part: _, encoder, called: _, decoding } = self;
        match encoder {
            Encoder::Image(options) => {
                list.natural("encoder's recipe", options.recipe());
                list.options("image", options);
                // The first way of decoding is what the encoders' recipes began with.
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
        let archives = archives(job)?;
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
        Ok(BTreeMap::from([("features".to_owned(), output)]))
    }
}

/// Reads what [`Encode`] wrote, into fresh memory on the job's device.
pub(super) fn read_features(job: &Job, role: &str) -> anyhow::Result<Tensor> {
    let path = &job.input(role)?.path;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut file = tensors::from_safetensors(&bytes).with_context(|| format!("the input `{role}`"))?;
    let features = file.remove("features").with_context(|| format!("the input `{role}` holds no `features`"))?;
    anyhow::ensure!(
        features.dim() == 2 && features.kind() == TensorKind::Float,
        "the input `{role}` should be float32 [n, d], is {:?} {:?}",
        features.kind(),
        features.size()
    );
    Ok(features.to_device(job.device))
}
