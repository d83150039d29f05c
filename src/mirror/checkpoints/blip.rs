//! BLIP as in `Salesforce/blip-itm-base-coco`: a vision tower, a text encoder that can look at pictures, two projections
//! and a head that tells whether a text matches a picture.

use serde_json::{Value, json};

use super::tensors::Tensors;
use super::{Making, Place, bert, torch_zip};

const HIDDEN: usize = 32;
const MLP: usize = 64;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const PROJECTION: usize = 16;
const IMAGE: usize = 64;
const PATCH: usize = 16;
/// BERT's, and [DEC] and [ENC].
const VOCABULARY: usize = 30524;
const POSITIONS: usize = 512;
const NAMES: [&str; 2] = ["weight", "bias"];

pub(super) fn make(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let mut tensors = Tensors::new(making.seed, "blip-itm-base-coco");
    vision(&mut tensors);
    text(&mut tensors);
    let t = &mut tensors;
    t.linear("vision_proj", PROJECTION, HIDDEN);
    t.linear("text_proj", PROJECTION, HIDDEN);
    t.linear("itm_head", 2, HIDDEN);
    torch_zip::write(place, "blip-itm-base-coco.pytorch_model.bin", &tensors)?;
    place.write("blip-itm-base-coco.config.json", &super::json(&config()))?;
    place.write("blip-itm-base-coco.tokenizer.json", &bert::tokenizer(making)?)
}

fn vision(t: &mut Tensors<'_>) {
    let tokens = (IMAGE / PATCH).pow(2) + 1;
    t.normal("vision_model.embeddings.class_embedding", &[1, 1, HIDDEN], 0.0, 0.5);
    t.product("vision_model.embeddings.patch_embedding.weight", &[HIDDEN, 3, PATCH, PATCH]);
    t.normal("vision_model.embeddings.patch_embedding.bias", &[HIDDEN], 0.0, 0.1);
    t.normal("vision_model.embeddings.position_embedding", &[1, tokens, HIDDEN], 0.0, 0.5);
    for i in 0..LAYERS {
        let key = format!("vision_model.encoder.layers.{i}");
        t.norm(&format!("{key}.layer_norm1"), HIDDEN, NAMES);
        t.linear(&format!("{key}.self_attn.qkv"), 3 * HIDDEN, HIDDEN);
        t.linear(&format!("{key}.self_attn.projection"), HIDDEN, HIDDEN);
        t.norm(&format!("{key}.layer_norm2"), HIDDEN, NAMES);
        t.linear(&format!("{key}.mlp.fc1"), MLP, HIDDEN);
        t.linear(&format!("{key}.mlp.fc2"), HIDDEN, MLP);
    }
    t.norm("vision_model.post_layernorm", HIDDEN, NAMES);
}

fn text(t: &mut Tensors<'_>) {
    t.normal("text_encoder.embeddings.word_embeddings.weight", &[VOCABULARY, HIDDEN], 0.0, 1.0);
    t.normal("text_encoder.embeddings.position_embeddings.weight", &[POSITIONS, HIDDEN], 0.0, 0.3);
    t.long("text_encoder.embeddings.position_ids", &[1, POSITIONS], (0..POSITIONS as i64).collect());
    t.norm("text_encoder.embeddings.LayerNorm", HIDDEN, NAMES);
    for i in 0..LAYERS {
        let key = format!("text_encoder.encoder.layer.{i}");
        for attention in ["attention", "crossattention"] {
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                t.linear(&format!("{key}.{attention}.{part}"), HIDDEN, HIDDEN);
            }
            t.norm(&format!("{key}.{attention}.output.LayerNorm"), HIDDEN, NAMES);
        }
        t.linear(&format!("{key}.intermediate.dense"), MLP, HIDDEN);
        t.linear(&format!("{key}.output.dense"), HIDDEN, MLP);
        t.norm(&format!("{key}.output.LayerNorm"), HIDDEN, NAMES);
    }
}

fn config() -> Value {
    json!({
        "architectures": ["BlipForImageTextRetrieval"],
        "image_text_hidden_size": PROJECTION,
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "blip",
        "projection_dim": PROJECTION,
        "text_config": {
            "attention_probs_dropout_prob": 0.0,
            "encoder_hidden_size": HIDDEN,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.0,
            "hidden_size": HIDDEN,
            "intermediate_size": MLP,
            "is_decoder": true,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": POSITIONS,
            "model_type": "blip_text_model",
            "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS,
            "pad_token_id": 0,
            "vocab_size": VOCABULARY,
        },
        "vision_config": {
            "attention_dropout": 0.0,
            "hidden_act": "gelu",
            "hidden_size": HIDDEN,
            "image_size": IMAGE,
            "intermediate_size": MLP,
            "layer_norm_eps": 1e-5,
            "model_type": "blip_vision_model",
            "num_attention_heads": HEADS,
            "num_channels": 3,
            "num_hidden_layers": LAYERS,
            "patch_size": PATCH,
        },
    })
}
