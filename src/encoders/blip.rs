//! BLIP (Li et al., ICML 2022): the vision tower, and the text encoder as it reads a text alone.
//!
//! Mirrors Hugging Face's checkpoint keys. Both towers lie in one file, and each is loaded without the other. Without a
//! picture a text layer's cross-attention is left out, so its tensors are not looked at. Source: transformers,
//! `models/blip/modeling_blip.py` and `modeling_blip_text.py`.
//!
//! Only checkpoints for retrieval and for questions have a text encoder. Those for captions hold a decoder in its place
//! (`text_decoder.*`: causal, trained to look at a picture), which is refused: libraries that load such a file into a
//! model with a text encoder leave that encoder with random weights.

use serde::Deserialize;
use tch::{Device, Tensor};

use super::bert::{Layer, Tokens};
use super::layers::{
    Activation, Attention, LayerNorm, Linear, PatchEmbedding, Place, PreNormBlock, Product, Sizes, check_eps,
    check_heads, padding_mask,
};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub vision_config: VisionConfig,
    pub text_config: TextConfig,
    /// Of the projections.
    #[serde(default = "projection_size")]
    pub image_text_hidden_size: i64,
}

/// Transformers' own default, which `config.json` may leave out.
fn projection_size() -> i64 {
    256
}

/// Of the vision tower.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VisionConfig {
    pub hidden_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub intermediate_size: i64,
    /// Pixels a side.
    pub image_size: i64,
    pub patch_size: i64,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
}

/// Of the text tower. Nothing here has a default: that of transformers for the heads is 8, and the checkpoints have 12.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TextConfig {
    pub hidden_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub intermediate_size: i64,
    pub vocab_size: i64,
    pub max_position_embeddings: i64,
    pub layer_norm_eps: f64,
    pub hidden_act: String,
}

impl VisionConfig {
    fn check(&self) -> anyhow::Result<Activation> {
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
        check_eps(self.layer_norm_eps)?;
        Activation::named("hidden_act", &self.hidden_act)
    }

    fn layer(&self, weights: &mut Weights, i: i64, activation: Activation) -> PreNormBlock {
        let (d, mlp, eps) = (self.hidden_size, self.intermediate_size, self.layer_norm_eps);
        let at = |rest: &str| format!("vision_model.encoder.layers.{i}.{rest}");
        let keys = ["self_attn.qkv", "self_attn.projection"].map(at);
        PreNormBlock {
            attention_norm: LayerNorm::new(weights, &at("layer_norm1"), d, eps),
            attention: Attention::joined(weights, keys, d, self.num_attention_heads),
            mlp_norm: LayerNorm::new(weights, &at("layer_norm2"), d, eps),
            mlp_in: Linear::new(weights, &at("mlp.fc1"), mlp, d),
            mlp_out: Linear::new(weights, &at("mlp.fc2"), d, mlp),
            activation,
        }
    }
}

impl TextConfig {
    fn check(&self) -> anyhow::Result<Activation> {
        Sizes(&[
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1000),
            ("num_attention_heads", self.num_attention_heads, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
        ])
        .check()?;
        check_heads(("hidden_size", self.hidden_size), ("num_attention_heads", self.num_attention_heads))?;
        check_eps(self.layer_norm_eps)?;
        Activation::named("hidden_act", &self.hidden_act)
    }

    fn layer(&self, weights: &mut Weights, i: i64, activation: Activation) -> Layer {
        let (d, mlp, eps) = (self.hidden_size, self.intermediate_size, self.layer_norm_eps);
        let at = |rest: &str| format!("text_encoder.encoder.layer.{i}.{rest}");
        let keys = ["self.query", "self.key", "self.value", "output.dense"].map(|key| at(&format!("attention.{key}")));
        Layer {
            attention: Attention::new(weights, keys, d, self.num_attention_heads, Product::Fused),
            attention_output_layer_norm: LayerNorm::new(weights, &at("attention.output.LayerNorm"), d, eps),
            intermediate_dense: Linear::new(weights, &at("intermediate.dense"), mlp, d),
            output_dense: Linear::new(weights, &at("output.dense"), d, mlp),
            output_layer_norm: LayerNorm::new(weights, &at("output.LayerNorm"), d, eps),
            activation,
        }
    }
}

/// A checkpoint for captions or questions has none of the projections.
fn projection(weights: &mut Weights, key: &str, config: &Config, hidden: i64) -> anyhow::Result<Option<Linear>> {
    let size = config.image_text_hidden_size;
    Sizes(&[("image_text_hidden_size", size, 1 << 16)]).check()?;
    Ok(weights.contains(&format!("{key}.weight")).then(|| Linear::new(weights, key, size, hidden)))
}

fn begins_with(key: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| key.starts_with(part))
}

/// A frozen vision tower.
#[derive(Debug)]
pub struct Vision {
    /// [1, 1, D]
    class_embedding: Tensor,
    patch_embedding: PatchEmbedding,
    /// [1, tokens, D]
    position_embedding: Tensor,
    layers: Vec<PreNormBlock>,
    post_layernorm: LayerNorm,
    vision_proj: Option<Linear>,
    pub config: VisionConfig,
}

impl Vision {
    /// Takes the vision tower out of a checkpoint.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let activation = config.vision_config.check()?;
        weights.ignore(|key| {
            let other = begins_with(key, &["text_encoder.", "text_decoder.", "text_proj.", "itm_head."]);
            other || key == "vision_model.embeddings.position_ids" || key == "logit_scale"
        });
        let vision_proj = projection(&mut weights, "vision_proj", &config, config.vision_config.hidden_size)?;
        let config = config.vision_config;
        let (w, d) = (&mut weights, config.hidden_size);
        let tokens = (config.image_size / config.patch_size).pow(2) + 1;
        let at = |rest: &str| format!("vision_model.{rest}");
        let vision = Vision {
            class_embedding: w.take(&at("embeddings.class_embedding"), &[1, 1, d]),
            patch_embedding: PatchEmbedding::new(w, &at("embeddings.patch_embedding"), d, config.patch_size, true),
            position_embedding: w.take(&at("embeddings.position_embedding"), &[1, tokens, d]),
            layers: (0..config.num_hidden_layers).map(|i| config.layer(w, i, activation)).collect(),
            post_layernorm: LayerNorm::new(w, &at("post_layernorm"), d, config.layer_norm_eps),
            vision_proj,
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
        self.forward_seen(pictures, &mut |_| ())
    }

    /// As [`Vision::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`Vision::forward`].
    pub fn forward_seen(&self, pictures: &Tensor, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<Tensor> {
        let (batch, _channels, height, width) = pictures.size4()?;
        let side = self.config.image_size;
        anyhow::ensure!((height, width) == (side, side), "pictures of {width} × {height} pixels, not {side} × {side}");
        let class = self.class_embedding.expand([batch, 1, self.config.hidden_size], false);
        let mut x = Tensor::cat(&[class, self.patch_embedding.forward(pictures)], 1) + &self.position_embedding;
        see(&x);
        for layer in &self.layers {
            x = layer.forward(&x, None);
            see(&x);
        }
        Ok(self.post_layernorm.forward(&x))
    }

    /// `pooler_output`, [B, D]: the class token's state, which is normalised already, normalised again.
    pub fn pool(&self, last_hidden_state: &Tensor) -> Tensor {
        self.post_layernorm.forward(&last_hidden_state.select(1, 0))
    }

    /// `vision_proj` of the class token's state, [B, image_text_hidden_size], not divided by its norm; none if the
    /// checkpoint has no projection.
    pub fn project(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.vision_proj.as_ref().map(|projection| projection.forward(&last_hidden_state.select(1, 0)))
    }

    pub fn has_projection(&self) -> bool {
        self.vision_proj.is_some()
    }

    /// Another handle on the same weights, for another thread.
    pub fn share(&self) -> Self {
        self.placed(Place::Shared)
    }

    /// The same tower on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.placed(Place::On(device))
    }

    fn placed(&self, place: Place) -> Self {
        Vision {
            class_embedding: place.of(&self.class_embedding),
            patch_embedding: self.patch_embedding.placed(place),
            position_embedding: place.of(&self.position_embedding),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            post_layernorm: self.post_layernorm.placed(place),
            vision_proj: self.vision_proj.as_ref().map(|projection| projection.placed(place)),
            config: self.config.clone(),
        }
    }
}

/// A frozen text encoder, which sees every token of a text from every other.
#[derive(Debug)]
pub struct Text {
    word_embeddings: Tensor,
    position_embeddings: Tensor,
    layer_norm: LayerNorm,
    layers: Vec<Layer>,
    text_proj: Option<Linear>,
    pub config: TextConfig,
}

impl Text {
    /// Takes the text encoder out of a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint has a decoder in its place; names every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let activation = config.text_config.check()?;
        let has = |weights: &Weights, tower: &str| {
            ["embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight"]
                .iter()
                .any(|key| weights.contains(&format!("{tower}.{key}")))
        };
        anyhow::ensure!(
            has(&weights, "text_encoder") || !has(&weights, "text_decoder"),
            "the checkpoint has no text encoder (`text_encoder.*`), only a decoder that writes captions \
             (`text_decoder.*`): it is causal and was trained to look at a picture, so that it gives no features of a text \
             alone; use a checkpoint for retrieval, such as blip-itm-base-coco"
        );
        weights.ignore(|key| {
            let other = begins_with(key, &["vision_model.", "vision_proj.", "text_decoder.", "itm_head."]);
            let of_pictures = key.starts_with("text_encoder.encoder.layer.") && key.contains(".crossattention.");
            other || of_pictures || key == "text_encoder.embeddings.position_ids" || key == "logit_scale"
        });
        let text_proj = projection(&mut weights, "text_proj", &config, config.text_config.hidden_size)?;
        let config = config.text_config;
        let (w, d) = (&mut weights, config.hidden_size);
        let at = |rest: &str| format!("text_encoder.embeddings.{rest}");
        let text = Text {
            word_embeddings: w.take(&at("word_embeddings.weight"), &[config.vocab_size, d]),
            position_embeddings: w.take(&at("position_embeddings.weight"), &[config.max_position_embeddings, d]),
            layer_norm: LayerNorm::new(w, &at("LayerNorm"), d, config.layer_norm_eps),
            layers: (0..config.num_hidden_layers).map(|i| config.layer(w, i, activation)).collect(),
            text_proj,
            config,
        };
        weights.finish()?;
        Ok(text)
    }

    /// `last_hidden_state`, [B, N, D]. Token types are not looked at: there are none.
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<Tensor> {
        let [words, positions] = tokens.embed(&self.word_embeddings, &self.position_embeddings)?;
        let mut x = self.layer_norm.forward(&(words + positions));
        let mask = tokens.attention_mask.as_ref().map(padding_mask);
        for layer in &self.layers {
            x = layer.forward(&x, mask.as_ref());
        }
        Ok(x)
    }

    /// `text_proj` of the first token's state, [B, image_text_hidden_size], not divided by its norm; none if the
    /// checkpoint has no projection.
    pub fn project(&self, last_hidden_state: &Tensor) -> Option<Tensor> {
        self.text_proj.as_ref().map(|projection| projection.forward(&last_hidden_state.select(1, 0)))
    }

    pub fn has_projection(&self) -> bool {
        self.text_proj.is_some()
    }

    /// Another handle on the same weights, for another thread.
    pub fn share(&self) -> Self {
        self.placed(Place::Shared)
    }

    /// The same tower on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.placed(Place::On(device))
    }

    fn placed(&self, place: Place) -> Self {
        Text {
            word_embeddings: place.of(&self.word_embeddings),
            position_embeddings: place.of(&self.position_embeddings),
            layer_norm: self.layer_norm.placed(place),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            text_proj: self.text_proj.as_ref().map(|projection| projection.placed(place)),
            config: self.config.clone(),
        }
    }
}
