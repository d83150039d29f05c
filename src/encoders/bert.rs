//! BERT (Devlin et al., NAACL 2019), and everything of its shape: all-MiniLM-L6-v2 among others.
//!
//! Mirrors Hugging Face's checkpoint keys. A prefix `bert.`, layer norms called `gamma` and `beta`, and the heads of a
//! pre-training checkpoint are accepted.

use serde::Deserialize;
use tch::Tensor;

use super::layers::{LayerNorm, Linear, Tokens, begins_with, check_sizes, padding_mask, plain_key};
use super::transformer::{Keys, Norm, Product, Projections, TextConfig, TextEmbedding, Transformer};
use super::weights::{Parameter, Weights};

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    #[serde(flatten)]
    pub text: TextConfig,
    pub type_vocab_size: i64,
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// `BertLayer`:
/// <https://github.com/huggingface/transformers/blob/8ec58104181bfb34d824d89bccc009b4f6be6e0e/src/transformers/models/bert/modeling_bert.py>
pub(super) const KEYS: Keys = Keys {
    layers: "encoder.layer",
    projections: Projections::Apart(["attention.self.query", "attention.self.key", "attention.self.value"]),
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    mlp_in: "intermediate.dense",
    mlp_out: "output.dense",
    mlp_norm: "output.LayerNorm",
    norm: Norm::After,
};

/// A frozen BERT (`BertModel`). DistilBERT and BLIP's text encoder are the same network without token types and pooler.
#[derive(Clone, Debug)]
pub struct Bert {
    embeddings: TextEmbedding,
    token_type_embeddings: Option<Parameter>,
    layer_norm: LayerNorm,
    layers: Transformer,
    pub(super) pooler: Option<Linear>,
}

impl Bert {
    /// Takes the tensors out of a checkpoint.
    ///
    /// # Errors
    /// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: &Config, product: Product) -> anyhow::Result<Self> {
        let positions = &config.position_embedding_type;
        anyhow::ensure!(
            positions == "absolute",
            "`position_embedding_type` should be \"absolute\", found {positions:?}"
        );
        check_sizes(&[("type_vocab_size", config.type_vocab_size, 1 << 20)])?;
        let mut weights = weights.rename(|key| plain_key(key, "bert."));
        weights.ignore(|key| begins_with(key, &["cls.", "classifier."]) || key == "embeddings.position_ids");
        let (w, d) = (&mut weights, config.text.layers.hidden_size);
        let mut bert = Bert::without_types(w, "", &KEYS, &config.text, product)?;
        let types = w.take("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, d]);
        bert.token_type_embeddings = Some(types);
        // Some checkpoints were saved without one; then there is no pooled output.
        bert.pooler = w.contains("pooler.dense.weight").then(|| Linear::new(w, "pooler.dense", d, d));
        weights.finish()?;
        Ok(bert)
    }

    /// Takes the embeddings of words and positions and the blocks. All keys begin with `prefix`.
    ///
    /// # Errors
    /// If the configuration is not valid.
    pub(super) fn without_types(
        weights: &mut Weights,
        prefix: &str,
        keys: &Keys,
        config: &TextConfig,
        product: Product,
    ) -> anyhow::Result<Self> {
        let layers = Transformer::new(weights, prefix, keys, &config.layers, product)?;
        let at = |key: &str| format!("{prefix}embeddings.{key}");
        let (words, positions) = (at("word_embeddings"), at("position_embeddings"));
        let (d, eps) = (config.layers.hidden_size, config.layers.layer_norm_eps);
        Ok(Bert {
            embeddings: TextEmbedding::new(weights, [&words, &positions], config)?,
            token_type_embeddings: None,
            layer_norm: LayerNorm::new(weights, &at("LayerNorm"), d, eps),
            layers,
            pooler: None,
        })
    }

    /// `last_hidden_state`, [B, N, D].
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        let [words, positions] = self.embeddings.forward(tokens)?;
        // A single text is of type 0.
        let words = match &self.token_type_embeddings {
            None => words,
            Some(table) => words + table.narrow(0, 0, 1),
        };
        let x = self.layer_norm.forward(&(words + positions));
        let mask = tokens.attention_mask.as_ref().map(padding_mask);
        Ok(self.layers.forward(x, mask.as_ref()))
    }

    /// `pooler_output` = tanh(pooler(CLS)), [B, D], if the checkpoint has a pooler.
    pub fn pool(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.pooler.as_ref().map(|pooler| pooler.forward(&last_hidden_state.select(1, 0)).tanh())
    }

    /// The sizes of the vocabulary and of the table of positions.
    pub fn limits(&self) -> (i64, i64) {
        self.embeddings.limits()
    }
}

/// The mean over all tokens that are not padding, Σ(x·m)/max(Σm, 1e-9), [B, D].
pub fn mean_pool(last_hidden_state: &Tensor, attention_mask: Option<&Tensor>) -> Tensor {
    let Some(mask) = attention_mask else {
        let tokens = last_hidden_state.size()[1] as f64;
        return last_hidden_state.sum_dim_intlist([1].as_slice(), false, None) / tokens;
    };
    let mask = mask.to_kind(last_hidden_state.kind()).unsqueeze(-1);
    let sum = (last_hidden_state * &mask).sum_dim_intlist([1].as_slice(), false, None);
    sum / mask.sum_dim_intlist([1].as_slice(), false, None).clamp_min(1e-9)
}
