//! CLIP (Radford et al., ICML 2021): both towers, each with its projection.
//!
//! Mirrors Hugging Face's checkpoint keys. Both towers lie in one file, and each is loaded without the other. Source:
//! transformers, `models/clip/modeling_clip.py`.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::bert::Tokens;
use super::layers::{
    Activation, Attention, LayerNorm, Linear, PatchEmbedding, Place, PreNormBlock, Product, Sizes, check_eps,
    check_heads, padding_mask,
};
use super::weights::Weights;

/// The keys of `config.json` that the computation depends on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    pub projection_dim: i64,
    pub vision_config: VisionConfig,
    pub text_config: TextConfig,
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

/// Of the text tower.
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
    /// The end-of-text token; in OpenAI's configurations 2, which is wrong and stands for the largest id of the text.
    pub eos_token_id: i64,
}

/// What both towers' blocks have in common.
struct Blocks {
    hidden: i64,
    layers: i64,
    heads: i64,
    mlp: i64,
    eps: f64,
    activation: Activation,
}

impl Blocks {
    fn check(&self) -> anyhow::Result<()> {
        Sizes(&[
            ("hidden_size", self.hidden, 1 << 16),
            ("num_hidden_layers", self.layers, 1000),
            ("num_attention_heads", self.heads, 1 << 16),
            ("intermediate_size", self.mlp, 1 << 20),
        ])
        .check()?;
        check_heads(("hidden_size", self.hidden), ("num_attention_heads", self.heads))?;
        check_eps(self.eps)
    }

    /// Takes the blocks of a tower.
    fn load(&self, weights: &mut Weights, tower: &str) -> Vec<PreNormBlock> {
        (0..self.layers).map(|i| self.block(weights, &format!("{tower}.encoder.layers.{i}"))).collect()
    }

    fn block(&self, weights: &mut Weights, key: &str) -> PreNormBlock {
        let at = |rest: &str| format!("{key}.{rest}");
        let keys = ["q_proj", "k_proj", "v_proj", "out_proj"].map(|key| at(&format!("self_attn.{key}")));
        PreNormBlock {
            attention_norm: LayerNorm::new(weights, &at("layer_norm1"), self.hidden, self.eps),
            attention: Attention::new(weights, keys, self.hidden, self.heads, Product::Fused),
            mlp_norm: LayerNorm::new(weights, &at("layer_norm2"), self.hidden, self.eps),
            mlp_in: Linear::new(weights, &at("mlp.fc1"), self.mlp, self.hidden),
            mlp_out: Linear::new(weights, &at("mlp.fc2"), self.hidden, self.mlp),
            activation: self.activation,
        }
    }
}

impl VisionConfig {
    fn blocks(&self) -> anyhow::Result<Blocks> {
        let blocks = Blocks {
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            mlp: self.intermediate_size,
            eps: self.layer_norm_eps,
            activation: Activation::named("hidden_act", &self.hidden_act)?,
        };
        blocks.check()?;
        Sizes(&[("image_size", self.image_size, 4096), ("patch_size", self.patch_size, self.image_size.max(1))])
            .check()?;
        Ok(blocks)
    }
}

impl TextConfig {
    fn blocks(&self) -> anyhow::Result<Blocks> {
        let blocks = Blocks {
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            mlp: self.intermediate_size,
            eps: self.layer_norm_eps,
            activation: Activation::named("hidden_act", &self.hidden_act)?,
        };
        blocks.check()?;
        Sizes(&[
            ("vocab_size", self.vocab_size, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
        ])
        .check()?;
        Ok(blocks)
    }
}

/// What a tower gives.
#[derive(Debug)]
pub struct TowerOutput {
    /// [B, tokens, D]
    pub last_hidden_state: Tensor,
    /// [B, D]
    pub pooler_output: Tensor,
    /// `image_embeds` or `text_embeds`, [B, projection_dim], not divided by its norm.
    pub embeds: Tensor,
}

/// A frozen vision tower.
#[derive(Debug)]
pub struct Vision {
    /// [D]
    class_embedding: Tensor,
    patch_embedding: PatchEmbedding,
    /// [tokens, D]
    position_embedding: Tensor,
    pre_layrnorm: LayerNorm,
    layers: Vec<PreNormBlock>,
    post_layernorm: LayerNorm,
    visual_projection: Linear,
    pub config: VisionConfig,
}

impl Vision {
    /// Takes the vision tower out of a checkpoint.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { projection_dim, vision_config: config, text_config: _ } = config;
        let blocks = config.blocks()?;
        Sizes(&[("projection_dim", projection_dim, 1 << 16)]).check()?;
        weights.ignore(|key| {
            let other = ["text_model.", "text_projection."].iter().any(|tower| key.starts_with(tower));
            other || key == "logit_scale" || key == "vision_model.embeddings.position_ids"
        });
        let (w, d) = (&mut weights, config.hidden_size);
        let tokens = (config.image_size / config.patch_size).pow(2) + 1;
        let at = |rest: &str| format!("vision_model.{rest}");
        let vision = Vision {
            class_embedding: w.take(&at("embeddings.class_embedding"), &[d]),
            patch_embedding: PatchEmbedding::new(w, &at("embeddings.patch_embedding"), d, config.patch_size, false),
            position_embedding: w.take(&at("embeddings.position_embedding.weight"), &[tokens, d]),
            // The typing mistake is official.
            pre_layrnorm: LayerNorm::new(w, &at("pre_layrnorm"), d, config.layer_norm_eps),
            layers: blocks.load(w, "vision_model"),
            post_layernorm: LayerNorm::new(w, &at("post_layernorm"), d, config.layer_norm_eps),
            visual_projection: Linear::without_bias(w, "visual_projection", projection_dim, d),
            config,
        };
        weights.finish()?;
        Ok(vision)
    }

    /// Of pictures [B, 3, image_size, image_size].
    ///
    /// # Errors
    /// If the pictures have another size.
    pub fn forward(&self, pictures: &Tensor) -> anyhow::Result<TowerOutput> {
        self.forward_seen(pictures, &mut |_| ())
    }

    /// As [`Vision::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`Vision::forward`].
    pub fn forward_seen(&self, pictures: &Tensor, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<TowerOutput> {
        let (batch, _channels, height, width) = pictures.size4()?;
        let side = self.config.image_size;
        anyhow::ensure!((height, width) == (side, side), "pictures of {width} × {height} pixels, not {side} × {side}");
        let class = self.class_embedding.expand([batch, 1, self.config.hidden_size], false);
        let x = Tensor::cat(&[class, self.patch_embedding.forward(pictures)], 1) + &self.position_embedding;
        let mut x = self.pre_layrnorm.forward(&x);
        see(&x);
        for layer in &self.layers {
            x = layer.forward(&x, None);
            see(&x);
        }
        // The last state itself is not normalised.
        let pooler_output = self.post_layernorm.forward(&x.select(1, 0));
        let embeds = self.visual_projection.forward(&pooler_output);
        Ok(TowerOutput { last_hidden_state: x, pooler_output, embeds })
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
            pre_layrnorm: self.pre_layrnorm.placed(place),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            post_layernorm: self.post_layernorm.placed(place),
            visual_projection: self.visual_projection.placed(place),
            config: self.config.clone(),
        }
    }
}

/// A frozen text tower.
#[derive(Debug)]
pub struct Text {
    token_embedding: Tensor,
    position_embedding: Tensor,
    layers: Vec<PreNormBlock>,
    final_layer_norm: LayerNorm,
    text_projection: Linear,
    pub config: TextConfig,
}

impl Text {
    /// Takes the text tower out of a checkpoint.
    ///
    /// # Errors
    /// Names every tensor that is missing, misshapen or unknown.
    pub fn load(mut weights: Weights, config: Config) -> anyhow::Result<Self> {
        let Config { projection_dim, text_config: config, vision_config: _ } = config;
        let blocks = config.blocks()?;
        Sizes(&[("projection_dim", projection_dim, 1 << 16)]).check()?;
        weights.ignore(|key| {
            let other = ["vision_model.", "visual_projection."].iter().any(|tower| key.starts_with(tower));
            other || key == "logit_scale" || key == "text_model.embeddings.position_ids"
        });
        let (w, d) = (&mut weights, config.hidden_size);
        let at = |rest: &str| format!("text_model.{rest}");
        let embedding =
            |w: &mut Weights, name: &str, rows: i64| w.take(&at(&format!("embeddings.{name}.weight")), &[rows, d]);
        let text = Text {
            token_embedding: embedding(w, "token_embedding", config.vocab_size),
            position_embedding: embedding(w, "position_embedding", config.max_position_embeddings),
            layers: blocks.load(w, "text_model"),
            final_layer_norm: LayerNorm::new(w, &at("final_layer_norm"), d, config.layer_norm_eps),
            text_projection: Linear::without_bias(w, "text_projection", projection_dim, d),
            config,
        };
        weights.finish()?;
        Ok(text)
    }

    /// Of token ids [B, N]; token types are not looked at.
    ///
    /// # Errors
    /// If the batch is longer than the model has positions.
    pub fn forward(&self, tokens: &Tokens) -> anyhow::Result<TowerOutput> {
        self.forward_seen(tokens, &mut |_| ())
    }

    /// As [`Text::forward`]; `see` is shown the embeddings, and what each layer makes of them.
    ///
    /// # Errors
    /// As [`Text::forward`].
    pub fn forward_seen(&self, tokens: &Tokens, see: &mut dyn FnMut(&Tensor)) -> anyhow::Result<TowerOutput> {
        let [words, positions] = tokens.embed(&self.token_embedding, &self.position_embedding)?;
        let mut x = words + positions;
        see(&x);
        let mask = self.mask(tokens);
        for layer in &self.layers {
            x = layer.forward(&x, Some(&mask));
            see(&x);
        }
        let x = self.final_layer_norm.forward(&x);
        let pooler_output = self.at_end_of_text(&x, &tokens.input_ids);
        let embeds = self.text_projection.forward(&pooler_output);
        Ok(TowerOutput { last_hidden_state: x, pooler_output, embeds })
    }

    /// Causal, and without padding: [1 or B, 1, N, N]. Of two masks the lower counts, so that the sum stays finite.
    fn mask(&self, tokens: &Tokens) -> Tensor {
        let length = tokens.input_ids.size()[1];
        let lowest = f64::from(f32::MIN);
        let causal = Tensor::full([length, length], lowest, (Kind::Float, tokens.input_ids.device())).triu(1);
        let causal = causal.unsqueeze(0).unsqueeze(0);
        match &tokens.attention_mask {
            Some(mask) => causal.minimum(&padding_mask(mask)),
            None => causal,
        }
    }

    /// The state at each text's end-of-text token, at its first place: padding may have the same id.
    fn at_end_of_text(&self, states: &Tensor, input_ids: &Tensor) -> Tensor {
        let end = match self.config.eos_token_id {
            2 => input_ids.argmax(-1, false),
            id => input_ids.eq(id).to_kind(Kind::Int).argmax(-1, false),
        };
        let index = end.view([-1, 1, 1]).expand([-1, 1, self.config.hidden_size], false);
        states.gather(1, &index, false).squeeze_dim(1)
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
            token_embedding: place.of(&self.token_embedding),
            position_embedding: place.of(&self.position_embedding),
            layers: self.layers.iter().map(|layer| layer.placed(place)).collect(),
            final_layer_norm: self.final_layer_norm.placed(place),
            text_projection: self.text_projection.placed(place),
            config: self.config.clone(),
        }
    }
}
