//! CLIP as in `openai/clip-vit-base-patch32`, with a tokenizer of its kind that knows bytes and hardly any words.

use serde_json::{Map, Value, json};

use super::tensors::Tensors;
use super::{Making, Place, torch_zip};

const HIDDEN: usize = 32;
const MLP: usize = 64;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const PROJECTION: usize = 16;
const IMAGE: usize = 64;
const PATCH: usize = 16;
const NAMES: [&str; 2] = ["weight", "bias"];

/// As published: padding has the last id, and readers may count on it.
const VOCABULARY: usize = 49408;
const START: usize = 49406;
const END: usize = 49407;
const POSITIONS: usize = 77;

pub(super) fn make(making: &Making<'_>, place: &mut Place<'_>) -> anyhow::Result<()> {
    let mut tensors = Tensors::new(making.seed, "clip-vit-b32");
    let t = &mut tensors;
    let patches = (IMAGE / PATCH).pow(2);
    t.normal("vision_model.embeddings.class_embedding", &[HIDDEN], 0.0, 0.5);
    t.product("vision_model.embeddings.patch_embedding.weight", &[HIDDEN, 3, PATCH, PATCH]);
    t.normal("vision_model.embeddings.position_embedding.weight", &[patches + 1, HIDDEN], 0.0, 0.5);
    position_ids(t, "vision_model", patches + 1);
    t.norm("vision_model.pre_layrnorm", HIDDEN, NAMES);
    blocks(t, "vision_model");
    t.norm("vision_model.post_layernorm", HIDDEN, NAMES);
    t.normal("text_model.embeddings.token_embedding.weight", &[VOCABULARY, HIDDEN], 0.0, 1.0);
    t.normal("text_model.embeddings.position_embedding.weight", &[POSITIONS, HIDDEN], 0.0, 0.3);
    position_ids(t, "text_model", POSITIONS);
    blocks(t, "text_model");
    t.norm("text_model.final_layer_norm", HIDDEN, NAMES);
    t.product("visual_projection.weight", &[PROJECTION, HIDDEN]);
    t.product("text_projection.weight", &[PROJECTION, HIDDEN]);
    t.normal("logit_scale", &[], 4.6052, 0.0);
    torch_zip::write(place, "clip-vit-b32.pytorch_model.bin", &tensors)?;
    place.write("clip-vit-b32.config.json", &super::json(&config()))?;
    place.write("clip-vit-b32.tokenizer.json", &super::json(&tokenizer()))
}

fn position_ids(tensors: &mut Tensors<'_>, tower: &str, count: usize) {
    tensors.long(&format!("{tower}.embeddings.position_ids"), &[1, count], (0..count as i64).collect());
}

fn blocks(tensors: &mut Tensors<'_>, tower: &str) {
    for i in 0..LAYERS {
        let key = format!("{tower}.encoder.layers.{i}");
        tensors.norm(&format!("{key}.layer_norm1"), HIDDEN, NAMES);
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            tensors.linear(&format!("{key}.self_attn.{part}"), HIDDEN, HIDDEN);
        }
        tensors.norm(&format!("{key}.layer_norm2"), HIDDEN, NAMES);
        tensors.linear(&format!("{key}.mlp.fc1"), MLP, HIDDEN);
        tensors.linear(&format!("{key}.mlp.fc2"), HIDDEN, MLP);
    }
}

fn config() -> Value {
    let tower = |kind: &str, more: Value| {
        let mut tower = json!({
            "attention_dropout": 0.0,
            "hidden_act": "quick_gelu",
            "hidden_size": HIDDEN,
            "intermediate_size": MLP,
            "layer_norm_eps": 1e-5,
            "model_type": kind,
            "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS,
            "projection_dim": PROJECTION,
        });
        if let (Value::Object(tower), Value::Object(more)) = (&mut tower, more) {
            tower.extend(more);
        }
        tower
    };
    // OpenAI's configuration calls 2 the end of a text, which it is not.
    let text = json!({
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
        "max_position_embeddings": POSITIONS, "vocab_size": VOCABULARY,
    });
    let vision = json!({ "image_size": IMAGE, "num_channels": 3, "patch_size": PATCH });
    json!({
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": PROJECTION,
        "text_config": tower("clip_text_model", text),
        "vision_config": tower("clip_vision_model", vision),
    })
}

/// Words that are whole tokens, by the merges that make them.
const MERGES: [(&str, &str); 6] =
    [("t", "h"), ("th", "e</w>"), ("i", "n"), ("in", "g</w>"), ("o", "f</w>"), ("a", "n")];

/// Byte-level pair encoding: each of the 256 bytes as a symbol of its own, inside a word and at its end, a few merges,
/// and the two special tokens with their published ids.
fn tokenizer() -> Value {
    let symbols = bytes();
    let mut tokens: Vec<String> = symbols.iter().map(|symbol| symbol.to_string()).collect();
    tokens.extend(symbols.iter().map(|symbol| format!("{symbol}</w>")));
    tokens.extend(MERGES.map(|(left, right)| format!("{left}{right}")));
    let mut vocabulary: Map<String, Value> = tokens.into_iter().zip((0..).map(Value::from)).collect();
    vocabulary.insert("<|startoftext|>".to_owned(), START.into());
    vocabulary.insert("<|endoftext|>".to_owned(), END.into());
    let special = |id: usize, content: &str| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let byte_level = |prefix: bool| json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true });
    let words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(START, "<|startoftext|>"), special(END, "<|endoftext|>")],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": words }, "behavior": "Removed", "invert": true },
            byte_level(false),
        ] },
        "post_processor": {
            "type": "RobertaProcessing", "sep": ["<|endoftext|>", END], "cls": ["<|startoftext|>", START],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": byte_level(true),
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<|endoftext|>", "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": MERGES.map(|(left, right)| [left, right]),
        },
    })
}

/// The characters that stand for the 256 bytes, printable ones for themselves, in CLIP's order. Source: openai/CLIP,
/// `clip/simple_tokenizer.py`, `bytes_to_unicode`.
fn bytes() -> Vec<char> {
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0u32..256).filter(|byte| !printable(byte)).count() as u32;
    let stand_ins = 256..256 + others;
    (0u32..256).filter(printable).chain(stand_ins).filter_map(char::from_u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::Tokenizer;

    /// Any text has ids, and hardly any has an unknown token.
    #[test]
    fn the_tokenizer_takes_any_text() {
        let tokenizer = Tokenizer::from_bytes(super::super::json(&tokenizer())).unwrap();
        let ids = |text: &str| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
        let end = END as u32;
        assert_eq!(ids(""), [START as u32, end]);
        // As in the published vocabulary: `!` is 0, `a</w>` is 320.
        assert_eq!(ids("! a"), [START as u32, 256, 320, end]);
        let tokens = tokenizer.encode("The Thing", true).unwrap().get_tokens().to_vec();
        assert_eq!(tokens, ["<|startoftext|>", "the</w>", "th", "ing</w>", "<|endoftext|>"]);
        for text in ["crème brûlée 東京 🍕\u{200D}🔥", "\u{0}\u{7F}\u{AD}\u{FFFD}\u{10FFFF}", "a\tb\u{A0}c\r\n"]
        {
            let ids = ids(text);
            assert_eq!((ids[0], ids[ids.len() - 1]), (START as u32, end));
            assert!(ids.len() > 4 && ids[1..ids.len() - 1].iter().all(|id| *id < 600), "{text:?}: {ids:?}");
        }
    }
}
