//! DistilBERT (Sanh et al., 2019): half of BERT's blocks, no token types, no pooler.
//!
//! Mirrors Hugging Face's checkpoint keys; a prefix `distilbert.` and the heads of masked language modelling and of
//! classification are accepted. Source: transformers, `models/distilbert/modeling_distilbert.py`.

use serde::Deserialize;
use tch::{Device, Tensor};

use super::bert::{Layer, Tokens};
use super::layers::{
    Activation, Attention, LayerNorm, Linear, Place, Product, Sizes, check_heads, padding_mask, plain_key,
};
use super::weights::Weights;

/// Of every layer norm: fixed in the published code, not in the configuration.
const LAYER_NORM_EPS: f64 = 1e-12;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub dim: i64,
    pub n_layers: i64,
    pub n_heads: i64,
    pub hidden_dim: i64,
    pub vocab_size: i64,
    pub max_position_embeddings: i64,
    pub activation: String,
}

impl Config {
    /// # Errors
    /// If a setting is one that this file does not compute.
    pub fn check(&self) -> anyhow::Result<()> {
        Activation::named("activation", &self.activation)?;
        Sizes(&[
            ("dim", self.dim, 1 << 16),
            ("n_layers", self.n_layers, 1000),
            ("n_heads", self.n_heads, 1 << 16),
            ("hidden_dim", self.hidden_dim, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
        ])
        .check()?;
        check_heads(("dim", self.dim), ("n_heads", self.n_heads))
    }

    fn layer(&self, weights: &mut Weights, i: i64, activation: Activation) -> Layer {
        let (d, mlp, eps) = (self.dim, self.hidden_dim, LAYER_NORM_EPS);
        let at = |rest: &str| format!("transformer.layer.{i}.{rest}");
        let keys = ["q_lin", "k_lin", "v_lin", "out_lin"].map(|key| at(&format!("attention.{key}")));
        Layer {
            attention: Attention::new(weights, keys, d, self.n_heads, Product::Fused),
            attention_output_layer_norm: LayerNorm::new(weights, &at("sa_layer_norm"), d, eps),
            intermediate_dense: Linear::new(weights, &at("ffn.lin1"), mlp, d),
            output_dense: Linear::new(weights, &at("ffn.lin2"), d, mlp),
            output_layer_norm: LayerNorm::new(weights, &at("output_layer_norm"), d, eps),
            activation,
        }
    }
}

/// A frozen DistilBERT.
#[derive(Debug)]
pub struct DistilBert {
    word_embeddings: Tensor,
    position_embeddings: Tensor,
    layer_norm: LayerNorm,
    layers: Vec<Layer>,
    pub config: Config,
}

impl DistilBert {
    /// Takes a checkpoint apart.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let activation = Activation::named("activation", &config.activation)?;
        let mut weights = weights.rename(|key| plain_key(key, "distilbert."));
        let heads = ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier."];
        weights.ignore(|key| heads.iter().any(|head| key.starts_with(head)) || key == "embeddings.position_ids");
        let (w, d) = (&mut weights, config.dim);
        let embedding =
            |w: &mut Weights, name: &str, rows: i64| w.take(&format!("embeddings.{name}.weight"), &[rows, d]);
        let model = DistilBert {
            word_embeddings: embedding(w, "word_embeddings", config.vocab_size),
            // In the file even of models that were made with sinusoids.
            position_embeddings: embedding(w, "position_embeddings", config.max_position_embeddings),
            layer_norm: LayerNorm::new(w, "embeddings.LayerNorm", d, LAYER_NORM_EPS),
            layers: (0..config.n_layers).map(|i| config.layer(w, i, activation)).collect(),
            config,
        };
        weights.finish()?;
        Ok(model)
    }

    /// `last_hidden_state`, [B, N, D]. Token types are not looked at.
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        self.forward_seen(tokens, &mut |_| ())
    }

    /// As [`DistilBert::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`DistilBert::forward`].
    pub fn forward_seen(&self, tokens: &Tokens, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<Tensor> {
        let [words, positions] = tokens.embed(&self.word_embeddings, &self.position_embeddings)?;
        let mut x = self.layer_norm.forward(&(words + positions));
        see(&x);
        let mask = tokens.attention_mask.as_ref().map(padding_mask);
        for layer in &self.layers {
            x = layer.forward(&x, mask.as_ref());
            see(&x);
        }
        Ok(x)
    }

    /// Another handle on the same weights, for another thread.
    pub fn share(&self) -> Self {
        self.placed(Place::Shared)
    }

    /// The same model on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.placed(Place::On(device))
    }

    fn placed(&self, place: Place) -> Self {
        DistilBert {
            word_embeddings: place.of(&self.word_embeddings),
            position_embeddings: place.of(&self.position_embeddings),
            layer_norm: self.layer_norm.placed(place),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            config: self.config.clone(),
        }
    }
}
