//! Text encoders: loading, tokenizing, feature.

use std::sync::Arc;

use anyhow::Context;
use tch::{Device, Tensor};

use super::super::bert::{self, Bert, Tokens, mean_pool};
use super::super::distilbert::DistilBert;
use super::super::layers::Product;
use super::super::options::{Pooling, TextEncoderOptions};
use super::super::tokenize::TextTokenizer;
use super::super::weights::Weights;
use super::super::{TextEncoder, blip, clip, divided_by_norm};
use super::{config, rows, weights};
use crate::datasets::Archives;

type Loaded = anyhow::Result<Box<dyn TextEncoder>>;

/// The id of `[PAD]` in BERT's vocabulary.
const BERT_PADDING: u32 = 0;
/// CLIP pads with its end-of-text token, which is 49407 in the published vocabulary.
const CLIP_PADDING: &str = "<|endoftext|>";

pub(super) fn all_minilm_l6_v2(options: &TextEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let mut archive = archives.open(rows::MINILM_ARCHIVE)?;
    let mut read = |file: &str| archive.read(&format!("{}/{file}", rows::MINILM_FOLDER));
    let config: bert::Config = serde_json::from_slice(&read("config.json")?).context("config.json")?;
    let weights = Weights::read(&read("model.safetensors")?).context("model.safetensors")?;
    // The product as the features of the first release were made, so that they keep their bytes; on its short texts the
    // fused kernel is not faster.
    let net = Bert::load_with(weights, config, Product::Explicit).context("model.safetensors")?;
    pooled(net, &read("tokenizer.json")?, options, device)
}

pub(super) fn bert_base_uncased(options: &TextEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::BERT_CONFIG)?;
    let weights = weights(archives, rows::BERT_WEIGHTS)?;
    let net = Bert::load(weights, config).context(rows::BERT_WEIGHTS)?;
    pooled(net, &archives.read(rows::BERT_TOKENIZER)?, options, device).context(rows::BERT_TOKENIZER)
}

pub(super) fn distilbert_base_uncased(options: &TextEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::DISTILBERT_CONFIG)?;
    let weights = weights(archives, rows::DISTILBERT_WEIGHTS)?;
    let net = DistilBert::load(weights, config).context(rows::DISTILBERT_WEIGHTS)?;
    pooled(net, &archives.read(rows::DISTILBERT_TOKENIZER)?, options, device).context(rows::DISTILBERT_TOKENIZER)
}

/// A network of BERT's kind.
trait States: Send + 'static {
    fn states(&self, tokens: &Tokens) -> anyhow::Result<Tensor>;
    /// None: the checkpoint has no pooler.
    fn pooler_output(&self, states: &Tensor) -> Option<Tensor>;
    fn has_pooler(&self) -> bool;
    /// Sizes of the vocabulary and of the table of positions.
    fn limits(&self) -> (i64, i64);
    fn share(&self) -> Self;
    fn to_device(&self, device: Device) -> Self;
}

impl States for Bert {
    fn states(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        self.forward(tokens)
    }

    fn pooler_output(&self, states: &Tensor) -> Option<Tensor> {
        self.pool(states)
    }

    fn has_pooler(&self) -> bool {
        Bert::has_pooler(self)
    }

    fn limits(&self) -> (i64, i64) {
        (self.config.vocab_size, self.config.max_position_embeddings)
    }

    fn share(&self) -> Self {
        Bert::share(self)
    }

    fn to_device(&self, device: Device) -> Self {
        Bert::to_device(self, device)
    }
}

impl States for DistilBert {
    fn states(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        self.forward(tokens)
    }

    fn pooler_output(&self, _states: &Tensor) -> Option<Tensor> {
        None
    }

    fn has_pooler(&self) -> bool {
        false
    }

    fn limits(&self) -> (i64, i64) {
        (self.config.vocab_size, self.config.max_position_embeddings)
    }

    fn share(&self) -> Self {
        DistilBert::share(self)
    }

    fn to_device(&self, device: Device) -> Self {
        DistilBert::to_device(self, device)
    }
}

/// Texts are cut at `max-length` tokens, or where the model's positions end.
fn tokenizer(
    json: &[u8],
    options: &TextEncoderOptions,
    (vocabulary, positions): (i64, i64),
) -> anyhow::Result<Arc<TextTokenizer>> {
    let length = i64::from(options.max_length.context("`max-length` is not resolved")?).min(positions);
    anyhow::ensure!(length >= 3, "the model has {positions} positions, too few for a token between the special ones");
    Ok(Arc::new(TextTokenizer::new(json, length as usize)?.within(vocabulary as u64)))
}

fn pooled<Net: States>(net: Net, json: &[u8], options: &TextEncoderOptions, device: Device) -> Loaded {
    let tokenizer = tokenizer(json, options, net.limits())?;
    let pooling = options.pooling.context("`pooling` is not resolved")?;
    anyhow::ensure!(pooling != Pooling::Pooler || net.has_pooler(), "the checkpoint of {} has no pooler", options.name);
    Ok(Box::new(Pooled { net: net.to_device(device), tokenizer, pooling, device }))
}

struct Pooled<Net> {
    net: Net,
    tokenizer: Arc<TextTokenizer>,
    pooling: Pooling,
    device: Device,
}

impl<Net: States> TextEncoder for Pooled<Net> {
    fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }

    fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor> {
        let tokens = Tokens::padded(ids, BERT_PADDING, self.device);
        let states = self.net.states(&tokens)?;
        match self.pooling {
            Pooling::Mean => Ok(mean_pool(&states, tokens.attention_mask.as_ref())),
            Pooling::Cls => Ok(states.select(1, 0)),
            Pooling::Pooler => self.net.pooler_output(&states).context("the checkpoint has no pooler"),
            Pooling::Projection => anyhow::bail!("this encoder has no `projection`"),
        }
    }

    fn replicate(&self) -> Box<dyn TextEncoder> {
        let Pooled { net, tokenizer, pooling, device } = self;
        Box::new(Pooled { net: net.share(), tokenizer: tokenizer.clone(), pooling: *pooling, device: *device })
    }
}

pub(super) fn clip_vit_b32(options: &TextEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::CLIP_CONFIG)?;
    let weights = weights(archives, rows::CLIP_WEIGHTS)?;
    let net = clip::Text::load(weights, config).context(rows::CLIP_WEIGHTS)?;
    let (vocabulary, positions) = (net.config.vocab_size, net.config.max_position_embeddings);
    let json = archives.read(rows::CLIP_TOKENIZER)?;
    let tokenizer = tokenizer(&json, options, (vocabulary, positions)).context(rows::CLIP_TOKENIZER)?;
    let padding = tokenizer.id(CLIP_PADDING).context(rows::CLIP_TOKENIZER)?;
    Ok(Box::new(ClipText { net: net.to_device(device), tokenizer, padding, normalize: options.normalize, device }))
}

struct ClipText {
    net: clip::Text,
    tokenizer: Arc<TextTokenizer>,
    padding: u32,
    normalize: bool,
    device: Device,
}

impl TextEncoder for ClipText {
    fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }

    fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor> {
        let embeds = self.net.forward(&Tokens::padded(ids, self.padding, self.device))?.embeds;
        Ok(if self.normalize { divided_by_norm(&embeds) } else { embeds })
    }

    fn replicate(&self) -> Box<dyn TextEncoder> {
        Box::new(ClipText { net: self.net.share(), tokenizer: self.tokenizer.clone(), ..*self })
    }
}

pub(super) fn blip_itm_base(options: &TextEncoderOptions, archives: &Archives, device: Device) -> Loaded {
    let config = config(archives, rows::BLIP_CONFIG)?;
    let weights = weights(archives, rows::BLIP_WEIGHTS)?;
    let net = blip::Text::load(weights, config).context(rows::BLIP_WEIGHTS)?;
    let projected = options.pooling == Some(Pooling::Projection);
    anyhow::ensure!(!projected || net.has_projection(), "{} has no `text_proj`", rows::BLIP_WEIGHTS);
    let limits = (net.config.vocab_size, net.config.max_position_embeddings);
    let json = archives.read(rows::BLIP_TOKENIZER)?;
    let tokenizer = tokenizer(&json, options, limits).context(rows::BLIP_TOKENIZER)?;
    Ok(Box::new(BlipText { net: net.to_device(device), tokenizer, projected, normalize: options.normalize, device }))
}

struct BlipText {
    net: blip::Text,
    tokenizer: Arc<TextTokenizer>,
    projected: bool,
    normalize: bool,
    device: Device,
}

impl TextEncoder for BlipText {
    fn tokenize(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        self.tokenizer.ids(text)
    }

    fn encode(&self, ids: &[&[u32]]) -> anyhow::Result<Tensor> {
        let states = self.net.forward(&Tokens::padded(ids, BERT_PADDING, self.device))?;
        if !self.projected {
            return Ok(states.select(1, 0));
        }
        let projection = self.net.project(&states).context("the checkpoint has no `text_proj`")?;
        Ok(if self.normalize { divided_by_norm(&projection) } else { projection })
    }

    fn replicate(&self) -> Box<dyn TextEncoder> {
        Box::new(BlipText { net: self.net.share(), tokenizer: self.tokenizer.clone(), ..*self })
    }
}
