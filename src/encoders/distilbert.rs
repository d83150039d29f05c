//! DistilBERT (Sanh et al., 2019): BERT with half of its blocks, without token types and pooler.
//!
//! Mirrors Hugging Face's checkpoint keys. A prefix `distilbert.` and the heads of masked language modelling and of
//! classification are accepted.

use serde::Deserialize;

use super::bert::Bert;
use super::layers::{begins_with, plain_key};
use super::transformer::{self, Keys, Norm, Product, Projections, TextConfig};
use super::weights::Weights;

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

/// `TransformerBlock`:
/// <https://github.com/huggingface/transformers/blob/e368c1a8819d54720956961ea7cd47d99239bd39/src/transformers/models/distilbert/modeling_distilbert.py>
const KEYS: Keys = Keys {
    layers: "transformer.layer",
    projections: Projections::Apart(["attention.q_lin", "attention.k_lin", "attention.v_lin"]),
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    mlp_in: "ffn.lin1",
    mlp_out: "ffn.lin2",
    mlp_norm: "output_layer_norm",
    norm: Norm::After,
};

/// Takes a DistilBERT's tensors out of a checkpoint. The positions are in the file even if they were made with sinusoids.
///
/// # Errors
/// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
pub fn load(weights: Weights, config: &Config) -> anyhow::Result<Bert> {
    let mut weights = weights.rename(|key| plain_key(key, "distilbert."));
    let heads = ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier."];
    weights.ignore(|key| begins_with(key, &heads) || key == "embeddings.position_ids");
    let layers = transformer::Config {
        hidden_size: config.dim,
        num_hidden_layers: config.n_layers,
        num_attention_heads: config.n_heads,
        intermediate_size: config.hidden_dim,
        // Fixed in the published code, not in the configuration.
        layer_norm_eps: 1e-12,
        hidden_act: config.activation.clone(),
    };
    let config =
        TextConfig { layers, vocab_size: config.vocab_size, max_position_embeddings: config.max_position_embeddings };
    let bert = Bert::without_types(&mut weights, "", &KEYS, &config, Product::Fused)?;
    weights.finish()?;
    Ok(bert)
}
