//! BERT (Devlin et al., NAACL 2019), and everything of its shape: all-MiniLM-L6-v2 among others.
//!
//! Mirrors Hugging Face's checkpoint keys; a prefix `bert.`, layer norms called `gamma` and `beta`, and the heads of a
//! pre-training checkpoint are accepted. Source: transformers, `models/bert/modeling_bert.py`.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

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
        anyhow::ensure!(self.hidden_act == "gelu", "`hidden_act` should be \"gelu\", found {:?}", self.hidden_act);
        let positions = &self.position_embedding_type;
        anyhow::ensure!(
            positions == "absolute",
            "`position_embedding_type` should be \"absolute\", found {positions:?}"
        );
        for (name, size, most) in [
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1000),
            ("num_attention_heads", self.num_attention_heads, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
            ("type_vocab_size", self.type_vocab_size, 1 << 20),
        ] {
            anyhow::ensure!((1..=most).contains(&size), "`{name}` should lie between 1 and {most}, found {size}");
        }
        anyhow::ensure!(
            self.hidden_size % self.num_attention_heads == 0,
            "`hidden_size` {} is no multiple of `num_attention_heads` {}",
            self.hidden_size,
            self.num_attention_heads
        );
        let eps = self.layer_norm_eps;
        anyhow::ensure!(eps.is_finite() && eps > 0.0, "`layer_norm_eps` should be a positive number, found {eps}");
        Ok(())
    }
}

#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(weights: &mut Weights, key: &str, outputs: i64, inputs: i64) -> Self {
        Linear {
            weight: weights.take(&format!("{key}.weight"), &[outputs, inputs]),
            bias: weights.take(&format!("{key}.bias"), &[outputs]),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    fn shallow(&self) -> Self {
        Linear { weight: self.weight.shallow_clone(), bias: self.bias.shallow_clone() }
    }

    fn to_device(&self, device: Device) -> Self {
        Linear { weight: self.weight.to_device(device), bias: self.bias.to_device(device) }
    }
}

#[derive(Debug)]
struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    fn new(weights: &mut Weights, key: &str, size: i64, eps: f64) -> Self {
        LayerNorm {
            weight: weights.take(&format!("{key}.weight"), &[size]),
            bias: weights.take(&format!("{key}.bias"), &[size]),
            eps,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, false)
    }

    fn on(&self, device: Option<Device>) -> Self {
        let place = |t: &Tensor| device.map_or_else(|| t.shallow_clone(), |device| t.to_device(device));
        LayerNorm { weight: place(&self.weight), bias: place(&self.bias), eps: self.eps }
    }
}

/// One block; fields are named after the checkpoint's keys.
#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output_dense: Linear,
    attention_output_layer_norm: LayerNorm,
    intermediate_dense: Linear,
    output_dense: Linear,
    output_layer_norm: LayerNorm,
    heads: i64,
}

impl Layer {
    fn new(weights: &mut Weights, i: i64, config: &Config) -> Self {
        let (d, mlp, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let at = |rest: &str| format!("encoder.layer.{i}.{rest}");
        Layer {
            query: Linear::new(weights, &at("attention.self.query"), d, d),
            key: Linear::new(weights, &at("attention.self.key"), d, d),
            value: Linear::new(weights, &at("attention.self.value"), d, d),
            attention_output_dense: Linear::new(weights, &at("attention.output.dense"), d, d),
            attention_output_layer_norm: LayerNorm::new(weights, &at("attention.output.LayerNorm"), d, eps),
            intermediate_dense: Linear::new(weights, &at("intermediate.dense"), mlp, d),
            output_dense: Linear::new(weights, &at("output.dense"), d, mlp),
            output_layer_norm: LayerNorm::new(weights, &at("output.LayerNorm"), d, eps),
            heads: config.num_attention_heads,
        }
    }

    /// Post-norm: x = LN(x + Attention(x)); x = LN(x + MLP(x)).
    fn forward(&self, x: &Tensor, mask: &Tensor) -> Tensor {
        let attention = self.attention_output_dense.forward(&self.attention(x, mask));
        let x = self.attention_output_layer_norm.forward(&(x + attention));
        let intermediate = self.intermediate_dense.forward(&x).gelu("none");
        self.output_layer_norm.forward(&(&x + self.output_dense.forward(&intermediate)))
    }

    /// Heads are consecutive slices of the hidden size.
    fn attention(&self, x: &Tensor, mask: &Tensor) -> Tensor {
        let size = x.size();
        let (batch, tokens, hidden) = (size[0], size[1], size[2]);
        let width = hidden / self.heads;
        let split = |y: Tensor| y.view([batch, tokens, self.heads, width]).transpose(1, 2);
        let (q, k, v) = (split(self.query.forward(x)), split(self.key.forward(x)), split(self.value.forward(x)));
        let scores = q.matmul(&k.transpose(-2, -1)) / (width as f64).sqrt() + mask;
        let context = scores.softmax(-1, None).matmul(&v);
        context.transpose(1, 2).reshape([batch, tokens, hidden])
    }

    fn map(&self, linear: impl Fn(&Linear) -> Linear, device: Option<Device>) -> Self {
        Layer {
            query: linear(&self.query),
            key: linear(&self.key),
            value: linear(&self.value),
            attention_output_dense: linear(&self.attention_output_dense),
            attention_output_layer_norm: self.attention_output_layer_norm.on(device),
            intermediate_dense: linear(&self.intermediate_dense),
            output_dense: linear(&self.output_dense),
            output_layer_norm: self.output_layer_norm.on(device),
            heads: self.heads,
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
    pub attention_mask: Tensor,
    /// None: type 0 for every token.
    pub token_type_ids: Option<Tensor>,
}

impl Tokens {
    /// Ids of single texts, padded on the right with 0 to the longest.
    pub fn padded(rows: &[&[u32]], device: Device) -> Self {
        let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for row in rows {
            ids.extend((0..length).map(|at| row.get(at).map_or(0, |&id| i64::from(id))));
            mask.extend((0..length).map(|at| i64::from(at < row.len())));
        }
        let shaped =
            |values: &[i64]| Tensor::from_slice(values).view([rows.len() as i64, length as i64]).to_device(device);
        Tokens { input_ids: shaped(&ids), attention_mask: shaped(&mask), token_type_ids: None }
    }
}

impl Bert {
    /// Takes a checkpoint apart.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let mut weights = weights.rename(|key| {
            let key = key.strip_prefix("bert.").unwrap_or(key);
            match (key.strip_suffix(".gamma"), key.strip_suffix(".beta")) {
                (Some(norm), _) => format!("{norm}.weight"),
                (_, Some(norm)) => format!("{norm}.bias"),
                _ => key.to_owned(),
            }
        });
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
            layers: (0..config.num_hidden_layers).map(|i| Layer::new(w, i, &config)).collect(),
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
        let (_batch, length) = tokens.input_ids.size2()?;
        let positions = self.config.max_position_embeddings;
        anyhow::ensure!(length <= positions, "{length} tokens, the model has {positions} positions");
        let words = Tensor::embedding(&self.word_embeddings, &tokens.input_ids, -1, false, false);
        // Row 0 is added even when no types are given.
        let types = match &tokens.token_type_ids {
            Some(types) => Tensor::embedding(&self.token_type_embeddings, types, -1, false, false),
            None => self.token_type_embeddings.narrow(0, 0, 1),
        };
        let mut x = self.layer_norm.forward(&(words + types + self.position_embeddings.narrow(0, 0, length)));
        // The lowest finite number rather than minus infinity: a row without any token does not become NaN.
        let mask: Tensor = (1.0 - tokens.attention_mask.to_kind(Kind::Float)) * f64::from(f32::MIN);
        let mask = mask.unsqueeze(1).unsqueeze(1);
        for layer in &self.layers {
            x = layer.forward(&x, &mask);
        }
        Ok(x)
    }

    /// `pooler_output` = tanh(pooler(CLS)), [B, D], if the checkpoint has a pooler.
    pub fn pool(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.pooler.as_ref().map(|pooler| pooler.forward(&last_hidden_state.select(1, 0)).tanh())
    }

    /// Another handle on the same weights, for another thread.
    pub fn share(&self) -> Self {
        self.map(Linear::shallow, None)
    }

    /// The same model on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.map(|linear| linear.to_device(device), Some(device))
    }

    fn map(&self, linear: impl Fn(&Linear) -> Linear, device: Option<Device>) -> Self {
        let place = |t: &Tensor| device.map_or_else(|| t.shallow_clone(), |device| t.to_device(device));
        Bert {
            word_embeddings: place(&self.word_embeddings),
            position_embeddings: place(&self.position_embeddings),
            token_type_embeddings: place(&self.token_type_embeddings),
            layer_norm: self.layer_norm.on(device),
            layers: self.layers.iter().map(|layer| layer.map(&linear, device)).collect(),
            pooler: self.pooler.as_ref().map(&linear),
            config: self.config.clone(),
        }
    }
}

/// The mean over all tokens that are no padding, Σ(x·m)/max(Σm, 1e-9), [B, D].
pub fn mean_pool(last_hidden_state: &Tensor, attention_mask: &Tensor) -> Tensor {
    let mask = attention_mask.to_kind(last_hidden_state.kind()).unsqueeze(-1);
    let sum = (last_hidden_state * &mask).sum_dim_intlist([1].as_slice(), false, None);
    sum / mask.sum_dim_intlist([1].as_slice(), false, None).clamp_min(1e-9)
}
