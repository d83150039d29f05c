//! Published weights: what they are and which options they can be used with ([`rows`], which needs no libtorch), and how
//! they are loaded and what their feature is ([`image`], [`text`]).

mod image;
pub(super) mod rows;
mod text;

use anyhow::Context;
use tch::Device;

use super::options::{ImageEncoderOptions, TextEncoderOptions};
use super::{ImageEncoder, Load, TextEncoder};
use crate::datasets::Archives;

/// How each image encoder is loaded.
const IMAGE_LOADERS: &[(&str, Load<ImageEncoderOptions, dyn ImageEncoder>)] = &[
    (rows::EFFICIENTNET_LITE0.name, image::efficientnet_lite0),
    (rows::VIT_B16_IN21K.name, image::vit_b16_in21k),
    (rows::RESNET_50.name, image::resnet_50),
    (rows::RESNET_50_V1.name, image::resnet_50_v1),
    (rows::RESNET_50_V2.name, image::resnet_50_v2),
    (rows::CLIP_VIT_B32_IMAGE.name, image::clip_vit_b32),
    (rows::BLIP_ITM_BASE_IMAGE.name, image::blip_itm_base),
];

/// How each text encoder is loaded.
const TEXT_LOADERS: &[(&str, Load<TextEncoderOptions, dyn TextEncoder>)] = &[
    (rows::ALL_MINILM_L6_V2.name, text::all_minilm_l6_v2),
    (rows::BERT_BASE_UNCASED.name, text::bert_base_uncased),
    (rows::DISTILBERT_BASE_UNCASED.name, text::distilbert_base_uncased),
    (rows::CLIP_VIT_B32_TEXT.name, text::clip_vit_b32),
    (rows::BLIP_ITM_BASE_TEXT.name, text::blip_itm_base),
];

/// Loads the weights that the options name, which have to be resolved, onto a device.
///
/// # Errors
/// If the archives do not hold what they should; names the file, and every tensor that is missing or does not fit.
pub fn load_image(
    options: &ImageEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn ImageEncoder>> {
    let found = IMAGE_LOADERS.iter().find(|(name, _)| *name == options.name);
    let (_, load) = found.with_context(|| format!("no image encoder is called {}", options.name))?;
    load(options, archives, device)
}

/// Loads the weights that the options name, which have to be resolved, onto a device.
///
/// # Errors
/// As [`load_image`].
pub fn load_text(
    options: &TextEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn TextEncoder>> {
    let found = TEXT_LOADERS.iter().find(|(name, _)| *name == options.name);
    let (_, load) = found.with_context(|| format!("no text encoder is called {}", options.name))?;
    load(options, archives, device)
}

/// Reads a `config.json` that lies beside weights.
fn config<T: serde::de::DeserializeOwned>(archives: &Archives, name: &str) -> anyhow::Result<T> {
    serde_json::from_slice(&archives.read(name)?)
        .with_context(|| format!("{name} is not the configuration it should be"))
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
