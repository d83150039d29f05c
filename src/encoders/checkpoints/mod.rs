//! Published weights: what they are and which options they can be used with ([`rows`], which needs no libtorch), and how
//! they are loaded and what their feature is ([`image`], [`text`]).

mod image;
pub(super) mod rows;
mod text;

use anyhow::Context;
use tch::Device;

use super::options::{ImageEncoderOptions, TextEncoderOptions};
use super::weights::Weights;
use super::{ImageEncoder, Load, TextEncoder};
use crate::archives::is_damage;
use crate::datasets::Archives;
use crate::errors;

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
/// If the archives do not hold what they should: names the file and tensors that are missing or do not fit, and says what
/// to do.
pub fn load_image(
    options: &ImageEncoderOptions,
    archives: &Archives,
    device: Device,
) -> anyhow::Result<Box<dyn ImageEncoder>> {
    let found = IMAGE_LOADERS.iter().find(|(name, _)| *name == options.name);
    let (_, load) = found.with_context(|| format!("no image encoder is called {}", options.name))?;
    load(options, archives, device).map_err(hinted)
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
    load(options, archives, device).map_err(hinted)
}

/// Says what to do about files that are not the weights they should be. What they hold was verified, so that they were
/// so when they were brought.
fn hinted(error: anyhow::Error) -> anyhow::Error {
    if errors::hint_of(&error).is_some() || !is_damage(&error) {
        return error;
    }
    errors::failed(
        format!("{error:#}"),
        "its manifest in data-manifests/, or the mirror, gives another file than the published weights of this encoder: \
         correct the sources and the sha256 there, and run again",
    )
}

/// Reads weights that are an archive of their own. Where the archive lies says nothing to a person, its name does.
fn weights(archives: &Archives, name: &str) -> anyhow::Result<Weights> {
    Weights::open(archives.path(name)?).with_context(|| name.to_owned())
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

    /// Whatever is wrong with a checkpoint, the file's name and what to do are told, and no place of the store.
    #[test]
    fn a_checkpoint_that_cannot_be_used_is_named_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let fixture = |name: &str| std::fs::read(crate::testing::own_fixtures("encoders").join(name)).unwrap();
        let whole = fixture("resnet/model_torchvision.safetensors");
        for (bytes, part) in [
            (fixture("bert/model.safetensors"), "more tensors that do not fit"),
            (whole[..whole.len() - 9].to_vec(), "not a well-formed safetensors file"),
            (fixture("legacy_pth/refuse/calls_a_function.pth"), "the legacy PyTorch file"),
            (b"<html>".to_vec(), "neither a safetensors file"),
        ] {
            let path = folder.path().join("0123456789abcdef");
            std::fs::write(&path, bytes).unwrap();
            let archives = Archives([(rows::RESNET_V1_WEIGHTS.to_owned(), path)].into());
            let options = ImageEncoderOptions { name: "resnet-50-v1".into(), ..ImageEncoderOptions::default() };
            let error = load_image(&options, &archives, Device::Cpu).err().unwrap();
            let told = format!("{error:#}");
            assert!(told.starts_with(rows::RESNET_V1_WEIGHTS) && told.contains(part), "{told}");
            assert!(!told.contains("0123456789abcdef") && told.len() < 1000, "{told}");
            assert!(errors::hint_of(&error).unwrap().contains("data-manifests/"), "{told}");
        }
        let archives = Archives([(rows::RESNET_V1_WEIGHTS.to_owned(), folder.path().join("none"))].into());
        let options = ImageEncoderOptions { name: "resnet-50-v1".into(), ..ImageEncoderOptions::default() };
        let error = load_image(&options, &archives, Device::Cpu).err().unwrap();
        assert_eq!(errors::hint_of(&error), None, "a disk's fault is not the manifest's");
    }

    #[test]
    fn every_encoder_has_a_loader() {
        let known: Vec<&str> = IMAGE_ENCODERS.iter().map(|published| published.name).collect();
        assert_eq!(known, IMAGE_LOADERS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let known: Vec<&str> = TEXT_ENCODERS.iter().map(|published| published.name).collect();
        assert_eq!(known, TEXT_LOADERS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
