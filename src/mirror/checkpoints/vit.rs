//! ViT as in `google/vit-base-patch16-224-in21k`.

use serde_json::json;

use super::tensors::Tensors;
use super::{Making, Place};

const HIDDEN: usize = 32;
const MLP: usize = 64;
const LAYERS: usize = 2;
const IMAGE: usize = 64;
const PATCH: usize = 16;
const NAMES: [&str; 2] = ["weight", "bias"];

pub(super) fn make(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let mut tensors = Tensors::new(making.seed, "vit-b16-in21k");
    let t = &mut tensors;
    t.normal("embeddings.cls_token", &[1, 1, HIDDEN], 0.0, 0.5);
    t.normal("embeddings.position_embeddings", &[1, (IMAGE / PATCH).pow(2) + 1, HIDDEN], 0.0, 0.5);
    t.product("embeddings.patch_embeddings.projection.weight", &[HIDDEN, 3, PATCH, PATCH]);
    t.normal("embeddings.patch_embeddings.projection.bias", &[HIDDEN], 0.0, 0.1);
    for i in 0..LAYERS {
        let key = format!("encoder.layer.{i}");
        t.norm(&format!("{key}.layernorm_before"), HIDDEN, NAMES);
        for part in ["attention.query", "attention.key", "attention.value", "output.dense"] {
            t.linear(&format!("{key}.attention.{part}"), HIDDEN, HIDDEN);
        }
        t.norm(&format!("{key}.layernorm_after"), HIDDEN, NAMES);
        t.linear(&format!("{key}.intermediate.dense"), MLP, HIDDEN);
        t.linear(&format!("{key}.output.dense"), HIDDEN, MLP);
    }
    t.norm("layernorm", HIDDEN, NAMES);
    t.linear("pooler.dense", HIDDEN, HIDDEN);
    let config = json!({
        "architectures": ["ViTModel"],
        "attention_probs_dropout_prob": 0.0,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "hidden_size": HIDDEN,
        "image_size": IMAGE,
        "initializer_range": 0.02,
        "intermediate_size": MLP,
        "layer_norm_eps": 1e-12,
        "model_type": "vit",
        "num_attention_heads": 2,
        "num_channels": 3,
        "num_hidden_layers": LAYERS,
        "patch_size": PATCH,
        "qkv_bias": true,
    });
    place.write("vit-b16-in21k.model.safetensors", &tensors.to_safetensors()?)?;
    place.write("vit-b16-in21k.config.json", &super::json(&config))
}
