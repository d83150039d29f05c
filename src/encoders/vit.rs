//! Vision Transformer (Dosovitskiy et al., ICLR 2021).
//!
//! Mirrors Hugging Face's checkpoint keys. A prefix `vit.` and a classification head are accepted.

use serde::Deserialize;
use tch::Tensor;

use super::layers::{LayerNorm, Linear, PictureEmbedding, plain_key};
use super::transformer::{Keys, Norm, Product, Projections, Transformer, VisionConfig};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    #[serde(flatten)]
    pub vision: VisionConfig,
    pub num_channels: i64,
    #[serde(default = "yes")]
    pub qkv_bias: bool,
}

fn yes() -> bool {
    true
}

/// `ViTLayer`:
/// <https://github.com/huggingface/transformers/blob/d8b2b23c6ed11668acbcc9f498695665b780503b/src/transformers/models/vit/modeling_vit.py>
const KEYS: Keys = Keys {
    layers: "encoder.layer",
    projections: Projections::Apart([
        "attention.attention.query",
        "attention.attention.key",
        "attention.attention.value",
    ]),
    attention_output: "attention.output.dense",
    attention_norm: "layernorm_before",
    mlp_in: "intermediate.dense",
    mlp_out: "output.dense",
    mlp_norm: "layernorm_after",
    norm: Norm::Before,
};

/// A frozen ViT (`ViTModel`).
#[derive(Clone, Debug)]
pub struct Vit {
    embeddings: PictureEmbedding,
    layers: Transformer,
    layernorm: LayerNorm,
    pub(super) pooler: Option<Linear>,
    pub config: VisionConfig,
}

impl Vit {
    /// Takes the tensors out of a checkpoint.
    ///
    /// # Errors
    /// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
    pub fn load(weights: Weights, config: Config) -> anyhow::Result<Self> {
        anyhow::ensure!(config.qkv_bias, "`qkv_bias` should be true, found false");
        anyhow::ensure!(config.num_channels == 3, "`num_channels` should be 3, found {}", config.num_channels);
        let mut weights = weights.rename(|key| plain_key(key, "vit."));
        weights.ignore(|key| key.starts_with("classifier.") || key == "embeddings.position_ids");
        let config = config.vision;
        let (w, d) = (&mut weights, config.layers.hidden_size);
        let (tokens, patch) = (config.tokens()?, config.patch_size);
        let vit = Vit {
            layers: Transformer::new(w, "", &KEYS, &config.layers, Product::Fused)?,
            embeddings: PictureEmbedding {
                class: w.take("embeddings.cls_token", &[1, 1, d]),
                positions: w.take("embeddings.position_embeddings", &[1, tokens, d]),
                patches: w.take("embeddings.patch_embeddings.projection.weight", &[d, 3, patch, patch]),
                bias: Some(w.take("embeddings.patch_embeddings.projection.bias", &[d])),
                image_size: config.image_size,
            },
            layernorm: LayerNorm::new(w, "layernorm", d, config.layers.layer_norm_eps),
            // Fine-tuned checkpoints have none; then there is no pooled output.
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
        Ok(self.layernorm.forward(&self.layers.forward(self.embeddings.forward(pictures)?, None)))
    }

    /// `pooler_output` = tanh(pooler(CLS)), [B, D], if the checkpoint has a pooler.
    pub fn pool(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.pooler.as_ref().map(|pooler| pooler.forward(&last_hidden_state.select(1, 0)).tanh())
    }
}
