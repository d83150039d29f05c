//! BLIP (Li et al., ICML 2022): the vision tower, and the text encoder as it reads a text alone.
//!
//! Mirrors Hugging Face's checkpoint keys. One file holds both towers, and each is loaded without the other. Without a
//! picture the cross-attention of the text layers is left out, so its tensors are ignored.
//!
//! Only checkpoints for retrieval and for questions have a text encoder. Those for captions hold a decoder in its place
//! (`text_decoder.*`: causal, trained to look at a picture), which is refused. Libraries that load such a file into a
//! model with a text encoder leave that encoder with random weights.

use serde::Deserialize;
use tch::Tensor;

use super::bert::{self, Bert};
use super::layers::{LayerNorm, Linear, PictureEmbedding, Tokens, begins_with, check_sizes};
use super::transformer::{Keys, Norm, Product, Projections, TextConfig, Transformer, VisionConfig};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub vision_config: VisionConfig,
    /// Nothing has a default: Transformers' own is 8 heads, the checkpoints have 12.
    pub text_config: TextConfig,
    /// The size of the projections. 256 is Transformers' own default, which `config.json` may leave out.
    #[serde(default = "projection_size")]
    pub image_text_hidden_size: i64,
}

fn projection_size() -> i64 {
    256
}

/// `BlipEncoderLayer`:
/// <https://github.com/huggingface/transformers/blob/0e97420c9957149b80ff57632148e8ce80203b48/src/transformers/models/blip/modeling_blip.py>
const KEYS: Keys = Keys {
    layers: "encoder.layers",
    projections: Projections::Joined("self_attn.qkv"),
    attention_output: "self_attn.projection",
    attention_norm: "layer_norm1",
    mlp_in: "mlp.fc1",
    mlp_out: "mlp.fc2",
    mlp_norm: "layer_norm2",
    norm: Norm::Before,
};

/// A projection into the space where pictures and texts are compared. Checkpoints for captions or questions have none.
fn projection(weights: &mut Weights, key: &str, size: i64, hidden: i64) -> anyhow::Result<Option<Linear>> {
    check_sizes(&[("image_text_hidden_size", size, 1 << 16)])?;
    Ok(weights.contains(&format!("{key}.weight")).then(|| Linear::new(weights, key, size, hidden)))
}

/// A frozen vision tower (`BlipVisionModel` and `vision_proj`).
#[derive(Clone, Debug)]
pub struct Vision {
    embeddings: PictureEmbedding,
    layers: Transformer,
    post_layernorm: LayerNorm,
    pub(super) vision_proj: Option<Linear>,
    pub config: VisionConfig,
}

impl Vision {
    /// Takes the vision tower out of a checkpoint.
    ///
    /// # Errors
    /// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { vision_config: config, text_config: _, image_text_hidden_size } = config;
        weights.ignore(|key| {
            begins_with(key, &["text_encoder.", "text_decoder.", "text_proj.", "itm_head."])
                || ["logit_scale", "vision_model.embeddings.position_ids"].contains(&key)
        });
        let (w, d) = (&mut weights, config.layers.hidden_size);
        let (tokens, patch) = (config.tokens()?, config.patch_size);
        let vision = Vision {
            layers: Transformer::new(w, "vision_model.", &KEYS, &config.layers, Product::Fused)?,
            embeddings: PictureEmbedding {
                class: w.take("vision_model.embeddings.class_embedding", &[1, 1, d]),
                positions: w.take("vision_model.embeddings.position_embedding", &[1, tokens, d]),
                patches: w.take("vision_model.embeddings.patch_embedding.weight", &[d, 3, patch, patch]),
                bias: Some(w.take("vision_model.embeddings.patch_embedding.bias", &[d])),
                image_size: config.image_size,
            },
            post_layernorm: LayerNorm::new(w, "vision_model.post_layernorm", d, config.layers.layer_norm_eps),
            vision_proj: projection(w, "vision_proj", image_text_hidden_size, d)?,
            config,
        };
        weights.finish()?;
        Ok(vision)
    }

    /// `last_hidden_state`, [B, tokens, D], of pictures [B, 3, image_size, image_size].
    ///
    /// # Errors
    /// If the pictures have another size.
    pub fn forward(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        Ok(self.post_layernorm.forward(&self.layers.forward(self.embeddings.forward(pictures)?, None)))
    }

    /// `vision_proj` of the class token's state, [B, image_text_hidden_size], not divided by its norm, if the checkpoint
    /// has that projection.
    pub fn project(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.vision_proj.as_ref().map(|projection| projection.forward(&last_hidden_state.select(1, 0)))
    }
}

/// A frozen text encoder, in which every token sees every other. Its layers are BERT's:
/// <https://github.com/huggingface/transformers/blob/edc939760c883013366a4f608d4836a45a5b5be2/src/transformers/models/blip/modeling_blip_text.py>
#[derive(Clone, Debug)]
pub struct Text {
    text_encoder: Bert,
    pub(super) text_proj: Option<Linear>,
}

impl Text {
    /// Takes the text encoder out of a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint has a decoder in its place. Names a setting that this file does not compute, or every tensor that
    /// is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { text_config: config, vision_config: _, image_text_hidden_size } = config;
        let has = |tower: &str| {
            ["embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight"]
                .iter()
                .any(|key| weights.contains(&format!("{tower}.{key}")))
        };
        anyhow::ensure!(
            has("text_encoder") || !has("text_decoder"),
            "the checkpoint has no text encoder (`text_encoder.*`), only a decoder that writes captions \
             (`text_decoder.*`). The decoder is causal and was trained to look at a picture, so it has no features of a \
             text alone; use a checkpoint for retrieval, such as blip-itm-base-coco"
        );
        weights.ignore(|key| {
            let of_pictures = key.starts_with("text_encoder.encoder.layer.") && key.contains(".crossattention.");
            begins_with(key, &["vision_model.", "vision_proj.", "text_decoder.", "itm_head."])
                || of_pictures
                || ["logit_scale", "text_encoder.embeddings.position_ids"].contains(&key)
        });
        let (w, d) = (&mut weights, config.layers.hidden_size);
        let text = Text {
            text_encoder: Bert::without_types(w, "text_encoder.", &bert::KEYS, &config, Product::Fused)?,
            text_proj: projection(w, "text_proj", image_text_hidden_size, d)?,
        };
        weights.finish()?;
        Ok(text)
    }

    /// `last_hidden_state`, [B, N, D].
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        self.text_encoder.forward(tokens)
    }

    /// `text_proj` of the first token's state, [B, image_text_hidden_size], not divided by its norm, if the checkpoint has
    /// that projection.
    pub fn project(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.text_proj.as_ref().map(|projection| projection.forward(&last_hidden_state.select(1, 0)))
    }

    /// The sizes of the vocabulary and of the table of positions.
    pub fn limits(&self) -> (i64, i64) {
        self.text_encoder.limits()
    }
}
