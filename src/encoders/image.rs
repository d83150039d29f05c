//! Image encoders: loading, preprocessing, features.

use anyhow::Context;
use tch::{Device, Tensor};

use super::efficientnet_lite::{self, EfficientNetLite};
use super::files::{Files, hinted, require};
use super::options::{ImageEncoderOptions, Pooling};
use super::preprocess::Preprocess;
use super::published::ImageNetwork;
use super::resnet::{self, ResNet};
use super::vit::Vit;
use super::{blip, clip, divided_by_norm};
use crate::archives::Archives;

/// A frozen network that turns pictures into features. A clone shares the weights, for another thread.
#[derive(Clone, Debug)]
pub struct ImageEncoder {
    network: Network,
    preprocess: Preprocess,
    pooling: Option<Pooling>,
    normalize: bool,
}

#[derive(Clone, Debug)]
enum Network {
    EfficientNetLite(EfficientNetLite),
    ResNet(ResNet),
    Vit(Vit),
    Clip(clip::Vision),
    Blip(blip::Vision),
}

/// Loads the weights that the options name onto a device. The options have to be resolved.
///
/// # Errors
/// If the archives do not hold what they should. Names the file and the tensors that are missing or do not fit, with a
/// hint.
pub fn load_image(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> anyhow::Result<ImageEncoder> {
    load(options, archives, device).map_err(hinted)
}

fn load(options: &ImageEncoderOptions, archives: &Archives, device: Device) -> anyhow::Result<ImageEncoder> {
    let published = options.published().map_err(anyhow::Error::msg)?;
    let files = Files { published, archives, device };
    let torchvision = || files.network(|weights| ResNet::load(weights, None)).map(Network::ResNet);
    let side = |pixels: i64| pixels as usize;
    let (preprocess, network) = match published.modality.network {
        ImageNetwork::EfficientNetLite0 => {
            let config = efficientnet_lite::Config::lite0();
            let net = files.network(|weights| EfficientNetLite::load(weights, &config))?;
            let size = options.size.context("`size` is not resolved")?;
            (Preprocess::lite(size as usize), Network::EfficientNetLite(net))
        }
        ImageNetwork::ResNet => {
            let config: resnet::Config = files.config()?;
            let net = files.network(|weights| ResNet::load(weights, Some(&config)))?;
            (Preprocess::resnet_microsoft(), Network::ResNet(net))
        }
        ImageNetwork::ResNetV1 => (Preprocess::resnet(), torchvision()?),
        ImageNetwork::ResNetV2 => (Preprocess::resnet_v2(), torchvision()?),
        ImageNetwork::Vit => {
            let config = files.config()?;
            let net = files.network(|weights| {
                let net = Vit::load(weights, config)?;
                require(options.pooling != Some(Pooling::Pooler) || net.pooler.is_some(), "pooler")?;
                Ok(net)
            })?;
            (Preprocess::vit(side(net.config.image_size)), Network::Vit(net))
        }
        ImageNetwork::Clip => {
            let config = files.config()?;
            let net = files.network(|weights| clip::Vision::load(weights, config))?;
            (Preprocess::clip(side(net.config.image_size)), Network::Clip(net))
        }
        ImageNetwork::Blip => {
            let config = files.config()?;
            let net = files.network(|weights| {
                let net = blip::Vision::load(weights, config)?;
                require(options.pooling != Some(Pooling::Projection) || net.vision_proj.is_some(), "`vision_proj`")?;
                Ok(net)
            })?;
            (Preprocess::blip(side(net.config.image_size)), Network::Blip(net))
        }
    };
    Ok(ImageEncoder { network, preprocess, pooling: options.pooling, normalize: options.normalize })
}

impl ImageEncoder {
    /// How a picture becomes the network's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Features, float32 [B, d], of preprocessed pictures [B, 3, H, W] in channels-last memory.
    ///
    /// # Errors
    /// If the network does not take pictures of this size.
    pub fn encode(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let feature = match &self.network {
            Network::EfficientNetLite(net) => net.pool(&net.forward(pictures)),
            Network::ResNet(net) => net.pool(&net.forward(pictures)),
            Network::Vit(net) => {
                let states = net.forward(pictures)?;
                match self.pooling {
                    Some(Pooling::Pooler) => net.pool(&states).context("the checkpoint has no pooler")?,
                    _ => states.select(1, 0),
                }
            }
            Network::Clip(net) => net.forward(pictures)?,
            Network::Blip(net) => {
                let states = net.forward(pictures)?;
                match self.pooling {
                    Some(Pooling::Projection) => net.project(&states).context("the checkpoint has no `vision_proj`")?,
                    _ => states.select(1, 0),
                }
            }
        };
        Ok(if self.normalize { divided_by_norm(&feature) } else { feature })
    }
}
