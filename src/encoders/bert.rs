//! BERT (Devlin et al., NAACL 2019), and everything of its shape: all-MiniLM-L6-v2 among others.
//!
//! Mirrors Hugging Face's checkpoint keys; a prefix `bert.`, layer norms called `gamma` and `beta`, and the heads of a
//! pre-training checkpoint are accepted. Source: transformers, `models/bert/modeling_bert.py`.

use serde::Deserialize;
use tch::{Device, Tensor};

use super::layers::{
    Activation, Attention, LayerNorm, Linear, Place, Product, Sizes, check_eps, check_heads, padding_mask, plain_key,
};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub hidden_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub intermediate_size: i64,
    pub vocab_size: i64,
    pub max_position_embeddings: i64,
    pub type_vocab_size: i64,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl Config {
    /// # Errors
    /// If a setting is one that this file does not compute.
    pub fn check(&self) -> anyhow::Result<()> {
        Activation::named("hidden_act", &self.hidden_act)?;
        let positions = &self.position_embedding_type;
        anyhow::ensure!(
            positions == "absolute",
            "`position_embedding_type` should be \"absolute\", found {positions:?}"
        );
        Sizes(&[
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1000),
            ("num_attention_heads", self.num_attention_heads, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
            ("type_vocab_size", self.type_vocab_size, 1 << 20),
        ])
        .check()?;
        check_heads(("hidden_size", self.hidden_size), ("num_attention_heads", self.num_attention_heads))?;
        check_eps(self.layer_norm_eps)
    }
}

/// One block; fields are named after the checkpoint's keys. DistilBERT's blocks are the same under other keys.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention: Attention,
    pub(super) attention_output_layer_norm: LayerNorm,
    pub(super) intermediate_dense: Linear,
    pub(super) output_dense: Linear,
    pub(super) output_layer_norm: LayerNorm,
    pub(super) activation: Activation,
}

impl Layer {
    fn new(weights: &mut Weights, i: i64, config: &Config, activation: Activation, product: Product) -> Self {
        let (d, mlp, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let at = |rest: &str| format!("encoder.layer.{i}.{rest}");
        let keys = ["self.query", "self.key", "self.value", "output.dense"].map(|key| at(&format!("attention.{key}")));
        Layer {
            attention: Attention::new(weights, keys, d, config.num_attention_heads, product),
            attention_output_layer_norm: LayerNorm::new(weights, &at("attention.output.LayerNorm"), d, eps),
            intermediate_dense: Linear::new(weights, &at("intermediate.dense"), mlp, d),
            output_dense: Linear::new(weights, &at("output.dense"), d, mlp),
            output_layer_norm: LayerNorm::new(weights, &at("output.LayerNorm"), d, eps),
            activation,
        }
    }

    /// Post-norm: x = LN(x + Attention(x)); x = LN(x + MLP(x)).
    pub(super) fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let x = self.attention_output_layer_norm.forward(&(x + self.attention.forward(x, mask)));
        let intermediate = self.activation.of(&self.intermediate_dense.forward(&x));
        self.output_layer_norm.forward(&(&x + self.output_dense.forward(&intermediate)))
    }

    pub(super) fn placed(&self, place: Place) -> Self {
        Layer {
            attention: self.attention.placed(place),
            attention_output_layer_norm: self.attention_output_layer_norm.placed(place),
            intermediate_dense: self.intermediate_dense.placed(place),
            output_dense: self.output_dense.placed(place),
            output_layer_norm: self.output_layer_norm.placed(place),
            activation: self.activation,
        }
    }
}

/// A frozen BERT.
#[derive(Debug)]
pub struct Bert {
    word_embeddings: Tensor,
    position_embeddings: Tensor,
    token_type_embeddings: Tensor,
    layer_norm: LayerNorm,
    layers: Vec<Layer>,
    pooler: Option<Linear>,
    pub config: Config,
}

/// Token ids and their mask, both int64 [B, N]; the mask is 1 for tokens and 0 for padding.
#[derive(Debug)]
pub struct Tokens {
    pub input_ids: Tensor,
    /// None: no text is padded.
    pub attention_mask: Option<Tensor>,
    /// None: type 0 for every token.
    pub token_type_ids: Option<Tensor>,
}

impl Tokens {
    /// Ids of single texts, padded on the right with `padding` to the longest.
    pub fn padded(rows: &[&[u32]], padding: u32, device: Device) -> Self {
        let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for row in rows {
            ids.extend((0..length).map(|at| i64::from(row.get(at).copied().unwrap_or(padding))));
            mask.extend((0..length).map(|at| i64::from(at < row.len())));
        }
        let shaped =
            |values: &[i64]| Tensor::from_slice(values).view([rows.len() as i64, length as i64]).to_device(device);
        let attention_mask = rows.iter().any(|row| row.len() < length).then(|| shaped(&mask));
        Tokens { input_ids: shaped(&ids), attention_mask, token_type_ids: None }
    }

    /// Looks the tokens and their positions up, and adds them: the parts of an embedding that every text model has.
    ///
    /// # Errors
    /// If there are more tokens than positions.
    pub(super) fn embed(&self, words: &Tensor, positions: &Tensor) -> anyhow::Result<[Tensor; 2]> {
        let (_batch, length) = self.input_ids.size2()?;
        let most = positions.size()[0];
        anyhow::ensure!(length <= most, "{length} tokens, the model has {most} positions");
        Ok([Tensor::embedding(words, &self.input_ids, -1, false, false), positions.narrow(0, 0, length)])
    }
}

impl Bert {
    /// Takes a checkpoint apart.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: Config) -> anyhow::Result<Self> {
        Bert::load_with(weights, config, Product::Fused)
    }

    /// As [`Bert::load`], with a choice of how attention is computed.
    ///
    /// # Errors
    /// As [`Bert::load`].
    pub fn load_with(weights: Weights, config: Config, product: Product) -> anyhow::Result<Self> {
        config.check()?;
        let activation = Activation::named("hidden_act", &config.hidden_act)?;
        let mut weights = weights.rename(|key| plain_key(key, "bert."));
        let heads = |key: &str| key.starts_with("cls.") || key.starts_with("classifier.");
        weights.ignore(|key| heads(key) || key == "embeddings.position_ids");
        let w = &mut weights;
        let d = config.hidden_size;
        let embedding =
            |w: &mut Weights, name: &str, rows: i64| w.take(&format!("embeddings.{name}.weight"), &[rows, d]);
        let bert = Bert {
            word_embeddings: embedding(w, "word_embeddings", config.vocab_size),
            position_embeddings: embedding(w, "position_embeddings", config.max_position_embeddings),
            token_type_embeddings: embedding(w, "token_type_embeddings", config.type_vocab_size),
            layer_norm: LayerNorm::new(w, "embeddings.LayerNorm", d, config.layer_norm_eps),
            layers: (0..config.num_hidden_layers).map(|i| Layer::new(w, i, &config, activation, product)).collect(),
            // Some checkpoints were saved without one; then there is no pooled output, and none is made up.
            pooler: w.contains("pooler.dense.weight").then(|| Linear::new(w, "pooler.dense", d, d)),
            config,
        };
        weights.finish()?;
        Ok(bert)
    }

    /// `last_hidden_state`, [B, N, D].
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        self.forward_seen(tokens, &mut |_| ())
    }

    /// As [`Bert::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn forward_seen(&self, tokens: &Tokens, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<Tensor> {
        let [words, positions] = tokens.embed(&self.word_embeddings, &self.position_embeddings)?;
        // Row 0 is added even when no types are given.
        let types = match &tokens.token_type_ids {
            Some(types) => Tensor::embedding(&self.token_type_embeddings, types, -1, false, false),
            None => self.token_type_embeddings.narrow(0, 0, 1),
        };
        let mut x = self.layer_norm.forward(&(words + types + positions));
        see(&x);
        let mask = tokens.attention_mask.as_ref().map(padding_mask);
        for layer in &self.layers {
            x = layer.forward(&x, mask.as_ref());
            see(&x);
        }
        Ok(x)
    }

    /// `pooler_output` = tanh(pooler(CLS)), [B, D], if the checkpoint has a pooler.
    pub fn pool(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.pooler.as_ref().map(|pooler| pooler.forward(&last_hidden_state.select(1, 0)).tanh())
    }

    /// Whether the checkpoint has a pooler.
    pub fn has_pooler(&self) -> bool {
        self.pooler.is_some()
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
        Bert {
            word_embeddings: place.of(&self.word_embeddings),
            position_embeddings: place.of(&self.position_embeddings),
            token_type_embeddings: place.of(&self.token_type_embeddings),
            layer_norm: self.layer_norm.placed(place),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            pooler: self.pooler.as_ref().map(|pooler| pooler.placed(place)),
            config: self.config.clone(),
        }
    }
}

/// The mean over all tokens that are no padding, Σ(x·m)/max(Σm, 1e-9), [B, D].
pub fn mean_pool(last_hidden_state: &Tensor, attention_mask: Option<&Tensor>) -> Tensor {
    let Some(mask) = attention_mask else {
        let tokens = last_hidden_state.size()[1] as f64;
        return last_hidden_state.sum_dim_intlist([1].as_slice(), false, None) / tokens;
    };
    let mask = mask.to_kind(last_hidden_state.kind()).unsqueeze(-1);
    let sum = (last_hidden_state * &mask).sum_dim_intlist([1].as_slice(), false, None);
    sum / mask.sum_dim_intlist([1].as_slice(), false, None).clamp_min(1e-9)
}
