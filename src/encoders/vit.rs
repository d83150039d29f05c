//! Vision Transformer (Dosovitskiy et al., ICLR 2021).
//!
//! Mirrors Hugging Face's checkpoint keys; a prefix `vit.` and a classifier's head are accepted. Source: transformers,
//! `models/vit/modeling_vit.py`.

use serde::Deserialize;
use tch::{Device, Tensor};

use super::layers::{
    Activation, Attention, LayerNorm, Linear, PatchEmbedding, Place, PreNormBlock, Product, Sizes, check_eps,
    check_heads, plain_key,
};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub hidden_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub intermediate_size: i64,
    /// Pixels a side.
    pub image_size: i64,
    pub patch_size: i64,
    pub num_channels: i64,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
    #[serde(default = "yes")]
    pub qkv_bias: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// # Errors
    /// If a setting is one that this file does not compute.
    pub fn check(&self) -> anyhow::Result<()> {
        Activation::named("hidden_act", &self.hidden_act)?;
        anyhow::ensure!(self.qkv_bias, "`qkv_bias` should be true, found false");
        anyhow::ensure!(self.num_channels == 3, "`num_channels` should be 3, found {}", self.num_channels);
        Sizes(&[
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1000),
            ("num_attention_heads", self.num_attention_heads, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("image_size", self.image_size, 4096),
            ("patch_size", self.patch_size, self.image_size.max(1)),
        ])
        .check()?;
        check_heads(("hidden_size", self.hidden_size), ("num_attention_heads", self.num_attention_heads))?;
        check_eps(self.layer_norm_eps)
    }

    /// Tokens of a picture, with the class token.
    fn tokens(&self) -> i64 {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    fn block(&self, weights: &mut Weights, i: i64, activation: Activation) -> PreNormBlock {
        let (d, mlp, eps) = (self.hidden_size, self.intermediate_size, self.layer_norm_eps);
        let at = |rest: &str| format!("encoder.layer.{i}.{rest}");
        let keys = ["attention.query", "attention.key", "attention.value", "output.dense"];
        let keys = keys.map(|key| at(&format!("attention.{key}")));
        PreNormBlock {
            attention_norm: LayerNorm::new(weights, &at("layernorm_before"), d, eps),
            attention: Attention::new(weights, keys, d, self.num_attention_heads, Product::Fused),
            mlp_norm: LayerNorm::new(weights, &at("layernorm_after"), d, eps),
            mlp_in: Linear::new(weights, &at("intermediate.dense"), mlp, d),
            mlp_out: Linear::new(weights, &at("output.dense"), d, mlp),
            activation,
        }
    }
}

/// A frozen ViT.
#[derive(Debug)]
pub struct Vit {
    /// [1, 1, D]
    cls_token: Tensor,
    /// [1, tokens, D]
    position_embeddings: Tensor,
    patch_embeddings: PatchEmbedding,
    layers: Vec<PreNormBlock>,
    layernorm: LayerNorm,
    pooler: Option<Linear>,
    pub config: Config,
}

impl Vit {
    /// Takes a checkpoint apart.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: Config) -> anyhow::Result<Self> {
        config.check()?;
        let activation = Activation::named("hidden_act", &config.hidden_act)?;
        let mut weights = weights.rename(|key| plain_key(key, "vit."));
        weights.ignore(|key| key.starts_with("classifier.") || key == "embeddings.position_ids");
        let (w, d) = (&mut weights, config.hidden_size);
        let projection = "embeddings.patch_embeddings.projection";
        let vit = Vit {
            cls_token: w.take("embeddings.cls_token", &[1, 1, d]),
            position_embeddings: w.take("embeddings.position_embeddings", &[1, config.tokens(), d]),
            patch_embeddings: PatchEmbedding::new(w, projection, d, config.patch_size, true),
            layers: (0..config.num_hidden_layers).map(|i| config.block(w, i, activation)).collect(),
            layernorm: LayerNorm::new(w, "layernorm", d, config.layer_norm_eps),
            // Fine-tuned checkpoints have none; then there is no pooled output, and none is made up.
            pooler: w.contains("pooler.dense.weight").then(|| Linear::new(w, "pooler.dense", d, d)),
            config,
        };
        weights.finish()?;
        Ok(vit)
    }

    /// `last_hidden_state`, [B, tokens, D], of pictures [B, 3, image_size, image_size].
    ///
    /// # Errors
    /// If the pictures have another size.
    pub fn forward(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        self.forward_seen(pictures, &mut |_| ())
    }

    /// As [`Vit::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`Vit::forward`].
    pub fn forward_seen(&self, pictures: &Tensor, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<Tensor> {
        let (batch, _channels, height, width) = pictures.size4()?;
        let side = self.config.image_size;
        anyhow::ensure!((height, width) == (side, side), "pictures of {width} × {height} pixels, not {side} × {side}");
        let cls = self.cls_token.expand([batch, 1, self.config.hidden_size], false);
        let mut x = Tensor::cat(&[cls, self.patch_embeddings.forward(pictures)], 1) + &self.position_embeddings;
        see(&x);
        for layer in &self.layers {
            x = layer.forward(&x, None);
            see(&x);
        }
        Ok(self.layernorm.forward(&x))
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
        Vit {
            cls_token: place.of(&self.cls_token),
            position_embeddings: place.of(&self.position_embeddings),
            patch_embeddings: self.patch_embeddings.placed(place),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            layernorm: self.layernorm.placed(place),
            pooler: self.pooler.as_ref().map(|pooler| pooler.placed(place)),
            config: self.config.clone(),
        }
    }
}
