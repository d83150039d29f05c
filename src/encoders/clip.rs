//! CLIP (Radford et al., ICML 2021): both towers, each with its projection.
//!
//! Mirrors Hugging Face's checkpoint keys. One file holds both towers, and each is loaded without the other.

use serde::Deserialize;
use tch::{Kind, Tensor};

use super::layers::{LayerNorm, Linear, PictureEmbedding, Tokens, begins_with, check_sizes, padding_mask};
use super::transformer::{self, Keys, Norm, Product, Projections, TextEmbedding, Transformer, VisionConfig};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub projection_dim: i64,
    pub vision_config: VisionConfig,
    pub text_config: TextConfig,
}

/// The text tower's part of `config.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TextConfig {
    #[serde(flatten)]
    pub text: transformer::TextConfig,
    /// The end-of-text token. OpenAI's configurations say 2, which is wrong and stands for the largest id of the text.
    pub eos_token_id: i64,
}

/// `CLIPEncoderLayer`:
/// <https://github.com/huggingface/transformers/blob/679021a6b0ded09d623a96e2bd2f822c5a548872/src/transformers/models/clip/modeling_clip.py>
const KEYS: Keys = Keys {
    layers: "encoder.layers",
    projections: Projections::Apart(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    attention_output: "self_attn.out_proj",
    attention_norm: "layer_norm1",
    mlp_in: "mlp.fc1",
    mlp_out: "mlp.fc2",
    mlp_norm: "layer_norm2",
    norm: Norm::Before,
};

/// A frozen vision tower (`CLIPVisionTransformer` and `visual_projection`).
#[derive(Clone, Debug)]
pub struct Vision {
    embeddings: PictureEmbedding,
    pre_layrnorm: LayerNorm,
    layers: Transformer,
    post_layernorm: LayerNorm,
    visual_projection: Linear,
    pub config: VisionConfig,
}

impl Vision {
    /// Takes the vision tower out of a checkpoint.
    ///
    /// # Errors
    /// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { projection_dim, vision_config: config, text_config: _ } = config;
        check_sizes(&[("projection_dim", projection_dim, 1 << 16)])?;
        weights.ignore(|key| {
            begins_with(key, &["text_model.", "text_projection."])
                || ["logit_scale", "vision_model.embeddings.position_ids"].contains(&key)
        });
        let (w, d, eps) = (&mut weights, config.layers.hidden_size, config.layers.layer_norm_eps);
        let (tokens, patch) = (config.tokens()?, config.patch_size);
        let vision = Vision {
            layers: Transformer::new(w, "vision_model.", &KEYS, &config.layers, Product::Fused)?,
            embeddings: PictureEmbedding {
                class: w.take("vision_model.embeddings.class_embedding", &[d]),
                positions: w.take("vision_model.embeddings.position_embedding.weight", &[tokens, d]),
                patches: w.take("vision_model.embeddings.patch_embedding.weight", &[d, 3, patch, patch]),
                bias: None,
                image_size: config.image_size,
            },
            // The typing mistake is official.
            pre_layrnorm: LayerNorm::new(w, "vision_model.pre_layrnorm", d, eps),
            post_layernorm: LayerNorm::new(w, "vision_model.post_layernorm", d, eps),
            visual_projection: Linear::without_bias(w, "visual_projection", projection_dim, d),
            config,
        };
        weights.finish()?;
        Ok(vision)
    }

    /// `image_embeds`, [B, projection_dim], of pictures [B, 3, image_size, image_size], not divided by its norm.
    ///
    /// # Errors
    /// If the pictures have another size.
    pub fn forward(&self, pictures: &Tensor) -> anyhow::Result<Tensor> {
        let x = self.pre_layrnorm.forward(&self.embeddings.forward(pictures)?);
        // The last state itself is not normalized.
        let last_hidden_state = self.layers.forward(x, None);
        let pooler_output = self.post_layernorm.forward(&last_hidden_state.select(1, 0));
        Ok(self.visual_projection.forward(&pooler_output))
    }
}

/// A frozen text tower (`CLIPTextTransformer` and `text_projection`).
#[derive(Clone, Debug)]
pub struct Text {
    embeddings: TextEmbedding,
    layers: Transformer,
    final_layer_norm: LayerNorm,
    text_projection: Linear,
    eos_token_id: i64,
}

impl Text {
    /// Takes the text tower out of a checkpoint.
    ///
    /// # Errors
    /// Names a setting that this file does not compute, or every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { projection_dim, text_config: config, vision_config: _ } = config;
        check_sizes(&[("projection_dim", projection_dim, 1 << 16)])?;
        weights.ignore(|key| {
            begins_with(key, &["vision_model.", "visual_projection."])
                || ["logit_scale", "text_model.embeddings.position_ids"].contains(&key)
        });
        let TextConfig { text: config, eos_token_id } = config;
        let (w, d, eps) = (&mut weights, config.layers.hidden_size, config.layers.layer_norm_eps);
        let keys = ["text_model.embeddings.token_embedding", "text_model.embeddings.position_embedding"];
        let text = Text {
            layers: Transformer::new(w, "text_model.", &KEYS, &config.layers, Product::Fused)?,
            embeddings: TextEmbedding::new(w, keys, &config)?,
            final_layer_norm: LayerNorm::new(w, "text_model.final_layer_norm", d, eps),
            text_projection: Linear::without_bias(w, "text_projection", projection_dim, d),
            eos_token_id,
        };
        weights.finish()?;
        Ok(text)
    }

    /// `text_embeds`, [B, projection_dim], of token ids [B, N], not divided by its norm.
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        let [words, positions] = self.embeddings.forward(tokens)?;
        let x = self.layers.forward(words + positions, Some(&mask(tokens)));
        let last_hidden_state = self.final_layer_norm.forward(&x);
        let pooler_output = self.at_end_of_text(&last_hidden_state, &tokens.input_ids);
        Ok(self.text_projection.forward(&pooler_output))
    }

    /// The state at each text's first end-of-text token: padding may have the same id.
    fn at_end_of_text(&self, states: &Tensor, input_ids: &Tensor) -> Tensor {
        let end = match self.eos_token_id {
            2 => input_ids.argmax(-1, false),
            id => input_ids.eq(id).to_kind(Kind::Int).argmax(-1, false),
        };
        let index = end.view([-1, 1, 1]).expand([-1, 1, states.size()[2]], false);
        states.gather(1, &index, false).squeeze_dim(1)
    }

    /// The sizes of the vocabulary and of the table of positions.
    pub fn limits(&self) -> (i64, i64) {
        self.embeddings.limits()
    }
}

/// Causal, and without padding: [1 or B, 1, N, N]. Of two masks the lower counts, so that the sum stays finite.
fn mask(tokens: &Tokens) -> Tensor {
    let length = tokens.input_ids.size()[1];
    let lowest = f64::from(f32::MIN);
    let causal = Tensor::full([length, length], lowest, (Kind::Float, tokens.input_ids.device())).triu(1);
    let causal = causal.unsqueeze(0).unsqueeze(0);
    match &tokens.attention_mask {
        Some(mask) => causal.minimum(&padding_mask(mask)),
        None => causal,
    }
}
