//! Image encoders: loading, preprocessing, feature.

use anyhow::Context;
use tch::{Device, Tensor};

use super::super::efficientnet_lite::{self, EfficientNetLite};
use super::super::options::{ImageEncoderOptions, Pooling};
use super::super::resnet::ResNet;
use super::super::vit::Vit;
use super::super::weights::Weights;
use super::super::{ImageEncoder, blip, clip, divided_by_norm};
use super::{config, rows, weights};
use crate::datasets::Archives;
use crate::encoders::preprocess::Preprocess;

type Loaded = anyhow::Result<Box<dyn ImageEncoder>>;

pub(super) fn efficientnet_lite0(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let bytes = archives.open(rows::LITE0_ARCHIVE)?.read(rows::LITE0_WEIGHTS)?;
    let weights = Weights::read(&bytes).context(rows::LITE0_WEIGHTS)?;
    let net = EfficientNetLite::load(weights, &efficientnet_lite::Config::lite0()).context(rows::LITE0_WEIGHTS)?;
    let size = options.size.context("`size` is not resolved")? as usize;
    Ok(Box::new(Convolutional { net: net.to_device(device), preprocess: Preprocess::lite(size) }))
}

pub(super) fn resnet_50(_options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::RESNET_CONFIG)?;
    let weights = weights(archives, rows::RESNET_WEIGHTS)?;
    let net = ResNet::load(weights, Some(&config)).context(rows::RESNET_WEIGHTS)?;
    Ok(Box::new(Convolutional { net: net.to_device(device), preprocess: Preprocess::resnet_microsoft() }))
}

pub(super) fn resnet_50_v1(_options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    torchvision(rows::RESNET_V1_WEIGHTS, Preprocess::resnet(), archives, device)
}

pub(super) fn resnet_50_v2(_options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    torchvision(rows::RESNET_V2_WEIGHTS, Preprocess::resnet_v2(), archives, device)
}

fn torchvision(file: &str, preprocess: Preprocess, archives: &Archives, device: Device) -> Loaded {
    let weights = weights(archives, file)?;
    let net = ResNet::load(weights, None).with_context(|| file.to_owned())?;
    Ok(Box::new(Convolutional { net: net.to_device(device), preprocess }))
}

/// A network whose feature is the mean of its last maps over height and width.
trait Maps: Send + 'static {
    fn pooled(&self, pictures: &Tensor) -> Tensor;
    fn share(&self) -> Self;
}

impl Maps for EfficientNetLite {
    fn pooled(&self, pictures: &Tensor) -> Tensor {
        self.pool(&self.forward(pictures))
    }

    fn share(&self) -> Self {
        EfficientNetLite::share(self)
    }
}

impl Maps for ResNet {
    fn pooled(&self, pictures: &Tensor) -> Tensor {
        self.pool(&self.forward(pictures))
    }

    fn share(&self) -> Self {
        ResNet::share(self)
    }
}

struct Convolutional<Net> {
    net: Net,
    preprocess: Preprocess,
}

impl<Net: Maps> ImageEncoder for Convolutional<Net> {
    fn preprocess(&self) -> Preprocess {
        self.preprocess.clone()
    }

    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        Ok(self.net.pooled(pictures))
    }

    fn replicate(&self) -> Box<dyn ImageEncoder> {
        Box::new(Convolutional { net: self.net.share(), preprocess: self.preprocess.clone() })
    }
}

pub(super) fn vit_b16_in21k(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::VIT_CONFIG)?;
    let weights = weights(archives, rows::VIT_WEIGHTS)?;
    let net = Vit::load(weights, config).context(rows::VIT_WEIGHTS)?;
    let pooling = options.pooling.context("`pooling` is not resolved")?;
    anyhow::ensure!(pooling == Pooling::Cls || net.has_pooler(), "{} has no pooler", rows::VIT_WEIGHTS);
    Ok(Box::new(VitEncoder { net: net.to_device(device), pooling }))
}

struct VitEncoder {
    net: Vit,
    pooling: Pooling,
}

impl ImageEncoder for VitEncoder {
    fn preprocess(&self) -> Preprocess {
        Preprocess::vit(self.net.config.image_size as usize)
    }

    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let states = self.net.forward(pictures)?;
        match self.pooling {
            Pooling::Cls => Ok(states.select(1, 0)),
            Pooling::Pooler => self.net.pool(&states).context("the checkpoint has no pooler"),
            Pooling::Mean | Pooling::Projection => anyhow::bail!("this encoder has no `{}`", self.pooling.name()),
        }
    }

    fn replicate(&self) -> Box<dyn ImageEncoder> {
        Box::new(VitEncoder { net: self.net.share(), pooling: self.pooling })
    }
}

pub(super) fn clip_vit_b32(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::CLIP_CONFIG)?;
    let weights = weights(archives, rows::CLIP_WEIGHTS)?;
    let net = clip::Vision::load(weights, config).context(rows::CLIP_WEIGHTS)?;
    Ok(Box::new(ClipVision { net: net.to_device(device), normalize: options.normalize }))
}

struct ClipVision {
    net: clip::Vision,
    normalize: bool,
}

impl ImageEncoder for ClipVision {
    fn preprocess(&self) -> Preprocess {
        Preprocess::clip(self.net.config.image_size as usize)
    }

    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let embeds = self.net.forward(pictures)?.embeds;
        Ok(if self.normalize { divided_by_norm(&embeds) } else { embeds })
    }

    fn replicate(&self) -> Box<dyn ImageEncoder> {
        Box::new(ClipVision { net: self.net.share(), normalize: self.normalize })
    }
}

pub(super) fn blip_itm_base(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::BLIP_CONFIG)?;
    let weights = weights(archives, rows::BLIP_WEIGHTS)?;
    let net = blip::Vision::load(weights, config).context(rows::BLIP_WEIGHTS)?;
    let projected = options.pooling == Some(Pooling::Projection);
    anyhow::ensure!(!projected || net.has_projection(), "{} has no `vision_proj`", rows::BLIP_WEIGHTS);
    Ok(Box::new(BlipVision { net: net.to_device(device), projected, normalize: options.normalize }))
}

struct BlipVision {
    net: blip::Vision,
    projected: bool,
    normalize: bool,
}

impl ImageEncoder for BlipVision {
    fn preprocess(&self) -> Preprocess {
        Preprocess::blip(self.net.config.image_size as usize)
    }

    fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let states = self.net.forward(pictures)?;
        if !self.projected {
            return Ok(states.select(1, 0));
        }
        let projection = self.net.project(&states).context("the checkpoint has no `vision_proj`")?;
        Ok(if self.normalize { divided_by_norm(&projection) } else { projection })
    }

    fn replicate(&self) -> Box<dyn ImageEncoder> {
        Box::new(BlipVision { net: self.net.share(), ..*self })
    }
}
