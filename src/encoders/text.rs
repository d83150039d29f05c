//! Text encoders: loading, tokenizing, features.

use std::sync::Arc;

use anyhow::Context;
use tch::{Device, Tensor};

use super::bert::{self, Bert, mean_pool};
use super::files::{Files, hinted, require};
use super::layers::Tokens;
use super::options::{Pooling, TextEncoderOptions};
use super::published::TextNetwork;
use super::tokenize::TextTokenizer;
use super::{blip, clip, distilbert, divided_by_norm};
use crate::archives::Archives;

/// The id of `[PAD]` in BERT's vocabulary.
const BERT_PADDING: u32 = 0;
/// CLIP pads with its end-of-text token, which is 49407 in the published vocabulary.
const CLIP_PADDING: &str = "<|endoftext|>";

/// A frozen network that turns texts into features. A clone shares the weights, for another thread.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    network: Network,
    pub(super) tokenizer: Arc<TextTokenizer>,
    padding: u32,
    pooling: Option<Pooling>,
    normalize: bool,
    device: Device,
}

#[derive(Clone, Debug)]
enum Network {
    Bert(Bert),
    Clip(clip::Text),
    Blip(blip::Text),
}

/// Loads the weights that the options name onto a device. The options have to be resolved.
///
/// # Errors
/// As [`load_image`](super::load_image).
pub fn load_text(options: &TextEncoderOptions, archives: &Archives, device: Device) -> anyhow::Result<TextEncoder> {
    load(options, archives, device).map_err(hinted)
}

fn load(options: &TextEncoderOptions, archives: &Archives, device: Device) -> anyhow::Result<TextEncoder> {
    let published = options.published().map_err(anyhow::Error::msg)?;
    let files = Files { published, archives, device };
    let network = match published.modality.network {
        TextNetwork::Bert(product) => {
            let config: bert::Config = files.config()?;
            files.network(|weights| {
                let net = Bert::load(weights, &config, product)?;
                require(options.pooling != Some(Pooling::Pooler) || net.pooler.is_some(), "pooler")?;
                Ok(Network::Bert(net))
            })?
        }
        TextNetwork::DistilBert => {
            let config = files.config()?;
            files.network(|weights| distilbert::load(weights, &config).map(Network::Bert))?
        }
        TextNetwork::Clip => {
            let config = files.config()?;
            files.network(|weights| clip::Text::load(weights, config).map(Network::Clip))?
        }
        TextNetwork::Blip => {
            let config = files.config()?;
            files.network(|weights| {
                let net = blip::Text::load(weights, config)?;
                require(options.pooling != Some(Pooling::Projection) || net.text_proj.is_some(), "`text_proj`")?;
                Ok(Network::Blip(net))
            })?
        }
    };
    let limits = match &network {
        Network::Bert(net) => net.limits(),
        Network::Clip(net) => net.limits(),
        Network::Blip(net) => net.limits(),
    };
    let tokenizer = tokenizer(&files.read(2)?, options, limits).with_context(|| published.file(2).to_owned())?;
    let padding = match network {
        Network::Clip(_) => tokenizer.id(CLIP_PADDING).with_context(|| published.file(2).to_owned())?,
        Network::Bert(_) | Network::Blip(_) => BERT_PADDING,
    };
    let (tokenizer, pooling, normalize) = (Arc::new(tokenizer), options.pooling, options.normalize);
    Ok(TextEncoder { network, tokenizer, padding, pooling, normalize, device })
}

/// Cuts texts at `max-length` tokens, or where the model's positions end.
fn tokenizer(
    json: &[u8],
    options: &TextEncoderOptions,
    (vocabulary, positions): (i64, i64),
) -> anyhow::Result<TextTokenizer> {
    let length = i64::from(options.max_length.context("`max-length` is not resolved")?).min(positions);
    anyhow::ensure!(length >= 3, "the model has {positions} positions, too few for a token between the special ones");
    TextTokenizer::new(json, length as usize, vocabulary as u64)
}

impl TextEncoder {
    /// The ids of a text's tokens, special ones included, cut at the encoder's length.
    ///
    /// # Errors
    /// If the tokenizer fails, or returns an id that the network does not have.
    pub fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }

    /// Features, float32 [B, d], of texts given by their ids, which are padded to a common length here.
    ///
    /// # Errors
    /// If a text has more tokens than the network has positions.
    pub fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor> {
        let tokens = Tokens::padded(ids, self.padding, self.device);
        let feature = match &self.network {
            Network::Bert(net) => {
                let states = net.forward(&tokens)?;
                match self.pooling {
                    Some(Pooling::Mean) => mean_pool(&states, tokens.attention_mask.as_ref()),
                    Some(Pooling::Pooler) => net.pool(&states).context("the checkpoint has no pooler")?,
                    _ => states.select(1, 0),
                }
            }
            Network::Clip(net) => net.forward(&tokens)?,
            Network::Blip(net) => {
                let states = net.forward(&tokens)?;
                match self.pooling {
                    Some(Pooling::Projection) => net.project(&states).context("the checkpoint has no `text_proj`")?,
                    _ => states.select(1, 0),
                }
            }
        };
        Ok(if self.normalize { divided_by_norm(&feature) } else { feature })
    }
}
